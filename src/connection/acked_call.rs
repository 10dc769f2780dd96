//! [`AckedCall`]: calls that ask for a receipt.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wse_proto::session::{CallFailure, CallId, ReceiptFailure, Tracked};
use wse_proto::{Decode, Encode, Head, Negotiate, ReceiptOf, Text};

use super::error::CallError;
use super::queue::Class;
use super::receipt::{Expected, ReceiptError};
use super::shared::Connection;
use super::state::CallOutcome;

/// The timeouts of a call that asks for a receipt.
///
/// ```
/// use std::time::Duration;
/// use wse::CallOptions;
/// let options = CallOptions::default().timeout(Duration::from_secs(60)).receipt_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long to wait for the answer. `None` waits as long as the connection lasts. Default: 20 s; the `call_timeout` of
    /// the builder does not apply.
    pub timeout: Option<Duration>,
    /// How long to wait for the receipt; `None` for as long as for the answer. Default: `None`.
    pub receipt_timeout: Option<Duration>,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(20)), receipt_timeout: None }
    }
}

impl CallOptions {
    /// Sets how long to wait for the answer. `None` waits as long as the connection lasts. Default: 20 s; the `call_timeout`
    /// of the builder does not apply.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets how long to wait for the receipt; `None` for as long as for the answer. Default: `None`. A late receipt does not
    /// end the call.
    #[must_use]
    pub fn receipt_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.receipt_timeout = timeout.into();
        self
    }
}

/// A call that asked for a receipt, which tells that it has arrived before its result is known. Dropping it cancels the
/// call.
pub struct AckedCall<P: Negotiate, R> {
    connection: Arc<Connection>,
    id: CallId,
    sent: bool,
    answer: oneshot::Receiver<CallOutcome>,
    receipt: Receipt,
    result: PhantomData<fn(P) -> R>,
}

enum Receipt {
    Waiting(Box<Expected>),
    Ended(Result<(), ReceiptError>),
}

impl<P: Negotiate, R> AckedCall<P, R>
where
    P::Format: Decode<R>,
{
    /// Waits for the receipt. Cancel safe. Later calls return the same result.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`]. The call continues.
    pub async fn receipt(&mut self) -> Result<(), &ReceiptError> {
        if let Receipt::Waiting(expected) = &mut self.receipt {
            self.receipt = Receipt::Ended(expected.await);
        }
        match &self.receipt {
            Receipt::Ended(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits for the result. Afterwards, [`receipt`](Self::receipt) returns at once.
    ///
    /// Cancel safe: the result is not lost. It is returned once; later calls return [`CallError::NotReady`].
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn result(&mut self) -> Result<R, CallError> {
        if self.answer.is_terminated() {
            return Err(CallError::NotReady);
        }
        let outcome = (&mut self.answer).await.map_err(|_| CallError::NotReady)?;
        self.connection.decode::<P::Protocol, R>(&outcome?).map_err(CallError::Decode)
    }

    /// The number that the JavaScript package wsprocessor reports for a call that failed with this error, such as 1.2: see
    /// the table of [outcomes](wse_proto::session::receipts#outcomes). `None` for a fault, whose code is the
    /// peer's, and when nothing was sent.
    pub async fn status_code(&mut self, error: &CallError) -> Option<&'static str> {
        let failure = match error {
            CallError::Timeout => CallFailure::Timeout,
            CallError::Disconnected(close) => CallFailure::Disconnected(close.clone()),
            _ => return None,
        };
        let receipt = match self.receipt().await {
            Ok(()) => Some(Ok(())),
            Err(ReceiptError::TimedOut) => Some(Err(ReceiptFailure::TimedOut)),
            Err(ReceiptError::Outstanding | ReceiptError::Closed(_)) => {
                Some(Err(ReceiptFailure::Outstanding))
            }
            // No receipt was asked for.
            Err(_) => None,
        };
        failure.status_code(receipt.as_ref())
    }
}

impl<P: Negotiate, R> Drop for AckedCall<P, R> {
    fn drop(&mut self) {
        self.connection.forget_call(self.id, self.sent);
    }
}

impl<P: Negotiate, R> fmt::Debug for AckedCall<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckedCall").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Connection {
    /// Calls the peer and asks for a receipt.
    pub(crate) fn call_acked<P: Negotiate, T: ?Sized, R>(
        self: &Arc<Self>,
        options: CallOptions,
        name: Text,
        payload: &T,
    ) -> Result<AckedCall<P, R>, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        let (id, answer) = self.begin_call(options.timeout)?;
        let call = |receipt| AckedCall {
            connection: Arc::clone(self),
            id,
            sent: false,
            answer,
            receipt,
            result: PhantomData,
        };
        let (receipt, mut call) =
            match self.expect(ReceiptOf::Call, id.stamp(), options.receipt_timeout) {
                Ok(expected) => (true, call(Receipt::Waiting(Box::new(expected)))),
                // The call is made all the same.
                Err(error) => (false, call(Receipt::Ended(Err(error)))),
            };
        let head = Head::Call { name, stamp: id.stamp(), receipt, timeout: None };
        let head = self.with_deadline(head, options.timeout);
        let message =
            self.wire.message::<P::Protocol, T>(&head, payload).map_err(CallError::Encode)?;
        self.push_tracked(Class::Call, message, || Some(Tracked::Call(id)))?;
        call.sent = true;
        Ok(call)
    }
}
