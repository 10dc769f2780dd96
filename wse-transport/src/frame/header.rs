//! Frame headers (RFC 6455 §5.2).

use bytes::{BufMut, BytesMut};

use super::error::ProtocolError;
use super::opcode::Opcode;

/// The longest payload of a control frame, in bytes (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The header of a frame.
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
    /// The kind of frame.
    pub opcode: Opcode,
    /// The masking key: clients always send one, servers never (§5.1).
    pub mask: Option<[u8; 4]>,
    /// The length of the payload, in bytes.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header, in bytes.
    pub const MAX_LEN: usize = 14;

    /// Parses a header from the start of `input`, and returns it with its length in bytes; `None` when more input
    /// is needed. It does not check the role, the reserved bits and the order of frames: the
    /// [`Codec`](crate::ws::Codec) does.
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

    /// The number of bytes that [`encode`](Self::encode) writes: 2 to [`MAX_LEN`](Self::MAX_LEN).
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let length = match self.payload_len {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        2 + length + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Appends the header to `out`, with the shortest encoding of the length.
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

/// A client's masking key (RFC 6455 §5.3).
type MaskingKey = [u8; 4];

/// Parses the length and the masking key, which follow the first two bytes of a frame. `second` is the second
/// byte, `rest` the input behind it. Returns them with the rest of the input; `None` when more input is needed.
#[inline]
pub(crate) fn length_and_mask(second: u8, rest: &[u8]) -> Option<(u64, Option<MaskingKey>, &[u8])> {
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

/// Writes a header with the shortest encoding of the length. `first` is its first byte.
#[inline]
pub(crate) fn put_head(first: u8, len: u64, key: Option<MaskingKey>, out: &mut BytesMut) {
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
