//! [`FramedError`].

use std::error::Error;
use std::fmt;
use std::io;

use wse_proto::CodecError;
use wse_transport::ws;

use super::framing::FramingError;
use crate::chain::causes;

/// Why a stream of envelopes cannot be read any further, or why an envelope was not sent.
///
/// As the error of a stream it is final: the boundaries of later messages are not known. A message that arrived whole and
/// cannot be unpacked is not such an error, but an item.
#[derive(Debug)]
#[non_exhaustive]
pub enum FramedError {
    /// The peer sent a message over the limit. The message was discarded.
    TooLong {
        /// Its bytes: what its length says, or, for a line that has not ended, what has arrived.
        declared: u64,
        /// [`ProtocolCodec::max_message`](super::ProtocolCodec::max_message).
        limit: usize,
    },
    /// The peer: the stream ended within a message.
    Truncated,
    /// The caller: the envelope cannot be sent. A text message has a line break or is not UTF-8, or a binary message has
    /// 2^32 bytes or more. Nothing was sent, and later envelopes can be.
    Encode(CodecError),
    /// The WebSocket failed.
    WebSocket(ws::Error),
    /// The byte stream failed.
    Io(io::Error),
}

impl FramedError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { declared, limit } => {
                write!(f, "peer sent a message of {declared} bytes, limit {limit}")
            }
            Self::Truncated => f.write_str("stream ended within a message"),
            Self::Encode(_) => f.write_str("envelope cannot be sent"),
            Self::WebSocket(_) => f.write_str("websocket failed"),
            Self::Io(_) => f.write_str("byte stream failed"),
        }
    }
}

impl fmt::Display for FramedError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl Error for FramedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::WebSocket(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::TooLong { .. } | Self::Truncated => None,
        }
    }
}

impl From<io::Error> for FramedError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CodecError> for FramedError {
    fn from(error: CodecError) -> Self {
        Self::Encode(error)
    }
}

impl From<ws::Error> for FramedError {
    fn from(error: ws::Error) -> Self {
        Self::WebSocket(error)
    }
}

impl From<FramingError> for FramedError {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::TooLong { declared, limit } => Self::TooLong { declared, limit },
            FramingError::Truncated => Self::Truncated,
        }
    }
}
