//! [`State`]: the part of a connection that its mutex protects.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wse_proto::session::{CallFailure, CallId, Close, Event, Output, Session, Tracked};
use wse_proto::{NotResumed, Outcome, ReceiptOf, SessionMessage, Stamp};

use super::counts::{Counters, count};
use super::outbox::Outbox;
use super::pending::{Pending, ReceiptOutcome};
use super::queue::Class;
use super::send_queue::SendQueue;

pub(super) type CallOutcome = Result<Bytes, CallFailure>;

/// The state of a connection.
///
/// The order of the fields is fixed. Sending to one of many idle connections is bound by cache misses, and the fields that
/// it needs share cache lines this way.
#[repr(C)]
pub(super) struct State {
    /// Whether something has changed since the driver last looked.
    pub(super) dirty: bool,
    /// Whether messages may be sent. Updated at each change of the session.
    pub(super) ready: bool,
    /// Whether to end without a closing handshake.
    pub(super) aborted: bool,
    /// Whether another driver asks for the connection.
    pub(super) asked: bool,
    /// The waker of the driver, while it is idle.
    pub(super) waker: Option<Waker>,
    pub(super) outbox: Outbox,
    /// Whether the session has no socket past its welcome, so that what is counted waits. Updated at each change of the
    /// session.
    pub(super) detached: bool,
    /// The next deadline of the session. Updated at each change of the session.
    due: Option<Duration>,
    pub(super) events: VecDeque<Event>,
    /// What this side closes with. Boxed: it is used once.
    pub(super) closing: Option<Box<Close>>,
    pub(super) session: Session,
    pub(super) calls: HashMap<CallId, oneshot::Sender<CallOutcome>, FxBuildHasher>,
    /// Calls and receipts that have ended. Their callers learn of it once the lock is released.
    pub(super) ended: Option<Box<Ended>>,
    /// Calls and receipts that the end of the connection has failed. Their callers learn of it after the events of the
    /// end, so that they find the endpoint in its new state.
    pub(super) failed: Option<Box<Ended>>,
    pub(super) pending: Option<Box<Pending>>,
    /// How many sessions there were before this one, at a client.
    pub(super) sessions: u32,
    /// Cancels the handlers of the previous session, once the lock is released.
    pub(super) over: Option<CancellationToken>,
}

/// Calls and receipts with their outcomes.
#[derive(Default)]
pub(super) struct Ended {
    calls: Vec<(oneshot::Sender<CallOutcome>, CallOutcome)>,
    receipts: Vec<(oneshot::Sender<ReceiptOutcome>, ReceiptOutcome)>,
}

impl Ended {
    /// Reports the outcomes to the callers. Called without the lock, since their wakers may run code of the application.
    pub(super) fn report(self) {
        for (waiting, outcome) in self.receipts {
            let _ = waiting.send(outcome);
        }
        for (waiting, outcome) in self.calls {
            let _ = waiting.send(outcome);
        }
    }
}

/// What is to be reported once the lock is released.
pub(super) struct Settled {
    pub(super) ended: Option<Box<Ended>>,
    /// Whether the session is closed.
    pub(super) closed: bool,
    /// What ends the handlers of a session that was followed by another one.
    pub(super) over: Option<CancellationToken>,
}

/// An output of the session that is to be sent.
pub(super) enum ToSend {
    Message(SessionMessage),
    /// A packed message that was sent before.
    Again(Bytes),
    Ping(Bytes),
}

/// What the driver has to do besides reading and writing.
pub(super) struct NextSteps {
    /// The close to begin, if any, and whether everything queued before it is written.
    pub(super) closing: Option<(Close, bool)>,
    /// When something is due next.
    pub(super) due: Option<Duration>,
    /// Whether to end at once.
    pub(super) aborted: bool,
    /// Whether nothing has changed since the driver last looked, so that its poll may end.
    pub(super) idle: bool,
    /// Whether the send queue has become full.
    pub(super) slow: bool,
    /// Whether another driver asks for the connection.
    pub(super) asked: bool,
}

impl State {
    pub(super) fn new(session: Session, queue: SendQueue) -> Self {
        Self {
            dirty: false,
            ready: false,
            aborted: false,
            asked: false,
            waker: None,
            outbox: Outbox::new(queue),
            detached: false,
            due: None,
            events: VecDeque::new(),
            closing: None,
            session,
            calls: HashMap::default(),
            ended: None,
            failed: None,
            pending: None,
            sessions: 0,
            over: None,
        }
    }

    /// When the session or the queue is due next.
    pub(super) fn due(&self) -> Option<Duration> {
        let give_up = if self.detached { None } else { self.outbox.give_up_at() };
        [self.due, give_up, self.finishing_until()].into_iter().flatten().min()
    }

    /// Whether a message may be queued, as far as its size allows it.
    pub(super) fn is_writable(&self) -> bool {
        self.outbox.is_writable() && self.session.has_space(1)
    }

    /// Completes a call.
    fn end_call(&mut self, call: CallId, outcome: CallOutcome) {
        if let Some(waiting) = self.calls.remove(&call) {
            self.ended().calls.push((waiting, outcome));
        }
    }

    fn end_receipt(&mut self, key: (ReceiptOf, Stamp), outcome: ReceiptOutcome) {
        let waiting = self.pending.as_mut().and_then(|it| it.receipts.remove(&key));
        if let Some(waiting) = waiting {
            self.ended().receipts.push((waiting, outcome));
        }
    }

    fn ended(&mut self) -> &mut Ended {
        let ended = if self.session.is_closed() { &mut self.failed } else { &mut self.ended };
        ended.get_or_insert_default()
    }

    /// The peer has a new session, and does not know its calls of the old one.
    fn begin_anew(&mut self) {
        self.sessions += 1;
        if let Some(pending) = &mut self.pending {
            pending.running.clear();
            self.over = Some(std::mem::take(&mut pending.ended));
        }
    }

    /// Processes the output and events of the session. `queue` queues its messages.
    pub(super) fn settle(&mut self, counts: &Counters, queue: impl Fn(&mut Outbox, ToSend)) {
        // What the session says at a resume, and what it sends again, goes before what waits.
        let aside = self.detached.then(|| self.outbox.set_aside());
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(message) => queue(&mut self.outbox, ToSend::Message(message)),
                Output::Replay(packed) => queue(&mut self.outbox, ToSend::Again(packed)),
                Output::Ping(payload) => queue(&mut self.outbox, ToSend::Ping(payload)),
                Output::Close(close) => self.closing = Some(Box::new(close)),
                Output::Abort(close) => {
                    count(&counts.dead_peers);
                    self.closing = Some(Box::new(close));
                    self.aborted = true;
                }
                _ => {}
            }
        }
        if let Some(aside) = aside {
            self.outbox.put_behind(aside);
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::CallEnded { call, outcome } => self.end_call(call, outcome),
                Event::ReceiptEnded { of, stamp, outcome } => {
                    self.end_receipt((of, stamp), outcome);
                }
                Event::Dropped(what) => counts.dropped(what),
                event => {
                    if let Event::Resumed { outcome: Outcome::None(reason) } = &event {
                        // The stamps of answers mean other calls in the new session. Of another user, nothing is sent.
                        let (session, other_user) = (&self.session, *reason == NotResumed::User);
                        self.outbox.drop_unwanted(|class, tracked| match tracked {
                            _ if other_user || class == Class::Answer => !class.is_counted(),
                            Some(Tracked::Call(call)) => session.is_waiting(*call),
                            _ => true,
                        });
                        self.begin_anew();
                    }
                    self.events.push_back(event);
                }
            }
        }
        self.ready = self.session.check_ready().is_ok() && self.may_send();
        let has_socket = self.session.is_attached() || self.session.is_closed();
        self.detached = self.session.is_counting() && !has_socket;
        self.due = self.session.poll_deadline();
    }
}
