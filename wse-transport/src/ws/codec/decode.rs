//! Bytes into frames.

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

use super::reading::{Fragments, Reading};
use super::state::Codec;
use crate::frame::{
    Error, Frame, FrameHeader, InvalidUtf8, MAX_CONTROL, Opcode, ProtocolError, Role,
    Utf8Validator, apply_mask, is_utf8, length_and_mask,
};

/// How much of a compressed message is inflated at once if it is yielded in pieces, in bytes: at most 1,032 times as many
/// bytes result.
const INFLATE_STEP: usize = 256;

/// The inflated size of a piece, in bytes.
const INFLATE_AHEAD: usize = 64 * 1024;

impl Decoder for Codec {
    type Item = Frame;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let frame = self.next_frame(src)?;
        if frame.is_none() {
            self.reserve(src);
        }
        Ok(frame)
    }

    /// A connection that ends within a frame just ends: the caller reports 1006.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, Error> {
        self.decode(src)
    }
}

impl Codec {
    /// Decodes the next frame of `src`, if it has arrived.
    pub(in crate::ws) fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, Error> {
        if let Some((opcode, payload)) = self.next_whole(src) {
            return Ok(Some(Frame::new(opcode, payload.freeze())));
        }
        if let Reading::Header = self.reading {
            let Some((header, consumed)) = FrameHeader::parse(src)? else {
                return Ok(None);
            };
            let len = self.admit(&header)?;
            src.advance(consumed);
            self.reading = Reading::Payload { header, len, checked: 0 };
        }
        let Reading::Payload { header, len, checked } = &mut self.reading else {
            return Err(ProtocolError::from(InvalidUtf8).into());
        };

        // Unmask and validate the new bytes, whether or not they complete the frame.
        let end = src.len().min(*len);
        if !self.extensions.is_empty() {
            if let Some(mask) = header.mask {
                apply_mask(&mut src[*checked..end], mask, *checked);
            }
            *checked = end;
            if end < *len {
                return Ok(None);
            }
            let FrameHeader { fin, rsv1, rsv2, rsv3, opcode, .. } = *header;
            self.reading = Reading::Header;
            let payload = src.split_to(end).freeze();
            let frame = Frame { fin, rsv1, rsv2, rsv3, opcode, payload };
            return self.extended(frame).map(Some);
        }
        let mut message = self.message.as_mut().filter(|_| !header.opcode.is_control());
        let compressed = message.as_ref().is_some_and(|it| it.compressed);
        let mut inflating = self.deflate.as_mut().filter(|_| compressed);
        // A message that inflates far is inflated step by step if it is yielded in pieces.
        let streaming = self.streaming || self.begun;
        let step = if streaming && compressed { INFLATE_STEP } else { usize::MAX };
        let here = loop {
            let here = end.min(checked.saturating_add(step));
            let new = &mut src[*checked..here];
            if let Some(mask) = header.mask {
                apply_mask(new, mask, *checked);
            }
            *checked = here;
            if let Some(message) = &mut message {
                let new: &[u8] = match &mut inflating {
                    Some(it) => it.inflate(new, header.fin && here == *len, message.limit)?,
                    None => new,
                };
                if let Some(text) = &mut message.text {
                    text.feed(new).map_err(ProtocolError::from)?;
                }
            }
            if here == end || inflating.as_ref().is_some_and(|it| it.inflated() >= INFLATE_AHEAD) {
                break here;
            }
        };
        let complete = here == *len;
        let piece = streaming && here > 0 && !header.opcode.is_control();
        if !complete && !piece {
            return Ok(None);
        }

        let payload = match inflating {
            Some(deflate) => {
                src.advance(here);
                deflate.take()
            }
            None => src.split_to(here).freeze(),
        };
        if !complete {
            let opcode = header.opcode;
            *len -= here;
            *checked = 0;
            if let Some(mask) = &mut header.mask {
                mask.rotate_left(here % 4);
            }
            // Bytes that inflate to nothing make no piece.
            if payload.is_empty() {
                return Ok(None);
            }
            header.opcode = Opcode::Continuation;
            self.begun = true;
            return Ok(Some(Frame::fragment(opcode, payload)));
        }
        let header = *header;
        self.reading = Reading::Header;
        self.begun = false;
        self.read_buffer.arrived(here);
        if !header.opcode.is_control()
            && header.fin
            && let Some(Fragments { text: Some(text), .. }) = self.message.take()
        {
            text.finish().map_err(ProtocolError::from)?;
        }
        Ok(Some(Frame {
            fin: header.fin,
            rsv1: false,
            rsv2: false,
            rsv3: false,
            opcode: header.opcode,
            payload,
        }))
    }

    /// Decodes the next message, if it has arrived as one whole frame that is valid and untouched by extensions, as most
    /// have. Otherwise it leaves the input to [`next_frame`](Self::next_frame).
    #[inline]
    pub(in crate::ws) fn next_whole(&mut self, src: &mut BytesMut) -> Option<(Opcode, BytesMut)> {
        let &[first, second, ref rest @ ..] = &src[..] else { return None };
        // FIN and the opcode, without reserved bits.
        let opcode = match first {
            0x81 => Opcode::Text,
            0x82 => Opcode::Binary,
            _ => return None,
        };
        let (len, mask, rest) = length_and_mask(second, rest)?;
        let minimal = match second & 0x7F {
            126 => len > 125,
            127 => return None,
            _ => true,
        };
        let usual = minimal
            && len <= (self.whole as u64).min(rest.len() as u64)
            && mask.is_some() == self.masks.is_none()
            && self.is_idle()
            && self.extensions.is_empty();
        if !usual {
            return None;
        }
        let header = src.len() - rest.len();
        src.advance(header);
        // Split before the work on the payload, and freeze after it: the two halves of the handle are stored as words and
        // loaded as one, and an immediate load would wait for the stores.
        let mut payload = src.split_to(len as usize);
        if let Some(mask) = mask {
            apply_mask(&mut payload, mask, 0);
        }
        if opcode == Opcode::Text && !is_utf8(&payload) {
            self.reading = Reading::NotUtf8;
            return None;
        }
        Some((opcode, payload))
    }

    /// Checks a header against role, order and limits, before any byte of its payload is used, and returns the length of the
    /// payload.
    fn admit(&mut self, header: &FrameHeader) -> Result<usize, ProtocolError> {
        let begins_compressed = header.rsv1
            && self.deflate.is_some()
            && matches!(header.opcode, Opcode::Text | Opcode::Binary);
        let (rsv1, rsv2, rsv3) = (header.rsv1 && !begins_compressed, header.rsv2, header.rsv3);
        if !self.extensions.bits.allow(rsv1, rsv2, rsv3) {
            // RFC 6455 §5.2: MUST be 0 unless an extension is negotiated. RFC 7692 §6: RSV1 is for
            // the first frame of a data message.
            return Err(ProtocolError::ReservedBits);
        }
        // RFC 6455 §5.1: a server MUST close upon a frame that is not masked, a client upon one
        // that is.
        match (self.role(), header.mask) {
            (Role::Server, None) => return Err(ProtocolError::Unmasked),
            (Role::Client, Some(_)) => return Err(ProtocolError::Masked),
            (Role::Server, Some(_)) | (Role::Client, None) => {}
        }
        let declared = header.payload_len;
        let fits = |limit| usize::try_from(declared).ok().filter(|len| *len <= limit);
        if header.opcode.is_control() {
            return fits(MAX_CONTROL).ok_or(ProtocolError::ControlTooLong);
        }

        let (had, frames, compressed) = match (header.opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::ContinuationUnexpected),
            (Opcode::Continuation, Some(it)) => (it.bytes, it.frames, it.compressed),
            (_, Some(_)) => return Err(ProtocolError::ContinuationExpected),
            (_, None) => (0, 0, begins_compressed),
        };
        let limits = self.limits;
        // Data that cannot be compressed grows a little.
        let slack = |limit: usize| if compressed { limit / 8 + 64 } else { 0 };
        let (frame_limit, fragment_limit) = (limits.frame_limit(), limits.fragment_limit());
        let max_frame = frame_limit.saturating_add(slack(frame_limit));
        let max_message = limits.max_message.saturating_add(slack(limits.max_message));
        if frames >= fragment_limit {
            return Err(ProtocolError::TooManyFragments { limit: fragment_limit });
        }
        let len =
            fits(max_frame).ok_or(ProtocolError::FrameTooBig { declared, limit: frame_limit })?;
        let bytes = had.checked_add(len).filter(|sum| *sum <= max_message).ok_or(
            ProtocolError::MessageTooBig {
                declared: declared.saturating_add(had as u64),
                limit: limits.max_message,
            },
        )?;
        let message = self.message.get_or_insert_with(|| Fragments {
            text: (header.opcode == Opcode::Text).then(Utf8Validator::default),
            bytes: 0,
            frames: 0,
            compressed,
            extended: 0,
            limit: 0,
        });
        message.limit = limits.max_message;
        message.bytes = bytes;
        message.frames += 1;
        Ok(len)
    }

    /// The part of the current frame's payload that has not arrived, in bytes; `None` between frames.
    pub(in crate::ws) fn missing(&self, src: &BytesMut) -> Option<usize> {
        match self.reading {
            Reading::Header | Reading::NotUtf8 => None,
            Reading::Payload { len, .. } => Some(len - src.len()),
        }
    }

    /// Makes space for the next read.
    pub(in crate::ws) fn reserve(&mut self, src: &mut BytesMut) {
        let missing = self.missing(src);
        self.read_buffer.reserve(src, missing);
    }

    /// Lets the extensions decode a frame, and checks the result.
    fn extended(&mut self, frame: Frame) -> Result<Frame, Error> {
        let Frame { fin, opcode, .. } = frame;
        let decoded = self.extensions.decode(frame)?;
        let mut frame = Frame { fin, ..Frame::new(opcode, decoded.payload) };
        if frame.opcode.is_control() {
            return Ok(frame);
        }
        let Some(message) = &mut self.message else {
            return Err(ProtocolError::ContinuationUnexpected.into());
        };
        if message.compressed
            && let Some(deflate) = &mut self.deflate
        {
            deflate.inflate(&frame.payload, frame.fin, message.limit)?;
            frame.payload = deflate.take();
        }
        message.extended += frame.payload.len();
        if message.extended > message.limit {
            return Err(ProtocolError::InflatedTooBig { limit: message.limit }.into());
        }
        if let Some(text) = &mut message.text {
            text.feed(&frame.payload).map_err(ProtocolError::from)?;
        }
        if frame.fin
            && let Some(Fragments { text: Some(text), .. }) = self.message.take()
        {
            text.finish().map_err(ProtocolError::from)?;
        }
        Ok(frame)
    }
}
