//! [`Promises`]: receipts that are waited for, and handlers that may be cancelled. Most connections have none.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wse_proto::session::ReceiptFailure;
use wse_proto::{Protocol, ReceiptOf, Stamp, UsageError};

use super::link::Link;

pub(super) type ReceiptOutcome = Result<(), ReceiptFailure>;

#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) receipts: HashMap<(ReceiptOf, Stamp), oneshot::Sender<ReceiptOutcome>>,
    /// Handlers of the peer's calls that want to know when it does not wait any more.
    pub(super) running: HashMap<Stamp, CancellationToken>,
    /// The connection has ended. Parent of those above.
    pub(super) ended: CancellationToken,
}

impl<P: Protocol> Link<P> {
    pub(super) fn expect_receipt(
        &self,
        of: ReceiptOf,
        stamp: Stamp,
        timeout: Option<Duration>,
    ) -> Result<oneshot::Receiver<ReceiptOutcome>, UsageError> {
        let (sender, receiver) = oneshot::channel();
        self.with(|state| {
            let now = self.clock.now();
            state.session.expect_receipt(now, of, stamp.clone(), timeout)?;
            let promises = state.promises.get_or_insert_default();
            promises.receipts.insert((of, stamp), sender);
            Ok(receiver)
        })
    }

    pub(super) fn forget_receipt(&self, of: ReceiptOf, stamp: &Stamp) {
        let mut state = self.lock();
        let waited =
            state.promises.as_mut().and_then(|it| it.receipts.remove(&(of, stamp.clone())));
        if waited.is_some() {
            state.session.forget_receipt(of, stamp.clone());
        }
    }

    /// For the handler of a call of the peer's: cancelled when the peer does not wait any more, or has gone.
    pub(crate) fn begin_handler(&self, stamp: &Stamp) -> CancellationToken {
        let mut state = self.lock();
        let closed = state.session.is_closed();
        let promises = state.promises.get_or_insert_default();
        let token = promises.ended.child_token();
        if closed {
            token.cancel();
        } else {
            promises.running.insert(stamp.clone(), token.clone());
        }
        token
    }

    /// When a caller who waits for so many milliseconds does not any more.
    pub(crate) fn deadline(&self, millis: NonZeroU32) -> Option<Instant> {
        self.clock.at(self.clock.now() + Duration::from_millis(millis.get().into()))
    }

    /// The handler has ended.
    pub(crate) fn end_handler(&self, stamp: &Stamp) {
        if let Some(promises) = &mut self.lock().promises {
            promises.running.remove(stamp);
        }
    }

    /// The peer does not wait for this any more.
    pub(super) fn cancelled(&self, stamp: &Stamp) {
        let token = self.lock().promises.as_mut().and_then(|it| it.running.remove(stamp));
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// What ends the handlers that wait, where they end with their connection.
    pub(crate) fn handlers_end(&self) -> Option<CancellationToken> {
        if !self.traits.cancels_handlers {
            return None;
        }
        let mut state = self.lock();
        let closed = state.session.is_closed();
        let token = state.promises.get_or_insert_default().ended.clone();
        if closed {
            token.cancel();
        }
        Some(token)
    }
}
