//! What the driver does with a [`Connection`]. Handles do not call these methods.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::{Close, Event, FastEvent};
use wse_proto::{CodecError, Head, SessionMessage};

use super::counts::count;
use super::outbox::News;
use super::queue::Queue;
use super::shared::Connection;
use super::state::{NextSteps, State};

impl Connection {
    /// A poll of the driver begins. Until it ends, changes only mark the state as dirty and do not wake the driver.
    pub(super) fn begin_poll(&self) {
        self.driving.store(true, Ordering::Relaxed);
    }

    /// Drops the driver's waker, so that handles that outlive the connection do not keep its task; and tells those who ask for
    /// the connection that it has ended.
    pub(super) fn forget_driver(&self) {
        let mut state = self.lock();
        let takeovers = state.pending.as_mut().map(|it| std::mem::take(&mut it.takeovers));
        let waker = state.waker.take();
        drop(state);
        drop((waker, takeovers));
    }

    /// Whether the heartbeat is due.
    pub(super) fn beat_due(&self, now: Duration) -> bool {
        now >= Duration::from_nanos(self.beat.load(Ordering::Relaxed))
    }

    /// Handles a WebSocket pong.
    pub(super) fn pong(&self, now: Duration, payload: &[u8]) {
        self.with(|state| state.session.handle_pong(now, payload));
    }

    /// Takes the next event.
    pub(super) fn next_event(&self) -> Option<Event> {
        // An event that another thread adds meanwhile also sets `dirty`, so that the driver comes back.
        if !self.has_events.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        let event = state.events.pop_front();
        if state.events.is_empty() {
            // An idle connection keeps no buffer.
            state.events = VecDeque::new();
            self.has_events.store(false, Ordering::Relaxed);
        }
        event
    }

    /// The fast path of [`deliver`](Self::deliver), for messages whose head alone says what they mean. Takes the payload of
    /// an answer. `None` for other messages.
    #[inline]
    pub(super) fn handle_message_fast(
        &self,
        head: &Head,
        payload: &mut Bytes,
    ) -> Option<FastEvent> {
        let mut state = self.lock();
        if !state.events.is_empty() {
            return None;
        }
        let event = state.session.handle_message_fast(head)?;
        match event {
            // The deadline of the call stays set, and may wake the driver once more.
            FastEvent::CallEnded(call) => {
                let waiting = state.calls.remove(&call);
                drop(state);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(Ok(std::mem::take(payload)));
                }
                return Some(event);
            }
            FastEvent::Dropped(what) => self.counts.dropped(what),
            _ => {}
        }
        Some(event)
    }

    /// Passes a message from the peer to the session. Does not wake the driver, which calls this.
    ///
    /// `held` says whether the session has counted the message when it arrived.
    pub(super) fn deliver(
        &self,
        now: Duration,
        message: Result<SessionMessage, CodecError>,
        held: bool,
    ) {
        let mut state = self.lock();
        let was_writable = state.is_writable();
        match message {
            Ok(message) if held => state.session.handle_held(now, message),
            Ok(message) => state.session.handle_message(now, message),
            Err(error) => state.session.handle_undecodable(error),
        }
        let settled = self.settle(&mut state);
        let writable = !was_writable && state.is_writable();
        // An answer of the session itself may have filled the queue.
        self.holds_reading.store(state.outbox.holds_reading(), Ordering::Relaxed);
        drop(state);
        self.report(settled);
        if writable {
            self.writable.notify_waiters();
        }
    }

    /// Takes the queued messages, to be written. The driver is about to process all changes so far.
    pub(super) fn lend(&self) -> Queue {
        let mut state = self.lock();
        state.dirty = !state.events.is_empty();
        match state.detached {
            false => state.outbox.lend(),
            true => state.outbox.lend_uncounted(),
        }
    }

    /// A round of the driver ends. `lent` are the messages that the channel did not accept, and how many bytes it accepted
    /// of the others. Returns what the driver has to do besides reading and writing, and whether its poll may end.
    pub(super) fn end_round(&self, lent: Option<(Queue, usize)>, cx: &Context<'_>) -> NextSteps {
        let mut state = self.lock();
        let writable = lent.is_some_and(|(rest, bytes)| self.written(&mut state, rest, bytes));
        let slow = self.news(&mut state);
        let closing = state.closing.as_deref().cloned();
        let closing = closing.map(|close| (close, state.outbox.is_empty()));
        let idle = !std::mem::take(&mut state.dirty);
        let mut old = None;
        if idle {
            self.driving.store(false, Ordering::Relaxed);
            if !state.waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
                old = state.waker.replace(cx.waker().clone());
            }
        }
        let next = NextSteps {
            closing,
            due: self.due(&state),
            aborted: state.aborted,
            idle,
            slow,
            asked: state.asked,
        };
        drop(state);
        drop(old);
        if writable {
            self.writable.notify_waiters();
        }
        next
    }

    /// Counts what has happened to the queue. Returns whether the peer has become slow.
    fn news(&self, state: &mut State) -> bool {
        let Some(News { slow, dropped }) = state.outbox.take_news() else { return false };
        self.counts.dropped_messages.fetch_add(dropped, Ordering::Relaxed);
        if slow {
            count(&self.counts.slow_peers);
        }
        slow
    }

    /// Returns whether senders that wait have to be notified, once the lock is released.
    pub(super) fn written(&self, state: &mut State, rest: Queue, bytes: usize) -> bool {
        let was_writable = state.outbox.is_writable();
        state.outbox.written(rest, bytes);
        self.holds_reading.store(state.outbox.holds_reading(), Ordering::Relaxed);
        !was_writable && state.outbox.is_writable()
    }

    /// Returns the messages that the channel did not accept, and how many bytes it accepted of the others.
    pub(super) fn return_lent(&self, (rest, bytes): (Queue, usize)) {
        let writable = self.written(&mut self.lock(), rest, bytes);
        if writable {
            self.writable.notify_waiters();
        }
    }

    /// Drops the queued messages: nothing can be written any more.
    pub(super) fn discard_outbox(&self) {
        if self.is_counting() && self.is_kept() {
            return;
        }
        let mut state = self.lock();
        state.outbox.clear();
        self.holds_reading.store(false, Ordering::Relaxed);
        drop(state);
        self.writable.notify_waiters();
    }

    /// What this side has closed the session with, if that has ended.
    pub(super) fn closed_with(&self) -> Option<Close> {
        let state = self.lock();
        let close = state.closing.as_deref().filter(|_| state.session.is_closed());
        close.cloned()
    }

    /// How this side closes, once it has begun to.
    pub(super) fn closing(&self) -> Option<Close> {
        self.lock().closing.as_deref().cloned()
    }

    /// Whether this side has begun to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing.is_some()
    }

    /// Handles what is due, and returns when something is due next. Bytes last arrived from the peer at `heard`.
    pub(super) fn handle_timeout(&self, heard: Duration) -> Option<Duration> {
        self.with(|state| {
            let now = self.clock.now();
            state.session.handle_life(heard);
            state.session.handle_timeout(now);
            state.finish_in_time(now);
            // While there is no channel, nothing is said about the peer's speed.
            if !state.detached && state.outbox.give_up_at().is_some_and(|at| at <= now) {
                state.session.close(Close::new(1013, "send queue full"));
                // What a session that outlives this has accepted is kept for its next socket.
                if !state.session.is_suspended() {
                    state.outbox.give_up();
                }
            }
        });
        self.due(&self.lock())
    }

    /// When the driver must be polled next. The heartbeat is left out if a timer of the endpoint wakes the driver for it.
    fn due(&self, state: &State) -> Option<Duration> {
        let beat = self.beat.load(Ordering::Relaxed);
        let beat = (!self.options.ticked && beat != u64::MAX).then(|| Duration::from_nanos(beat));
        [state.due(), beat].into_iter().flatten().min()
    }

    /// The connection has ended, or the peer closes it.
    ///
    /// A session that can be resumed may be suspended by this.
    pub(super) fn lose(&self, close: &Close) {
        self.with(|state| {
            state.session.handle_closed(close);
            self.news(state);
            if state.session.is_closed() {
                state.outbox.clear();
            }
        });
        self.writable.notify_waiters();
    }

    /// Nobody drives the connection any more. It ends, whether it could be resumed or not.
    pub(super) fn gone(&self) {
        self.with(|state| {
            state.session.end_session(&Close::VANISHED);
            self.news(state);
            state.outbox.clear();
        });
        self.writable.notify_waiters();
    }

    /// Cancels the tokens of running handlers.
    fn end_handlers(&self) {
        let ended = self.lock().pending.as_ref().map(|pending| pending.ended.clone());
        if let Some(ended) = ended {
            ended.cancel();
        }
    }

    /// Reports the failure to calls and receipts that the end of the connection has failed, and cancels the tokens of
    /// running handlers.
    pub(super) fn release(&self) {
        let failed = self.lock().failed.take();
        if let Some(failed) = failed {
            failed.report();
        }
        self.end_handlers();
    }
}
