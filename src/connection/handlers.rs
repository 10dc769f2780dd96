//! The end of handlers: when the peer cancels a call, and when the connection ends.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wse_proto::Stamp;

use super::shared::Connection;

impl Connection {
    /// Returns a token for the handler of a call. It is cancelled when the peer cancels the call, and when the connection
    /// ends.
    pub(crate) fn begin_handler(&self, stamp: &Stamp) -> CancellationToken {
        let mut state = self.lock();
        let closed = state.session.is_closed();
        let pending = state.pending.get_or_insert_default();
        let token = pending.ended.child_token();
        if closed {
            token.cancel();
        } else {
            pending.running.insert(stamp.clone(), token.clone());
        }
        token
    }

    /// The moment so many milliseconds from now; `None` if it cannot be represented.
    pub(crate) fn deadline(&self, millis: NonZeroU32) -> Option<Instant> {
        self.clock.at(self.clock.now() + Duration::from_millis(millis.get().into()))
    }

    /// Forgets the token of a handler that has ended.
    pub(crate) fn end_handler(&self, stamp: &Stamp) {
        if let Some(pending) = &mut self.lock().pending {
            pending.running.remove(stamp);
        }
    }

    /// Cancels the token of a handler: the peer has cancelled the call.
    pub(super) fn cancelled(&self, stamp: &Stamp) {
        let token = self.lock().pending.as_mut().and_then(|it| it.running.remove(stamp));
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// A token that is cancelled when the connection ends; `None` if handlers outlive it.
    pub(crate) fn handlers_end(&self) -> Option<CancellationToken> {
        if !self.options.cancels_handlers {
            return None;
        }
        let mut state = self.lock();
        let closed = state.session.is_closed();
        let token = state.pending.get_or_insert_default().ended.clone();
        if closed {
            token.cancel();
        }
        Some(token)
    }
}
