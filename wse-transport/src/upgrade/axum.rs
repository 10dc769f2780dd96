//! An extractor for axum 0.8, for `any` routes: HTTP/1.1 upgrades with GET, HTTP/2 with CONNECT.
//!
//! ```
//! use axum_core::response::Response;
//! use futures::StreamExt;
//! use wse_transport::upgrade::axum::WebSocketUpgrade;
//!
//! // Router::new().route("/echo", any(echo))
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(|socket| async move {
//!         let (sink, stream) = socket.split();
//!         let _ = stream.forward(sink).await;
//!     })
//! }
//! ```
//!
//! HTTP/2 needs the feature `http2` of axum too. For `TCP_NODELAY`, give `axum::serve` a listener with `tap_io`.

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::Request;
use http::request::Parts;

use crate::handshake::Rejection;

/// The extractor. Requests that do not ask for a WebSocket are answered before the handler runs; take
/// `Result<WebSocketUpgrade, Rejection>` to answer them yourself.
pub type WebSocketUpgrade = super::request::WebSocketUpgrade<Body>;

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let upgrade = Self::new(Request::from_parts(parts.clone(), ()))?;
        // The connection can be taken once: not by this extractor and another one.
        parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        Ok(upgrade)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.to_response().map(Body::from)
    }
}
