//! Real-time messaging between servers and authenticated users who have several devices each, over a WebSocket
//! (RFC 6455) of its own, in a wire format of your choice.
//!
//! ```
//! use wse::{Accept, Client, Hello, JsonArray, Refuse, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), wse::BoxError> {
//! let server = Server::builder(JsonArray)
//!     .identify(|hello: Hello<String>| async move {
//!         match hello.identity.as_str() {
//!             "secret" => Ok(Accept::user("ann").welcome("hi".to_owned())),
//!             _ => Err(Refuse::not_authorized()),
//!         }
//!     })
//!     .procedure("add", |_conn, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
//!     .bind("127.0.0.1:0")
//!     .await?;
//!
//! let url = server.url().ok_or("not listening")?;
//! let client = Client::builder(JsonArray, url).identity("secret".to_owned()).connect().await?;
//! let sum: i64 = client.call("add", &(5, 3)).await?;
//! assert_eq!(sum, 8);
//! # Ok(()) }
//! ```
//!
//! Start with [`Server::builder`] and [`Client::builder`]; both list every setting with its default. Handlers return any
//! error: [`Ok`](fn@Ok), [`Fault`], [`HandlerError`]. For a wire format of your own, implement [`Protocol`] and test it with
//! [`testing::check`].
//!
//! # The map
//!
//! In the order in which a message travels; the README of the repository names the file of each step.
//!
//! | place | contents |
//! | --- | --- |
//! | [`ws`], [`handshake`], [`dial`], [`driver`], [`proxy`], [`sse`], `tls`, `upgrade` | the crate `wse-transport`: bytes, frames and WebSocket messages |
//! | `src/connection/` | one connection, of either side: its task, its send queue, pending calls and receipts |
//! | `wse-codecs/src/`: [`JsonArray`], `Cbor`, … | the crate `wse-codecs`: packs and unpacks messages, encodes and decodes payloads |
//! | `wse-proto/src/`: [`Protocol`], [`session`] | the crate `wse-proto`: envelopes, and the state machine of a connection |
//! | `src/router/` | which handler a message goes to; what becomes of its error |
//! | `src/server/` | users and their connections; authentication; broadcasts |
//! | `src/client/` | connecting, reconnecting, the offline queue |
//! | `src/framed/`: [`ProtocolCodec`] | envelopes over plain TCP, Unix sockets and open WebSockets |
//! | [`auth`] | HMAC challenges |
//! | [`memory`] | clients and servers in one process, without sockets |
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `json` (default) | `JsonArray`, of the JavaScript package wse |
//! | `jsonrpc` | `JsonRpc`: JSON-RPC 2.0 |
//! | `cbor` | `Cbor` (RFC 8949) |
//! | `msgpack` | `MessagePack` |
//! | `protobuf` | `Protobuf`, by prost |
//! | `wsprocessor` | `WsProcessor`, of the npm package wsprocessor |
//! | `deflate` | compression of messages (permessage-deflate, RFC 7692) |
//! | `tls` | `wss://` URLs, `Server::listen_tls`, the module `tls`; rustls with *ring* |
//! | `hyper` | `Server::upgrade`, the module `upgrade`: inside hyper 1 and axum 0.8 |
//! | `axum` | an extractor for a WebSocket by itself; implies `hyper` |
//! | `tower` | a `Service` that upgrades requests on its path; implies `hyper` |
//! | `http2` | WebSockets over HTTP/2 (RFC 8441); implies `hyper` |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The lints of the workspace; examples and tests of this package are free of them.
#![deny(missing_docs)]
#![warn(elided_lifetimes_in_paths, missing_debug_implementations)]
#![warn(unnameable_types, unreachable_pub)]
#![warn(clippy::manual_let_else, clippy::unwrap_used, clippy::use_self)]

pub mod auth;
mod callback;
mod chain;
mod client;
mod connection;
mod framed;
pub mod memory;
#[cfg(doctest)]
mod pages;
mod random;
mod router;
mod server;
mod transport;

pub use client::{
    Client, ClientBuilder, ClientEvent, ConnectError, Connector, Status, TcpConnector,
};
pub use connection::{
    AckedCall, CallError, CallOptions, Counts, GaveUp, QueueState, ReceiptError, Reliable, Resumed,
    SendError, SendQueue, SlowPeer, Unsent,
};
pub use framed::{EnvelopeSocket, FramedError, ProtocolCodec};
pub use router::{BoxError, Call, HandlerError, HandlerOutput, Ok, Unhandled};
pub use server::cluster;
pub use server::{
    Accept, Acked, CanBuild, Conn, Deliveries, Delivery, Drain, DuplicateWindows, ErrorEvent,
    Hello, Identifies, IdentifiesNobody, IdentityFrom, JoinError, Listener, Member, Outcome,
    Refuse, Refused, RefusedAt, RefusedWith, Report, Room, Server, ServerBuilder, ServerEvent,
    Target, Unauthenticated, Undelivered, User,
};
pub use transport::Transport;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
pub use wse_codecs::text_keys;
#[cfg(feature = "cbor")]
pub use wse_codecs::{Cbor, CborFormat};
#[cfg(feature = "json")]
pub use wse_codecs::{JsonArray, JsonFormat};
#[cfg(feature = "jsonrpc")]
pub use wse_codecs::{JsonRpc, JsonRpcFormat};
#[cfg(feature = "msgpack")]
pub use wse_codecs::{MessagePack, MessagePackFormat};
#[cfg(feature = "protobuf")]
pub use wse_codecs::{Protobuf, ProtobufFormat};
#[cfg(feature = "wsprocessor")]
pub use wse_codecs::{WsProcessor, WsProcessorFormat};
pub use wse_proto::session::{
    Backoff, Close, Heartbeat, Liveness, LivenessState, PingVia, ResumeLimits,
};
pub use wse_proto::{
    Body, Capabilities, CloseReason, CodecError, CodecErrorKind, Decode, Encode, Envelope,
    ErrorCode, FLAG_ANSWER, FLAG_NOTE, FLAG_RECEIPT, FLAG_RELIABLE, Fault, Format, Head, Hi,
    IntForm, InternalTypes, MessageKind, Negotiate, Negotiated, NotResumed, OneOf, OneOfFormat,
    Packed, Pings, Protocol, ProtocolInfo, ReceiptOf, SessionMessage, Speaks, Stamp, Text,
    UsageError, Utf8, open, open_batch, open_each, open_envelope, seal, session, testing,
};
#[cfg(feature = "tls")]
pub use wse_transport::tls;
#[cfg(feature = "hyper")]
pub use wse_transport::upgrade;
pub use wse_transport::{dial, driver, handshake, proxy, sse, ws};
