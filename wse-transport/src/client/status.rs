//! [`Status`] and [`ClientEvent`].

use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::Close;
use wse_proto::{ErrorCode, Text};

/// Where a client is.
///
/// ```text
///            connect()               welcome            lost
///   Idle ──────────────► Connecting ────────► Ready ──────────► Reconnecting
///                            │                 │  ▲   welcome        │
///                            │ failed   closed │  └──────────────────┤
///                            ▼                 ▼                     │ given up
///                         Offline ◄──────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Not asked to connect yet.
    Idle,
    /// Connecting for the first time.
    Connecting,
    /// Connected and authenticated.
    Ready,
    /// Connecting again after the connection was lost, or to where a jump goes.
    Reconnecting,
    /// Not connected, and not trying. [`Client::connect`](crate::Client::connect) starts anew.
    Offline,
}

/// What happens to a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Let in; the encoded welcome payload.
    Ready(Bytes),
    /// The connection has ended, or its closing handshake has begun.
    Closed(Close),
    /// The connection was lost or an attempt to connect failed, and another follows.
    Retrying {
        /// Why, with its causes.
        error: String,
        /// How long until the next.
        after: Duration,
    },
    /// The server has not been heard since a ping that it should have answered.
    Late,
    /// It was heard again.
    Live,
    /// A handler failed, or the server broke the protocol.
    Error {
        /// What kind of failure.
        code: ErrorCode,
        /// The message or procedure, when a handler failed.
        name: Option<Text>,
        /// What went wrong, for people.
        message: String,
    },
    /// The reader of the event stream was too slow: so many events are lost to it.
    Missed(u64),
}
