//! The four bits that tell the kind of a frame (RFC 6455 §5.2).

use super::error::ProtocolError;

/// The kind of a frame (RFC 6455 §11.8).
///
/// The ten reserved values have no variant: parsing one is a [`ProtocolError::ReservedOpcode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// `0x0`: a further fragment of the current message.
    Continuation,
    /// `0x1`: a text message, or its first fragment.
    Text,
    /// `0x2`: a binary message, or its first fragment.
    Binary,
    /// `0x8`: begins or answers the closing handshake.
    Close,
    /// `0x9`: asks for a [`Opcode::Pong`] with the same payload.
    Ping,
    /// `0xA`: answers a ping, or stands alone as a heartbeat.
    Pong,
}

impl Opcode {
    /// Whether this is close, ping or pong: at most 125 bytes and never fragmented (RFC 6455 §5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Parses the low four bits of `byte`; the high four are ignored.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::ReservedOpcode`] for `0x3..=0x7` and `0xB..=0xF`.
    pub const fn from_bits(byte: u8) -> Result<Self, ProtocolError> {
        match byte & 0x0F {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            // RFC 6455 §5.2: an unknown opcode MUST fail the connection.
            reserved => Err(ProtocolError::ReservedOpcode(reserved)),
        }
    }
}
