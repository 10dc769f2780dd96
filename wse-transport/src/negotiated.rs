//! [`Negotiated`].

use crate::deflate::{Deflate, DeflateAgreement};
use crate::extension::AgreedExtensions;

/// What both sides of a connection agreed on besides the subprotocol: compression and extensions.
///
/// A server gets it from [`Upgrade::negotiate`](crate::handshake::Upgrade::negotiate), a client from
/// [`ClientRequest::negotiated`](crate::handshake::ClientRequest::negotiated). Pass it to
/// [`WebSocket::set_negotiated`](crate::ws::WebSocket::set_negotiated) before anything is sent or received. By
/// default it contains neither compression nor extensions.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Negotiated {
    /// The local settings for compression, and what the peer agreed to; `None` without compression.
    pub deflate: Option<(Deflate, DeflateAgreement)>,
    /// The extensions, in the order that was agreed on.
    pub extensions: AgreedExtensions,
}
