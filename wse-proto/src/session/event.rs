//! What a session returns: [`Output`], [`Event`] and [`FastEvent`].

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;

use super::calls::{CallFailure, CallId};
use super::close::Close;
use super::heartbeat::LivenessState;
use super::receipts::ReceiptFailure;
use crate::{
    CodecError, DrainNotice, ErrorCode, Fault, Hi, Outcome, ReceiptOf, SessionMessage, Stamp, Text,
};

/// What the driver has to do with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Pack this message with [`seal`](crate::seal) and send it, unless that writes nothing.
    Send(SessionMessage),
    /// Send a WebSocket ping (RFC 6455 §5.5.2) with this payload. Give the payload of each pong to
    /// [`handle_pong`](super::Session::handle_pong).
    Ping(Bytes),
    /// Send these bytes again, a packed message. It is not queued with others and is exempt from the limits of the queue: it
    /// is written behind the outputs before it and before any new message, and it is not counted again.
    Replay(Bytes),
    /// Start the closing handshake. Nothing is sent after it.
    Close(Close),
    /// Drop the connection without a close frame, because the peer is gone. This is how it ended.
    Abort(Close),
}

/// What [`Session::handle_message_fast`](super::Session::handle_message_fast) concludes from the head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FastEvent {
    /// Stands for [`Event::Message`] or [`Event::Call`], as the head says.
    Application,
    /// Stands for [`Event::CallEnded`] of this call, with the payload as its result.
    CallEnded(CallId),
    /// Stands for [`Event::Dropped`].
    Dropped(Dropped),
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Server: an unauthenticated connection sent its greeting. Decide: [`Session::challenge`](super::Session::challenge),
    /// [`Session::accept`](super::Session::accept) or [`Session::refuse`](super::Session::refuse).
    Greeted {
        /// Its identity and meta, not verified yet.
        hi: Hi,
    },
    /// Server: the challenge was answered. Decide: [`Session::accept`](super::Session::accept) or
    /// [`Session::refuse`](super::Session::refuse).
    Answered {
        /// The encoded answer.
        answer: Bytes,
    },
    /// Client: the server sent a challenge. Decide: [`Session::answer`](super::Session::answer) or
    /// [`Session::close`](super::Session::close).
    Challenged {
        /// The encoded question.
        quest: Bytes,
    },
    /// Client: the server accepted the connection.
    Ready {
        /// The encoded welcome payload.
        welcome: Bytes,
    },
    /// The session has lost its socket, and can be resumed. See [`Session::is_suspended`](super::Session::is_suspended).
    Suspended {
        /// How the socket has ended, or how this side closes it.
        close: Close,
    },
    /// Client: how the attempt to resume the session has ended. [`Event::Ready`] follows, and messages that are newer than
    /// a gap come later. After [`Outcome::None`] the session is another one.
    Resumed {
        /// [`Outcome::Full`], [`Outcome::Partial`] or [`Outcome::None`].
        outcome: Outcome,
    },
    /// Client: the server asks to come back, to another server. See
    /// [`Session::follow_drain`](super::Session::follow_drain).
    Drain {
        /// When.
        notice: DrainNotice,
    },
    /// Client: its credentials expire. See [`Session::renew`](super::Session::renew).
    Expires {
        /// In which time.
        time: Duration,
    },
    /// Server: the client has sent new credentials. Decide by
    /// [`Session::decide_renewal`](super::Session::decide_renewal).
    Renew {
        /// Identity and meta, not verified yet.
        hi: Hi,
    },
    /// Client: the server has accepted the new credentials.
    Renewed {
        /// In which time they expire; `None` for never.
        time: Option<Duration>,
    },
    /// A message for the application.
    Message {
        /// Its name.
        name: Text,
        /// Its encoded payload.
        payload: Bytes,
    },
    /// The peer calls a procedure. Answer with a reply or a fault under the same stamp.
    Call {
        /// The procedure.
        name: Text,
        /// The stamp of the answer.
        stamp: Stamp,
        /// How long the caller still waits, in milliseconds; `None` when it does not say.
        timeout: Option<NonZeroU32>,
        /// The encoded payload.
        payload: Bytes,
    },
    /// The peer cancelled its call with this stamp.
    Cancelled {
        /// The call's stamp.
        stamp: Stamp,
    },
    /// A call that this side made has ended.
    CallEnded {
        /// Which.
        call: CallId,
        /// The encoded result, or why there is none.
        outcome: Result<Bytes, CallFailure>,
    },
    /// A receipt that this side asked for arrived, or will not arrive.
    ReceiptEnded {
        /// The message or answer that it confirms.
        of: ReceiptOf,
        /// Its stamp.
        stamp: Stamp,
        /// Whether it arrived.
        outcome: Result<(), ReceiptFailure>,
    },
    /// The peer began to be late, or is no longer late.
    Liveness(LivenessState),
    /// The peer could not process a message from this side. Error reports are never answered.
    ErrorReport {
        /// What went wrong.
        fault: Fault,
    },
    /// A message could not be read, and the connection stays open
    /// ([`Capabilities::error_reports`](crate::Capabilities::error_reports)). The peer got an error report, or a fault if it
    /// was a call. It got nothing if it was an answer.
    Unreadable {
        /// What is wrong with it.
        error: CodecError,
    },
    /// An unexpected message was dropped. It is not answered, because two peers could then answer each other without
    /// end.
    Dropped(Dropped),
    /// The peer broke the protocol; the connection is being closed.
    Violation {
        /// The kind of violation.
        code: ErrorCode,
        /// The error, if a message could not be read.
        error: Option<CodecError>,
    },
}

/// What was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dropped {
    /// An answer to no pending call: it is late, a repetition, or for a call of another connection.
    Answer,
    /// A receipt that is not expected: it is late, a repetition, or for something that was not sent.
    Receipt,
    /// A pong without a matching ping of this side.
    Pong,
    /// A repetition of a reliable message. Its sender got another receipt.
    Duplicate,
    /// A message about resume from a peer that this side has not agreed with about resume.
    Resume,
}
