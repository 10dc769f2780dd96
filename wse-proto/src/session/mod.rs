//! [`Session`]: the conversation of one connection, without its socket.
//!
//! # The contract
//!
//! Feed it, then drain it. Methods come in three kinds:
//!
//! - **handle**: [`handle_message`](Session::handle_message),
//!   [`handle_undecodable`](Session::handle_undecodable), [`handle_pong`](Session::handle_pong),
//!   [`handle_life`](Session::handle_life), [`handle_unread`](Session::handle_unread),
//!   [`handle_timeout`](Session::handle_timeout),
//!   [`handle_closed`](Session::handle_closed): what the outside world did;
//! - **decide**: [`challenge`](Session::challenge), [`accept`](Session::accept),
//!   [`refuse`](Session::refuse), [`answer`](Session::answer), [`call`](Session::call),
//!   [`cancel`](Session::cancel), [`expect_receipt`](Session::expect_receipt),
//!   [`close`](Session::close): what the application wants;
//! - **poll**: [`poll_output`](Session::poll_output), [`poll_event`](Session::poll_event),
//!   [`poll_timeout`](Session::poll_timeout): what is to be sent, what happened, when to come back.
//!
//! After a handle or decide, poll outputs and events until both give `None`. Time is a `Duration`
//! since any fixed moment of the caller's choice, the same one for the life of the session.
//!
//! Messages, calls, replies and faults of the application never pass through the session: when
//! [`check_ready`](Session::check_ready) allows it, pack them and send them. So it is the application
//! that bounds how many calls of the peer run at once.

mod calls;
mod client;
mod deadlines;
mod dialogue;
mod duplicates;
mod event;
mod heartbeat;
pub mod receipts;
mod retry;
mod server;
mod time;
mod users;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

pub use calls::{CallFailure, CallId};
pub use duplicates::Duplicates;
pub use event::{Close, Dropped, Event, Output, Passed};
pub use heartbeat::{Heartbeat, Liveness, LivenessState, PingVia};
pub use receipts::ReceiptFailure;
pub use retry::{Backoff, reconnects};
pub use users::{Joined, Users};

use crate::{
    Abilities, Body, CloseReason, CodecError, CodecErrorKind, ErrorCode, Fault, Head, Message,
    ReceiptOf, UsageError,
};
use calls::Calls;
use deadlines::{NEVER, Nanos, nanos};
use heartbeat::Pulse;
use receipts::Receipts;

/// Limits of a session, each with its default.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SessionLimits {
    /// Calls of ours that may wait for their answers at once. Default: 1,024.
    pub calls: usize,
    /// Receipts that may be waited for at once. Default: 1,024.
    pub receipts: usize,
    /// Server: messages that are held while the application decides about a stranger; one more
    /// closes the connection. With the size of a message it bounds what a stranger can make us keep.
    /// A client without a greeting cannot know that it must wait: raise it, or better, read nothing of such a
    /// client until it is decided.
    /// Default: 8.
    pub held: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { calls: 1024, receipts: 1024, held: 8 }
    }
}

/// One side of one connection: greeting, authentication, calls, and what an end does to them.
///
/// ```
/// use std::time::Duration;
/// use wse_proto::session::{Event, Output, Session, SessionLimits};
/// use wse_proto::{Hi, Message};
///
/// let now = Duration::ZERO;
/// let mut server = Session::server(true, None, SessionLimits::default());
/// server.handle_message(now, Message::hi(Hi { identity: "me".into(), meta: "".into() }));
/// let Some(Event::Greeted { hi }) = server.poll_event() else { panic!() };
/// assert_eq!(hi.identity, "me");
/// server.accept(now, "welcome".into()).unwrap();
/// assert!(matches!(server.poll_output(), Some(Output::Send(_))));
/// assert!(server.check_ready().is_ok());
/// ```
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    greeting: bool,
    abilities: Abilities,
    max_receipts: usize,
    calls: Calls,
    receipts: Option<Box<Receipts>>,
    duplicates: Option<Duplicates>,
    pulse: Option<Pulse>,
    events: VecDeque<Event>,
    outputs: VecDeque<Output>,
}

/// Where a session is. Each side passes through its own greeting; from then on they are alike.
#[derive(Debug)]
enum Phase {
    /// Elsewhere: most of its life a session has no use for it.
    Server(Box<server::Greeting>),
    Client(client::Greeting),
    Ready,
    Closed,
}

impl Session {
    fn new(phase: Phase, greeting: bool, limits: SessionLimits) -> Self {
        Self {
            phase,
            greeting,
            abilities: Abilities::ALL,
            max_receipts: limits.receipts,
            calls: Calls::new(limits.calls),
            receipts: None,
            duplicates: None,
            pulse: None,
            events: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Keeps to what the protocol of the connection can say ([`Protocol::abilities`](crate::Protocol::abilities)).
    /// Default: [`Abilities::ALL`].
    #[must_use]
    pub fn with_abilities(mut self, abilities: Abilities) -> Self {
        self.abilities = abilities;
        self
    }

    /// Drops messages that may come again by this window, which other sessions of the same peer share.
    /// Default: one of its own.
    pub fn share_duplicates(&mut self, duplicates: Duplicates) {
        self.duplicates = Some(duplicates);
    }

    /// Whether messages and calls may be sent.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`] before the welcome and after the end.
    pub fn check_ready(&self) -> Result<(), UsageError> {
        match self.phase {
            Phase::Ready => Ok(()),
            _ => Err(UsageError::NotReady),
        }
    }

    /// Whether the session has ended: nothing more is handled or sent.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Takes a message from the peer. Anything that the state does not allow closes the connection:
    /// 1000 `wse.protocol-error`.
    pub fn handle_message(&mut self, now: Duration, message: Message) {
        self.handle_life(now);
        match self.phase {
            Phase::Server(_) => self.server_greeting(message),
            Phase::Client(_) => self.client_greeting(message),
            Phase::Ready => self.dialogue(now, message),
            Phase::Closed => {}
        }
    }

    /// What a message means, if its head alone says so, without the detour through
    /// [`handle_message`](Self::handle_message) and [`poll_event`](Self::poll_event): for speed, since nearly all are
    /// so.
    ///
    /// `None` when it is not that simple: [`open_envelope`](crate::open_envelope) the message and handle it. So it is
    /// before the session is ready, for messages of the session's own, where receipts are asked for or waited for,
    /// and while events wait to be polled.
    #[must_use = "what passes is for the application"]
    pub fn pass(&mut self, head: &Head) -> Option<Passed> {
        if !matches!(self.phase, Phase::Ready) || !self.events.is_empty() {
            return None;
        }
        match head {
            Head::Message { receipt: None, .. } | Head::Call { receipt: false, .. } => {
                Some(Passed::Application)
            }
            Head::Reply { stamp, receipt: false } if self.receipts.is_none() => {
                let unknown = Passed::Dropped(Dropped::Answer);
                Some(self.calls.answered(stamp).map_or(unknown, Passed::CallEnded))
            }
            _ => None,
        }
    }

    /// Takes note that a message could not be read. Where the protocol can say so
    /// ([`Abilities::complaints`](crate::Abilities::complaints)) the peer is told; else the connection is closed:
    /// 1000 `wse.protocol-error`.
    pub fn handle_undecodable(&mut self, error: CodecError) {
        let code = match error.kind() {
            CodecErrorKind::Shape => ErrorCode::ProtocolViolation,
            CodecErrorKind::Limit if self.abilities.complaints => ErrorCode::ProtocolViolation,
            _ => ErrorCode::MessageProcessing,
        };
        if !self.abilities.complaints {
            self.violation(code, Some(error));
        } else if !self.is_closed() {
            let body = Body::Fault(Fault::new(code).message(error.to_string()));
            self.send(Message { head: Head::Complaint, body });
            push(&mut self.events, Event::Unreadable { error });
        }
    }

    /// Takes note that the connection has ended, or that the peer closes it; what is waited for fails,
    /// and what was not yet polled for sending is thrown away.
    pub fn handle_closed(&mut self, close: &Close) {
        self.end(close);
        self.outputs.clear();
    }

    /// Begins a call; send it under [`CallId::stamp`]. `timeout` counts from `now`; `None` waits until
    /// the connection ends. It ends with an [`Event::CallEnded`], or with [`Session::cancel`] without one.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`], [`UsageError::TooManyCalls`].
    pub fn call(&mut self, now: Duration, timeout: Option<Duration>) -> Result<CallId, UsageError> {
        self.check_ready()?;
        self.calls.begin(deadline(now, timeout))
    }

    /// Forgets a call that was not sent after all. Does nothing when it has ended.
    pub fn withdraw(&mut self, call: CallId) {
        if self.calls.take(call) {
            self.forget_receipt(ReceiptOf::Call, call.stamp());
        }
    }

    /// Forgets a call and tells the peer, where the protocol can; its answer, if it still comes, is dropped. Does
    /// nothing when it has ended.
    pub fn cancel(&mut self, call: CallId) {
        if self.calls.take(call) {
            self.forget_receipt(ReceiptOf::Call, call.stamp());
            self.send(Message::raw(Head::Cancel { stamp: call.stamp() }, Bytes::new()));
        }
    }

    /// Calls that wait for their answers.
    pub fn calls_waiting(&self) -> usize {
        self.calls.len()
    }

    /// Closes the connection, behind what is still to be sent. Calls that wait fail; what arrives
    /// from now on is dropped. Does nothing on a session that is closed.
    ///
    /// Code and reason are passed on as they are: 1005 and 1006 cannot be sent, and a close frame
    /// holds 123 bytes of reason (RFC 6455 §5.5, §7.4.1). Whoever sends it sees to that.
    pub fn close(&mut self, close: Close) {
        if !self.is_closed() {
            self.end(&close);
            push(&mut self.outputs, Output::Close(close));
        }
    }

    /// The next thing to send.
    pub fn poll_output(&mut self) -> Option<Output> {
        pop(&mut self.outputs)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }

    fn greeting_deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Server(greeting) => greeting.deadline(),
            _ => None,
        }
    }

    fn end(&mut self, close: &Close) {
        self.phase = Phase::Closed;
        for (of, stamp) in self.receipts.take().map(|it| it.into_keys()).unwrap_or_default() {
            let outcome = Err(ReceiptFailure::Closed(close.clone()));
            push(&mut self.events, Event::ReceiptEnded { of, stamp, outcome });
        }
        for call in self.calls.drain() {
            let outcome = Err(CallFailure::Disconnected(close.clone()));
            push(&mut self.events, Event::CallEnded { call, outcome });
        }
    }

    fn send(&mut self, message: Message) {
        push(&mut self.outputs, Output::Send(message));
    }

    fn violation(&mut self, code: ErrorCode, error: Option<CodecError>) {
        if !self.is_closed() {
            push(&mut self.events, Event::Violation { code, error });
            self.close(Close::normal(CloseReason::ProtocolError));
        }
    }
}

fn deadline(now: Duration, timeout: Option<Duration>) -> Nanos {
    timeout.map_or(NEVER, |timeout| nanos(now.saturating_add(timeout)))
}

/// One at a time is usual: no room for four.
fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
    queue.push_back(item);
}

/// Idle sessions are many, and keep no room.
fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let item = queue.pop_front();
    if queue.is_empty() && queue.capacity() > 0 {
        *queue = VecDeque::new();
    }
    item
}
