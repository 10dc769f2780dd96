//! What a driver tells.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{
    handshake::HandshakeError,
    ws::{CloseFrame, Message, ProtocolError},
};

/// What has happened on a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverEvent {
    /// A server has parsed a request, of whatever kind: look at it, then
    /// [`start`](super::Driver::start) or [`reject`](super::Driver::reject).
    Connect,
    /// The opening handshake is done.
    Open,
    /// A text or binary message.
    Message(Message),
    /// A ping, which has been answered.
    Ping(Bytes),
    /// A pong.
    Pong {
        /// Its payload.
        payload: Bytes,
        /// The time since the [`ping`](super::Driver::ping) that it answers; `None` when it answers
        /// none of ours.
        latency: Option<Duration>,
    },
    /// The opening handshake failed, or the peer broke the protocol. The end follows.
    Error(DriverError),
    /// The end: the peer's code and reason, [`NO_STATUS`](crate::ws::CloseCode::NO_STATUS) when it
    /// gave none, the code we failed the connection with, or
    /// [`ABNORMAL`](crate::ws::CloseCode::ABNORMAL) when there was no closing handshake.
    Close(CloseFrame),
}

/// Why a connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverError {
    /// It did not become a WebSocket.
    Handshake(HandshakeError),
    /// The peer broke the protocol, or exceeded a limit.
    Protocol(ProtocolError),
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(_) => "websocket could not be opened",
            Self::Protocol(_) => "peer violated the websocket protocol",
        })
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

/// Where a connection stands; the `readyState` of browsers.
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

/// What a driver still needs its transport for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportUse {
    /// Reading and writing.
    Both,
    /// Nothing more is written: shut the write side down, and read what still comes. To close a socket
    /// with unread bytes would destroy what was written last.
    ShutDownWrite,
    /// Nothing: close it.
    Close,
}
