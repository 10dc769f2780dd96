//! WebSockets inside an HTTP server: hyper 1, and thus axum 0.8 and other frameworks on hyper. Feature `hyper`.
//!
//! [`WebSocketUpgrade`] takes a request, decides, and answers it; the result is a
//! [`WebSocket`](crate::ws::WebSocket) over an [`HttpStream`]. Servers that decide for themselves use its
//! parts: [`check`], [`take_upgrade`] and [`HttpStream::open`].
//!
//! With the feature `axum`, the module `axum` has an extractor. With the feature `tower`, `UpgradeService` upgrades
//! requests on its path, and passes others to an inner service.
//!
//! With the feature `http2`, all of them also accept the extended CONNECT of HTTP/2 (RFC 8441), where a WebSocket is one
//! stream of a connection. Clients use it only if the server announces it: `axum::serve` does with axum's feature `http2`;
//! with hyper, call `http2::Builder::enable_connect_protocol`. Frames are the same, including masks. The end of the stream
//! corresponds to that of TCP, and its reset to a transport error, or if the client cancels it, to an end without a close
//! frame: 1006 either way.
//!
//! The HTTP server sets the options of TCP: let it set `TCP_NODELAY`. Otherwise small messages wait for the
//! acknowledgement of earlier ones, and over HTTP/2 also of those of other streams.

#[cfg(feature = "axum")]
pub mod axum;
mod check;
mod request;
#[cfg(feature = "tower")]
mod service;
mod stream;

pub use check::{check, take_upgrade};
pub use request::WebSocketUpgrade;
#[cfg(feature = "tower")]
pub use service::UpgradeService;
pub use stream::{HttpStream, Upgrading};
