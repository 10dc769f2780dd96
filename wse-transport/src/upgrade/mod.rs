//! A bare WebSocket inside an HTTP server: hyper 1, and so axum 0.8 and others that stand on hyper.
//!
//! [`WebSocketUpgrade`] takes a request, decides, and answers it; what comes of it is a
//! [`WebSocket`](crate::ws::WebSocket) over an [`HttpStream`]. For endpoints there is
//! [`Server::upgrade`](crate::Server::upgrade).
//!
//! With the feature `axum`, the module `axum` has it as an extractor. With the feature `tower`,
//! `UpgradeService` stands before any service, and upgrades what asks for it on its path.
//!
//! With the feature `http2` all of them also take the extended CONNECT of HTTP/2 (RFC 8441), where a
//! WebSocket is one stream among others of a connection. Clients use it only if the server says that it
//! can: `axum::serve` does, with axum's feature `http2`; with hyper, call
//! `http2::Builder::enable_connect_protocol`. Frames are the same, masks included; the end of the stream
//! stands for that of TCP, and its reset for a transport error, or where the client cancels it, for an
//! end without a close frame: 1006 either way.
//!
//! The options of TCP are the HTTP server's: have it set `TCP_NODELAY`. Without it small messages wait
//! for the acknowledgement of earlier ones, and over HTTP/2 for those of other streams too.

#[cfg(feature = "axum")]
pub mod axum;
mod request;
#[cfg(feature = "tower")]
mod service;
mod stream;

use http::{Extensions, Request, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::handshake::{Rejection, Upgrade};

pub use request::WebSocketUpgrade;
#[cfg(feature = "tower")]
pub use service::UpgradeService;
pub use stream::{HttpStream, Upgrading};

/// Checks a request of whichever HTTP version.
pub(crate) fn check<B>(request: &Request<B>) -> Result<Upgrade, Rejection> {
    #[cfg(feature = "http2")]
    if request.version() >= http::Version::HTTP_2 {
        return Upgrade::from_connect(request, connect_protocol(request));
    }
    Upgrade::from_request(request).map_err(|no| no.over(request.version()))
}

/// The pseudo-header `:protocol`.
#[cfg(feature = "http2")]
fn connect_protocol<B>(request: &Request<B>) -> Option<&str> {
    request.extensions().get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

/// Takes what will be the connection out of a request. Only that: extensions of middleware stay.
pub(crate) fn take(extensions: &mut Extensions) -> Result<OnUpgrade, Rejection> {
    extensions.remove().ok_or_else(|| {
        tracing::error!("a request that hyper, or a layer above it, does not let upgrade");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Rejection::new(status, "this server cannot upgrade the connection")
    })
}
