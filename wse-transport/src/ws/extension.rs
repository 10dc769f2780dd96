//! Extensions of the user's own (RFC 6455 §9).

use std::fmt;

use super::{close::CloseCode, error::ProtocolError, frame::Frame};

/// An extension that both sides may agree upon in the opening handshake, and that then sees every frame.
///
/// Both builders of endpoints take it. By themselves a client offers it
/// ([`ClientRequest::extension`](crate::handshake::ClientRequest::extension)), and a server
/// answers ([`Upgrade::extend`](crate::handshake::Upgrade::extend)); [`accept_extended`](super::accept_extended),
/// [`connect_with`](super::connect_with) and [`Driver::add_extension`](super::Driver::add_extension) do the
/// rest. Compression has its own place: see `Deflate`.
///
/// ```
/// use wse_transport::ws::{
///     CloseCode, Extension, ExtensionParams, Frame, FrameExtension, ReservedBits,
/// };
///
/// /// Marks what is urgent by the second reserved bit.
/// #[derive(Debug)]
/// struct Urgent;
///
/// impl Extension for Urgent {
///     fn name(&self) -> &str { "x-urgent" }
///     fn reserved_bits(&self) -> ReservedBits { ReservedBits::RSV2 }
///     fn answer(&self, _: &ExtensionParams) -> Option<(ExtensionParams, Box<dyn FrameExtension>)> {
///         Some((ExtensionParams::default(), Box::new(Urgent)))
///     }
///     fn agree(&self, _: &ExtensionParams) -> Option<Box<dyn FrameExtension>> {
///         Some(Box::new(Urgent))
///     }
/// }
///
/// impl FrameExtension for Urgent {
///     fn encode(&mut self, mut frame: Frame) -> Frame {
///         frame.rsv2 = frame.payload.starts_with(b"!");
///         frame
///     }
///     fn decode(&mut self, mut frame: Frame) -> Result<Frame, CloseCode> {
///         frame.rsv2 = false;
///         Ok(frame)
///     }
/// }
/// ```
pub trait Extension: fmt::Debug + Send + Sync + 'static {
    /// The name it is registered or agreed upon under: a token (RFC 9110 §5.6.2).
    fn name(&self) -> &str;

    /// The reserved bits that it gives a meaning. Default: none. Of two extensions with the same bit,
    /// only the first is agreed upon.
    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::NONE
    }

    /// The parameters that a client offers. Default: none.
    fn offer(&self) -> ExtensionParams {
        ExtensionParams::default()
    }

    /// A server's answer to an offer, with what sees the frames of this connection; `None` declines.
    fn answer(&self, offer: &ExtensionParams)
    -> Option<(ExtensionParams, Box<dyn FrameExtension>)>;

    /// What sees the frames of a client's connection after the server's answer; `None` when the answer is
    /// not one to our offer, which fails the handshake.
    fn agree(&self, answer: &ExtensionParams) -> Option<Box<dyn FrameExtension>>;
}

/// The extension of one connection: sees every frame, control frames too, whole and unmasked.
///
/// Of several, the first agreed upon sees a frame first when it is sent, and last when it is received. What
/// compression does is nearest to the application.
pub trait FrameExtension: fmt::Debug + Send + Sync {
    /// Changes a frame that is to be sent: its payload and the extension's own reserved bits. A control
    /// frame must stay within 125 bytes, or it is refused as too long.
    fn encode(&mut self, frame: Frame) -> Frame;

    /// Undoes it on a frame that was received, whose length is within
    /// [`Limits::max_frame`](super::Limits::max_frame). Only the payload of what it returns is looked at, on
    /// which [`Limits::max_message`](super::Limits::max_message) is checked again; what grows a payload
    /// must keep within bounds itself.
    ///
    /// # Errors
    ///
    /// The code to fail the connection with.
    fn decode(&mut self, frame: Frame) -> Result<Frame, CloseCode>;
}

/// The extensions that both sides of a connection agreed upon, in order.
#[derive(Debug, Default)]
pub struct AgreedExtensions {
    list: Vec<Box<dyn FrameExtension>>,
    pub(super) bits: ReservedBits,
}

impl AgreedExtensions {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn push(&mut self, extension: Box<dyn FrameExtension>, bits: ReservedBits) {
        self.list.push(extension);
        self.bits = self.bits.with(bits).unwrap_or(self.bits);
    }

    pub(super) fn encode(&mut self, frame: Frame) -> Frame {
        self.list.iter_mut().fold(frame, |frame, it| it.encode(frame))
    }

    pub(super) fn decode(&mut self, frame: Frame) -> Result<Frame, ProtocolError> {
        self.list
            .iter_mut()
            .rev()
            .try_fold(frame, |frame, it| it.decode(frame))
            .map_err(ProtocolError::Extension)
    }
}

/// Reserved bits of frames (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReservedBits {
    /// The first, which compression uses.
    pub rsv1: bool,
    /// The second.
    pub rsv2: bool,
    /// The third.
    pub rsv3: bool,
}

impl ReservedBits {
    /// None of them.
    pub const NONE: Self = Self { rsv1: false, rsv2: false, rsv3: false };
    /// The first.
    pub const RSV1: Self = Self { rsv1: true, ..Self::NONE };
    /// The second.
    pub const RSV2: Self = Self { rsv2: true, ..Self::NONE };
    /// The third.
    pub const RSV3: Self = Self { rsv3: true, ..Self::NONE };

    /// Both sets together; `None` when they share a bit.
    #[must_use]
    pub const fn with(self, other: Self) -> Option<Self> {
        if (self.rsv1 && other.rsv1) || (self.rsv2 && other.rsv2) || (self.rsv3 && other.rsv3) {
            return None;
        }
        Some(Self {
            rsv1: self.rsv1 || other.rsv1,
            rsv2: self.rsv2 || other.rsv2,
            rsv3: self.rsv3 || other.rsv3,
        })
    }

    /// Whether all bits of a frame are among these.
    pub(super) const fn allow(self, rsv1: bool, rsv2: bool, rsv3: bool) -> bool {
        (self.rsv1 || !rsv1) && (self.rsv2 || !rsv2) && (self.rsv3 || !rsv3)
    }
}

/// The parameters of an offer or an answer (RFC 6455 §9.1), in order.
///
/// ```
/// use wse_transport::ws::ExtensionParams;
/// let params = ExtensionParams::default().flag("fast").value("level", "3");
/// assert_eq!(params.get("level"), Some(Some("3")));
/// assert_eq!(params.get("fast"), Some(None));
/// assert_eq!(params.get("slow"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionParams(Vec<(String, Option<String>)>);

impl ExtensionParams {
    /// Adds a parameter without a value: a token.
    #[must_use]
    pub fn flag(mut self, name: impl Into<String>) -> Self {
        self.0.push((name.into(), None));
        self
    }

    /// Adds a parameter with a value: both are tokens.
    #[must_use]
    pub fn value(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), Some(value.into())));
        self
    }

    /// The first parameter of this name: whether it is there, and its value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    /// All parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}
