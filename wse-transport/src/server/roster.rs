//! [`Roster`]: who is here. Cut into shards, so that those who come, go and are sent to on one thread do not
//! wait for those on another.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use wse_proto::session::{Close, Users};
use wse_proto::{Protocol, Text};

use super::conn::Conn;
use crate::connection::Link;

/// More than there are threads on most machines, and cheap to walk through.
const SHARDS: usize = 64;

/// How many connections in a row share a shard.
const RUN: u64 = 256;

pub(super) struct Roster<P: Protocol> {
    shards: Box<[Shard<P>]>,
    /// Which users share a shard is not for strangers to choose.
    hasher: RandomState,
    /// Whether all were ended; those who still come are too.
    aborted: AtomicBool,
}

struct Shard<P: Protocol> {
    users: Mutex<Users<Conn<P>>>,
    /// Held from a change of `users` until its events are out, so that a user's events come in the order of
    /// what they tell. Callbacks run under it, and must not come back to it: they never do, since closing
    /// only asks the connection's own task.
    order: Mutex<()>,
    links: Mutex<Links<P>>,
}

/// All connections that are driven, strangers too, by their id. What was made one after the other lies so in
/// memory too, and is reached faster in that order.
type Links<P> = BTreeMap<u64, Arc<Link<P>>>;

impl<P: Protocol> Roster<P> {
    /// Nobody yet; a user may have so many connections.
    pub(super) fn new(connections_per_user: usize) -> Self {
        let shard = || Shard {
            users: Mutex::new(Users::new(connections_per_user)),
            order: Mutex::new(()),
            links: Mutex::default(),
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            aborted: AtomicBool::new(false),
        }
    }

    /// The shard of a user, under its lock.
    pub(super) fn users_with(&self, id: &str) -> MutexGuard<'_, Users<Conn<P>>> {
        lock(&self.shard(id).users)
    }

    /// All shards, one under its lock at a time.
    pub(super) fn users(&self) -> impl Iterator<Item = MutexGuard<'_, Users<Conn<P>>>> {
        self.shards.iter().map(|shard| lock(&shard.users))
    }

    /// Keeps the events of this user, and some others, in order while it is held.
    pub(super) fn in_order(&self, id: &str) -> MutexGuard<'_, ()> {
        lock(&self.shard(id).order)
    }

    /// A connection is driven from now on.
    pub(super) fn enter(&self, id: u64, link: &Arc<Link<P>>) {
        lock(self.links_with(id)).insert(id, Arc::clone(link));
        if self.aborted.load(Ordering::SeqCst) {
            link.abort();
        }
    }

    /// It is not any more.
    pub(super) fn leave(&self, id: u64) {
        let link = lock(self.links_with(id)).remove(&id);
        drop(link);
    }

    /// Closes all connections.
    pub(super) fn close(&self, close: &Close) {
        self.each(|link| link.close(close.clone()));
    }

    /// Ends all connections, without a word to the peer.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.each(|link| link.abort());
    }

    /// The connections, shard by shard, each under its lock: for what runs nothing of the application's, such as
    /// queueing what is packed already.
    pub(super) fn links(&self) -> impl Iterator<Item = MutexGuard<'_, Links<P>>> {
        self.shards.iter().map(|shard| lock(&shard.links))
    }

    /// Wakes those whose heartbeat is due.
    pub(super) fn tick(&self, now: Instant) {
        self.each(|link| link.tick(now));
    }

    fn each(&self, mut act: impl FnMut(&Link<P>)) {
        for links in self.links() {
            links.values().for_each(|link| act(link));
        }
    }

    /// The ids of all users.
    pub(super) fn ids(&self) -> Vec<Text> {
        self.users()
            .flat_map(|users| users.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>())
            .collect()
    }

    /// How many users there are.
    pub(super) fn len(&self) -> usize {
        self.users().map(|users| users.len()).sum()
    }

    fn shard(&self, user: &str) -> &Shard<P> {
        &self.shards[self.hasher.hash_one(user) as usize % SHARDS]
    }

    fn links_with(&self, id: u64) -> &Mutex<Links<P>> {
        &self.shards[(id / RUN) as usize % SHARDS].links
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
