//! [`Registry`]: the users and connections of a server, in shards, so that threads rarely contend.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wse_proto::Text;
use wse_proto::session::{Close, Users};

use super::arrivals::Arrivals;
use crate::connection::{Connection, Waits};

/// More shards than most machines have threads, and few enough to iterate quickly.
const SHARDS: usize = 64;

/// The number of consecutive connection ids that share a shard.
const RUN: u64 = 256;

/// `C` is a connection of a user.
pub(super) struct Registry<C> {
    shards: Box<[Shard<C>]>,
    /// Random, so that a client cannot choose users of one shard.
    hasher: RandomState,
    /// Whether all connections were aborted. New ones are aborted too.
    aborted: AtomicBool,
}

struct Shard<C> {
    users: Mutex<Users<C>>,
    /// Held from a change of `users` until its events are emitted, so that the events of a user
    /// come in order. Callbacks run under this lock. They never take it again, since closing only
    /// notifies the connection's own task.
    order: Mutex<()>,
    arrivals: Arrivals,
    open: Mutex<OpenConnections>,
}

/// All open connections by id, unauthenticated ones too. Connections that were created in a row lie
/// so in memory, and are visited faster in that order.
type OpenConnections = BTreeMap<u64, Arc<Connection>>;

impl<C: Clone> Registry<C> {
    /// An empty registry with this limit of connections per user.
    pub(super) fn new(connections_per_user: usize) -> Self {
        let shard = || Shard {
            users: Mutex::new(Users::new(connections_per_user)),
            order: Mutex::new(()),
            arrivals: Arrivals::default(),
            open: Mutex::default(),
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            aborted: AtomicBool::new(false),
        }
    }

    /// Locks and returns the shard of a user.
    pub(super) fn users_with(&self, id: &str) -> MutexGuard<'_, Users<C>> {
        lock(&self.shard(id).users)
    }

    /// Returns all shards, each locked in its turn.
    pub(super) fn users(&self) -> impl Iterator<Item = MutexGuard<'_, Users<C>>> {
        self.shards.iter().map(|shard| lock(&shard.users))
    }

    /// Keeps the events of this user in order until the guard is dropped.
    pub(super) fn in_order(&self, id: &str) -> MutexGuard<'_, ()> {
        lock(&self.shard(id).order)
    }

    /// Returns those who wait for users, this one among them.
    pub(super) fn arrivals_with(&self, id: &str) -> &Arrivals {
        &self.shard(id).arrivals
    }

    /// Adds an open connection.
    pub(super) fn enter(&self, id: u64, connection: &Arc<Connection>) {
        lock(self.open_connections_with(id)).insert(id, Arc::clone(connection));
        if self.aborted.load(Ordering::SeqCst) {
            connection.abort();
        }
    }

    /// Removes a connection that has ended.
    pub(super) fn leave(&self, id: u64) {
        let connection = lock(self.open_connections_with(id)).remove(&id);
        drop(connection);
    }

    /// Closes all connections, each once the calls that it handles are answered, at most `grace` from now.
    pub(super) fn finish(&self, close: &Close, grace: Duration) {
        self.each(|connection| connection.finish(close.clone(), grace, Waits::Handlers));
    }

    /// Ends all connections without a closing handshake.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.each(|connection| connection.abort());
    }

    /// Returns the connections shard by shard, each locked in its turn. For work that calls no
    /// application code, such as queueing an encoded message.
    pub(super) fn open_connections(&self) -> impl Iterator<Item = MutexGuard<'_, OpenConnections>> {
        self.shards.iter().map(|shard| lock(&shard.open))
    }

    /// Wakes the connections whose heartbeat is due.
    pub(super) fn tick(&self, now: Instant) {
        self.each(|connection| connection.tick(now));
    }

    fn each(&self, mut act: impl FnMut(&Connection)) {
        for open in self.open_connections() {
            open.values().for_each(|connection| act(connection));
        }
    }

    /// Returns all connections of all users.
    pub(super) fn connections(&self) -> Vec<C> {
        self.users().flat_map(|users| users.connections().cloned().collect::<Vec<_>>()).collect()
    }

    /// Returns the ids of all users.
    pub(super) fn ids(&self) -> Vec<Text> {
        self.users()
            .flat_map(|users| users.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>())
            .collect()
    }

    /// Returns the number of users.
    pub(super) fn len(&self) -> usize {
        self.users().map(|users| users.len()).sum()
    }

    fn shard(&self, user: &str) -> &Shard<C> {
        &self.shards[self.hasher.hash_one(user) as usize % SHARDS]
    }

    fn open_connections_with(&self, id: u64) -> &Mutex<OpenConnections> {
        &self.shards[(id / RUN) as usize % SHARDS].open
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
