//! Why a message was not sent, and why a call has no result.

use std::error::Error;
use std::fmt;

use wse_proto::session::{CallFailure, Close};
use wse_proto::{CodecError, ErrorCode, Fault};

/// A message was not queued; the peer will not get it.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is not ready: not yet authenticated, offline, or closed. Code `wse.client.not-ready`.
    NotReady,
    /// The peer reads too slowly and the queue is full; wait for room or drop the message.
    QueueFull,
    /// The value cannot be written in this protocol.
    Encode(CodecError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the connection is not ready",
            Self::QueueFull => "the send queue is full",
            Self::Encode(_) => "the payload cannot be encoded",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CodecError> for SendError {
    fn from(error: CodecError) -> Self {
        Self::Encode(error)
    }
}

/// A call has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The peer's procedure failed, or it has none of this name.
    Fault(Fault),
    /// No answer came in time. Whether the procedure ran is not known.
    Timeout,
    /// The connection ended before the answer came. Whether the procedure ran is not known.
    Disconnected(Close),
    /// The connection is not ready; nothing was sent.
    NotReady,
    /// The send queue is full; nothing was sent.
    QueueFull,
    /// As many calls as allowed wait for their answers; nothing was sent.
    TooManyCalls,
    /// The payload cannot be written in this protocol; nothing was sent.
    Encode(CodecError),
    /// The answer came, but it is not of the type asked for.
    Decode(CodecError),
}

impl CallError {
    /// The code of the failure, as the JavaScript package names it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Fault(fault) => fault.code.clone(),
            Self::Timeout => ErrorCode::Timeout,
            Self::Disconnected(_) => ErrorCode::Disconnect,
            Self::NotReady | Self::QueueFull | Self::TooManyCalls => ErrorCode::NotReady,
            Self::Encode(_) | Self::Decode(_) => ErrorCode::MessageProcessing,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the peer answered with a fault: {fault}"),
            Self::Timeout => f.write_str("no answer came in time"),
            Self::Disconnected(close) => write!(f, "the connection ended first: {close}"),
            Self::NotReady => f.write_str("the connection is not ready"),
            Self::QueueFull => f.write_str("the send queue is full"),
            Self::TooManyCalls => f.write_str("too many calls wait for their answers"),
            Self::Encode(_) => f.write_str("the payload cannot be encoded"),
            Self::Decode(_) => f.write_str("the answer is not of the type asked for"),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) | Self::Decode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Fault(fault) => Self::Fault(fault),
            CallFailure::Disconnected(close) => Self::Disconnected(close),
            _ => Self::Timeout,
        }
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotReady => Self::NotReady,
            SendError::QueueFull => Self::QueueFull,
            SendError::Encode(error) => Self::Encode(error),
        }
    }
}
