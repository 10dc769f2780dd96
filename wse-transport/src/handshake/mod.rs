//! The opening handshake (RFC 6455 §4): an HTTP/1.1 request that turns a connection into a WebSocket, or an HTTP/2
//! request that turns one of its streams into one (RFC 8441).
//!
//! Parsing, checking and building have no I/O and work on types of [`http`], so that HTTP servers can use them;
//! only [`read_request`] and its siblings use a transport.
//!
//! - A server reads a request, checks it with [`Upgrade`], and answers with [`Upgrade::response`] or a
//!   [`Rejection`]. [`OriginPolicy`] checks which page a browser shows, and [`TrustedProxies`] tell the address of a
//!   client behind proxies.
//! - A client builds a [`ClientRequest`], and verifies the response with it.

mod accept_key;
mod client_request;
mod error;
mod forwarded;
mod handshake_error;
mod io;
mod origin;
mod proxy_net;
mod redirect;
mod redirect_error;
mod refused_origin;
mod rejection;
mod retry_after;
mod trusted_proxies;
mod upgrade;

pub use crate::head::{
    HeadError, HeadLimits, HeadScanner, conceal_credentials, encode_request, encode_response,
    is_credential, parse_request, parse_response, public_url,
};
pub use crate::negotiated::Negotiated;
pub use accept_key::accept_key;
pub use client_request::ClientRequest;
pub use error::{RequestError, ResponseError};
pub use handshake_error::HandshakeError;
pub(crate) use io::ask;
pub use io::{read_request, read_response, write_rejection, write_request, write_response};
pub use origin::OriginPolicy;
pub use proxy_net::{ParseNetError, ProxyNet};
pub(crate) use redirect::is_redirect;
pub use redirect_error::RedirectError;
pub use rejection::Rejection;
pub use trusted_proxies::{Forwarded, ProxyHeaders, TrustedProxies};
pub use upgrade::{Upgrade, is_websocket};
pub(crate) use upgrade::{check_host, no_body};
