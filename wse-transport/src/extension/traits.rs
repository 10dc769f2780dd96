//! What an application implements to add an extension.

use std::fmt;

use super::bits::ReservedBits;
use super::params::ExtensionParams;
use crate::frame::{CloseCode, Frame};

/// An extension that both sides can agree on in the opening handshake. It then sees every frame.
///
/// A client offers it with [`ClientRequest::extension`](crate::handshake::ClientRequest::extension), and a
/// server answers with [`accept_extended`](crate::accept_extended) or
/// [`Upgrade::extend`](crate::handshake::Upgrade::extend). A [`Driver`](crate::driver::Driver) takes it with
/// [`add_extension`](crate::driver::Driver::add_extension). Compression is not an `Extension`: see
/// [`Config::deflate`](crate::ws::Config::deflate).
///
/// ```
/// use wse_transport::ws::{
///     CloseCode, Extension, ExtensionParams, Frame, FrameExtension, ReservedBits,
/// };
///
/// /// Marks urgent messages with the second reserved bit.
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
    /// The registered name: a token (RFC 9110 §5.6.2).
    fn name(&self) -> &str;

    /// The reserved bits that this extension uses. Default: none. Of two extensions with a common bit, only the
    /// first is agreed on.
    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::NONE
    }

    /// The parameters that a client offers. Default: none.
    fn offer(&self) -> ExtensionParams {
        ExtensionParams::default()
    }

    /// A server's answer to an offer, and the state for this connection; `None` declines.
    fn answer(&self, offer: &ExtensionParams)
    -> Option<(ExtensionParams, Box<dyn FrameExtension>)>;

    /// A client's state for this connection, given the server's answer. `None` when the answer does not match the
    /// offer: the handshake then fails.
    fn agree(&self, answer: &ExtensionParams) -> Option<Box<dyn FrameExtension>>;
}

/// The state of an extension for one connection. It sees every frame, also control frames, whole and unmasked.
///
/// With several extensions, the first one that was agreed on sees sent frames first and received frames last.
/// Compression is nearest to the application.
pub trait FrameExtension: fmt::Debug + Send + Sync {
    /// Encodes a frame that is to be sent: its payload and the extension's own reserved bits. A control frame must
    /// not exceed 125 bytes; a longer one is rejected.
    fn encode(&mut self, frame: Frame) -> Frame;

    /// Decodes a received frame, whose length is within [`Limits::max_frame`](crate::ws::Limits::max_frame). Only
    /// the payload of the result is used. [`Limits::max_message`](crate::ws::Limits::max_message) is checked again
    /// on it; an extension that makes payloads longer must keep its own bounds while it does.
    ///
    /// # Errors
    ///
    /// The code to close the connection with.
    fn decode(&mut self, frame: Frame) -> Result<Frame, CloseCode>;
}
