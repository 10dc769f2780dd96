//! [`Connection`]: the state that a connection's driver shares with its handles, and what the handles do with it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use wse_proto::session::{Close, Liveness, Session, Tracked};
use wse_proto::{CodecError, Decode, Protocol};
use wse_transport::ws;

use super::clock::Clock;
use super::counts::Counters;
use super::queue::{Class, Queued, size};
use super::send_queue::{QueueState, SendQueue};
use super::state::{Settled, State, ToSend};
use super::wire::{Wire, frame};

/// A connection, as its driver and its handles share it.
///
/// The order of the fields is fixed for the same reason as in [`State`].
#[repr(C)]
pub(crate) struct Connection {
    /// Whether reading is paused because too many answers are queued. Updated at each change of the queue.
    pub(super) holds_reading: AtomicBool,
    /// Whether the driver is being polled. It checks `dirty` before its poll ends, so that it need not be woken.
    ///
    /// Not behind the lock, which a poll would otherwise take once more to set it. A reader that holds the lock and sees
    /// `true` is followed by the lock of [`end_round`](Self::end_round).
    pub(super) driving: AtomicBool,
    /// Whether there are events. Written while the lock is held.
    pub(super) has_events: AtomicBool,
    /// Whether this side closes and takes no new messages and calls.
    pub(super) finishing: AtomicBool,
    /// Whether messages are counted, since the session can be resumed. Updated at each change of the session.
    pub(super) counting: AtomicBool,
    /// The expected answers of procedures that run in tasks of their own, in [units](super::handlers), at least one each.
    pub(super) answering: AtomicU32,
    /// When the heartbeat is due, in nanoseconds since the start; `u64::MAX` for never.
    pub(super) beat: AtomicU64,
    pub(super) clock: Clock,
    /// The number of handlers that run in tasks of their own, procedures included.
    pub(super) handlers: AtomicU32,
    /// The payloads that these handlers were given, in [units](super::handlers).
    pub(super) handled: AtomicU32,
    state: Mutex<State>,
    pub(crate) wire: Wire,
    pub(crate) counts: Arc<Counters>,
    pub(super) options: ConnectionOptions,
    /// Whether a message for a procedure was logged: once for each connection is enough.
    pub(crate) hinted: AtomicBool,
    /// How many sessions there were before this one, at a client. Updated at each change of the session.
    sessions: AtomicU32,
    /// Notified when the queue accepts messages again, and when the connection has ended.
    pub(super) writable: Notify,
}

/// Settings that are fixed when a connection opens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectionOptions {
    /// Whether the endpoint has one timer for the heartbeats of all connections. Otherwise each driver has its own.
    pub(crate) ticked: bool,
    /// Whether handlers that still run when the connection ends are dropped.
    pub(crate) cancels_handlers: bool,
    /// Whether a line break ends a message. No message may contain one then.
    pub(crate) lines: bool,
}

impl Connection {
    pub(crate) fn new(
        wire: Wire,
        session: Session,
        queue: SendQueue,
        clock: Clock,
        counts: Arc<Counters>,
        options: ConnectionOptions,
    ) -> Arc<Self> {
        let connection = Self {
            holds_reading: AtomicBool::new(false),
            driving: AtomicBool::new(false),
            has_events: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            counting: AtomicBool::new(false),
            answering: AtomicU32::new(0),
            beat: AtomicU64::new(u64::MAX),
            clock,
            handlers: AtomicU32::new(0),
            handled: AtomicU32::new(0),
            state: Mutex::new(State::new(session, queue)),
            wire,
            counts,
            options,
            hinted: AtomicBool::new(false),
            sessions: AtomicU32::new(0),
            writable: Notify::new(),
        };
        connection.with(|_| ());
        Arc::new(connection)
    }

    /// Decodes a payload in the format of this connection.
    pub(crate) fn decode<P: Protocol, T>(&self, payload: &Bytes) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.wire.format::<P>().decode(payload)
    }

    /// Whether messages may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.lock().ready
    }

    /// Whether the peer gives receipts. Nothing that wants one is sent to a peer that gives none.
    pub(crate) fn gives_receipts(&self) -> bool {
        self.wire.info.can().has_receipts() && self.lock().session.peer_gives_receipts()
    }

    /// The number of the session. A call of another one is not answered any more.
    pub(crate) fn session_number(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Ends the session. The driver writes what is queued, and then closes the channel. What the session has taken from the
    /// peer is handled all the same: the peer may have a receipt for it.
    pub(crate) fn close(&self, close: Close) {
        self.with(|state| state.session.close(close));
    }

    /// As [`close`](Self::close), but the session is not resumed, whatever the code.
    pub(crate) fn close_for_good(&self, close: Close) {
        self.with(|state| state.session.close_for_good(close));
    }

    /// Runs a method of the session, and then processes its output and events.
    pub(crate) fn session<R>(&self, run: impl FnOnce(&mut Session, Duration) -> R) -> R {
        self.with(|state| run(&mut state.session, self.clock.now()))
    }

    /// Ends the connection without a closing handshake.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.aborted = true;
        self.changed(state);
    }

    /// The state of the heartbeat.
    pub(crate) fn liveness(&self) -> Option<Liveness> {
        self.lock().session.liveness()
    }

    /// The state of the send queue.
    pub(crate) fn queued(&self) -> QueueState {
        self.lock().outbox.state()
    }

    /// Whether the heartbeat is due.
    pub(crate) fn is_beat_due(&self, now: Instant) -> bool {
        self.beat_due(self.clock.since_start(now))
    }

    /// Makes the driver poll again.
    pub(crate) fn wake(&self) {
        self.changed(self.lock());
    }

    /// Whether reading is paused because too many answers are queued.
    pub(crate) fn holds_reading(&self) -> bool {
        self.holds_reading.load(Ordering::Relaxed)
    }

    /// Changes the state, then processes the output and events of the session, and wakes the driver.
    pub(super) fn with<R>(&self, run: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = run(&mut state);
        let ended = self.settle(&mut state);
        self.changed(state);
        self.report(ended);
        result
    }

    /// Wakes the driver after a change.
    #[inline]
    pub(super) fn changed(&self, state: MutexGuard<'_, State>) {
        if let Some(driver) = self.mark_changed(state) {
            driver.wake();
        }
    }

    /// Notes a change. Returns the driver, if it must be woken.
    #[inline(always)]
    pub(super) fn mark_changed(&self, mut state: MutexGuard<'_, State>) -> Option<Waker> {
        state.dirty = true;
        self.holds_reading.store(state.outbox.holds_reading(), Ordering::Relaxed);
        // Present while the driver is idle and was not woken yet.
        let driving = self.driving.load(Ordering::Relaxed);
        if driving { None } else { state.waker.take() }
    }

    /// Processes the output and events of the session. Returns what the caller has to
    /// [`report`](Self::report) once the lock is released.
    pub(super) fn settle(&self, state: &mut State) -> Settled {
        let was_detached = state.detached;
        state.settle(&self.counts, |outbox, to_send| {
            let (class, message) = match to_send {
                ToSend::Ping(payload) => (Class::Uncounted, Ok(ws::Message::Ping(payload))),
                ToSend::Again(packed) => (Class::Replay, frame(self.wire.info.kind(), packed)),
                ToSend::Message(message) => {
                    let counts = message.head.is_counted();
                    let class = if counts { Class::Answer } else { Class::Uncounted };
                    (class, self.wire.seal(&message))
                }
            };
            if let Ok(message) = message.map(Queued::from)
                && size(&message) > 0
            {
                // The queue refuses no answer.
                let _ = outbox.push(|| self.clock.now(), class, message, None);
            }
        });
        self.sessions.store(state.sessions, Ordering::Relaxed);
        if was_detached && !state.detached {
            self.waited(state);
        }
        if self.is_finishing() && !state.is_finishing() && !state.session.is_closed() {
            // The peer may come back after this close.
            self.finishing.store(false, Ordering::Relaxed);
        }
        self.counting.store(state.session.is_counting(), Ordering::Relaxed);
        self.has_events.store(!state.events.is_empty(), Ordering::Relaxed);
        let beat = state.session.poll_heartbeat().map_or(u64::MAX, |at| at.as_nanos() as u64);
        self.beat.store(beat, Ordering::Relaxed);
        Settled {
            ended: state.ended.take(),
            closed: state.session.is_closed(),
            over: state.over.take(),
        }
    }

    /// What has waited for a channel is written from now on; or never, if the session has ended without one.
    #[cold]
    fn waited(&self, state: &mut State) {
        let State { outbox, calls, session, .. } = state;
        let closed = session.is_closed();
        outbox.drop_unwanted(|class, tracked| match tracked {
            _ if closed => !class.is_counted(),
            Some(Tracked::Call(call)) => calls.contains_key(call),
            _ => true,
        });
        outbox.begin(|| self.clock.now());
    }

    /// Tells the callers of calls and receipts that they have ended, and senders that the session
    /// has. Called without the lock, since their wakers may run code of the application.
    pub(super) fn report(&self, Settled { ended, closed, over }: Settled) {
        if let Some(over) = over {
            over.cancel();
        }
        if let Some(ended) = ended {
            ended.report();
        }
        if closed {
            self.writable.notify_waiters();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is used all the same: a panic in one handler must not end the connection.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("protocol", &self.wire.info.name())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use std::task::{Context, Waker};

    use wse_codecs::JsonArray;
    use wse_proto::session::SessionLimits;
    use wse_proto::{Head, ProtocolInfo, SessionMessage};

    use super::*;
    use crate::connection::wire::Choice;

    const INFO: ProtocolInfo = ProtocolInfo::text("test").no_greeting();

    #[test]
    fn answers_of_the_session_fill_the_queue_too() {
        let session = Session::server(INFO, None, SessionLimits::default());
        let queue = SendQueue::default().messages(2);
        let connection = Connection::new(
            JsonArray.first(),
            session,
            queue,
            Clock::start(),
            Arc::default(),
            ConnectionOptions::default(),
        );
        connection.session(|session, now| session.accept(now, Bytes::new())).unwrap();
        let ping = || Ok(SessionMessage::raw(Head::Ping, Bytes::new()));
        for full in [false, false, false, true] {
            // The first one follows the welcome.
            connection.deliver(Duration::ZERO, ping(), false);
            assert_eq!(connection.holds_reading(), full);
        }
        let sent = connection.lend();
        connection.end_round(Some((sent, 0)), &Context::from_waker(Waker::noop()));
        assert!(connection.holds_reading(), "nothing was written");
        connection.discard_outbox();
        assert!(!connection.holds_reading());
    }
}
