//! [`Call`]: a call of the peer's, for a procedure that wants to know more of it than its payload.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use wse_proto::{Protocol, Stamp};

use crate::connection::{Link, ReceiptError, remaining};

type Receipt = BoxFuture<'static, Result<(), ReceiptError>>;

/// A call of the peer's: its payload, for how long the peer waits, whether it still does, and whether it gets
/// the answer.
///
/// ```
/// # use wse_proto::{Decode, Encode, Fault, Protocol};
/// # use wse_transport::{Call, ServerBuilder};
/// # fn example<P: Protocol<Format: Decode<String> + Encode<usize>>>(builder: ServerBuilder<P>) -> ServerBuilder<P> {
/// # async fn search(text: &str) -> usize { text.len() }
/// builder.procedure_with("search", |_conn, call: Call<String>| async move {
///     let receipt = call.want_receipt(None);
///     tokio::spawn(async move {
///         if let Err(error) = receipt.await { println!("the answer may be lost: {error}"); }
///     });
///     tokio::select! {
///         found = search(&call.payload) => Ok(found),
///         () = call.cancelled() => Err(Fault::failed("nobody waits any more")),
///     }
/// })
/// # }
/// ```
pub struct Call<T> {
    /// What the peer sent along.
    pub payload: T,
    deadline: Option<Instant>,
    asked: Arc<Asked>,
}

impl<T> Call<T> {
    pub(super) fn new(payload: T, deadline: Option<Instant>, asked: Arc<Asked>) -> Self {
        Self { payload, deadline, asked }
    }

    /// For how long the peer still waits; `None` when it did not say. Nothing ends when it is over: that is up to
    /// the handler.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(remaining)
    }

    /// Waits until the peer does not wait any more: it has cancelled the call, or its connection has ended. The
    /// answer goes nowhere then. Cancel safe.
    pub async fn cancelled(&self) {
        self.asked.token.cancelled().await;
    }

    /// Whether the peer does not wait any more.
    pub fn is_cancelled(&self) -> bool {
        self.asked.token.is_cancelled()
    }

    /// A token for work that is to end when the peer does not wait any more.
    pub fn token(&self) -> CancellationToken {
        self.asked.token.clone()
    }

    /// Asks the peer for a receipt of the answer, also if that is a fault; what is returned tells whether it came,
    /// within `timeout` from the answer (`None`: 5 s). Await it elsewhere: the answer is only sent when the
    /// handler ends. Of several the last counts.
    ///
    /// # Errors
    ///
    /// What is returned: [`ReceiptError`]; `NotReady` when no answer was sent.
    pub fn want_receipt(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), ReceiptError>> + Send + use<T> {
        let (sender, receiver) = oneshot::channel::<Receipt>();
        let wanted = (timeout.unwrap_or(crate::connection::RECEIPT_TIMEOUT), sender);
        let mut receipt = self.asked.receipt();
        if !matches!(*receipt, Wanted::Over) {
            *receipt = Wanted::Yes(wanted);
        }
        drop(receipt);
        async move { receiver.await.map_err(|_| ReceiptError::NotReady)?.await }
    }

    /// The same call with another payload.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Call<U> {
        Call { payload: map(self.payload), deadline: self.deadline, asked: self.asked }
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

/// What a handler asked for about its call.
pub(crate) struct Asked {
    pub(super) token: CancellationToken,
    receipt: Mutex<Wanted>,
}

/// Whether a receipt of the answer is wanted.
#[derive(Default)]
enum Wanted {
    #[default]
    No,
    Yes((Duration, oneshot::Sender<Receipt>)),
    /// The answer was sent, or will never be.
    Over,
}

impl Asked {
    pub(super) fn new(token: CancellationToken) -> Arc<Self> {
        Arc::new(Self { token, receipt: Mutex::default() })
    }

    fn receipt(&self) -> MutexGuard<'_, Wanted> {
        self.receipt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a receipt is wanted.
    pub(super) fn wants_receipt(&self) -> bool {
        matches!(*self.receipt(), Wanted::Yes(_))
    }

    /// The answer is about to be sent: `expect` waits for its receipt.
    pub(super) fn expect<F>(&self, expect: impl FnOnce(Duration) -> Result<F, ReceiptError>)
    where
        F: Future<Output = Result<(), ReceiptError>> + Send + 'static,
    {
        let wanted = std::mem::replace(&mut *self.receipt(), Wanted::Over);
        if let Wanted::Yes((timeout, sender)) = wanted {
            let receipt = match expect(timeout) {
                Ok(expected) => expected.boxed(),
                Err(error) => std::future::ready(Err(error)).boxed(),
            };
            // Who dropped it does not want to know.
            let _ = sender.send(receipt);
        }
    }
}

/// A procedure of [`Call`] that runs. However it ends, its connection forgets it then, and no receipt of its answer
/// is waited for any more that was not asked for.
pub(super) struct Running<P: Protocol> {
    link: Arc<Link<P>>,
    stamp: Stamp,
    pub(super) asked: Arc<Asked>,
}

impl<P: Protocol> Running<P> {
    pub(super) fn new(link: &Arc<Link<P>>, stamp: &Stamp) -> Self {
        let asked = Asked::new(link.begin_handler(stamp));
        Self { link: Arc::clone(link), stamp: stamp.clone(), asked }
    }
}

impl<P: Protocol> Drop for Running<P> {
    fn drop(&mut self) {
        self.link.end_handler(&self.stamp);
        *self.asked.receipt() = Wanted::Over;
    }
}
