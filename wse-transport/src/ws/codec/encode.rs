//! Frames into bytes.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Encoder;

use super::state::Codec;
use crate::deflate::{PerMessage, Shared};
use crate::frame::{Error, Frame, FrameHeader, MAX_CONTROL, MisuseError, Opcode, apply_mask};

impl Encoder<Frame> for Codec {
    type Error = Error;

    /// Appends a frame, masked on a client. The payload is copied once.
    ///
    /// # Errors
    ///
    /// [`MisuseError`] for a control frame that is fragmented or too long; then nothing is written.
    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), Error> {
        let (header, payload) = self.prepare(frame)?;
        dst.reserve(header.encoded_len() + payload.len());
        header.encode(dst);
        let start = dst.len();
        dst.put_slice(&payload);
        if let Some(mask) = header.mask {
            apply_mask(&mut dst[start..], mask, 0);
        }
        Ok(())
    }
}

impl Codec {
    /// Whether a message is sent unchanged, apart from its header and mask.
    #[inline]
    pub(crate) fn sends_as_it_is(&self) -> bool {
        self.deflate.is_none() && self.extensions.is_empty()
    }

    /// The header of a message of this length, in bytes.
    #[inline]
    pub(crate) fn header(&mut self, opcode: Opcode, len: usize) -> FrameHeader {
        FrameHeader {
            fin: true,
            rsv1: false,
            rsv2: false,
            rsv3: false,
            opcode,
            mask: self.masks.as_mut().map(|next| next()),
            payload_len: len as u64,
        }
    }

    /// Prepares a frame: compresses, extends and checks it. It is not masked yet.
    #[inline]
    pub(crate) fn prepare(&mut self, frame: Frame) -> Result<(FrameHeader, Bytes), Error> {
        self.prepare_with(frame, |deflate, payload| deflate.compress(payload).map(Bytes::from))
    }

    /// As [`prepare`](Self::prepare), for a message that goes to other connections too.
    pub(crate) fn prepare_shared(
        &mut self,
        frame: Frame,
        shared: &Shared,
    ) -> Result<(FrameHeader, Bytes), Error> {
        self.prepare_with(frame, |deflate, payload| deflate.compress_shared(payload, shared))
    }

    #[inline]
    fn prepare_with(
        &mut self,
        mut frame: Frame,
        compress: impl FnOnce(&mut PerMessage, &[u8]) -> Option<Bytes>,
    ) -> Result<(FrameHeader, Bytes), Error> {
        if frame.opcode.is_control() && !frame.fin {
            return Err(MisuseError::ControlFragmented.into());
        }
        if matches!(frame.opcode, Opcode::Text | Opcode::Binary)
            && frame.fin
            && !frame.rsv1
            && let Some(deflate) = &mut self.deflate
            && let Some(compressed) = compress(deflate, &frame.payload)
        {
            frame.rsv1 = true;
            frame.payload = compressed;
        }
        if !self.extensions.is_empty() {
            frame = self.extensions.encode(frame);
        }
        if frame.opcode.is_control() && frame.payload.len() > MAX_CONTROL {
            return Err(MisuseError::ControlTooLong.into());
        }
        Ok((frame.header(self.masks.as_mut().map(|next| next())), frame.payload))
    }
}
