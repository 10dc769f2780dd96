//! wse-transport

#![forbid(unsafe_code)]

pub mod auth;
mod client;
mod connection;
pub mod handshake;
mod luck;
pub mod memory;
mod router;
mod server;
pub mod ws;

pub use client::{
    Client, ClientBuilder, ClientEvent, ConnectError, Connector, Status, TcpConnector, Transport,
};
pub use connection::{CallError, SendError, SendQueue, SlowPeer};
pub use router::{Outcome, Unhandled};
pub use server::{
    Accept, Conn, Hello, Listener, Refuse, Server, ServerBuilder, ServerError, ServerEvent,
    Stranger, User,
};
pub use wse_proto::session::{Backoff, Close};
pub use wse_proto::{CloseReason, ErrorCode, Fault};
