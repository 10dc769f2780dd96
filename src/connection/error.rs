//! Why a message was not sent, and why a call has no result.

use std::error::Error;
use std::fmt;

use crate::chain::causes;
use wse_proto::session::{CallFailure, Close};
use wse_proto::{CodecError, ErrorCode, Fault};

/// Why a message was not queued. It is not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is not ready: not yet authenticated, offline, or closed. Code `wse.client.not-ready`.
    NotReady,
    /// The send queue is full because the peer reads too slowly, or the offline queue of the client is full. Wait until it
    /// is writable, or drop the message.
    QueueFull,
    /// The value cannot be encoded in this protocol. Over a byte stream: or the message has a line break.
    Encode(CodecError),
}

impl SendError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the connection is not ready",
            Self::QueueFull => "the send queue is full",
            Self::Encode(_) => "the payload cannot be encoded",
        })
    }
}

impl fmt::Display for SendError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
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

/// Why a call has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The peer's procedure failed, or it has none of this name.
    Fault(Fault),
    /// No answer arrived in time. The procedure may have run.
    Timeout,
    /// The connection ended before the answer arrived. The procedure may have run.
    Disconnected(Close),
    /// The connection is not ready; nothing was sent.
    NotReady,
    /// The send queue is full; nothing was sent.
    QueueFull,
    /// The most calls allowed are pending; nothing was sent.
    TooManyCalls,
    /// The payload cannot be encoded in this protocol; nothing was sent.
    Encode(CodecError),
    /// The answer is not of the type asked for, or not an answer that the protocol allows.
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

impl CallError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the peer answered with a fault: {fault}"),
            Self::Timeout => f.write_str("no answer arrived in time"),
            Self::Disconnected(close) => write!(f, "the connection ended first: {close}"),
            Self::NotReady => f.write_str("the connection is not ready"),
            Self::QueueFull => f.write_str("the send queue is full"),
            Self::TooManyCalls => f.write_str("too many calls are pending"),
            Self::Encode(_) => f.write_str("the payload cannot be encoded"),
            Self::Decode(_) => f.write_str("the answer is not of the type asked for"),
        }
    }
}

impl fmt::Display for CallError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
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
            CallFailure::Unreadable(why) => {
                Self::Decode(CodecError::shape("the answer", "cannot be read").with_source(why))
            }
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
