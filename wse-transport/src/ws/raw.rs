//! [`RawCodec`]: frames as they are.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::{
    CloseCode, Error, Opcode, ProtocolError, apply_mask, length_and_mask, put_head,
};

/// A frame with every bit of its header (RFC 6455 §5.2), valid or not.
///
/// ```
/// use bytes::BytesMut;
/// use tokio_util::codec::Encoder;
/// use wse_transport::ws::{Opcode, RawCodec, RawFrame};
///
/// let mut out = BytesMut::new();
/// let frame = RawFrame { rsv3: true, ..RawFrame::new(Opcode::Text.bits(), "hi") };
/// RawCodec::default().encode(frame, &mut out)?;
/// assert_eq!(&out[..], b"\x91\x02hi");
/// # Ok::<(), wse_transport::ws::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Reserved for extensions.
    pub rsv1: bool,
    /// Reserved for extensions.
    pub rsv2: bool,
    /// Reserved for extensions.
    pub rsv3: bool,
    /// The opcode: 0 to 15, of which [`Opcode`] has six. The upper bits are not sent.
    pub opcode: u8,
    /// The masking key. `payload` is not masked; with a key, it is masked on the wire.
    pub mask: Option<[u8; 4]>,
    /// The payload.
    pub payload: Bytes,
}

impl RawFrame {
    /// Creates a final frame without reserved bits or mask.
    #[must_use]
    pub fn new(opcode: u8, payload: impl Into<Bytes>) -> Self {
        Self {
            fin: true,
            rsv1: false,
            rsv2: false,
            rsv3: false,
            opcode,
            mask: None,
            payload: payload.into(),
        }
    }

    /// The opcode of RFC 6455.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::ReservedOpcode`].
    pub const fn known_opcode(&self) -> Result<Opcode, ProtocolError> {
        Opcode::from_bits(self.opcode)
    }
}

/// The tokio-util codec of [`RawFrame`]s. It finds the end of a frame and removes the mask, and checks nothing else: all
/// rules are the caller's task. [`Codec`](super::Codec) checks them.
///
/// # Errors
///
/// Decoding fails with [`ProtocolError::FrameTooBig`] before a payload over the limit is read, and with
/// [`ProtocolError::LengthTooLarge`] for a length with its top bit set. Both are fatal: the start of the next frame is
/// unknown.
#[derive(Clone, Debug)]
pub struct RawCodec {
    max_payload: usize,
}

impl RawCodec {
    /// Creates a codec that accepts payloads of up to `max_payload` bytes.
    #[must_use]
    pub const fn new(max_payload: usize) -> Self {
        Self { max_payload }
    }
}

/// Accepts payloads of up to 1 MiB.
impl Default for RawCodec {
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl Decoder for RawCodec {
    type Item = RawFrame;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<RawFrame>, Error> {
        let &[first, second, ref rest @ ..] = &src[..] else {
            return Ok(None);
        };
        let Some((declared, mask, rest)) = length_and_mask(second, rest) else {
            return Ok(None);
        };
        if declared >> 63 != 0 {
            return Err(ProtocolError::LengthTooLarge.into());
        }
        let limit = self.max_payload;
        let len = usize::try_from(declared)
            .ok()
            .filter(|len| *len <= limit)
            .ok_or(ProtocolError::FrameTooBig { declared, limit })?;
        let (here, header) = (rest.len(), src.len() - rest.len());
        if here < len {
            // As much again as has arrived: declaring a length costs the sender nothing.
            src.reserve((len - here).min(src.len().max(8 * 1024)));
            return Ok(None);
        }
        src.advance(header);
        let mut payload = src.split_to(len);
        if let Some(mask) = mask {
            apply_mask(&mut payload, mask, 0);
        }
        Ok(Some(RawFrame {
            fin: first & 0x80 != 0,
            rsv1: first & 0x40 != 0,
            rsv2: first & 0x20 != 0,
            rsv3: first & 0x10 != 0,
            opcode: first & 0x0F,
            mask,
            payload: payload.freeze(),
        }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<RawFrame>, Error> {
        self.decode(src)
    }
}

impl Encoder<RawFrame> for RawCodec {
    type Error = Error;

    fn encode(&mut self, frame: RawFrame, dst: &mut BytesMut) -> Result<(), Error> {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        dst.reserve(14 + frame.payload.len());
        let first = bit(frame.fin, 0x80)
            | bit(frame.rsv1, 0x40)
            | bit(frame.rsv2, 0x20)
            | bit(frame.rsv3, 0x10)
            | (frame.opcode & 0x0F);
        put_head(first, frame.payload.len() as u64, frame.mask, dst);
        let start = dst.len();
        dst.put_slice(&frame.payload);
        if let Some(mask) = frame.mask {
            apply_mask(&mut dst[start..], mask, 0);
        }
        Ok(())
    }
}

/// Encodes the payload of a close frame (RFC 6455 §5.5.1): extension data, if an extension has any, then the code and the
/// reason. The caller keeps it within 125 bytes.
///
/// ```
/// use wse_transport::ws::{CloseCode, close_payload};
/// assert_eq!(close_payload(CloseCode::NORMAL, "bye", b""), &b"\x03\xe8bye"[..]);
/// ```
#[must_use]
pub fn close_payload(code: CloseCode, reason: &str, extension_data: &[u8]) -> Bytes {
    let mut payload = BytesMut::with_capacity(extension_data.len() + 2 + reason.len());
    payload.put_slice(extension_data);
    payload.put_u16(code.0);
    payload.put_slice(reason.as_bytes());
    payload.freeze()
}
