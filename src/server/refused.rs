//! [`Refused`]: a connection that was turned away before it was accepted.

use std::fmt;
use std::net::SocketAddr;

use http::StatusCode;
use wse_proto::excerpt;
use wse_proto::session::Close;
use wse_transport::handshake::Rejection;

/// A connection that the server has turned away before it was accepted.
///
/// Each such connection is one event, one count in [`Counts`](crate::Counts), and one line of the log at level `info`.
/// A client that leaves by itself is none of these.
///
/// ```
/// use wse::{JsonArray, RefusedAt, RefusedWith, ServerBuilder};
///
/// fn watched<S>(builder: ServerBuilder<JsonArray, S>) -> ServerBuilder<JsonArray, S> {
///     builder.on_refused(|refused| {
///         if let (RefusedAt::Upgrade, RefusedWith::Status(status)) = (refused.stage, &refused.with) {
///             println!("{:?} got {status}: {}", refused.peer_addr, refused.cause);
///         }
///     })
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The address of the socket's other end, or the address that
    /// [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) report in its place, once the request has arrived.
    /// `None` for a connection in memory.
    pub peer_addr: Option<SocketAddr>,
    /// How far the connection had come.
    pub stage: RefusedAt,
    /// What the client got.
    pub with: RefusedWith,
    /// Why, for people. What the client wrote is escaped and shortened. The client may not have got this text.
    pub cause: String,
}

/// How far a connection had come when it was refused. In this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefusedAt {
    /// The TLS handshake failed, or the client did not begin one on a port that uses TLS.
    Tls,
    /// No request arrived in time, or it was malformed or larger than
    /// [`head_limits`](crate::ServerBuilder::head_limits).
    Request,
    /// The request was answered with an error: it asks for no WebSocket or another version of it, comes from an `Origin`
    /// that is not allowed, offers no common subprotocol, or has a path without a server.
    Upgrade,
    /// The WebSocket was open, and the client did not greet in time, or broke a rule or a limit.
    Greeting,
    /// The client has greeted. `identify` has refused it or failed, or the client was closed before the decision.
    Identify,
}

/// What a client that was refused got.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedWith {
    /// This HTTP status.
    Status(StatusCode),
    /// This close code and reason. A client over a byte stream sees only the end of the stream.
    Close(Close),
    /// Nothing: the transport was dropped. A client that failed at TLS got an alert.
    Dropped,
}

impl Refused {
    pub(super) fn new(
        peer_addr: Option<SocketAddr>,
        stage: RefusedAt,
        with: RefusedWith,
        cause: &str,
    ) -> Self {
        Self { peer_addr, stage, with, cause: excerpt(cause).to_string() }
    }

    /// A request that is answered with a rejection. The cause is the text of its body.
    pub(super) fn rejected(
        peer_addr: Option<SocketAddr>,
        stage: RefusedAt,
        rejection: &Rejection,
    ) -> Self {
        // In one line.
        let body = String::from_utf8_lossy(rejection.body());
        let cause = body.lines().collect::<Vec<_>>().join(" ");
        Self::new(peer_addr, stage, RefusedWith::Status(rejection.status()), &cause)
    }

    /// Writes the line of the log.
    pub(super) fn log(&self) {
        let Self { peer_addr, stage, with, cause } = self;
        tracing::info!(?peer_addr, %stage, %with, cause, "connection refused");
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused at {} with {}: {}", self.stage, self.with, self.cause)
    }
}

impl fmt::Display for RefusedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Upgrade => "upgrade",
            Self::Greeting => "greeting",
            Self::Identify => "identify",
        })
    }
}

impl fmt::Display for RefusedWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Close(close) => write!(f, "close {close}"),
            Self::Dropped => f.write_str("nothing"),
        }
    }
}
