//! [`ServerEvent`]: connections that begin and end, and errors.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use wse_proto::session::Close;
use wse_proto::{ErrorCode, Negotiate, Text};

use super::conn::Conn;
use super::core::{CoreErrorEvent, CoreEvent};
use super::refused::Refused;
use super::undelivered::Undelivered;
use crate::callback::Callback;
use crate::connection::Resumed;

/// An event of a server.
///
/// ```
/// use wse::{JsonArray, ServerEvent};
///
/// fn log(event: &ServerEvent<JsonArray>) {
///     match event {
///         ServerEvent::Joined(conn) => println!("{} came", conn.user_id()),
///         ServerEvent::Left(user, close) => println!("{user} left: {close}"),
///         ServerEvent::Error(error) => eprintln!("{error:?}"),
///         _ => {}
///     }
/// }
/// ```
///
/// Events of one user come in order: `Joined` and `Connected` for the first connection,
/// `Entered` and `Exited` for its rooms,
/// `Disconnected` and, for the last connection, `Left` at the end. Events of connections that were never
/// accepted come in an order of their own: see [`Server::events`](crate::Server::events).
#[non_exhaustive]
pub enum ServerEvent<P: Negotiate> {
    /// A user's first connection was accepted. Its welcome is queued.
    Joined(Conn<P>),
    /// A connection was accepted.
    Connected(Conn<P>),
    /// A connection has ended, or its closing handshake has begun.
    Disconnected(Conn<P>, Close),
    /// A connection has joined a room, whose name the text is. Only with
    /// [`room_events`](crate::ServerBuilder::room_events).
    Entered(Conn<P>, Text),
    /// A connection has left a room, whose name the text is. At the end of a connection it comes for each of its rooms,
    /// before `Disconnected`. Only with [`room_events`](crate::ServerBuilder::room_events).
    Exited(Conn<P>, Text),
    /// A user's last connection has ended. The text is the user's id.
    Left(Text, Close),
    /// A connection has lost its socket, as the close says, and its client may resume it for some time. It is still
    /// connected for [`Server::user`](crate::Server::user) and rooms, and what is sent to it is kept.
    /// `Resumed` follows, or `Disconnected` after the window. Only with [`resume`](crate::ServerBuilder::resume).
    Suspended(Conn<P>, Close),
    /// The client of a connection has come back, with another socket. `Suspended` does not come before it if the server has
    /// not noticed yet that the old socket is lost. It does not come when a client is too late and has a new connection:
    /// [`Conn::not_resumed`] says why.
    Resumed(Conn<P>, Resumed),
    /// A client did not answer a ping in time.
    Late(Conn<P>),
    /// A late client was heard again.
    Live(Conn<P>),
    /// The send queue of a connection is full: the client reads more slowly than the server sends. It comes again only
    /// after the queue was empty. [`Conn::queued`] says how much waits, and how many messages were dropped.
    Slow(Conn<P>),
    /// No device of its user has confirmed a reliable message: see
    /// [`on_undelivered`](crate::ServerBuilder::on_undelivered).
    Undelivered(Undelivered<P>),
    /// A connection was turned away before it was accepted.
    Refused(Arc<Refused>),
    /// An error: a handler failed, a client broke the protocol, or application code panicked.
    Error(ErrorEvent<P>),
    /// The reader of the event stream was too slow and has lost this many events.
    Missed(u64),
    /// The reader of the event stream has lost this many events of connections that were never accepted: `Refused`, and
    /// `Error` without a connection.
    MissedRefused(u64),
}

/// An error on a server.
///
/// ```
/// use wse::{ErrorEvent, JsonArray};
///
/// fn log(error: &ErrorEvent<JsonArray>) {
///     eprintln!("{} {:?}: {}", error.code, error.id, error.message);
/// }
/// ```
#[non_exhaustive]
pub struct ErrorEvent<P: Negotiate> {
    /// The connection. `None` when it was never accepted.
    pub conn: Option<Conn<P>>,
    /// The kind of error: [`ErrorCode::MessageProcessing`], [`ErrorCode::ProtocolViolation`],
    /// [`ErrorCode::ConnectionError`], [`ErrorCode::Failed`], [`ErrorCode::ErrorReport`], or the
    /// code of a fault that a message handler returned.
    pub code: ErrorCode,
    /// The name of the message or procedure, when a handler failed; of the hook, such as `on_left`, when a callback
    /// panicked; of the protocol, when that panicked.
    pub name: Option<Text>,
    /// The error and its causes, for people.
    pub message: String,
    /// The correlation id that the peer got in place of the text, when a handler returned an error
    /// that is not a [`Fault`](crate::Fault). The log has the same id.
    pub id: Option<Text>,
    /// The error that a handler returned, when it is not a [`Fault`](crate::Fault).
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl<P: Negotiate> From<CoreEvent> for ServerEvent<P> {
    fn from(happened: CoreEvent) -> Self {
        match happened {
            CoreEvent::Joined(conn) => Self::Joined(Conn::of(conn)),
            CoreEvent::Connected(conn) => Self::Connected(Conn::of(conn)),
            CoreEvent::Disconnected(conn, close) => Self::Disconnected(Conn::of(conn), close),
            CoreEvent::Suspended(conn, close) => Self::Suspended(Conn::of(conn), close),
            CoreEvent::Resumed(conn, resumed) => Self::Resumed(Conn::of(conn), resumed),
            CoreEvent::Entered(conn, room) => Self::Entered(Conn::of(conn), room),
            CoreEvent::Exited(conn, room) => Self::Exited(Conn::of(conn), room),
            CoreEvent::Left(user, close) => Self::Left(user, close),
            CoreEvent::Late(conn) => Self::Late(Conn::of(conn)),
            CoreEvent::Live(conn) => Self::Live(Conn::of(conn)),
            CoreEvent::Slow(conn) => Self::Slow(Conn::of(conn)),
            CoreEvent::Undelivered(message) => Self::Undelivered(Undelivered::of(message)),
            CoreEvent::Refused(refused) => Self::Refused(refused),
            CoreEvent::Error(CoreErrorEvent { conn, code, name, message, id, source }) => {
                let conn = conn.map(Conn::of);
                Self::Error(ErrorEvent { conn, code, name, message, id, source })
            }
        }
    }
}

/// Wraps a callback so that it takes the events of any protocol.
pub(super) fn typed<P: Negotiate>(
    hook: &'static str,
    callback: impl Fn(&ServerEvent<P>) + Send + Sync + 'static,
) -> Callback<CoreEvent> {
    Callback::new(hook, move |event: &CoreEvent| callback(&event.clone().into()))
}

impl<P: Negotiate> Clone for ServerEvent<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Joined(conn) => Self::Joined(conn.clone()),
            Self::Connected(conn) => Self::Connected(conn.clone()),
            Self::Disconnected(conn, close) => Self::Disconnected(conn.clone(), close.clone()),
            Self::Entered(conn, room) => Self::Entered(conn.clone(), room.clone()),
            Self::Exited(conn, room) => Self::Exited(conn.clone(), room.clone()),
            Self::Left(user, close) => Self::Left(user.clone(), close.clone()),
            Self::Suspended(conn, close) => Self::Suspended(conn.clone(), close.clone()),
            Self::Resumed(conn, resumed) => Self::Resumed(conn.clone(), *resumed),
            Self::Late(conn) => Self::Late(conn.clone()),
            Self::Live(conn) => Self::Live(conn.clone()),
            Self::Slow(conn) => Self::Slow(conn.clone()),
            Self::Undelivered(message) => Self::Undelivered(message.clone()),
            Self::Refused(refused) => Self::Refused(Arc::clone(refused)),
            Self::Error(error) => Self::Error(error.clone()),
            Self::Missed(count) => Self::Missed(*count),
            Self::MissedRefused(count) => Self::MissedRefused(*count),
        }
    }
}

impl<P: Negotiate> Clone for ErrorEvent<P> {
    fn clone(&self) -> Self {
        Self {
            conn: self.conn.clone(),
            code: self.code.clone(),
            name: self.name.clone(),
            message: self.message.clone(),
            id: self.id.clone(),
            source: self.source.clone(),
        }
    }
}

impl<P: Negotiate> fmt::Debug for ServerEvent<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(conn) => f.debug_tuple("Joined").field(conn).finish(),
            Self::Connected(conn) => f.debug_tuple("Connected").field(conn).finish(),
            Self::Disconnected(conn, close) => {
                f.debug_tuple("Disconnected").field(conn).field(close).finish()
            }
            Self::Entered(conn, room) => f.debug_tuple("Entered").field(conn).field(room).finish(),
            Self::Exited(conn, room) => f.debug_tuple("Exited").field(conn).field(room).finish(),
            Self::Left(user, close) => f.debug_tuple("Left").field(user).field(close).finish(),
            Self::Suspended(conn, close) => {
                f.debug_tuple("Suspended").field(conn).field(close).finish()
            }
            Self::Resumed(conn, resumed) => {
                f.debug_tuple("Resumed").field(conn).field(resumed).finish()
            }
            Self::Late(conn) => f.debug_tuple("Late").field(conn).finish(),
            Self::Live(conn) => f.debug_tuple("Live").field(conn).finish(),
            Self::Slow(conn) => f.debug_tuple("Slow").field(conn).finish(),
            Self::Undelivered(message) => f.debug_tuple("Undelivered").field(message).finish(),
            Self::Refused(refused) => f.debug_tuple("Refused").field(refused).finish(),
            Self::Error(error) => f.debug_tuple("Error").field(error).finish(),
            Self::Missed(count) => f.debug_tuple("Missed").field(count).finish(),
            Self::MissedRefused(count) => f.debug_tuple("MissedRefused").field(count).finish(),
        }
    }
}

impl<P: Negotiate> fmt::Debug for ErrorEvent<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorEvent")
            .field("conn", &self.conn)
            .field("code", &self.code)
            .field("name", &self.name)
            .field("message", &self.message)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
