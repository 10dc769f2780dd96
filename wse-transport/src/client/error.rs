//! [`ConnectError`].

use std::error::Error;
use std::fmt;

use wse_proto::session::{Close, reconnects};
use wse_proto::{CodecError, Fault};

use crate::handshake::HandshakeError;
use crate::ws;

/// A connection did not come to its welcome.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The caller: the client is connected or connecting already.
    AlreadyConnected,
    /// The caller: neither identity nor credentials are set, but the protocol greets.
    NoIdentity,
    /// The caller: the identity or meta cannot be written in this protocol.
    Encode(CodecError),
    /// The caller's credentials callback or challenge solver failed.
    Credentials(Fault),
    /// The server asks for a challenge to be solved, and the client has no solver.
    NoSolver,
    /// The HTTP part failed: the URL, the network, or what the server answered.
    Handshake(HandshakeError),
    /// The server closed before the welcome: 1000 `wse.not-authorized` is a refusal.
    Refused(Close),
    /// The server or the network broke the WebSocket before the welcome.
    Socket(ws::Error),
    /// No welcome came in time.
    Timeout,
    /// The client was closed before the welcome.
    Closed,
}

impl ConnectError {
    /// Whether another attempt may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Handshake(HandshakeError::Io(_) | HandshakeError::Timeout) => true,
            Self::Handshake(HandshakeError::Refused(response)) => {
                response.status().is_server_error() || response.status().as_u16() == 429
            }
            Self::Handshake(HandshakeError::Proxy(error)) => error.failure().is_transient(),
            Self::Refused(close) => reconnects(close.code),
            Self::Socket(ws::Error::Io(_)) | Self::Timeout | Self::Credentials(_) => true,
            _ => false,
        }
    }

    /// The error with all its causes.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyConnected => f.write_str("the client is already connected"),
            Self::NoIdentity => f.write_str("the client has no identity to greet with"),
            Self::Encode(_) => f.write_str("the identity or meta cannot be encoded"),
            Self::Credentials(fault) => write!(f, "the credentials failed: {fault}"),
            Self::NoSolver => f.write_str("the server asks a challenge, and there is no solver"),
            Self::Handshake(_) => f.write_str("the websocket could not be opened"),
            Self::Refused(close) => write!(f, "the server closed before its welcome: {close}"),
            Self::Socket(_) => f.write_str("the connection failed before the welcome"),
            Self::Timeout => f.write_str("no welcome came in time"),
            Self::Closed => f.write_str("the client was closed before the welcome"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Handshake(error) => Some(error),
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
