//! Handlers that run in tasks of their own: how many and with what, and their end when the peer cancels a call, or when the
//! connection ends.
//!
//! Their payloads and expected answers are counted in units of 64 bytes, at most 64 MiB each.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wse_proto::Stamp;
use wse_transport::ws;

use super::shared::Connection;

/// The default of `max_handled_bytes`: eight messages of the greatest size.
pub(crate) fn default_handled_bytes(limits: &ws::Limits) -> usize {
    limits.max_message.saturating_mul(8)
}

/// The bytes of one unit of payload.
const UNIT: usize = 64;

/// Counts a handler of a connection until it ends or is cancelled.
pub(crate) struct RunningHandler {
    connection: Arc<Connection>,
    payload: u32,
    answer: u32,
}

impl RunningHandler {
    /// Begins to count a handler that was given a payload of so many bytes. For a procedure, `answer` is the bytes that its
    /// answer is expected to have.
    pub(crate) fn new(connection: Arc<Connection>, payload: usize, answer: Option<usize>) -> Self {
        let units = |bytes: usize| (bytes / UNIT).min(1 << 20) as u32;
        let (payload, answer) = (units(payload), answer.map_or(0, |bytes| units(bytes) + 1));
        connection.handlers.fetch_add(1, Ordering::AcqRel);
        connection.handled.fetch_add(payload, Ordering::Relaxed);
        connection.answering.fetch_add(answer, Ordering::AcqRel);
        Self { connection, payload, answer }
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.answering.fetch_sub(self.answer, Ordering::AcqRel);
        connection.handled.fetch_sub(self.payload, Ordering::Relaxed);
        connection.handlers.fetch_sub(1, Ordering::AcqRel);
        // The connection may start another handler, or close.
        connection.wake();
    }
}

impl Connection {
    /// The number of handlers that run in tasks of their own.
    #[inline]
    pub(super) fn running(&self) -> usize {
        self.handlers.load(Ordering::Acquire) as usize
    }

    /// The bytes of the payloads that these handlers were given.
    pub(super) fn handled_bytes(&self) -> usize {
        (self.handled.load(Ordering::Relaxed) as usize).saturating_mul(UNIT)
    }

    /// The bytes that the answers of running procedures are expected to have.
    pub(super) fn expected_bytes(&self) -> usize {
        (self.answering.load(Ordering::Relaxed) as usize).saturating_mul(UNIT)
    }

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
        drop(state);
        if closed {
            token.cancel();
        }
        Some(token)
    }
}
