//! The events and states of a driver.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::chain::causes;
use crate::frame::{CloseFrame, ProtocolError};
use crate::handshake::HandshakeError;
use crate::ws::Message;

/// An event of a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverEvent {
    /// A server has parsed a request, of any kind: look at it, then call [`start`](super::Driver::start) or
    /// [`reject`](super::Driver::reject).
    Connect,
    /// The opening handshake is done.
    Open,
    /// A text or binary message.
    Message(Message),
    /// A ping, which has been answered.
    Ping(Bytes),
    /// A pong.
    Pong {
        /// The payload.
        payload: Bytes,
        /// The time since the [`ping`](super::Driver::ping) that it answers; `None` for an unsolicited pong.
        latency: Option<Duration>,
    },
    /// The opening handshake failed, or the peer violated the protocol. [`Close`](Self::Close) follows.
    Error(DriverError),
    /// The connection has ended: the peer's code and reason, [`NO_STATUS`](crate::ws::CloseCode::NO_STATUS) if it sent none,
    /// the code that this side failed the connection with, or [`ABNORMAL`](crate::ws::CloseCode::ABNORMAL) without a closing
    /// handshake.
    Close(CloseFrame),
}

/// Why a connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverError {
    /// The connection did not become a WebSocket.
    Handshake(HandshakeError),
    /// The peer violated the protocol, or exceeded a limit.
    Protocol(ProtocolError),
}

impl DriverError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(_) => "websocket could not be opened",
            Self::Protocol(_) => "peer violated the websocket protocol",
        })
    }
}

impl fmt::Display for DriverError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl std::error::Error for DriverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handshake(error) => Some(error),
            Self::Protocol(error) => Some(error),
        }
    }
}

impl From<HandshakeError> for DriverError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<ProtocolError> for DriverError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// The state of a connection, as `readyState` in browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DriverState {
    /// The opening handshake is not done.
    Connecting,
    /// Messages go both ways.
    Open,
    /// The closing handshake is under way.
    Closing,
    /// Nothing more is sent or received.
    Closed,
}

/// What a driver needs its transport for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportUse {
    /// Read and write.
    Both,
    /// Shut the write side down, and read and discard: closing a socket with unread bytes could destroy the bytes written
    /// last.
    ShutDownWrite,
    /// Close the transport.
    Close,
}
