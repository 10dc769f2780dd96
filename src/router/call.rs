//! [`Call`]: a call by the peer, for procedures that need more than its payload.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use wse_proto::Stamp;

use crate::connection::{Connection, Incoming, ReceiptError, remaining};

type Receipt = BoxFuture<'static, Result<(), ReceiptError>>;

/// A call by the peer: its payload, the time that the peer still waits, whether it has cancelled,
/// and a receipt of the answer.
///
/// ```
/// # use wse::{Call, Decode, Encode, Fault, Negotiate, ServerBuilder};
/// # fn example<P: Negotiate<Format: Decode<String> + Encode<usize>>>(builder: ServerBuilder<P>) -> ServerBuilder<P> {
/// # async fn search(text: &str) -> usize { text.len() }
/// builder.procedure_with("search", |_conn, call: Call<String>| async move {
///     let receipt = call.want_receipt(None);
///     tokio::spawn(async move {
///         if let Err(error) = receipt.await { println!("the answer may be lost: {error}"); }
///     });
///     tokio::select! {
///         found = search(&call.payload) => Ok(found),
///         () = call.cancelled() => Err(Fault::failed("cancelled")),
///     }
/// })
/// # }
/// ```
pub struct Call<T> {
    /// The payload of the call.
    pub payload: T,
    deadline: Option<Instant>,
    state: Arc<CallState>,
}

impl<T> Call<T> {
    /// Returns how long the peer still waits. `None` when the peer did not say. The handler is not
    /// stopped at the deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(remaining)
    }

    /// Waits until the peer has cancelled the call or its connection has ended. An answer is then
    /// dropped. Cancel safe.
    pub async fn cancelled(&self) {
        self.state.token.cancelled().await;
    }

    /// Returns whether the peer has cancelled the call or its connection has ended.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.token.is_cancelled()
    }

    /// Returns a token that is cancelled with the call, for work in other tasks. Cancelling it does not cancel the call.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.state.token.child_token()
    }

    /// Asks the peer for a receipt of the answer, even if the answer is a fault. Await the returned
    /// future in another task: the answer is sent only when the handler ends.
    ///
    /// The receipt must come within `timeout` after the answer. `None` means 5 s. When called more
    /// than once, the last call counts.
    ///
    /// # Errors
    ///
    /// The future returns [`ReceiptError`], with `NotReady` when no answer was sent.
    pub fn want_receipt(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), ReceiptError>> + Send + use<T> {
        let (sender, receiver) = oneshot::channel::<Receipt>();
        let wanted = (timeout.unwrap_or(crate::connection::RECEIPT_TIMEOUT), sender);
        let mut receipt = self.state.receipt();
        let mut old = ReceiptRequest::No;
        if matches!(*receipt, ReceiptRequest::No | ReceiptRequest::Yes(_)) {
            old = std::mem::replace(&mut *receipt, ReceiptRequest::Yes(wanted));
        }
        drop(receipt);
        // An earlier request wakes its receiver, without the lock.
        drop(old);
        async move { receiver.await.map_err(|_| ReceiptError::NotReady)?.await }
    }

    /// Returns the same call with another payload.
    #[must_use]
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Call<U> {
        Call { payload: map(self.payload), deadline: self.deadline, state: self.state }
    }
}

impl<T: fmt::Debug> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("payload", &self.payload)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// The state of a call that its handler can see and change.
pub(crate) struct CallState {
    pub(super) token: CancellationToken,
    receipt: Mutex<ReceiptRequest>,
}

/// Whether the handler wants a receipt of the answer.
#[derive(Default)]
enum ReceiptRequest {
    #[default]
    No,
    Yes((Duration, oneshot::Sender<Receipt>)),
    /// The answer is packed and asks for the receipt.
    Packed((Duration, oneshot::Sender<Receipt>)),
    /// The answer was sent, or will never be.
    Over,
}

impl CallState {
    pub(super) fn new(token: CancellationToken) -> Arc<Self> {
        Arc::new(Self { token, receipt: Mutex::default() })
    }

    fn receipt(&self) -> MutexGuard<'_, ReceiptRequest> {
        self.receipt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer is about to be packed. Returns whether it asks for a receipt. Later requests fail.
    pub(super) fn pack_request(&self) -> bool {
        let mut receipt = self.receipt();
        *receipt = match std::mem::replace(&mut *receipt, ReceiptRequest::Over) {
            ReceiptRequest::Yes(wanted) | ReceiptRequest::Packed(wanted) => {
                ReceiptRequest::Packed(wanted)
            }
            ReceiptRequest::No | ReceiptRequest::Over => ReceiptRequest::Over,
        };
        matches!(*receipt, ReceiptRequest::Packed(_))
    }

    /// Requests the receipt just before the answer is sent. `expect` waits for it.
    pub(super) fn expect<F>(&self, expect: impl FnOnce(Duration) -> Result<F, ReceiptError>)
    where
        F: Future<Output = Result<(), ReceiptError>> + Send + 'static,
    {
        let wanted = std::mem::replace(&mut *self.receipt(), ReceiptRequest::Over);
        if let ReceiptRequest::Packed((timeout, sender)) = wanted {
            let receipt = match expect(timeout) {
                Ok(expected) => expected.boxed(),
                Err(error) => std::future::ready(Err(error)).boxed(),
            };
            // Fails when the handler dropped the future of the receipt.
            let _ = sender.send(receipt);
        }
    }
}

/// A procedure with a [`Call`] that runs. When it ends, the connection forgets the call, and a
/// receipt that was not requested by then fails.
pub(super) struct RunningCall {
    connection: Arc<Connection>,
    pub(super) stamp: Stamp,
    pub(super) state: Arc<CallState>,
}

impl RunningCall {
    /// Begins a procedure. Returns the call for the handler too.
    pub(super) fn begin<T>(
        connection: &Arc<Connection>,
        call: &Incoming,
        payload: T,
    ) -> (Call<T>, Box<Self>) {
        let deadline = call.timeout.and_then(|millis| connection.deadline(millis));
        let state = CallState::new(connection.begin_handler(&call.stamp));
        let running = Self {
            connection: Arc::clone(connection),
            stamp: call.stamp.clone(),
            state: Arc::clone(&state),
        };
        (Call { payload, deadline, state }, Box::new(running))
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.connection.end_handler(&self.stamp);
        let request = std::mem::replace(&mut *self.state.receipt(), ReceiptRequest::Over);
        // It wakes its receiver, without the lock.
        drop(request);
    }
}
