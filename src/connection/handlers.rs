//! Handlers that run in tasks of their own: how many and with what, and their end when the peer cancels a call, or when the
//! connection ends.
//!
//! Their payloads are counted in units of 64 bytes.

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
    answers: bool,
    units: u32,
}

impl RunningHandler {
    /// Begins to count a handler that was given a payload of `bytes`. `answers` says whether it is a procedure.
    pub(crate) fn new(connection: Arc<Connection>, bytes: usize, answers: bool) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX / 2);
        connection.handlers.fetch_add(1, Ordering::AcqRel);
        connection.handled.fetch_add(units, Ordering::Relaxed);
        connection.answering.fetch_add(answers.into(), Ordering::AcqRel);
        Self { connection, answers, units }
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.answering.fetch_sub(self.answers.into(), Ordering::AcqRel);
        connection.handled.fetch_sub(self.units, Ordering::Relaxed);
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
