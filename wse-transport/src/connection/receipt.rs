//! Receipts, as an endpoint waits for them: of messages, of calls, and of answers.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use wse_proto::session::{CallFailure, CallId, Close, ReceiptFailure};
use wse_proto::{CodecError, Decode, Encode, Head, Protocol, ReceiptOf, Stamp, Text, UsageError};

use super::error::{CallError, SendError};
use super::link::Link;
use super::pack;
use super::promises::ReceiptOutcome;
use super::queue::{Class, Queued};
use super::state::Outcome;

/// For how long a receipt of a message or an answer is waited for by default.
pub(crate) const RECEIPT_TIMEOUT: Duration = Duration::from_secs(5);

/// There is no receipt. The table of
/// [outcomes](wse_proto::session::receipts#outcomes) has them all.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The connection is not ready; nothing was sent.
    NotReady,
    /// The send queue is full; nothing was sent.
    QueueFull,
    /// As many receipts as allowed are waited for; nothing was sent.
    TooManyReceipts,
    /// The value cannot be written in this protocol; nothing was sent.
    Encode(CodecError),
    /// It was sent, and no receipt came in time. Whether it arrived is not known.
    TimedOut,
    /// It was sent, and the connection ended before the receipt came. Whether it arrived is not known.
    Closed(Close),
    /// It was a call that got no answer in time either.
    Outstanding,
    /// The protocol has no receipts, and nothing was sent; or the peer gives none, and it arrived.
    Unsupported,
}

impl ReceiptError {
    /// The number that the JavaScript package wsprocessor reports in this case, if it has one.
    pub fn status_code(&self) -> Option<&'static str> {
        match self {
            Self::Closed(_) => Some("1"),
            Self::TimedOut => Some("2"),
            Self::NotReady => Some("3"),
            _ => None,
        }
    }
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the connection is not ready"),
            Self::QueueFull => f.write_str("the send queue is full"),
            Self::TooManyReceipts => f.write_str("too many receipts are waited for"),
            Self::Encode(_) => f.write_str("the payload cannot be encoded"),
            Self::TimedOut => f.write_str("no receipt came in time"),
            Self::Closed(close) => write!(f, "the connection ended before the receipt: {close}"),
            Self::Outstanding => f.write_str("the call got neither receipt nor answer in time"),
            Self::Unsupported => f.write_str("protocol or peer have no receipts"),
        }
    }
}

impl Error for ReceiptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ReceiptFailure> for ReceiptError {
    fn from(failure: ReceiptFailure) -> Self {
        match failure {
            ReceiptFailure::Closed(close) => Self::Closed(close),
            ReceiptFailure::Outstanding => Self::Outstanding,
            ReceiptFailure::Unsupported => Self::Unsupported,
            _ => Self::TimedOut,
        }
    }
}

impl ReceiptError {
    /// Whether another attempt may do better.
    pub(crate) fn may_heal(&self) -> bool {
        matches!(self, Self::NotReady | Self::QueueFull | Self::TimedOut | Self::Closed(_))
    }
}

impl From<SendError> for ReceiptError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotReady => Self::NotReady,
            SendError::QueueFull => Self::QueueFull,
            SendError::Encode(error) => Self::Encode(error),
        }
    }
}

impl From<UsageError> for ReceiptError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::NoReceipts => Self::Unsupported,
            UsageError::TooManyReceipts => Self::TooManyReceipts,
            _ => Self::NotReady,
        }
    }
}

/// A receipt that is waited for. Dropping it forgets it.
pub(crate) struct Expected<P: Protocol> {
    link: Arc<Link<P>>,
    of: ReceiptOf,
    stamp: Stamp,
    receiver: oneshot::Receiver<ReceiptOutcome>,
}

impl<P: Protocol> Future for Expected<P> {
    type Output = Result<(), ReceiptError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.receiver).poll(cx);
        ended.map(|outcome| Ok(outcome.map_err(|_| ReceiptError::NotReady)??))
    }
}

impl<P: Protocol> Drop for Expected<P> {
    fn drop(&mut self) {
        self.link.forget_receipt(self.of, &self.stamp);
    }
}

impl<P: Protocol> Link<P> {
    /// Waits for the receipt of what is sent under this stamp.
    pub(crate) fn expect(
        self: &Arc<Self>,
        of: ReceiptOf,
        stamp: Stamp,
        timeout: Option<Duration>,
    ) -> Result<Expected<P>, ReceiptError> {
        let receiver = self.expect_receipt(of, stamp.clone(), timeout)?;
        Ok(Expected { link: Arc::clone(self), of, stamp, receiver })
    }

    /// Sends a message and waits for its receipt.
    pub(crate) async fn send_acked<T: ?Sized>(
        self: &Arc<Self>,
        name: Text,
        payload: &T,
        timeout: Option<Duration>,
    ) -> Result<(), ReceiptError>
    where
        P::Format: Encode<T>,
    {
        self.send_under(super::reliable::stamp(), false, name, payload, timeout)?.await
    }

    /// Sends a message under this stamp; gives what waits for its receipt.
    pub(crate) fn send_under<T: ?Sized>(
        self: &Arc<Self>,
        stamp: Stamp,
        reliable: bool,
        name: Text,
        payload: &T,
        timeout: Option<Duration>,
    ) -> Result<Expected<P>, ReceiptError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::Message { name, receipt: Some(stamp.clone()), reliable };
        let message = pack::message(self.protocol(), &head, payload)
            .map_err(|error| ReceiptError::from(SendError::from(error)))?;
        self.push_under(stamp, message, timeout)
    }

    /// Sends what is packed already and asks for a receipt under this stamp. No policy drops it.
    pub(crate) fn push_under(
        self: &Arc<Self>,
        stamp: Stamp,
        message: impl Into<Queued>,
        timeout: Option<Duration>,
    ) -> Result<Expected<P>, ReceiptError> {
        let expected = self.expect(ReceiptOf::Message, stamp, timeout)?;
        self.push(Class::Call, message)?;
        Ok(expected)
    }

    /// Calls the peer and asks for a receipt.
    pub(crate) fn call_acked<T: ?Sized, R>(
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
            link: Arc::clone(self),
            id,
            sent: false,
            answer,
            receipt,
            result: PhantomData,
        };
        let (receipt, mut call) =
            match self.expect(ReceiptOf::Call, id.stamp(), options.receipt_timeout) {
                Ok(expected) => (true, call(Receipt::Waiting(Box::new(expected)))),
                // The call can be made all the same.
                Err(error) => (false, call(Receipt::Ended(Err(error)))),
            };
        let timeout = options.timeout.map_or(0, millis);
        let head = Head::Call { name, stamp: id.stamp(), receipt, timeout: None };
        let message = pack::message(self.protocol(), &head.with_timeout(timeout), payload)
            .map_err(CallError::Encode)?;
        self.push(Class::Call, message)?;
        call.sent = true;
        Ok(call)
    }
}

/// Milliseconds, as a peer is told them: rounded up, and never none.
pub(super) fn millis(timeout: Duration) -> u32 {
    timeout.as_nanos().div_ceil(1_000_000).clamp(1, u32::MAX.into()) as u32
}

/// How a call with a receipt is made.
///
/// ```
/// use std::time::Duration;
/// use wse_transport::CallOptions;
/// let options = CallOptions::default().timeout(Duration::from_secs(60)).receipt_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallOptions {
    /// For how long the answer is waited for; `None` for as long as the connection lasts. Default: 20 s.
    pub timeout: Option<Duration>,
    /// For how long the receipt is waited for; `None` for as long as the answer is. Default: `None`.
    pub receipt_timeout: Option<Duration>,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(20)), receipt_timeout: None }
    }
}

impl CallOptions {
    /// Sets for how long the answer is waited for.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets for how long the receipt is waited for. A receipt that is late never ends the call.
    #[must_use]
    pub fn receipt_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.receipt_timeout = timeout.into();
        self
    }
}

/// A call that asked for a receipt: whether it has arrived is known before its result is. Dropping it cancels the
/// call.
pub struct AckedCall<P: Protocol, R> {
    link: Arc<Link<P>>,
    id: CallId,
    sent: bool,
    answer: oneshot::Receiver<Outcome>,
    receipt: Receipt<P>,
    result: PhantomData<fn() -> R>,
}

enum Receipt<P: Protocol> {
    Waiting(Box<Expected<P>>),
    Ended(Result<(), ReceiptError>),
}

impl<P: Protocol, R> AckedCall<P, R>
where
    P::Format: Decode<R>,
{
    /// Waits until the peer has the call, or it is known that no receipt will come. Cancel safe; once it has
    /// ended it tells the same again.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`]. The call goes on.
    pub async fn receipt(&mut self) -> Result<(), &ReceiptError> {
        if let Receipt::Waiting(expected) = &mut self.receipt {
            self.receipt = Receipt::Ended(expected.await);
        }
        match &self.receipt {
            Receipt::Ended(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits for the result. What became of the receipt can be asked afterwards, and is known then.
    ///
    /// Cancel safe: the result is not lost. Once it was given, it is gone: [`CallError::NotReady`].
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn result(&mut self) -> Result<R, CallError> {
        if self.answer.is_terminated() {
            return Err(CallError::NotReady);
        }
        let outcome = (&mut self.answer).await.map_err(|_| CallError::NotReady)?;
        self.link.decode(&outcome?).map_err(CallError::Decode)
    }

    /// The number that the JavaScript package wsprocessor reports for a call that failed like this, such as 1.2:
    /// see the table of [outcomes](wse_proto::session::receipts#outcomes). `None` for a fault, whose code is the
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
            // It could not be asked for.
            Err(_) => None,
        };
        failure.status_code(receipt.as_ref())
    }
}

impl<P: Protocol, R> Drop for AckedCall<P, R> {
    fn drop(&mut self) {
        self.link.forget_call(self.id, self.sent);
    }
}

impl<P: Protocol, R> fmt::Debug for AckedCall<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckedCall").field("id", &self.id).finish_non_exhaustive()
    }
}
