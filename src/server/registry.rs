//! [`Registry`]: the users and connections of a server, in shards, so that threads rarely contend.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wse_proto::Text;
use wse_proto::session::{Close, Users};

use super::arrivals::Arrivals;
use super::order::Order;
use crate::connection::{Connection, Waits};

/// More shards than most machines have threads, and few enough to iterate quickly.
const SHARDS: usize = 64;

/// The number of consecutive connection ids that share a shard.
const RUN: u64 = 256;

/// `C` is a connection of a user, `E` an event.
pub(super) struct Registry<C, E> {
    shards: Box<[Shard<C, E>]>,
    /// Random, so that a client cannot choose users of one shard.
    hasher: RandomState,
    /// Whether all connections were aborted. New ones are aborted too.
    aborted: AtomicBool,
    /// The number of open connections.
    open: AtomicUsize,
    /// Notified when there is no open connection any more.
    emptied: Notify,
}

struct Shard<C, E> {
    users: Mutex<Users<C>>,
    order: Order<E>,
    arrivals: Arrivals,
    open: Mutex<OpenConnections>,
}

/// All open connections by id, unauthenticated ones too. Connections that were created in a row lie
/// so in memory, and are visited faster in that order.
type OpenConnections = BTreeMap<u64, Arc<Connection>>;

impl<C: Clone, E> Registry<C, E> {
    /// An empty registry with this limit of connections per user.
    pub(super) fn new(connections_per_user: usize) -> Self {
        let shard = || Shard {
            users: Mutex::new(Users::new(connections_per_user)),
            order: Order::default(),
            arrivals: Arrivals::default(),
            open: Mutex::default(),
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            aborted: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
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

    /// Returns the order of the events of users, this one among them. Its lock is taken before that
    /// of the users.
    pub(super) fn order_with(&self, id: &str) -> &Order<E> {
        &self.shard(id).order
    }

    /// Returns those who wait for users, this one among them.
    pub(super) fn arrivals_with(&self, id: &str) -> &Arrivals {
        &self.shard(id).arrivals
    }

    /// Adds an open connection.
    pub(super) fn enter(&self, id: u64, connection: &Arc<Connection>) {
        self.open.fetch_add(1, Ordering::SeqCst);
        lock(self.open_connections_with(id)).insert(id, Arc::clone(connection));
        if self.aborted.load(Ordering::SeqCst) {
            connection.abort();
        }
    }

    /// Removes a connection that has ended.
    pub(super) fn leave(&self, id: u64) {
        let connection = lock(self.open_connections_with(id)).remove(&id);
        if connection.is_some() && self.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.emptied.notify_waiters();
        }
    }

    /// Waits until there is no open connection.
    pub(super) async fn emptied(&self) {
        loop {
            // Before the check, so that no end is missed.
            let emptied = self.emptied.notified();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Returns an open connection.
    pub(super) fn open_connection(&self, id: u64) -> Option<Arc<Connection>> {
        lock(self.open_connections_with(id)).get(&id).cloned()
    }

    /// Acts on all open connections, without a lock.
    pub(super) fn each_open(&self, mut act: impl FnMut(u64, &Connection)) {
        for shard in &self.shards {
            let open = lock(&shard.open);
            let all: Vec<_> = open.iter().map(|(id, it)| (*id, Arc::clone(it))).collect();
            drop(open);
            all.iter().for_each(|(id, connection)| act(*id, connection));
        }
    }

    /// Closes all connections, each once the calls that it handles are answered, at most `grace` from now.
    pub(super) fn finish(&self, close: &Close, grace: Duration) {
        self.each(|_| true, |connection| connection.finish(close.clone(), grace, Waits::Handlers));
    }

    /// Ends all connections without a closing handshake.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.each(|_| true, Connection::abort);
    }

    /// Whether all connections were aborted.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// Returns the connections shard by shard, each locked in its turn. For work that calls no
    /// application code, wakers included.
    pub(super) fn open_connections(&self) -> impl Iterator<Item = MutexGuard<'_, OpenConnections>> {
        self.shards.iter().map(|shard| lock(&shard.open))
    }

    /// Wakes the connections whose heartbeat is due.
    pub(super) fn tick(&self, now: Instant) {
        self.each(|connection| connection.is_beat_due(now), Connection::wake);
    }

    /// Acts on some connections, without a lock.
    fn each(&self, wanted: impl Fn(&Connection) -> bool, act: impl Fn(&Connection)) {
        for shard in &self.shards {
            let open = lock(&shard.open);
            let some: Vec<_> = open.values().filter(|it| wanted(it)).cloned().collect();
            drop(open);
            some.iter().for_each(|connection| act(connection));
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

    fn shard(&self, user: &str) -> &Shard<C, E> {
        &self.shards[self.hasher.hash_one(user) as usize % SHARDS]
    }

    fn open_connections_with(&self, id: u64) -> &Mutex<OpenConnections> {
        &self.shards[(id / RUN) as usize % SHARDS].open
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
