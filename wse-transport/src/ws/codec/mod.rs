//! Bytes ⇄ frames, with every rule that can be checked on a frame (RFC 6455 §5).

mod decode;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Encoder;

use self::decode::{Fragments, Reading};
use super::{
    deflate::{PerMessage, Shared},
    error::{Error, UsageError},
    extension::AgreedExtensions,
    frame::{Frame, FrameHeader, MAX_CONTROL},
    limits::Limits,
    mask::apply_mask,
    opcode::Opcode,
    room::Room,
};

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Masks what it sends, and refuses masked frames.
    Client,
    /// Refuses frames that are not masked.
    Server,
}

/// The tokio-util codec of RFC 6455 frames.
///
/// Decoding enforces masking, reserved bits and opcodes, the rules for control frames, the order
/// of fragments and the [`Limits`]; it unmasks, and checks text while its frame is still arriving,
/// so that a wrong byte fails at once. An error is fatal: the codec must not be used after one.
/// With the feature `deflate`, and once it is agreed upon, messages are inflated and compressed
/// here too: what is decoded looks as if they had been sent as they are.
///
/// The codec has no clock and no randomness: a client's masks come from a function it is given.
pub struct Codec {
    limits: Limits,
    masks: Option<Box<dyn FnMut() -> [u8; 4] + Send + Sync>>,
    reading: Reading,
    message: Option<Fragments>,
    /// Whether frames are given out in the pieces in which they arrive.
    streaming: bool,
    /// Whether pieces of the frame under way were given out; the others follow, rather than be kept.
    begun: bool,
    /// Extensions that were agreed upon.
    extensions: AgreedExtensions,
    /// Compression, if it was agreed upon.
    deflate: Option<Box<PerMessage>>,
    /// Whether messages are to be compressed, known before it is agreed upon.
    #[cfg(feature = "deflate")]
    compressing: bool,
    room: Room,
}

impl Codec {
    /// The server's side: sends without masks.
    #[must_use]
    pub fn server(limits: Limits) -> Self {
        Self {
            limits,
            masks: None,
            reading: Reading::Header,
            message: None,
            streaming: false,
            begun: false,
            extensions: AgreedExtensions::default(),
            deflate: None,
            #[cfg(feature = "deflate")]
            compressing: true,
            room: Room::default(),
        }
    }

    /// The client's side. `masks` is called once per frame sent; what it returns must be
    /// unpredictable for the application's data (RFC 6455 §5.3, §10.3), except in tests.
    #[must_use]
    pub fn client(limits: Limits, masks: impl FnMut() -> [u8; 4] + Send + Sync + 'static) -> Self {
        Self { masks: Some(Box::new(masks)), ..Self::server(limits) }
    }

    /// Whether a data frame is decoded in the pieces in which it arrives, as if its sender had made as many
    /// fragments (RFC 6455 §5.4 lets anybody on the way do so). Default: no, frames are decoded whole.
    /// Switched off, it goes on to the end of a frame of which pieces were given out.
    pub const fn set_streaming(&mut self, streaming: bool) {
        self.streaming = streaming;
    }

    /// Lets extensions see the frames from now on, as agreed upon in the opening handshake, in that order.
    /// Frames are then decoded whole.
    pub fn set_extensions(&mut self, extensions: AgreedExtensions) {
        self.extensions = extensions;
    }

    /// Compresses and inflates from now on, as agreed upon in the opening handshake. Messages are
    /// compressed that are sent as one frame without RSV1.
    #[cfg(feature = "deflate")]
    pub fn set_deflate(&mut self, deflate: super::Deflate, agreed: super::DeflateAgreement) {
        let mut deflate = PerMessage::new(self.role(), deflate, agreed);
        deflate.enabled = self.compressing;
        self.deflate = Some(Box::new(deflate));
    }

    /// Whether messages are compressed from now on, if compression was or will be agreed upon. Default: yes.
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, enabled: bool) {
        self.compressing = enabled;
        if let Some(deflate) = &mut self.deflate {
            deflate.enabled = enabled;
        }
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.masks.is_some() { Role::Client } else { Role::Server }
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the limits, from the next frame header on; a frame whose header has been read
    /// keeps those it was accepted under.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether neither a frame nor a fragmented message is under way.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.reading, Reading::Header) && self.message.is_none()
    }
}

impl Encoder<Frame> for Codec {
    type Error = Error;

    /// Appends a frame, masked if this is a client. The payload is copied once.
    ///
    /// # Errors
    ///
    /// [`UsageError`] for a control frame that is fragmented or too long; nothing is written then.
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
    /// Whether nothing is done to a message that is sent but to put a header before it, and to mask it.
    #[inline]
    pub(super) fn sends_as_it_is(&self) -> bool {
        self.deflate.is_none() && self.extensions.is_empty()
    }

    /// What stands before a message of so many bytes.
    #[inline]
    pub(super) fn header(&mut self, opcode: Opcode, len: usize) -> FrameHeader {
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

    /// What is to be sent for a frame: compressed, extended and checked, and yet to be masked.
    #[inline]
    pub(super) fn prepare(&mut self, frame: Frame) -> Result<(FrameHeader, Bytes), Error> {
        self.prepare_with(frame, |deflate, payload| deflate.compress(payload).map(Bytes::from))
    }

    /// The same for a message that goes to other connections too.
    pub(super) fn prepare_shared(
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
            return Err(UsageError::ControlFragmented.into());
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
            return Err(UsageError::ControlTooLong.into());
        }
        Ok((frame.header(self.masks.as_mut().map(|next| next())), frame.payload))
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("role", &self.role())
            .field("limits", &self.limits)
            .field("reading", &self.reading)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}
