//! Checks of upgrade requests, and the connection in them.

use http::{Extensions, Request, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::handshake::{Rejection, Upgrade};

/// Checks a request of HTTP/1.1 (RFC 6455 §4.2.1) or, with the feature `http2`, of HTTP/2 (RFC 8441 §5).
///
/// # Errors
///
/// A [`Rejection`], as [`Upgrade::from_request`] and [`Upgrade::from_connect`] return it.
pub fn check<B>(request: &Request<B>) -> Result<Upgrade, Rejection> {
    #[cfg(feature = "http2")]
    if request.version() >= http::Version::HTTP_2 {
        return Upgrade::from_connect(request, connect_protocol(request));
    }
    Upgrade::from_request(request).map_err(|no| no.over(request.version()))
}

/// The pseudo-header `:protocol`.
#[cfg(feature = "http2")]
pub(super) fn connect_protocol<B>(request: &Request<B>) -> Option<&str> {
    request.extensions().get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

/// Takes the future connection out of the extensions of a request, and leaves those of middleware. Open it
/// with [`HttpStream::open`](super::HttpStream::open).
///
/// # Errors
///
/// A [`Rejection`] with status 500 if hyper, or a layer above it, does not allow to upgrade the request.
pub fn take_upgrade(extensions: &mut Extensions) -> Result<OnUpgrade, Rejection> {
    extensions.remove().ok_or_else(|| {
        tracing::error!(
            "request cannot be upgraded: hyper, or a layer above it, has no connection for it"
        );
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Rejection::new(status, "this server cannot upgrade the connection")
    })
}
