//! [`State`]: what is behind a connection's lock.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use tokio::sync::oneshot;
use wse_proto::session::{CallFailure, CallId, Close, Event, Output, Session};
use wse_proto::{Message, ReceiptOf, Stamp};

use super::metrics::{Counts, count};
use super::outbox::{Outbox, SendQueue};
use super::promises::{Promises, ReceiptOutcome};

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
    /// What the session closes with; elsewhere, since it happens once.
    pub(super) closing: Option<Box<Close>>,
    pub(super) session: Session,
    pub(super) calls: HashMap<CallId, oneshot::Sender<Outcome>, FxBuildHasher>,
    pub(super) failed: Option<Box<Failed>>,
    pub(super) promises: Option<Box<Promises>>,
}

/// Calls and receipts that the end of the connection has failed. They are told once everybody else knows of it.
#[derive(Default)]
pub(super) struct Failed {
    calls: Vec<(oneshot::Sender<Outcome>, Outcome)>,
    receipts: Vec<(oneshot::Sender<ReceiptOutcome>, ReceiptOutcome)>,
}

impl Failed {
    pub(super) fn tell(self) {
        for (waiting, outcome) in self.receipts {
            let _ = waiting.send(outcome);
        }
        for (waiting, outcome) in self.calls {
            let _ = waiting.send(outcome);
        }
    }
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
            calls: HashMap::default(),
            failed: None,
            promises: None,
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        [self.due, self.outbox.give_up_at()].into_iter().flatten().min()
    }

    pub(super) fn end_call(&mut self, call: CallId, outcome: Outcome) {
        let Some(waiting) = self.calls.remove(&call) else { return };
        if self.session.is_closed() {
            self.failed.get_or_insert_default().calls.push((waiting, outcome));
        } else {
            let _ = waiting.send(outcome);
        }
    }

    fn end_receipt(&mut self, key: (ReceiptOf, Stamp), outcome: ReceiptOutcome) {
        let waiting = self.promises.as_mut().and_then(|it| it.receipts.remove(&key));
        let Some(waiting) = waiting else { return };
        if self.session.is_closed() {
            self.failed.get_or_insert_default().receipts.push((waiting, outcome));
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
                Output::Close(close) => self.closing = Some(Box::new(close)),
                Output::Abort(close) => {
                    count(&counts.dead_peers);
                    self.closing = Some(Box::new(close));
                    self.aborted = true;
                }
                _ => {}
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::CallEnded { call, outcome } => self.end_call(call, outcome),
                Event::ReceiptEnded { of, stamp, outcome } => {
                    self.end_receipt((of, stamp), outcome);
                }
                Event::Dropped(what) => counts.dropped(what),
                event => self.events.push_back(event),
            }
        }
        self.ready = self.session.check_ready().is_ok();
        self.due = self.session.poll_deadline();
    }
}
