//! The opening handshake (RFC 6455 §4): an HTTP/1.1 request that turns a connection into a
//! WebSocket, or a request of HTTP/2 that turns one of its streams into one (RFC 8441).
//!
//! Parsing, checking and building are pure and work on [`http`] types, so that an HTTP server can
//! use them too; only [`read_request`] and its siblings touch a transport. A server reads a
//! request, makes an [`Upgrade`] of it, and answers with [`Upgrade::response`] or with a
//! [`Rejection`]. [`TrustedProxies`] tell who the client is behind proxies. A client builds a [`ClientRequest`], and verifies the response with it.

mod accept;
mod client;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod extensions;
mod forwarded;
mod head;
mod headers;
mod io;
mod net;
mod origin;
mod proxies;
mod redirect;
mod rejection;
mod upgrade;

pub use accept::accept_key;
pub use client::ClientRequest;
pub use error::{HandshakeError, RequestError, ResponseError};
pub(crate) use head::encode_headers;
pub use head::{
    HeadError, HeadLimits, HeadScanner, encode_request, encode_response, parse_request,
    parse_response,
};
pub(crate) use headers::{basic_auth, is_reserved, is_token, list_has, percent_decode, single};
pub(crate) use io::{ask, linger, read_body};
pub use io::{read_request, read_response, write_rejection, write_request, write_response};
pub use net::{ParseNetError, ProxyNet};
pub use origin::OriginPolicy;
pub use proxies::{Forwarded, ProxyHeaders, TrustedProxies};
pub use redirect::RedirectError;
pub(crate) use redirect::is_redirect;
pub use rejection::Rejection;
pub(crate) use upgrade::no_body;
pub use upgrade::{Upgrade, is_websocket};
