//! Frames and their headers (RFC 6455 §5.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::{error::ProtocolError, opcode::Opcode};

/// The longest payload of a control frame (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// What stands before a frame's payload.
///
/// ```text
///   byte 0                byte 1            0, 2 or 8 bytes   0 or 4 bytes
/// +-----+------+--------+------+----------+-----------------+--------------+
/// | FIN | RSV  | opcode | MASK | length   | length, if the  | masking key, |
/// | (1) | 1..3 | (4)    | (1)  | 0..=125, | 7 bits say 126  | if MASK      |
/// |     | (3)  |        |      | 126, 127 | or 127          |              |
/// +-----+------+--------+------+----------+-----------------+--------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Reserved for extensions.
    pub rsv1: bool,
    /// Reserved for extensions.
    pub rsv2: bool,
    /// Reserved for extensions.
    pub rsv3: bool,
    /// What the frame carries.
    pub opcode: Opcode,
    /// The masking key: always there from a client, never from a server (§5.1).
    pub mask: Option<[u8; 4]>,
    /// How many bytes of payload follow.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header, in bytes.
    pub const MAX_LEN: usize = 14;

    /// Reads a header from the start of `input`, and how many bytes it takes; `None` when more
    /// are needed. Whether the role, the reserved bits and the order are right is for the
    /// [`Codec`](super::Codec) to say.
    ///
    /// # Errors
    ///
    /// A reserved opcode, a control frame that is fragmented or too long, and a length that is
    /// not minimal or has its top bit set.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let &[first, second, ref rest @ ..] = input else {
            return Ok(None);
        };
        let fin = first & 0x80 != 0;
        let opcode = Opcode::from_bits(first)?;
        let short = second & 0x7F;
        if opcode.is_control() {
            // RFC 6455 §5.5: all control frames MUST have a payload length of 125 bytes or less
            // and MUST NOT be fragmented.
            if !fin {
                return Err(ProtocolError::ControlFragmented);
            }
            if usize::from(short) > MAX_CONTROL {
                return Err(ProtocolError::ControlTooLong);
            }
        }
        let Some((payload_len, mask, rest)) = length_and_mask(second, rest) else {
            return Ok(None);
        };
        // RFC 6455 §5.2: the most significant bit MUST be 0, and the minimal number of bytes
        // MUST be used to encode the length.
        if payload_len >> 63 != 0 {
            return Err(ProtocolError::LengthTooLarge);
        }
        if (short == 126 && payload_len < 126) || (short == 127 && payload_len <= 0xFFFF) {
            return Err(ProtocolError::LengthNotMinimal);
        }
        let header = Self {
            fin,
            rsv1: first & 0x40 != 0,
            rsv2: first & 0x20 != 0,
            rsv3: first & 0x10 != 0,
            opcode,
            mask,
            payload_len,
        };
        Ok(Some((header, input.len() - rest.len())))
    }

    /// How many bytes [`encode`](Self::encode) writes: 2 to [`MAX_LEN`](Self::MAX_LEN).
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let length = match self.payload_len {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        2 + length + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Appends the header to `out`, the length in as few bytes as it needs.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let first = bit(self.fin, 0x80)
            | bit(self.rsv1, 0x40)
            | bit(self.rsv2, 0x20)
            | bit(self.rsv3, 0x10)
            | self.opcode.bits();
        put_head(first, self.payload_len, self.mask, out);
    }
}

/// The key that a client masks a frame with (RFC 6455 §5.3).
type MaskingKey = [u8; 4];

/// Reads what stands between the first two bytes of a frame, of which this is the `second`, and the
/// payload: the length and the masking key, and the rest of the input. `None` when there is more to come.
#[inline]
pub(super) fn length_and_mask(second: u8, rest: &[u8]) -> Option<(u64, Option<MaskingKey>, &[u8])> {
    let (len, rest) = match second & 0x7F {
        126 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_be_bytes(*bytes)), rest)
        }
        127 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*bytes), rest)
        }
        short => (u64::from(short), rest),
    };
    if second & 0x80 == 0 {
        return Some((len, None, rest));
    }
    let (key, rest) = rest.split_first_chunk()?;
    Some((len, Some(*key), rest))
}

/// Writes what stands before the payload, its first byte given, and the length in as few bytes as it needs.
#[inline]
pub(super) fn put_head(first: u8, len: u64, key: Option<MaskingKey>, out: &mut BytesMut) {
    let mask = if key.is_some() { 0x80 } else { 0 };
    match len {
        0..=125 => out.put_slice(&[first, mask | len as u8]),
        126..=0xFFFF => {
            let [high, low] = (len as u16).to_be_bytes();
            out.put_slice(&[first, mask | 126, high, low]);
        }
        _ => {
            out.put_slice(&[first, mask | 127]);
            out.put_u64(len);
        }
    }
    if let Some(key) = key {
        out.put_slice(&key);
    }
}

/// One frame with its payload, unmasked.
///
/// In a received text message the codec has checked the UTF-8 up to this frame's end; a fragment
/// may still stop within a character.
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
    /// What the frame carries.
    pub opcode: Opcode,
    /// The payload; as received, a slice of the read buffer.
    pub payload: Bytes,
}

impl Frame {
    /// A final frame without reserved bits.
    pub fn new(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { fin: true, rsv1: false, rsv2: false, rsv3: false, opcode, payload: payload.into() }
    }

    /// A fragment that others follow, without reserved bits.
    pub fn fragment(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { fin: false, ..Self::new(opcode, payload) }
    }

    /// The least that says the same: of a close frame the code, of a pong nothing.
    pub(super) fn curtailed(mut self) -> Self {
        self.payload.truncate(if self.opcode == Opcode::Close { 2 } else { 0 });
        self
    }

    /// The header to send before the payload.
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
