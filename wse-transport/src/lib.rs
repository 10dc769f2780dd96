//! How it travels: a hardened WebSocket (RFC 6455), and client and server endpoints that are generic
//! over how their messages are written.
//!
//! - [`Server`] and [`Client`] are what an application needs; their builders document every option.
//! - [`memory`] connects the two without sockets, for tests.
//! - [`ws`] and [`handshake`] are the WebSocket by itself, from whole connections down to frames.
//! - [`proxy`] is the way through HTTP and SOCKS proxies, for clients that ask for it.
//! - [`sse`] is EventSource, for servers: events to browsers over plain HTTP.
//! - [`auth`] is challenge-response with a shared secret.
//!
//! ```
//! use wse_codecs::JsonArray;
//! use wse_transport::{Accept, Client, Hello, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder(JsonArray)
//!     .identify(|_, hello: Hello<String>| async move { Ok(Accept::user(hello.identity)) })
//!     .procedure("greet", |conn, (): ()| async move { Ok(format!("hi, {}", conn.user_id())) })
//!     .bind("127.0.0.1:0")
//!     .await?;
//!
//! let client = Client::builder(JsonArray, server.url().unwrap())
//!     .identity("ann".to_owned())
//!     .connect()
//!     .await?;
//! let greeting: String = client.call("greet", &()).await?;
//! assert_eq!(greeting, "hi, ann");
//! # Ok(()) }
//! ```
//!
//! Feature `deflate`: compression of messages (permessage-deflate, RFC 7692), off until it is asked for
//! with `ServerBuilder::deflate`, `ClientBuilder::deflate` or `ws::Config::deflate`.
//!
//! Feature `drafts`: servers' `ws::Driver` speaks hixie-75, hixie-76, hybi-7 and hybi-8 too, once
//! `ws::DriverOptions::allow_drafts` asks for it.
//!
//! Feature `hyper`: `Server::upgrade` and the module `upgrade`, for mounting inside a hyper 1 or axum 0.8
//! server, and event streams as bodies of responses there. Besides it, feature `http2`: WebSocket over
//! HTTP/2 (RFC 8441); feature `axum`: an extractor; feature `tower`: a `Service`.
//!
//! Feature `tls`: `wss://` URLs for clients, `Server::listen_tls`, and the
//! module `tls`.

#![forbid(unsafe_code)]

pub mod auth;
mod client;
mod connection;
pub mod handshake;
mod luck;
pub mod memory;
pub mod proxy;
mod router;
mod server;
pub mod sse;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "hyper")]
pub mod upgrade;
pub mod ws;

pub use client::{
    Client, ClientBuilder, ClientEvent, ConnectError, Connector, Status, TcpConnector, Transport,
};
pub use connection::{
    AckedCall, CallError, CallOptions, GaveUp, Metrics, ReceiptError, Reliable, SendError,
    SendQueue, SlowPeer,
};
pub use router::{Call, Outcome, Unhandled};
pub use server::{
    Accept, Conn, Delivered, Hello, IdentityFrom, Listener, Refuse, Server, ServerBuilder,
    ServerError, ServerEvent, Stranger, User,
};
pub use wse_proto::session::{Backoff, Close, Heartbeat, Liveness, LivenessState, PingVia};
pub use wse_proto::{CloseReason, ErrorCode, Fault};

/// The code in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
