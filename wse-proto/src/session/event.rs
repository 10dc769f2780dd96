//! What a session wants and tells: [`Output`], [`Event`], [`Close`].

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;

use super::{CallFailure, CallId, LivenessState, ReceiptFailure};
use crate::{CloseReason, CodecError, ErrorCode, Fault, Hi, Message, ReceiptOf, Stamp, Text};

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

    /// The peer vanished without a trace: it was not heard any more.
    pub const DEAD: Self = Self { code: 1006, reason: CloseReason::HeartbeatTimeout };

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
    /// Seal this message and send it, unless that writes nothing.
    Send(Message),
    /// Send a WebSocket ping (RFC 6455 §5.5.2) with this payload; give what comes back to
    /// [`handle_pong`](super::Session::handle_pong).
    Ping(Bytes),
    /// Begin the closing handshake. Nothing is sent after it.
    Close(Close),
    /// Drop the connection without a word: nobody is there to hear it. This is how it ended.
    Abort(Close),
}

/// What the head alone says of a message from the peer, see [`Session::pass`](super::Session::pass).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passed {
    /// A message or a call for the application: [`Event::Message`] or [`Event::Call`], whichever the head is of.
    Application,
    /// The answer to this call of ours: [`Event::CallEnded`], with the payload.
    CallEnded(CallId),
    /// Nothing: [`Event::Dropped`].
    Dropped(Dropped),
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Server: a stranger greeted. Decide: [`Session::challenge`](super::Session::challenge),
    /// [`Session::accept`](super::Session::accept) or [`Session::refuse`](super::Session::refuse).
    Greeted {
        /// Who it says it is.
        hi: Hi,
    },
    /// Server: the challenge was answered. Decide: [`Session::accept`](super::Session::accept) or
    /// [`Session::refuse`](super::Session::refuse).
    Answered {
        /// The encoded answer.
        answer: Bytes,
    },
    /// Client: the server wants a challenge solved. Decide: [`Session::answer`](super::Session::answer) or
    /// [`Session::close`](super::Session::close).
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
        /// For how long the caller still waits, in milliseconds, if it says so.
        timeout: Option<NonZeroU32>,
        /// The encoded payload.
        payload: Bytes,
    },
    /// The peer does not wait any more for the answer to its call with this stamp.
    Cancelled {
        /// The call's stamp.
        stamp: Stamp,
    },
    /// A call of ours has ended.
    CallEnded {
        /// Which.
        call: CallId,
        /// The encoded result, or why there is none.
        outcome: Result<Bytes, CallFailure>,
    },
    /// A receipt that we asked for has come, or will not.
    ReceiptEnded {
        /// Of what.
        of: ReceiptOf,
        /// Its stamp.
        stamp: Stamp,
        /// Whether it has come.
        outcome: Result<(), ReceiptFailure>,
    },
    /// Whether the peer is heard in time has changed.
    Liveness(LivenessState),
    /// The peer could not process a message of ours. It is never answered.
    Complaint {
        /// What it says about it.
        fault: Fault,
    },
    /// A message could not be read, and the peer was told; the connection goes on
    /// ([`Abilities::complaints`](crate::Abilities::complaints)).
    Unreadable {
        /// What is wrong with it.
        error: CodecError,
    },
    /// Something came that means nothing any more, or never did. It was dropped and not answered, lest two
    /// peers answer each other for ever.
    Dropped(Dropped),
    /// The peer broke the protocol; the connection is being closed.
    Violation {
        /// Which kind of breach.
        code: ErrorCode,
        /// What it was, when it was a message that could not be read.
        error: Option<CodecError>,
    },
}

/// What came and was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dropped {
    /// An answer to no call that waits: late, twice, to another connection's call, or to none.
    Answer,
    /// A receipt that nobody waits for: late, twice, or for what was never sent.
    Receipt,
    /// A pong to no ping of ours, or to one that has its pong.
    Pong,
    /// A message that may come again, and had come before. Its sender got another receipt.
    Duplicate,
}
