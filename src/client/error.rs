//! [`ConnectError`].

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use wse_proto::CodecError;
use wse_proto::session::{Close, reconnects};
use wse_transport::handshake::HandshakeError;
use wse_transport::ws;

use crate::chain::causes;
use crate::router::BoxError;

/// Why a client did not connect.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Wrong use: the client is connected or connecting already.
    AlreadyConnected,
    /// Wrong use: the protocol has a greeting, but neither identity nor credentials are set.
    NoIdentity,
    /// Wrong use: the protocol cannot represent the identity or meta.
    Encode(CodecError),
    /// The credentials callback or the challenge solver failed.
    Credentials(BoxError),
    /// The function of [`url_with`](super::ClientBuilder::url_with) or
    /// [`headers_with`](super::ClientBuilder::headers_with) failed.
    Provided(BoxError),
    /// The server sent a challenge, and the client has no solver.
    NoSolver,
    /// The HTTP part failed: the URL, the network, or the server's response.
    Handshake(HandshakeError),
    /// Wrong use: this URL of a [framed](super::ClientBuilder::framed) client, shown without login and query, is neither
    /// `tcp://host:port` nor, on Unix, `unix:/path`.
    FramedUrl(String),
    /// The connector of a [framed](super::ClientBuilder::framed) client failed, or took longer than
    /// [`dial_timeout`](super::ClientBuilder::dial_timeout).
    Transport(io::Error),
    /// The server closed before the welcome: 1000 `wse.not-authorized` is a refusal. Over a byte stream, every close,
    /// also a refusal, is 1005.
    Refused(Close),
    /// The connection failed before the welcome.
    Socket(ws::Error),
    /// No welcome came in time.
    Timeout,
    /// The client was closed before the welcome.
    Closed,
}

impl ConnectError {
    /// Returns how long the server, or the proxy, asked to wait before the next attempt: `Retry-After` of
    /// a refusal with 429 or 503.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Handshake(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Returns whether another attempt may succeed without a change on either side. A server that closed
    /// before the welcome is judged by its close code, as
    /// [`reconnect`](super::ClientBuilder::reconnect) does by default.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Handshake(HandshakeError::Io(_) | HandshakeError::Timeout) => true,
            Self::Handshake(HandshakeError::Refused(response)) => {
                response.status().is_server_error() || response.status().as_u16() == 429
            }
            Self::Handshake(HandshakeError::Proxy(error)) => error.failure().is_transient(),
            Self::Refused(close) => reconnects(close.code),
            Self::Transport(error) => error.kind() != io::ErrorKind::Unsupported,
            Self::Socket(ws::Error::Io(_)) | Self::Timeout => true,
            Self::Credentials(_) | Self::Provided(_) => true,
            _ => false,
        }
    }
}

impl ConnectError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyConnected => f.write_str("the client is already connected"),
            Self::NoIdentity => f.write_str("the client has no identity to greet with"),
            Self::Encode(_) => f.write_str("the identity or meta cannot be encoded"),
            Self::Credentials(_) => f.write_str("the credentials or the challenge solver failed"),
            Self::Provided(_) => f.write_str("the URL or the header fields could not be provided"),
            Self::NoSolver => {
                f.write_str("the server sent a challenge, and the client has no solver")
            }
            Self::Handshake(_) => f.write_str("the WebSocket handshake failed"),
            Self::FramedUrl(url) => {
                write!(f, "the url {url:?} is neither tcp://host:port nor unix:/path")
            }
            Self::Transport(_) => f.write_str("the transport could not be opened"),
            Self::Refused(close) => write!(f, "the server closed before the welcome: {close}"),
            Self::Socket(_) => f.write_str("the connection failed before the welcome"),
            Self::Timeout => f.write_str("no welcome came in time"),
            Self::Closed => f.write_str("the client was closed before the welcome"),
        }
    }
}

impl fmt::Display for ConnectError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Credentials(error) | Self::Provided(error) => Some(&**error),
            Self::Handshake(error) => Some(error),
            Self::Transport(error) => Some(error),
            Self::Socket(error) => Some(error),
            _ => None,
        }
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}
