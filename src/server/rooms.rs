//! [`Rooms`]: the rooms of a server and their members; [`Memberships`]: the rooms of one connection.
//!
//! Locks are taken in this order: the memberships of a connection, a shard of the table, a room. A message to a room is
//! queued under the lock of the room alone, so it delays no other room.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wse_proto::Text;

use super::cluster::ClusterLink;
use crate::connection::Connection;

/// As many as the registry of users has.
const SHARDS: usize = 64;

/// The table of a shard with rooms does not shrink below space for so many.
const LEAST: usize = 16;

/// The rooms that have members, by name. `C` is a connection of a user.
pub(super) struct Rooms<C> {
    shards: Box<[Mutex<Table<C>>]>,
    /// Random, so that a client cannot choose rooms of one shard.
    hasher: RandomState,
    /// Told which rooms have members.
    cluster: Option<Arc<dyn ClusterLink>>,
}

type Table<C> = HashMap<Text, Arc<RoomCore<C>>>;

/// A room. It is in the table as long as it has members.
pub(super) struct RoomCore<C> {
    name: Text,
    members: Mutex<Members<C>>,
}

/// The members of a room, by the ids of their connections.
pub(super) struct Members<C> {
    by_id: BTreeMap<u64, Member<C>>,
    /// Whether the room is out of the table. Another room may have its name.
    removed: bool,
}

/// A member of a room. The connection is here too, since a message to a room visits it alone.
#[derive(Clone)]
pub(super) struct Member<C> {
    pub(super) conn: C,
    pub(super) connection: Arc<Connection>,
}

impl<C> Rooms<C> {
    pub(super) fn new(cluster: Option<Arc<dyn ClusterLink>>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), cluster }
    }

    /// Tells the cluster whether a room has members. Called with the lock of its shard, so that the changes come in order.
    fn has_members(&self, name: &Text, any: bool) {
        if let Some(cluster) = &self.cluster {
            cluster.has_members(name, any);
        }
    }

    /// Returns the room of this name, if it has members.
    pub(super) fn get(&self, name: &str) -> Option<Arc<RoomCore<C>>> {
        lock(self.shard(name)).get(name).cloned()
    }

    /// Returns the names of all rooms.
    pub(super) fn names(&self) -> Vec<Text> {
        self.shards.iter().flat_map(|it| lock(it).keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// Adds a connection to a room, which is made if there is none.
    fn enter(&self, name: &Text, id: u64, member: Member<C>) -> Arc<RoomCore<C>> {
        loop {
            let mut table = lock(self.shard(name));
            let room = table.entry(name.clone()).or_insert_with(|| {
                self.has_members(name, true);
                RoomCore::new(name.clone())
            });
            let room = Arc::clone(room);
            drop(table);
            let mut members = room.members();
            // If its last member has left meanwhile, it is no longer in the table.
            if !members.removed {
                members.by_id.insert(id, member);
                drop(members);
                return room;
            }
        }
    }

    /// Removes a connection from a room, and the room when it is empty.
    fn exit(&self, room: &RoomCore<C>, id: u64) {
        let mut members = room.members();
        let member = members.by_id.remove(&id);
        let empty = members.by_id.is_empty();
        drop(members);
        drop(member);
        if empty {
            self.remove_if_empty(room);
        }
    }

    fn remove_if_empty(&self, room: &RoomCore<C>) {
        let mut table = lock(self.shard(&room.name));
        let mut members = room.members();
        if members.by_id.is_empty() && !members.removed {
            members.removed = true;
            table.remove(&room.name);
            self.has_members(&room.name, false);
            let len = table.len();
            if len == 0 {
                *table = Table::new();
            } else if table.capacity() > 8 * len.max(LEAST) {
                table.shrink_to(2 * len);
            }
        }
    }

    fn shard(&self, name: &str) -> &Mutex<Table<C>> {
        &self.shards[self.hasher.hash_one(name) as usize % SHARDS]
    }
}

impl<C> RoomCore<C> {
    fn new(name: Text) -> Arc<Self> {
        let members = Members { by_id: BTreeMap::new(), removed: false };
        Arc::new(Self { name, members: Mutex::new(members) })
    }

    /// Locks and returns the members. For work that calls no application code, wakers included.
    pub(super) fn members(&self) -> MutexGuard<'_, Members<C>> {
        lock(&self.members)
    }
}

impl<C> Members<C> {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The members, oldest connection first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member<C>> {
        self.by_id.values()
    }
}

/// The rooms of one connection.
pub(super) struct Memberships<C>(Mutex<Joined<C>>);

struct Joined<C> {
    /// By name. After the end of the connection they are those that it was in.
    rooms: Vec<Arc<RoomCore<C>>>,
    ended: bool,
}

impl<C> Default for Memberships<C> {
    fn default() -> Self {
        Self(Mutex::new(Joined { rooms: Vec::new(), ended: false }))
    }
}

impl<C> Memberships<C> {
    /// Adds the connection with this id to a room. Returns whether it was not in it.
    pub(super) fn join(
        &self,
        rooms: &Rooms<C>,
        max_rooms: usize,
        name: &Text,
        id: u64,
        member: Member<C>,
    ) -> Result<bool, JoinError> {
        let mut joined = lock(&self.0);
        if joined.ended {
            return Err(JoinError::Ended);
        }
        let Err(at) = joined.find(name) else { return Ok(false) };
        if joined.rooms.len() >= max_rooms {
            return Err(JoinError::TooManyRooms { limit: max_rooms });
        }
        let room = rooms.enter(name, id, member);
        joined.rooms.insert(at, room);
        Ok(true)
    }

    /// Removes the connection with this id from a room. Returns whether it was in it.
    pub(super) fn leave(&self, rooms: &Rooms<C>, name: &str, id: u64) -> bool {
        let mut joined = lock(&self.0);
        if joined.ended {
            return false;
        }
        let Ok(at) = joined.find(name) else { return false };
        let room = joined.rooms.remove(at);
        if joined.rooms.is_empty() {
            joined.rooms = Vec::new();
        }
        rooms.exit(&room, id);
        true
    }

    /// Removes the connection with this id from all rooms, for good.
    pub(super) fn end(&self, rooms: &Rooms<C>, id: u64) {
        let mut joined = lock(&self.0);
        if !std::mem::replace(&mut joined.ended, true) {
            for room in &joined.rooms {
                rooms.exit(room, id);
            }
        }
    }

    /// Takes the names of the rooms that the connection was in at its end.
    pub(super) fn take_ended(&self) -> Vec<Text> {
        let rooms = std::mem::take(&mut lock(&self.0).rooms);
        rooms.iter().map(|room| room.name.clone()).collect()
    }

    /// Returns the names of the rooms, sorted.
    pub(super) fn names(&self) -> Vec<Text> {
        let joined = lock(&self.0);
        if joined.ended {
            return Vec::new();
        }
        joined.rooms.iter().map(|room| room.name.clone()).collect()
    }
}

impl<C> Joined<C> {
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.rooms.binary_search_by(|room| room.name.as_str().cmp(name))
    }
}

/// Why a connection has not joined a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection is in as many rooms as [`max_rooms`](crate::ServerBuilder::max_rooms) allows.
    TooManyRooms {
        /// The most rooms that a connection may be in.
        limit: usize,
    },
    /// The name of the room is longer than [`max_room_name`](crate::ServerBuilder::max_room_name) allows.
    NameTooLong {
        /// The bytes of the name.
        len: usize,
        /// The most bytes that a name may have.
        limit: usize,
    },
    /// The connection has ended.
    Ended,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyRooms { limit } => {
                write!(f, "the connection is in {limit} rooms, the most that `max_rooms` allows")
            }
            Self::NameTooLong { len, limit } => write!(
                f,
                "the name of the room has {len} bytes, and `max_room_name` allows {limit}"
            ),
            Self::Ended => f.write_str("the connection has ended"),
        }
    }
}

impl Error for JoinError {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
