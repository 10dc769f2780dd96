//! [`State`]: what is behind a connection's lock.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use wse_proto::Message;
use wse_proto::session::{CallFailure, CallId, Close, Event, Output, Session};

use super::metrics::{Counts, count};
use super::outbox::{Outbox, SendQueue};
use super::promises::Promises;

pub(super) type Outcome = Result<Bytes, CallFailure>;

/// In this order, since a message to one of many idle connections waits for memory more than for anything else:
/// what it needs lies together.
#[repr(C)]
pub(super) struct State {
    /// The driver is at work and looks at `dirty` before it rests: no need to wake it.
    pub(super) driving: bool,
    pub(super) dirty: bool,
    /// Whether messages may be sent: what the session says, as of its last change.
    pub(super) ready: bool,
    /// The server has waited long enough.
    pub(super) aborted: bool,
    /// The driver's, while it rests.
    pub(super) waker: Option<Waker>,
    pub(super) outbox: Outbox,
    /// When the session wants to be asked, as of its last change.
    due: Option<Duration>,
    pub(super) events: VecDeque<Event>,
    pub(super) closing: Option<Close>,
    pub(super) session: Session,
    pub(super) calls: HashMap<CallId, oneshot::Sender<Outcome>>,
    /// Calls that the end of the connection has failed. They are told once everybody else knows of it.
    pub(super) failed: Vec<(oneshot::Sender<Outcome>, Outcome)>,
    pub(super) promises: Option<Box<Promises>>,
}

/// What a session wants written.
pub(super) enum Wanted {
    Message(Message),
    Ping(Bytes),
}

/// What the driver is to do beside reading and writing.
pub(super) struct Outlook {
    /// The close to begin, if any, and whether all that comes before it is written.
    pub(super) closing: Option<(Close, bool)>,
    /// When something is due next.
    pub(super) due: Option<Duration>,
    /// Whether to end at once.
    pub(super) aborted: bool,
}

impl State {
    pub(super) fn new(session: Session, queue: SendQueue) -> Self {
        Self {
            driving: false,
            dirty: false,
            ready: false,
            aborted: false,
            waker: None,
            outbox: Outbox::new(queue),
            due: None,
            events: VecDeque::new(),
            closing: None,
            session,
            calls: HashMap::new(),
            failed: Vec::new(),
            promises: None,
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        [self.due, self.outbox.give_up_at()].into_iter().flatten().min()
    }

    pub(super) fn end_call(&mut self, call: CallId, outcome: Outcome) {
        let Some(waiting) = self.calls.remove(&call) else { return };
        if self.session.is_closed() {
            self.failed.push((waiting, outcome));
        } else {
            let _ = waiting.send(outcome);
        }
    }

    /// Moves what the session wants to where it is done; `queue` takes its own messages.
    pub(super) fn settle(&mut self, counts: &Counts, queue: impl Fn(&mut Outbox, Wanted)) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(message) => queue(&mut self.outbox, Wanted::Message(message)),
                Output::Ping(payload) => queue(&mut self.outbox, Wanted::Ping(payload)),
                Output::Close(close) => self.closing = Some(close),
                Output::Abort(close) => {
                    count(&counts.dead_peers);
                    self.closing = Some(close);
                    self.aborted = true;
                }
                _ => {}
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::CallEnded { call, outcome } => self.end_call(call, outcome),
                Event::ReceiptEnded { of, stamp, outcome } => {
                    let closed = self.session.is_closed();
                    if let Some(promises) = &mut self.promises {
                        promises.end_receipt(of, stamp, outcome, closed);
                    }
                }
                Event::Dropped(what) => counts.dropped(what),
                event => self.events.push_back(event),
            }
        }
        self.ready = self.session.check_ready().is_ok();
        self.due = self.session.poll_deadline();
    }
}
