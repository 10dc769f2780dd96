//! [`Codec`]: its state and its settings.

use std::fmt;

use super::reading::{Fragments, Reading};
use crate::deflate::{Deflate, DeflateAgreement, PerMessage};
use crate::extension::AgreedExtensions;
use crate::frame::Role;
use crate::negotiated::Negotiated;
use crate::ws::limits::Limits;
use crate::ws::read_buffer::ReadBuffer;

/// The tokio-util codec of RFC 6455 frames.
///
/// Decoding enforces masking, reserved bits, opcodes, the rules for control frames, the order of fragments and the
/// [`Limits`]. It unmasks, and checks text while its frame arrives, so that an invalid byte fails at once. An error is
/// fatal: do not use the codec after one. With compression, messages are inflated and compressed here too, so that frames
/// look as if they were uncompressed.
///
/// The codec has neither clock nor randomness: a function of the caller's makes the masks of a client.
pub struct Codec {
    pub(super) limits: Limits,
    /// The most bytes of a message that is one frame, as the limits say.
    pub(super) whole: usize,
    pub(super) masks: Option<Box<dyn FnMut() -> [u8; 4] + Send + Sync>>,
    pub(super) reading: Reading,
    pub(super) message: Option<Fragments>,
    /// Whether frames are yielded in the pieces in which they arrive.
    pub(super) streaming: bool,
    /// Whether pieces of the current frame were yielded; the others then follow.
    pub(super) begun: bool,
    /// The extensions that were agreed on.
    pub(super) extensions: AgreedExtensions,
    /// Compression, if it was agreed on.
    pub(super) deflate: Option<Box<PerMessage>>,
    /// Whether messages are compressed, once that is agreed on.
    pub(super) compressing: bool,
    pub(super) read_buffer: ReadBuffer,
}

impl Codec {
    /// Creates the codec of a server, which sends without masks.
    #[must_use]
    pub fn server(limits: Limits) -> Self {
        Self {
            limits,
            whole: limits.whole(),
            masks: None,
            reading: Reading::Header,
            message: None,
            streaming: false,
            begun: false,
            extensions: AgreedExtensions::default(),
            deflate: None,
            compressing: true,
            read_buffer: ReadBuffer::default(),
        }
    }

    /// Creates the codec of a client. `masks` is called once per frame sent. Except in tests, its results must be
    /// unpredictable for the application (RFC 6455 §5.3, §10.3).
    #[must_use]
    pub fn client(limits: Limits, masks: impl FnMut() -> [u8; 4] + Send + Sync + 'static) -> Self {
        Self { masks: Some(Box::new(masks)), ..Self::server(limits) }
    }

    /// Sets whether a data frame is decoded in the pieces in which it arrives, as if the sender had fragmented it (RFC 6455
    /// §5.4 allows intermediaries to do so). Default: no, frames are decoded whole. Turned off within such a frame, the rest
    /// of it is still decoded in pieces.
    pub const fn set_streaming(&mut self, streaming: bool) {
        self.streaming = streaming;
    }

    /// Compresses, inflates and lets extensions see the frames from now on, as the opening handshake
    /// agreed on: [`set_deflate`](Self::set_deflate) and [`set_extensions`](Self::set_extensions) in one.
    pub fn set_negotiated(&mut self, negotiated: Negotiated) {
        if let Some((deflate, agreed)) = negotiated.deflate {
            self.set_deflate(deflate, agreed);
        }
        self.set_extensions(negotiated.extensions);
    }

    /// Lets extensions see the frames from now on, as the opening handshake agreed on, in that order. Frames are then decoded
    /// whole.
    pub fn set_extensions(&mut self, extensions: AgreedExtensions) {
        self.extensions = extensions;
    }

    /// Compresses and inflates from now on, as the opening handshake agreed on. Messages are compressed that are sent as one
    /// frame without RSV1. Feature `deflate`.
    pub fn set_deflate(&mut self, deflate: Deflate, agreed: DeflateAgreement) {
        let contexts = PerMessage::boxed(self.role(), deflate, agreed, self.compressing);
        self.deflate = Some(contexts);
    }

    /// Sets whether messages are compressed from now on, if compression is agreed on. Default: yes.
    pub fn compress(&mut self, enabled: bool) {
        self.compressing = enabled;
        if let Some(deflate) = &mut self.deflate {
            deflate.set_enabled(enabled);
        }
    }

    /// The role of this side.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.masks.is_some() { Role::Client } else { Role::Server }
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the limits, from the next frame header on. A frame whose header has been read keeps the earlier limits.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.whole = limits.whole();
    }

    /// Whether neither a frame nor a fragmented message is being received.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.reading, Reading::Header) && self.message.is_none()
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
