//! [`Room`]: the connections that have joined it, under one name.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use wse_proto::{Negotiate, Text};

use super::audience::To;
use super::cluster::Destination;
use super::conn::Conn;
use super::core::ConnCore;
use super::handle::Server;
use super::rooms::{JoinError, Member as Entry, RoomCore};
use super::target::Target;

/// A room of a server: the connections that have joined it.
///
/// ```
/// use wse::{Conn, JsonArray, Server};
///
/// async fn say(conn: Conn<JsonArray>, text: String) -> Result<(), wse::BoxError> {
///     conn.join("lobby")?;
///     conn.room("lobby").except(&conn).send("said", &text)?;
///     Ok(())
/// }
///
/// fn list(server: &Server<JsonArray>) {
///     for member in server.room("lobby").members() {
///         println!("{} on {} devices", member.user, member.conn_ids.len());
///     }
/// }
/// ```
///
/// The methods that send are those of a [`Target`].
///
/// A room exists as long as it has members. Before and afterwards, it is empty and takes no memory.
pub struct Room<P: Negotiate> {
    target: Target<P>,
    name: Text,
}

impl<P: Negotiate> Server<P> {
    /// Returns the room of this name, with or without members.
    #[must_use]
    pub fn room(&self, name: impl Into<Text>) -> Room<P> {
        let name = name.into();
        Room { target: Target::new(self.clone(), To::Many(Destination::Room(name.clone()))), name }
    }

    /// Returns the rooms that have members, in no particular order.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room<P>> {
        self.inner.rooms.names().into_iter().map(|name| self.room(name)).collect()
    }
}

impl<P: Negotiate> Conn<P> {
    /// Joins a room. Returns whether the connection was not in it. It leaves its rooms when it ends.
    ///
    /// ```
    /// # use wse::{Conn, JsonArray, JoinError};
    /// # fn example(conn: &Conn<JsonArray>) -> Result<(), JoinError> {
    /// conn.join("lobby")?;
    /// println!("{} connections are in it", conn.room("lobby").len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the connection is in too many rooms, the name is too long, or the connection has ended.
    pub fn join(&self, room: impl Into<Text>) -> Result<bool, JoinError> {
        self.core.0.server.join_room(&self.core, &room.into())
    }

    /// Leaves a room. Returns whether the connection was in it.
    pub fn leave(&self, room: &str) -> bool {
        self.core.0.server.leave_room(&self.core, room)
    }

    /// Returns the names of the rooms that the connection is in, sorted. None after its end.
    #[must_use]
    pub fn rooms(&self) -> Vec<Text> {
        self.core.0.memberships.names()
    }

    /// Returns a room of the server of this connection, which need not be in it.
    #[must_use]
    pub fn room(&self, name: impl Into<Text>) -> Room<P> {
        self.server().room(name)
    }
}

impl<P: Negotiate> Room<P> {
    /// Returns the name of the room.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of connections in the room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core().map_or(0, |room| room.members().len())
    }

    /// Returns whether no connection is in the room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the connections in the room, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Conn<P>> {
        self.target.cores().into_iter().map(Conn::of).collect()
    }

    /// Returns the users in the room with their connections in it, sorted by the ids of the users.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let mut users: BTreeMap<Text, Vec<u64>> = BTreeMap::new();
        if let Some(room) = self.core() {
            for Entry { conn, .. } in room.members().iter() {
                users.entry(conn.user().clone()).or_default().push(conn.id());
            }
        }
        users.into_iter().map(|(user, conn_ids)| Member { user, conn_ids }).collect()
    }

    fn core(&self) -> Option<Arc<RoomCore<ConnCore>>> {
        self.target.server.inner.rooms.get(&self.name)
    }
}

/// A user in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The id of the user.
    pub user: Text,
    /// The numbers of the user's connections in the room, as [`Conn::id`] returns them, oldest first.
    pub conn_ids: Vec<u64>,
}

impl<P: Negotiate> Clone for Room<P> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), name: self.name.clone() }
    }
}

impl<P: Negotiate> From<&Room<P>> for Target<P> {
    fn from(room: &Room<P>) -> Self {
        room.target.clone()
    }
}

impl<P: Negotiate> Deref for Room<P> {
    type Target = Target<P>;

    fn deref(&self) -> &Target<P> {
        &self.target
    }
}

impl<P: Negotiate> fmt::Debug for Room<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("name", &self.name).finish_non_exhaustive()
    }
}
