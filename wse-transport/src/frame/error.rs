//! What can go wrong with frames and messages: who is at fault, and which close code follows.

use std::borrow::Cow;
use std::{fmt, io};

use super::close_code::CloseCode;
use super::utf8::InvalidUtf8;
use crate::chain::causes;

/// The peer broke RFC 6455 or exceeded a limit. The connection is closed with
/// [`close_code`](Self::close_code) and [`close_reason`](Self::close_reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set, and no extension uses it (§5.2).
    ReservedBits,
    /// A reserved opcode (§5.2).
    ReservedOpcode(u8),
    /// A client sent a frame without a mask (§5.1).
    Unmasked,
    /// A server sent a frame with a mask (§5.1).
    Masked,
    /// A length is written in more bytes than it needs (§5.2).
    LengthNotMinimal,
    /// The top bit of a 64-bit length is set (§5.2).
    LengthTooLarge,
    /// A control frame of more than 125 bytes (§5.5).
    ControlTooLong,
    /// A control frame without the final bit (§5.5).
    ControlFragmented,
    /// A continuation frame without a message to continue (§5.4).
    ContinuationUnexpected,
    /// A new message before the fragmented one has ended (§5.4).
    ContinuationExpected,
    /// A frame longer than [`Limits::max_frame`](crate::ws::Limits::max_frame), in bytes.
    FrameTooBig {
        /// The length the frame declares.
        declared: u64,
        /// The limit in force.
        limit: usize,
    },
    /// A message longer than [`Limits::max_message`](crate::ws::Limits::max_message), in bytes.
    MessageTooBig {
        /// The bytes received so far, plus the length that the frame declares.
        declared: u64,
        /// The limit in force.
        limit: usize,
    },
    /// A message in more frames than [`Limits::max_fragments`](crate::ws::Limits::max_fragments).
    TooManyFragments {
        /// The limit in force.
        limit: usize,
    },
    /// A compressed message that inflates to more than
    /// [`Limits::max_message`](crate::ws::Limits::max_message), in bytes.
    InflatedTooBig {
        /// The limit in force.
        limit: usize,
    },
    /// A compressed message that cannot be inflated (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// An extension could not decode a frame; this is the close code that it chose.
    Extension(CloseCode),
    /// A text message is not UTF-8 (§8.1).
    InvalidText,
    /// A close payload of a single byte (§5.5.1).
    CloseTooShort,
    /// A close code that must not appear on the wire (§7.4).
    InvalidCloseCode(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// More pings and pongs than [`ControlRate`](crate::ws::ControlRate) allows.
    ControlFlood,
}

impl ProtocolError {
    /// The code to close the connection with (§7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::LengthNotMinimal
            | Self::LengthTooLarge
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::ContinuationUnexpected
            | Self::ContinuationExpected
            | Self::CloseTooShort
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::InflatedTooBig { .. } => {
                CloseCode::TOO_BIG
            }
            Self::Extension(code) if code.is_sendable() => *code,
            Self::Extension(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidDeflate | Self::InvalidText | Self::InvalidCloseReason => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::TooManyFragments { .. } | Self::ControlFlood => CloseCode::POLICY,
        }
    }

    /// The reason to close the connection with: what the peer did, and this side's limit if it exceeded one. It repeats
    /// nothing that the peer sent, and fits in a close frame.
    #[must_use]
    pub fn close_reason(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ReservedBits => "reserved bit set",
            Self::ReservedOpcode(_) => "reserved opcode",
            Self::Unmasked => "frame without a mask",
            Self::Masked => "frame with a mask",
            Self::LengthNotMinimal => "length in too many bytes",
            Self::LengthTooLarge => "length over 2^63 - 1",
            Self::ControlTooLong => "control frame over 125 bytes",
            Self::ControlFragmented => "control frame in fragments",
            Self::ContinuationUnexpected => "continuation without a message",
            Self::ContinuationExpected => "new message before the end of the last one",
            Self::FrameTooBig { limit, .. } => {
                return format!("message over {limit} bytes in one frame").into();
            }
            Self::MessageTooBig { limit, .. } => {
                return format!("message over {limit} bytes").into();
            }
            Self::InflatedTooBig { limit } => {
                return format!("message over {limit} bytes after inflation").into();
            }
            Self::TooManyFragments { limit } => {
                return format!("more than {limit} fragments").into();
            }
            Self::Extension(_) => "frame that an extension cannot decode",
            Self::InvalidDeflate => "message that cannot be inflated",
            Self::InvalidText => "text that is not UTF-8",
            Self::CloseTooShort => "close payload of one byte",
            Self::InvalidCloseCode(_) => "invalid close code",
            Self::InvalidCloseReason => "close reason that is not UTF-8",
            Self::ControlFlood => "too many pings and pongs",
        })
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("peer set a reserved bit"),
            Self::ReservedOpcode(bits) => write!(f, "peer used reserved opcode {bits:#x}"),
            Self::Unmasked => f.write_str("client sent an unmasked frame"),
            Self::Masked => f.write_str("server sent a masked frame"),
            Self::LengthNotMinimal => f.write_str("peer encoded a length in too many bytes"),
            Self::LengthTooLarge => f.write_str("peer declared a length over 2^63 - 1"),
            Self::ControlTooLong => f.write_str("peer sent a control frame over 125 bytes"),
            Self::ControlFragmented => f.write_str("peer fragmented a control frame"),
            Self::ContinuationUnexpected => {
                f.write_str("peer sent a continuation frame without a message")
            }
            Self::ContinuationExpected => {
                f.write_str("peer began a message before the fragmented one ended")
            }
            Self::FrameTooBig { declared, limit } => {
                write!(f, "peer declared a frame of {declared} bytes, limit {limit}")
            }
            Self::MessageTooBig { declared, limit } => {
                write!(f, "peer declared a message of {declared} bytes, limit {limit}")
            }
            Self::TooManyFragments { limit } => {
                write!(f, "peer sent a message in more than {limit} fragments")
            }
            Self::InflatedTooBig { limit } => {
                write!(f, "peer sent a message that inflates to more than {limit} bytes")
            }
            Self::Extension(code) => {
                write!(f, "peer sent a frame that an extension cannot decode: close code {code}")
            }
            Self::InvalidDeflate => f.write_str("peer sent a message that cannot be inflated"),
            Self::InvalidText => f.write_str("peer sent a text message that is not utf-8"),
            Self::CloseTooShort => f.write_str("peer sent a close payload of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "peer sent invalid close code {code}"),
            Self::InvalidCloseReason => f.write_str("peer sent a close reason that is not utf-8"),
            Self::ControlFlood => f.write_str("peer sent too many control frames"),
        }
    }
}

impl std::error::Error for ProtocolError {}

impl From<InvalidUtf8> for ProtocolError {
    fn from(InvalidUtf8: InvalidUtf8) -> Self {
        Self::InvalidText
    }
}

/// The caller asked for something that the connection cannot do. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MisuseError {
    /// A message after the closing handshake began, or after the connection ended.
    Closed,
    /// A ping or pong of more than 125 bytes (§5.5).
    ControlTooLong,
    /// A control frame without the final bit (§5.5).
    ControlFragmented,
    /// A close frame whose payload is not a code and a reason (§5.5.1).
    CloseMalformed,
    /// A new message before the fragmented one has ended (§5.4).
    Unfinished,
    /// A continuation frame without a message to continue (§5.4).
    NothingToContinue,
    /// A step of the opening handshake out of order.
    NotReady,
    /// A binary message, a ping or a pong over a draft of the protocol that has text only.
    Unsupported,
}

impl fmt::Display for MisuseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "caller sent a message after the closing handshake began",
            Self::ControlTooLong => "caller sent a control frame over 125 bytes",
            Self::ControlFragmented => "caller fragmented a control frame",
            Self::CloseMalformed => "caller sent a malformed close frame",
            Self::Unfinished => "caller sent a message before the fragmented one ended",
            Self::NothingToContinue => "caller sent a continuation frame without a message",
            Self::NotReady => "caller did a step of the opening handshake out of order",
            Self::Unsupported => {
                "caller sent something other than text over a draft that has text only"
            }
        })
    }
}

impl std::error::Error for MisuseError {}

/// Any failure of a [`WebSocket`](crate::ws::WebSocket) or its [`Codec`](crate::ws::Codec).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer's fault.
    Protocol(ProtocolError),
    /// The caller's fault.
    Misuse(MisuseError),
    /// The transport's fault.
    Io(io::Error),
}

impl Error {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol(_) => "peer violated the websocket protocol",
            Self::Misuse(_) => "websocket was misused",
            Self::Io(_) => "transport failed",
        })
    }
}

impl fmt::Display for Error {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Misuse(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<MisuseError> for Error {
    fn from(error: MisuseError) -> Self {
        Self::Misuse(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
