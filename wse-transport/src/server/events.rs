//! [`ServerEvent`]: who comes and goes, and what goes wrong.

use std::fmt;

use wse_proto::session::Close;
use wse_proto::{ErrorCode, Protocol, Text};

use super::conn::Conn;

/// What happens on a server, in order: for a user's first connection `Joined` and `Connected`, at the
/// end `Disconnected` and, for the last one, `Left`.
#[non_exhaustive]
pub enum ServerEvent<P: Protocol> {
    /// A user's first connection was let in; its welcome is sent.
    Joined(Conn<P>),
    /// A connection was let in.
    Connected(Conn<P>),
    /// A connection has ended, or its closing handshake has begun.
    Disconnected(Conn<P>, Close),
    /// A user's last connection has ended.
    Left(Text, Close),
    /// A connection has not been heard since a ping that it should have answered.
    Late(Conn<P>),
    /// It was heard again.
    Live(Conn<P>),
    /// Something went wrong.
    Error(ServerError<P>),
    /// The reader of the event stream was too slow: so many events are lost to it.
    Missed(u64),
}

/// Something that went wrong on a server.
#[non_exhaustive]
pub struct ServerError<P: Protocol> {
    /// On which connection; `None` when it was never let in.
    pub conn: Option<Conn<P>>,
    /// What kind of failure: [`ErrorCode::MessageProcessing`], [`ErrorCode::ProtocolViolation`],
    /// [`ErrorCode::ConnectionError`], [`ErrorCode::Failed`], or what a handler chose.
    pub code: ErrorCode,
    /// The message or procedure, when a handler failed.
    pub name: Option<Text>,
    /// What went wrong, for people.
    pub message: String,
}

impl<P: Protocol> Clone for ServerEvent<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Joined(conn) => Self::Joined(conn.clone()),
            Self::Connected(conn) => Self::Connected(conn.clone()),
            Self::Disconnected(conn, close) => Self::Disconnected(conn.clone(), close.clone()),
            Self::Left(user, close) => Self::Left(user.clone(), close.clone()),
            Self::Late(conn) => Self::Late(conn.clone()),
            Self::Live(conn) => Self::Live(conn.clone()),
            Self::Error(error) => Self::Error(error.clone()),
            Self::Missed(count) => Self::Missed(*count),
        }
    }
}

impl<P: Protocol> Clone for ServerError<P> {
    fn clone(&self) -> Self {
        Self {
            conn: self.conn.clone(),
            code: self.code.clone(),
            name: self.name.clone(),
            message: self.message.clone(),
        }
    }
}

impl<P: Protocol> fmt::Debug for ServerEvent<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(conn) => f.debug_tuple("Joined").field(conn).finish(),
            Self::Connected(conn) => f.debug_tuple("Connected").field(conn).finish(),
            Self::Disconnected(conn, close) => {
                f.debug_tuple("Disconnected").field(conn).field(close).finish()
            }
            Self::Left(user, close) => f.debug_tuple("Left").field(user).field(close).finish(),
            Self::Late(conn) => f.debug_tuple("Late").field(conn).finish(),
            Self::Live(conn) => f.debug_tuple("Live").field(conn).finish(),
            Self::Error(error) => f.debug_tuple("Error").field(error).finish(),
            Self::Missed(count) => f.debug_tuple("Missed").field(count).finish(),
        }
    }
}

impl<P: Protocol> fmt::Debug for ServerError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerError")
            .field("conn", &self.conn)
            .field("code", &self.code)
            .field("name", &self.name)
            .field("message", &self.message)
            .finish()
    }
}
