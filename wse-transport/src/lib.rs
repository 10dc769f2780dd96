//! WebSocket (RFC 6455) for tokio, as a server and as a client, from whole connections down to single frames.
//!
//! | to | use |
//! | --- | --- |
//! | accept or open a WebSocket | [`accept`], [`connect`], and their variants with more settings |
//! | send and receive messages: a `Stream` and a `Sink` | [`ws::WebSocket`], with [`ws::Config`] |
//! | stream a message of any length, or bytes | [`ws::WebSocket::frames`], [`ws::WebSocket::into_bytes`] |
//! | connect through proxies, along redirects, over transports of your own | [`dial`], [`proxy`] |
//! | do the opening handshake by hand, check origins, believe proxies | [`handshake`] |
//! | run a WebSocket without I/O | [`driver`] |
//! | use TLS | `tls`, feature `tls` |
//! | upgrade requests of hyper, axum or tower | `upgrade`, feature `hyper` |
//! | send events to browsers over plain HTTP | [`sse`] |
//!
//! ```
//! use futures::{SinkExt, StreamExt};
//! use wse_transport::ws::{Config, Message};
//! use wse_transport::{accept, connect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//! tokio::spawn(async move {
//!     let (io, _) = wse_transport::accept_tcp(&listener).await;
//!     let (mut socket, _request) = accept(io, Config::default()).await.unwrap();
//!     while let Some(Ok(message)) = socket.next().await {
//!         if let Message::Text(_) | Message::Binary(_) = message {
//!             socket.send(message).await.unwrap();
//!         }
//!     }
//! });
//!
//! let (mut socket, _response) = connect(&url, Config::default()).await?;
//! socket.send(Message::text("hello")).await?;
//! assert_eq!(socket.next().await.transpose()?, Some(Message::text("hello")));
//! # Ok(()) }
//! ```
//!
//! # Layers
//!
//! Each module uses those before it only.
//!
//! | module | contents |
//! | --- | --- |
//! | `head` | heads of HTTP/1.1 messages; public through [`handshake`] |
//! | `frame` | frame headers, masks, UTF-8, close codes, errors; public through [`ws`] |
//! | `extension` | extensions and their negotiation; public through [`ws`] |
//! | `deflate` | all of compression; public through [`ws`] |
//! | [`ws`] | codec, messages, closing, and [`ws::WebSocket`] |
//! | `tls`, [`proxy`] | the layers below a client's WebSocket |
//! | [`handshake`] | requests, responses, refusals, origins |
//! | [`dial`], `accept` | from an address or a connection to an open WebSocket |
//! | [`driver`] | a WebSocket with its opening handshake, without I/O |
//! | `upgrade`, [`sse`] | inside HTTP servers; event streams |
//!
//! # Features
//!
//! None is on by default.
//!
//! - `deflate`: compression of messages (permessage-deflate, RFC 7692), once [`ws::Config::deflate`] asks for it.
//! - `tls`: `wss://` URLs for clients, and the module `tls`.
//! - `hyper`: the module `upgrade` for hyper 1 and axum 0.8, and event streams as response bodies. On top of it,
//!   `axum`: an extractor; `tower`: a `Service`; `http2`: WebSocket over HTTP/2 (RFC 8441).
//! - `drafts`: servers' [`driver::Driver`] also speaks hixie-75, hixie-76, hybi-7 and hybi-8, once
//!   `driver::DriverOptions::allow_drafts` asks for it.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod chain;
mod deflate;
pub mod dial;
pub mod driver;
mod excerpt;
mod extension;
mod frame;
pub mod handshake;
mod head;
mod linger;
mod listen;
mod negotiated;
pub mod proxy;
mod random;
pub mod sse;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "hyper")]
pub mod upgrade;
pub mod ws;

pub use accept::{accept, accept_extended, accept_with};
#[cfg(feature = "tls")]
pub use dial::connect::connect_with_tls;
pub use dial::connect::{connect, connect_dial, connect_over, connect_with};
pub use listen::accept_tcp;

/// The code in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
