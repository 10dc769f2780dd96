//! [`Link`]: what the handles of a connection and the task that drives it share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::Instant;
use wse_proto::session::{Close, Event, Liveness, Passed, Session};
use wse_proto::{
    CodecError, Decode, Encode, Fault, Format, Head, Message, Protocol, Stamp, Text, seal,
};

use super::clock::Clock;
use super::error::SendError;
use super::metrics::Counts;
use super::outbox::SendQueue;
use super::pack;
use super::queue::{Class, Queue, Queued, size};
use super::state::{Outlook, State, Wanted};
use crate::ws;

/// In this order, as [`State`] is.
#[repr(C)]
pub(crate) struct Link<P: Protocol> {
    /// Whether no further message is to be read, as of the last change of the queue.
    holds_reading: AtomicBool,
    /// When the heartbeat is due, in nanoseconds.
    beat: AtomicU64,
    pub(super) clock: Clock,
    /// Handlers that wait for something.
    pub(crate) handlers: AtomicUsize,
    state: Mutex<State>,
    protocol: P,
    format: P::Format,
    pub(crate) counts: Arc<Counts>,
    pub(super) traits: Traits,
    /// Told when the queue has room again or the connection has ended.
    room: Notify,
}

/// What differs between the links of one endpoint and another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// Its heartbeat is looked after by a clock that many links share, not by the driver's own.
    pub(crate) ticked: bool,
    /// Handlers that still run when the connection ends are dropped.
    pub(crate) cancels_handlers: bool,
}

impl<P: Protocol> Link<P> {
    pub(crate) fn new(
        protocol: P,
        session: Session,
        queue: SendQueue,
        clock: Clock,
        counts: Arc<Counts>,
        traits: Traits,
    ) -> Arc<Self> {
        let format = protocol.format();
        let link = Self {
            holds_reading: AtomicBool::new(false),
            beat: AtomicU64::new(u64::MAX),
            clock,
            handlers: AtomicUsize::new(0),
            state: Mutex::new(State::new(session, queue)),
            protocol,
            format,
            counts,
            traits,
            room: Notify::new(),
        };
        link.with(|_| ());
        Arc::new(link)
    }

    pub(crate) fn protocol(&self) -> &P {
        &self.protocol
    }

    pub(crate) fn format(&self) -> &P::Format {
        &self.format
    }

    pub(crate) fn encode<T: ?Sized>(&self, value: &T) -> Result<Bytes, CodecError>
    where
        P::Format: Encode<T>,
    {
        pack::scratch(|out| self.format.encode(value, out))
    }

    pub(crate) fn decode<T>(&self, payload: &Bytes) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.format.decode(payload)
    }

    /// Whether messages may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.lock().ready
    }

    pub(crate) fn send<T: ?Sized>(&self, name: Text, payload: &T) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        let message = pack::message(&self.protocol, &Head::message(name), payload)?;
        self.push(Class::Message, message)
    }

    /// Queues a message that is already packed by this connection's protocol.
    pub(crate) fn push(&self, class: Class, message: impl Into<Queued>) -> Result<(), SendError> {
        let message = message.into();
        if size(&message) == 0 {
            // The protocol cannot say it, or says it later.
            return Ok(());
        }
        // Not `with`: the session has nothing to do with it.
        let mut state = self.lock();
        if !state.ready {
            return Err(SendError::NotReady);
        }
        let had_room = state.outbox.has_room();
        let pushed = state.outbox.push(|| self.clock.now(), class, message);
        if !had_room && state.outbox.has_room() {
            // Older messages have made room for this one, and for more.
            self.room.notify_waiters();
        }
        self.changed(state);
        pushed.map_err(|_| SendError::QueueFull)
    }

    /// Waits until the queue has room, or the connection has ended.
    pub(crate) async fn room(&self) {
        loop {
            let room = self.room.notified();
            {
                let state = self.lock();
                if state.session.is_closed() || state.outbox.has_room() {
                    return;
                }
            }
            room.await;
        }
    }

    pub(crate) fn fault(&self, stamp: Stamp, fault: &Fault, receipt: bool) {
        let head = Head::Fault { stamp, receipt };
        let packed = pack::packed(&self.protocol, &head, |out| {
            self.format.encode_fault(fault, out);
            Ok(())
        });
        if let Ok(message) = packed {
            let _ = self.push(Class::Answer, message);
        }
    }

    /// Ends the session; the closing handshake follows what is already queued. What arrived and is
    /// not handled yet never is: a connection that is being closed is not served.
    pub(crate) fn close(&self, close: Close) {
        self.with(|state| {
            if !state.session.is_closed() {
                state.session.close(close);
                state
                    .events
                    .retain(|event| !matches!(event, Event::Message { .. } | Event::Call { .. }));
            }
        });
    }

    /// Runs a decision or a handler of the session, then does what it wants done.
    pub(crate) fn session<R>(&self, run: impl FnOnce(&mut Session, Duration) -> R) -> R {
        self.with(|state| run(&mut state.session, self.clock.now()))
    }

    /// Ends the connection without a word to the peer.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.aborted = true;
        self.changed(state);
    }

    /// The driver begins to work.
    pub(super) fn enter(&self) {
        self.lock().driving = true;
    }

    /// The driver rests, unless something was changed since it last asked: then it must go on.
    pub(super) fn leave(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        state.driving = std::mem::take(&mut state.dirty);
        if !state.driving && !state.waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        !state.driving
    }

    /// Handles that outlive the connection do not keep its task.
    pub(super) fn forget_driver(&self) {
        let waker = self.lock().waker.take();
        drop(waker);
    }

    pub(crate) fn liveness(&self) -> Option<Liveness> {
        self.lock().session.liveness()
    }

    /// Wakes the driver if the heartbeat is due.
    pub(crate) fn tick(&self, now: Instant) {
        if self.beat_due(self.clock.since_start(now)) {
            self.wake();
        }
    }

    pub(super) fn beat_due(&self, now: Duration) -> bool {
        now >= Duration::from_nanos(self.beat.load(Ordering::Relaxed))
    }

    pub(super) fn pong(&self, now: Duration, payload: &[u8]) {
        self.with(|state| state.session.handle_pong(now, payload));
    }

    /// Makes the driver look again.
    pub(crate) fn wake(&self) {
        self.changed(self.lock());
    }

    pub(super) fn next_event(&self) -> Option<Event> {
        let mut state = self.lock();
        let event = state.events.pop_front();
        if event.is_none() && state.events.capacity() > 0 {
            // Idle connections keep no room.
            state.events = VecDeque::new();
        }
        event
    }

    /// What the head of a message from the peer says, when that is all there is to say. The payload of an answer
    /// is taken. For the driver only, as [`deliver`](Self::deliver).
    pub(super) fn pass(&self, head: &Head, payload: &mut Bytes) -> Option<Passed> {
        let mut state = self.lock();
        if !state.events.is_empty() {
            return None;
        }
        let passed = state.session.pass(head)?;
        match passed {
            // Its deadline may still wake the driver, once and for nothing.
            Passed::CallEnded(call) => state.end_call(call, Ok(std::mem::take(payload))),
            Passed::Dropped(what) => self.counts.dropped(what),
            _ => {}
        }
        Some(passed)
    }

    /// Hands a message from the peer to the session. For the driver only: what it has to do then, it does
    /// without being told.
    pub(super) fn deliver(&self, now: Duration, message: Result<Message, CodecError>) {
        let mut state = self.lock();
        match message {
            Ok(message) => state.session.handle_message(now, message),
            Err(error) => state.session.handle_undecodable(error),
        }
        self.settle(&mut state);
        // An answer of the session's own may have filled it: no further message is read then.
        self.holds_reading.store(state.outbox.holds_reading(), Ordering::Relaxed);
    }

    /// Takes out what waits to be written. Whatever was changed until now, the driver is about to look at.
    pub(super) fn lend(&self) -> Queue {
        let mut state = self.lock();
        state.dirty = !state.events.is_empty();
        state.outbox.lend()
    }

    /// Takes back what the socket did not take; `bytes` of the rest are written.
    pub(super) fn written(&self, rest: Queue, bytes: usize) {
        let mut state = self.lock();
        let had_room = state.outbox.has_room();
        state.outbox.written(rest, bytes);
        self.holds_reading.store(state.outbox.holds_reading(), Ordering::Relaxed);
        if !had_room && state.outbox.has_room() {
            self.room.notify_waiters();
        }
    }

    /// Nothing can be written any more.
    pub(super) fn discard_outbox(&self) {
        let mut state = self.lock();
        state.outbox.clear();
        self.holds_reading.store(false, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    pub(super) fn outlook(&self) -> Outlook {
        let state = self.lock();
        let closing = state.closing.as_deref().cloned();
        let closing = closing.map(|close| (close, state.outbox.is_empty()));
        Outlook { closing, due: self.due(&state), aborted: state.aborted }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing.is_some()
    }

    pub(crate) fn holds_reading(&self) -> bool {
        self.holds_reading.load(Ordering::Relaxed)
    }

    /// Does what is due and says when something is due next. The peer was last heard at `heard`.
    pub(super) fn handle_timeout(&self, heard: Duration) -> Option<Duration> {
        self.with(|state| {
            let now = self.clock.now();
            state.session.handle_life(heard);
            state.session.handle_timeout(now);
            if state.outbox.give_up_at().is_some_and(|at| at <= now) {
                state.session.close(Close::new(1013, "send queue full"));
                state.outbox.clear();
            }
        });
        self.due(&self.lock())
    }

    /// When the driver has something to do, unless others wake it then.
    fn due(&self, state: &State) -> Option<Duration> {
        let beat = self.beat.load(Ordering::Relaxed);
        let beat = (!self.traits.ticked && beat != u64::MAX).then(|| Duration::from_nanos(beat));
        [state.due(), beat].into_iter().flatten().min()
    }

    /// The connection has ended or is being closed by the peer.
    pub(super) fn ended(&self, close: &Close) {
        self.with(|state| {
            state.session.handle_closed(close);
            state.outbox.clear();
        });
        self.room.notify_waiters();
    }

    /// Tells handlers that nobody waits for them any more.
    fn end_handlers(&self) {
        let ended = self.lock().promises.as_ref().map(|promises| promises.ended.clone());
        if let Some(ended) = ended {
            ended.cancel();
        }
    }

    /// Tells the calls and receipts that the end has failed, and handlers that nobody waits for them.
    pub(super) fn release(&self) {
        let failed = self.lock().failed.take();
        if let Some(failed) = failed {
            failed.tell();
        }
        self.end_handlers();
    }

    pub(super) fn with<R>(&self, run: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = run(&mut state);
        self.settle(&mut state);
        self.changed(state);
        result
    }

    /// Sees to it that the driver looks again.
    fn changed(&self, mut state: MutexGuard<'_, State>) {
        state.dirty = true;
        self.holds_reading.store(state.outbox.holds_reading(), Ordering::Relaxed);
        // It is there while the driver rests, and has not been woken yet.
        let waker = if state.driving { None } else { state.waker.take() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn settle(&self, state: &mut State) {
        state.settle(&self.counts, |outbox, wanted| {
            let message = match wanted {
                Wanted::Ping(payload) => Ok(ws::Message::Ping(payload)),
                Wanted::Message(message) => {
                    let mut out = BytesMut::new();
                    seal(&self.protocol, &message, &mut out);
                    pack::frame(self.protocol.opcode(), out.freeze())
                }
            };
            if let Ok(message) = message.map(Queued::from)
                && size(&message) > 0
            {
                // An `Answer` is never refused.
                let _ = outbox.push(|| self.clock.now(), Class::Answer, message);
            }
        });
        let beat = state.session.poll_heartbeat().map_or(u64::MAX, |at| at.as_nanos() as u64);
        self.beat.store(beat, Ordering::Relaxed);
        if state.session.is_closed() {
            self.room.notify_waiters();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held cannot leave it half changed in a way that matters more than going on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Protocol> fmt::Debug for Link<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("protocol", &self.protocol.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wse_codecs::JsonArray;
    use wse_proto::session::SessionLimits;

    use super::*;

    #[test]
    fn the_sessions_own_answers_fill_the_queue_too() {
        let session = Session::server(false, None, SessionLimits::default());
        let queue = SendQueue::default().messages(2);
        let link =
            Link::new(JsonArray, session, queue, Clock::start(), Arc::default(), Traits::default());
        link.session(|session, now| session.accept(now, Bytes::new())).unwrap();
        let ping = || Ok(Message::raw(Head::Ping, Bytes::new()));
        for full in [false, false, false, true] {
            // The first of them comes with what the session had to tell before.
            link.deliver(Duration::ZERO, ping());
            assert_eq!(link.holds_reading(), full);
        }
        let sent = link.lend();
        link.written(sent, 0);
        assert!(link.holds_reading(), "nothing was written");
        link.discard_outbox();
        assert!(!link.holds_reading());
    }
}
