//! [`Session`]: the conversation of one connection, without its socket.
//!
//! # The contract
//!
//! Feed it, then drain it. Methods come in three kinds:
//!
//! - **handle**: [`handle_message`](Session::handle_message),
//!   [`handle_undecodable`](Session::handle_undecodable), [`handle_timeout`](Session::handle_timeout),
//!   [`handle_closed`](Session::handle_closed): what the outside world did;
//! - **decide**: [`challenge`](Session::challenge), [`accept`](Session::accept),
//!   [`refuse`](Session::refuse), [`answer`](Session::answer), [`call`](Session::call),
//!   [`cancel`](Session::cancel), [`close`](Session::close): what the application wants;
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
mod retry;
mod server;
mod users;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use calls::{CallFailure, CallId};
pub use retry::{Backoff, reconnects};
pub use users::{Joined, Users};

use crate::{
    Body, CloseReason, CodecError, CodecErrorKind, ErrorCode, Head, Hi, Message, Stamp, Text,
    UsageError,
};
use calls::Calls;

/// How a connection ends or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code (RFC 6455 §7.4): 1000 and so on; 1005 when the peer sent none, 1006 when it vanished.
    pub code: u16,
    /// The reason.
    pub reason: CloseReason,
}

impl Close {
    /// The peer vanished without a close frame.
    pub const VANISHED: Self = Self { code: 1006, reason: CloseReason::None };

    /// A close with this code and reason.
    pub fn new(code: u16, reason: impl Into<CloseReason>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// A normal close, code 1000.
    pub const fn normal(reason: CloseReason) -> Self {
        Self { code: 1000, reason }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            CloseReason::None => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason}", self.code),
        }
    }
}

/// What the session wants done with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Seal this message and send it.
    Send(Message),
    /// Begin the closing handshake. Nothing is sent after it.
    Close(Close),
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Server: a stranger greeted. Decide: [`Session::challenge`], [`Session::accept`] or [`Session::refuse`].
    Greeted {
        /// Who it says it is.
        hi: Hi,
    },
    /// Server: the challenge was answered. Decide: [`Session::accept`] or [`Session::refuse`].
    Answered {
        /// The encoded answer.
        answer: Bytes,
    },
    /// Client: the server wants a challenge solved. Decide: [`Session::answer`] or [`Session::close`].
    Challenged {
        /// The encoded quest.
        quest: Bytes,
    },
    /// Client: the server let us in.
    Ready {
        /// The encoded welcome payload.
        welcome: Bytes,
    },
    /// A message for the application.
    Message {
        /// Its name.
        name: Text,
        /// Its encoded payload.
        payload: Bytes,
    },
    /// The peer calls a procedure; answer with a reply or a fault under the same stamp.
    Call {
        /// The procedure.
        name: Text,
        /// What the answer must carry.
        stamp: Stamp,
        /// The encoded payload.
        payload: Bytes,
    },
    /// A call of ours has ended.
    CallEnded {
        /// Which.
        call: CallId,
        /// The encoded result, or why there is none.
        outcome: Result<Bytes, CallFailure>,
    },
    /// The peer broke the protocol; the connection is being closed.
    Violation {
        /// Which kind of breach.
        code: ErrorCode,
        /// What it was, when it was a message that could not be read.
        error: Option<CodecError>,
    },
}

/// Limits of a session, each with its default.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SessionLimits {
    /// Calls of ours that may wait for their answers at once. Default: 1,024.
    pub calls: usize,
    /// Server: messages that are held while the application decides about a stranger; one more
    /// closes the connection. With the size of a message it bounds what a stranger can make us keep.
    /// Raise it for a protocol without greeting, whose clients cannot know that they must wait.
    /// Default: 8.
    pub held: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { calls: 1024, held: 8 }
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
    calls: Calls,
    events: VecDeque<Event>,
    outputs: VecDeque<Output>,
}

/// Where a session is. Each side passes through its own greeting; from then on they are alike.
#[derive(Debug)]
enum Phase {
    Server(server::Greeting),
    Client(client::Greeting),
    Ready,
    Closed,
}

impl Session {
    fn new(phase: Phase, greeting: bool, limits: SessionLimits) -> Self {
        Self {
            phase,
            greeting,
            calls: Calls::new(limits.calls),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
        }
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
        match self.phase {
            Phase::Server(_) => self.server_greeting(message),
            Phase::Client(_) => self.client_greeting(message),
            Phase::Ready => self.dialogue(now, message),
            Phase::Closed => {}
        }
    }

    /// What a message means, without the detour through [`handle_message`](Self::handle_message) and
    /// [`poll_event`](Self::poll_event), for speed: the event, or `None` for an answer that nobody waits for.
    ///
    /// # Errors
    ///
    /// The message, untouched, when it is not that simple: give it to `handle_message`. So it is before the
    /// session is ready, for messages of the session's own, and while events wait to be polled.
    #[allow(clippy::result_large_err)]
    pub fn pass(&mut self, message: Message) -> Result<Option<Event>, Message> {
        if !matches!(self.phase, Phase::Ready) || !self.events.is_empty() {
            return Err(message);
        }
        match message {
            Message { head: Head::Message { name, .. }, body: Body::Raw(payload) } => {
                Ok(Some(Event::Message { name, payload }))
            }
            Message { head: Head::Call { name, stamp, .. }, body: Body::Raw(payload) } => {
                Ok(Some(Event::Call { name, stamp, payload }))
            }
            Message { head: Head::Reply { stamp, .. }, body: Body::Raw(payload) } => {
                let ended = |call| Event::CallEnded { call, outcome: Ok(payload) };
                Ok(self.calls.answered(&stamp).map(ended))
            }
            message => Err(message),
        }
    }

    /// Takes note that a message could not be read; the connection is closed: 1000 `wse.protocol-error`.
    pub fn handle_undecodable(&mut self, error: CodecError) {
        let code = match error.kind() {
            CodecErrorKind::Shape => ErrorCode::ProtocolViolation,
            _ => ErrorCode::MessageProcessing,
        };
        self.violation(code, Some(error));
    }

    /// Does what is due: call timeouts, and the deadline before authentication, which closes the
    /// connection with 1000 `wse.not-authorized`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.greeting_deadline().is_some_and(|deadline| deadline <= now) {
            self.close(Close::normal(CloseReason::NotAuthorized));
        }
        while let Some(call) = self.calls.expire(now) {
            push(&mut self.events, Event::CallEnded { call, outcome: Err(CallFailure::Timeout) });
        }
    }

    /// Takes note that the connection has ended, or that the peer closes it; calls that wait fail,
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
        self.calls.begin(timeout.map(|timeout| now.saturating_add(timeout)))
    }

    /// Forgets a call; its answer, if it still comes, is dropped. Does nothing when it has ended.
    pub fn cancel(&mut self, call: CallId) {
        self.calls.take(call);
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

    /// When [`handle_timeout`](Self::handle_timeout) is due next; `None` while nothing is waited for.
    /// It may lie as far away as [`Duration::MAX`]: add it to a clock with a checked addition.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let deadlines = [self.greeting_deadline(), self.calls.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn greeting_deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Server(greeting) => greeting.deadline(),
            _ => None,
        }
    }

    fn end(&mut self, close: &Close) {
        self.phase = Phase::Closed;
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

    /// What either side does with a message once it is ready.
    fn dialogue(&mut self, _now: Duration, message: Message) {
        match (message.head, message.body) {
            (Head::Message { name, .. }, Body::Raw(payload)) => {
                push(&mut self.events, Event::Message { name, payload });
            }
            (Head::Call { name, stamp, .. }, Body::Raw(payload)) => {
                push(&mut self.events, Event::Call { name, stamp, payload });
            }
            (Head::Reply { stamp, .. }, Body::Raw(payload)) => self.call_ended(&stamp, Ok(payload)),
            (Head::Fault { stamp, .. }, Body::Fault(fault)) => {
                self.call_ended(&stamp, Err(CallFailure::Fault(fault)));
            }
            (Head::Ping, Body::Raw(payload)) => self.send(Message::raw(Head::Pong, payload)),
            (Head::Pong | Head::Receipt { .. } | Head::Cancel { .. } | Head::Complaint, _) => {}
            _ => self.violation(ErrorCode::ProtocolViolation, None),
        }
    }

    /// An answer to no call of ours, or one that comes late, is dropped: never answered, lest two
    /// peers answer each other for ever.
    fn call_ended(&mut self, stamp: &Stamp, outcome: Result<Bytes, CallFailure>) {
        if let Some(call) = self.calls.answered(stamp) {
            push(&mut self.events, Event::CallEnded { call, outcome });
        }
    }
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
