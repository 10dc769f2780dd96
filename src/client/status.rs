//! [`Status`] and [`ClientEvent`].

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::Close;
use wse_proto::{ErrorCode, Text};

use crate::connection::Resumed;

/// The status of a client.
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
    /// Not connected yet.
    Idle,
    /// Connecting for the first time.
    Connecting,
    /// Connected and authenticated.
    Ready,
    /// Connecting again after the connection was lost, or migrating to another URL.
    Reconnecting,
    /// Not connected, and not trying. [`Client::connect`](crate::Client::connect) starts again.
    Offline,
}

/// An event of a client.
///
/// ```
/// use wse::ClientEvent;
///
/// fn log(event: &ClientEvent) {
///     match event {
///         ClientEvent::Ready(_) => println!("connected"),
///         ClientEvent::Closed(close) => println!("closed: {close}"),
///         ClientEvent::Retrying { error, after, .. } => println!("{error}; next attempt in {after:?}"),
///         ClientEvent::Error { code, id, message, .. } => eprintln!("{code} {id:?}: {message}"),
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server has accepted the client. The bytes are the encoded payload of the welcome.
    Ready(Bytes),
    /// The connection has ended, or its closing handshake has begun.
    Closed(Close),
    /// The connection has lost its socket, and the client is about to resume it. Calls go on waiting, and what is sent is
    /// queued. `Resumed` follows, or `Closed`, and then `Ready` if the client has a new connection. Only with a server that
    /// has [`resume`](crate::ServerBuilder::resume).
    Suspended(Close),
    /// The connection has a socket again. `Ready` does not come, since it is no new connection. After
    /// [`Resumed::Partial`], newer messages than the lost ones come after this event. A call whose answer is lost ends at
    /// its timeout.
    Resumed(Resumed),
    /// The credentials expire in this time. [`credentials`](crate::ClientBuilder::credentials) is called for new ones, and
    /// `Renewed` follows if the server accepts them. Otherwise the server closes with 4001 `wse.credentials-expired`.
    Expiring(Duration),
    /// The server has accepted new credentials, which expire in this time; `None` for never.
    Renewed(Option<Duration>),
    /// The connection was lost or an attempt failed, and another attempt follows.
    #[non_exhaustive]
    Retrying {
        /// The error and its causes.
        error: String,
        /// The delay before the next attempt.
        after: Duration,
    },
    /// The server did not answer a ping in time.
    Late,
    /// The late server was heard again.
    Live,
    /// The send queue is full: the server reads more slowly than the client sends. It comes again only after the queue
    /// was empty. [`Client::queued`](crate::Client::queued) says how much waits, and how many messages were dropped.
    Slow,
    /// An error: a handler failed, the server broke the protocol, or application code panicked.
    #[non_exhaustive]
    Error {
        /// The kind of error.
        code: ErrorCode,
        /// The name of the message or procedure, when a handler failed; of the hook, such as `on_ready`, when a
        /// callback panicked; of the protocol, when that panicked.
        name: Option<Text>,
        /// The error and its causes, for people.
        message: String,
        /// The correlation id that the server got in place of the text, when a handler returned an
        /// error that is not a [`Fault`](crate::Fault). The log has the same id.
        id: Option<Text>,
        /// The error that a handler returned, when it is not a [`Fault`](crate::Fault).
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The reader of the event stream was too slow and has lost this many events.
    Missed(u64),
}

impl ClientEvent {
    /// Makes the error of application code that has panicked.
    pub(super) fn failed(name: Text, message: String) -> Self {
        Self::Error { code: ErrorCode::Failed, name: Some(name), message, id: None, source: None }
    }
}
