//! A frame with its payload (RFC 6455 §5.2).

use bytes::Bytes;

use super::header::FrameHeader;
use super::opcode::Opcode;

/// A frame with its payload, unmasked.
///
/// In a received text message the codec has checked the UTF-8 up to the end of this frame; a fragment may end
/// within a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Reserved for extensions.
    pub rsv1: bool,
    /// Reserved for extensions.
    pub rsv2: bool,
    /// Reserved for extensions.
    pub rsv3: bool,
    /// The kind of frame.
    pub opcode: Opcode,
    /// The payload. Of a received frame, a slice of the read buffer.
    pub payload: Bytes,
}

impl Frame {
    /// Creates a final frame without reserved bits.
    #[must_use]
    pub fn new(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { fin: true, rsv1: false, rsv2: false, rsv3: false, opcode, payload: payload.into() }
    }

    /// Creates a fragment that is not the last, without reserved bits.
    #[must_use]
    pub fn fragment(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { fin: false, ..Self::new(opcode, payload) }
    }

    /// The shortest equivalent of a control frame: a close frame keeps its code, a pong nothing.
    pub(crate) fn curtailed(mut self) -> Self {
        self.payload.truncate(if self.opcode == Opcode::Close { 2 } else { 0 });
        self
    }

    /// The header of this frame, with or without a masking key.
    #[must_use]
    pub const fn header(&self, mask: Option<[u8; 4]>) -> FrameHeader {
        FrameHeader {
            fin: self.fin,
            rsv1: self.rsv1,
            rsv2: self.rsv2,
            rsv3: self.rsv3,
            opcode: self.opcode,
            mask,
            payload_len: self.payload.len() as u64,
        }
    }
}
