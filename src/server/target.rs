//! [`Target`]: the connections that a message goes to.

use std::fmt;
use std::time::Duration;

use wse_proto::{CodecError, Encode, Head, Negotiate, Stamp, Text};

use super::audience::{Audience, Except, To};
use super::broadcast::{Packed, speakers};
use super::cluster::{Destination, Publication};
use super::conn::Conn;
use super::core::ConnCore;
use super::handle::Server;
use super::report::{Acked, Sent};
use crate::connection::{RECEIPT_TIMEOUT, ReceiptError, Wire, stamp};

/// The connections that a message goes to: all of them, those of a user, those in a room, or a single one.
///
/// ```
/// use wse::{Conn, JsonArray, Target};
///
/// async fn say(conn: &Conn<JsonArray>, text: &str) -> Result<(), wse::CodecError> {
///     let server = conn.server();
///     server.all().send("announcement", text)?;
///     server.user("ann").except(conn).send("sync", text)?; // her other devices
///     server.room("lobby").except_user("bob").send("said", text)?;
///     let report = server.user("ann").send_acked("invoice", text).await?;
///     println!("{} of {} devices have it", report.received(), report.len());
///     let lobby = server.room("lobby");
///     for target in [server.all(), Target::from(&lobby), Target::from(conn)] {
///         target.send("said", text)?; // one type
///     }
///     Ok(())
/// }
/// ```
///
/// [`Server::all`] returns one. [`User`](crate::User) and [`Room`](crate::Room) have its methods by `Deref`; they and a
/// [`Conn`] also become one by `From`. [`Conn::send`] and [`Conn::send_acked`] say more about a single connection: why it has not taken the
/// message.
///
/// Which connections they are is decided when the message is sent.
pub struct Target<P: Negotiate> {
    pub(super) server: Server<P>,
    audience: Audience,
}

impl<P: Negotiate> Server<P> {
    /// Returns all connections of all users as a target.
    #[must_use]
    pub fn all(&self) -> Target<P> {
        Target::new(self.clone(), To::Many(Destination::All))
    }
}

impl<P: Negotiate> Target<P> {
    pub(super) fn new(server: Server<P>, to: To) -> Self {
        Self { server, audience: Audience::new(to) }
    }

    /// Leaves out one connection, such as the one whose message is passed on.
    #[must_use]
    pub fn except(&self, conn: &Conn<P>) -> Self {
        let mut target = self.clone();
        target.audience.except.conns.push(conn.core.clone());
        target
    }

    /// Leaves out one more connection.
    pub(super) fn leave_out(&mut self, conn: &ConnCore) {
        self.audience.except.conns.push(conn.clone());
    }

    /// Leaves out all connections of a user.
    #[must_use]
    pub fn except_user(&self, id: impl Into<Text>) -> Self {
        let mut target = self.clone();
        target.audience.except.users.push(id.into());
        target
    }

    /// Sends a message. Returns how many connections have queued it; on a node of a [cluster](crate::ServerBuilder::cluster), how
    /// many of this node. It goes to the other nodes too.
    ///
    /// Connections that are closing, or whose full queue rejects the message, are not counted. A message that a
    /// [`SlowPeer`](crate::SlowPeer) policy drops later is counted.
    ///
    /// The message is encoded once per protocol in use, and the connections share the bytes. A message to a room costs as
    /// much as the room has members, however many connections the server has. All members get the messages that are sent
    /// to their room by this method in the same order.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        let (name, inner) = (name.into(), &self.server.inner);
        let head = Head::message(name.clone());
        let pack = &mut |wire: &Wire| wire.message::<P::Protocol, T>(&head, payload).map(Some);
        if let (Some(cluster), To::Many(to)) = (&inner.cluster, &self.audience.to) {
            // Encoded before anything is sent.
            let encodings = inner.encodings(&mut |wire| wire.encode::<P::Protocol, T>(payload))?;
            let reached = inner.broadcast(&self.audience, pack)?;
            let except_users = self.audience.except.users.clone();
            cluster.publish(Publication { to: to.clone(), except_users, name, encodings });
            return Ok(reached);
        }
        inner.broadcast(&self.audience, pack)
    }

    /// Sends a message, and waits at most 5 s for the receipt of each connection. The message is encoded once per protocol
    /// in use.
    ///
    /// It is sent at once. Await the result for a [`Report`](crate::Report) with the outcome of each connection, or take
    /// the outcomes [as they come in](Acked::each). Dropping it forgets the receipts, not the message.
    ///
    /// A client that gives no receipts is not sent the message. Clients say in their greeting that they give some; those
    /// of this crate do.
    ///
    /// # Errors
    ///
    /// Awaited, it returns [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn send_acked<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Acked
    where
        P::Format: Encode<T>,
    {
        self.send_acked_within(Some(RECEIPT_TIMEOUT), name, payload)
    }

    /// Sends a message as [`send_acked`](Self::send_acked) does, and waits at most for `timeout`. `None` waits as long as the
    /// connections last.
    pub fn send_acked_within<T: ?Sized>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
    ) -> Acked
    where
        P::Format: Encode<T>,
    {
        Acked::new(self.send_under(stamp(), false, timeout, name.into(), payload))
    }

    /// Sends a message with this stamp. Returns the connections, each with its pending receipt.
    ///
    /// A session that keeps a reliable message until it is processed has as much time for the receipt as it lasts.
    pub(super) fn send_under<T: ?Sized>(
        &self,
        stamp: Stamp,
        reliable: bool,
        timeout: Option<Duration>,
        name: Text,
        payload: &T,
    ) -> Result<Vec<Sent>, CodecError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::Message { name, receipt: Some(stamp.clone()), reliable };
        let mut conns = self.cores();
        if let To::Many(Destination::All) = self.audience.to {
            conns.sort_unstable_by_key(ConnCore::id);
        }
        let able: Vec<_> = conns.iter().map(|it| it.connection().gives_receipts()).collect();
        let connections = conns.iter().zip(&able).filter(|(_, able)| **able);
        let speakers = speakers(connections.map(|(conn, _)| conn.connection()));
        let packed = Packed::for_each(&speakers, &mut |wire| {
            wire.message::<P::Protocol, T>(&head, payload).map(Some)
        })?;
        let send = |(conn, able): (ConnCore, bool)| {
            let connection = conn.connection();
            let message = packed.of(connection).filter(|_| able).cloned();
            let receipt = match message {
                Some(message) => {
                    let timeout = timeout.filter(|_| !reliable || !connection.is_counting());
                    connection.push_under(stamp.clone(), message, timeout)
                }
                None => Err(ReceiptError::Unsupported),
            };
            (conn, receipt)
        };
        Ok(conns.into_iter().zip(able).map(send).collect())
    }

    /// Returns the connections, oldest first; all of them in no particular order.
    pub(super) fn cores(&self) -> Vec<ConnCore> {
        self.audience.conns(&self.server.inner)
    }
}

impl<P: Negotiate> From<&Conn<P>> for Target<P> {
    fn from(conn: &Conn<P>) -> Self {
        Self::new(conn.server(), To::Conn(conn.core.clone()))
    }
}

impl<P: Negotiate> Clone for Target<P> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone(), audience: self.audience.clone() }
    }
}

impl<P: Negotiate> fmt::Debug for Target<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Target");
        match &self.audience.to {
            To::Many(to) => debug.field("to", &format_args!("{to}")),
            To::Conn(conn) => debug.field("conn", conn),
        };
        let Except { conns, users } = &self.audience.except;
        debug.field("except", conns).field("except_users", users).finish_non_exhaustive()
    }
}
