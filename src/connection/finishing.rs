//! The end of a connection by this side, after the answers to calls that are being handled.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wse_proto::session::{Close, reconnects};

use super::pending::{Finishing, Waits};
use super::shared::Connection;
use super::state::State;

thread_local! {
    /// The address of the connection whose procedure this thread polls, or 0. With `CLOSES` once the procedure has closed it.
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

/// A bit that no address of a connection has.
const CLOSES: usize = 1;

impl Connection {
    /// Closes once the calls that are being handled are answered, at most `grace` from now. New messages and calls of the
    /// peer are dropped, without receipts.
    ///
    /// Before the session is ready, this is [`close`](Self::close).
    pub(crate) fn finish(&self, close: Close, grace: Duration, waits: Waits) {
        if grace.is_zero() {
            return self.close(close);
        }
        let until = self.clock.now().saturating_add(grace);
        self.with(|state| {
            if state.session.check_ready().is_err() {
                return state.session.close(close);
            }
            let finishing = &mut state.pending.get_or_insert_default().finishing;
            // The first close is the one that is sent. Of several, the one that waits least counts.
            let finishing = finishing.get_or_insert(Finishing { close, until, waits, own: 0 });
            finishing.until = finishing.until.min(until);
            finishing.waits = finishing.waits.min(waits);
            finishing.own += usize::from(waits == Waits::OwnAnswer);
            self.finishing.store(true, Ordering::Relaxed);
        });
    }

    /// In a procedure that was called over this connection: closes after its answer, at most `grace` from now. Otherwise it
    /// does nothing, and returns false.
    pub(crate) fn close_after_own_answer(&self, close: &Close, grace: Duration) -> bool {
        let polled = POLLED.get();
        if polled == self.address() {
            POLLED.set(polled | CLOSES);
            self.finish(close.clone(), grace, Waits::OwnAnswer);
        }
        polled & !CLOSES == self.address()
    }

    /// Polls a procedure that was called over this connection. Sets `closes` if it has closed the connection.
    #[inline]
    pub(crate) fn poll_procedure<R>(&self, closes: &mut bool, poll: impl FnOnce() -> R) -> R {
        let polled = self.address() | usize::from(*closes);
        let _polled = Polled { outer: POLLED.replace(polled), closes };
        poll()
    }

    /// Whether this side closes and takes no new messages and calls.
    #[inline]
    pub(crate) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    /// Whether new messages and calls of the peer are dropped, since this side closes. If the session goes on after that, they
    /// wait until then.
    #[cold]
    pub(super) fn drops_new(&self) -> bool {
        let goes_on = |close: &Close| self.is_counting() && reconnects(close.code);
        self.is_finishing() && !self.lock().finishing().is_some_and(|it| goes_on(&it.close))
    }

    /// A procedure that has closed this connection is answered, or has ended without an answer.
    #[cold]
    pub(crate) fn answered_own(&self) {
        self.with(|state| {
            state.end_finishing(|it| {
                it.own = it.own.saturating_sub(1);
                it.waits == Waits::OwnAnswer && it.own == 0
            });
        });
    }

    /// Ends the session when no procedure runs any more. For the driver: at that moment none is about to start.
    #[cold]
    pub(super) fn finish_if_answered(&self) {
        let done = self.answering.load(Ordering::Acquire) == 0;
        if done && self.lock().finishing().is_some_and(|it| it.waits != Waits::OwnAnswer) {
            self.with(|state| state.end_finishing(|_| true));
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Restores what the thread polled before.
struct Polled<'a> {
    outer: usize,
    closes: &'a mut bool,
}

impl Drop for Polled<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.closes = POLLED.replace(self.outer) & CLOSES != 0;
    }
}

/// A procedure that may close the connection that it was called over. When it ends, with or without an answer, the close
/// need not wait any more.
pub(crate) struct OwnClose {
    pub(crate) connection: Arc<Connection>,
    pub(crate) closes: bool,
}

impl Drop for OwnClose {
    fn drop(&mut self) {
        if self.closes {
            self.connection.answered_own();
        }
    }
}

impl State {
    fn finishing(&self) -> Option<&Finishing> {
        self.pending.as_ref()?.finishing.as_ref()
    }

    /// Whether a close waits.
    pub(super) fn is_finishing(&self) -> bool {
        self.finishing().is_some()
    }

    /// When the close stops waiting for answers.
    pub(super) fn finishing_until(&self) -> Option<Duration> {
        self.finishing().map(|finishing| finishing.until)
    }

    /// Whether messages and calls may be sent, as far as closing goes.
    pub(super) fn may_send(&self) -> bool {
        self.finishing().is_none_or(|finishing| finishing.waits == Waits::Handlers)
    }

    /// Closes when it is too late to wait for answers.
    pub(super) fn finish_in_time(&mut self, now: Duration) {
        self.end_finishing(|it| it.until <= now);
    }

    fn end_finishing(&mut self, end: impl FnOnce(&mut Finishing) -> bool) {
        let Some(pending) = &mut self.pending else { return };
        if let Some(finishing) = pending.finishing.take_if(|it| end(it)) {
            match self.session.is_server() {
                true => self.session.close(finishing.close),
                false => self.session.close_for_good(finishing.close),
            }
        }
    }
}
