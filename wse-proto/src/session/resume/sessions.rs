//! [`Sessions`]: the sessions of a server that can be resumed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::budget::Budget;
use super::gone::Gone;
use super::limits::ResumeLimits;
use crate::NotResumed;
use crate::session::deadlines::{NEVER, Nanos, nanos};

/// The sessions of a server that can be resumed, by name: which have no socket, and since when.
///
/// `C` is the caller's type for a connection, which has the [`Session`](super::super::Session) with its token and messages.
/// A session knows its name too, and checks it in [`Session::refusal`](super::super::Session::refusal): the table has hashes
/// with a random key.
///
/// ```
/// use std::time::Duration;
/// use wse_proto::NotResumed;
/// use wse_proto::session::{ResumeLimits, Sessions};
///
/// let second = Duration::from_secs;
/// let mut sessions = Sessions::new(&ResumeLimits::default().window(second(60)));
/// sessions.create("s1", "phone");
/// sessions.suspend(second(1), "s1");
/// assert_eq!(sessions.find("s1"), Ok(&"phone"));
/// assert_eq!(sessions.poll_timeout(), Some(second(61)));
/// assert_eq!(sessions.expire(second(61)), Some("phone"));
/// assert_eq!(sessions.find("s1"), Err(NotResumed::Expired));
/// ```
#[derive(Debug)]
pub struct Sessions<C> {
    window: Nanos,
    hasher: RandomState,
    by_name: HashMap<u64, Entry<C>>,
    /// By the time since when they have no socket. The second number makes the key unique.
    suspended: BTreeMap<(Nanos, u64), u64>,
    suspensions: u64,
    gone: Gone,
}

#[derive(Debug)]
struct Entry<C> {
    connection: C,
    /// Its key among the suspended ones.
    suspended: Option<Box<(Nanos, u64)>>,
}

/// The table does not shrink below space for so many sessions.
const LEAST: usize = 16;

impl<C> Sessions<C> {
    /// Without sessions.
    pub fn new(limits: &ResumeLimits) -> Self {
        Self {
            window: nanos(limits.window),
            hasher: RandomState::new(),
            by_name: HashMap::new(),
            suspended: BTreeMap::new(),
            suspensions: 0,
            gone: Gone::new(limits.remembered),
        }
    }

    /// Adds a session. The name must be unique: random, for example.
    pub fn create(&mut self, session: &str, connection: C) {
        let entry = Entry { connection, suspended: None };
        self.by_name.insert(self.hasher.hash_one(session), entry);
    }

    /// The connection of a session, whether it has a socket or not.
    ///
    /// # Errors
    ///
    /// Why there is none: [`NotResumed::Expired`] or [`NotResumed::Evicted`] as long as that is remembered, else
    /// [`NotResumed::Unknown`].
    pub fn find(&self, session: &str) -> Result<&C, NotResumed> {
        let session = self.hasher.hash_one(session);
        match self.by_name.get(&session) {
            Some(entry) => Ok(&entry.connection),
            None => Err(self.gone.reason(session).cloned().unwrap_or(NotResumed::Unknown)),
        }
    }

    /// The session has lost its socket: its window begins. Does nothing when it has none already.
    pub fn suspend(&mut self, now: Duration, session: &str) {
        let session = self.hasher.hash_one(session);
        if let Some(entry) = self.by_name.get_mut(&session)
            && entry.suspended.is_none()
        {
            self.suspensions += 1;
            let key = (nanos(now), self.suspensions);
            entry.suspended = Some(Box::new(key));
            self.suspended.insert(key, session);
        }
    }

    /// The session has a socket again, or another one.
    pub fn resume(&mut self, session: &str) {
        if let Some(entry) = self.by_name.get_mut(&self.hasher.hash_one(session))
            && let Some(key) = entry.suspended.take()
        {
            self.suspended.remove(&*key);
        }
    }

    /// Removes a session that a close has ended. It is unknown from now on.
    pub fn remove(&mut self, session: &str) -> Option<C> {
        self.take(self.hasher.hash_one(session))
    }

    /// Removes a session to make room for others. It is remembered as evicted. The caller ends it.
    pub fn evict(&mut self, now: Duration, session: &str) -> Option<C> {
        self.end(nanos(now), self.hasher.hash_one(session), NotResumed::Evicted)
    }

    /// Removes one session whose window has ended, and forgets those that have ended long ago. The caller ends it, and calls
    /// again until this returns `None`.
    pub fn expire(&mut self, now: Duration) -> Option<C> {
        let now = nanos(now);
        self.gone.expire(now);
        let (&(since, _), &session) = self.suspended.first_key_value()?;
        let is_over = since.saturating_add(self.window) <= now;
        is_over.then(|| self.end(now, session, NotResumed::Expired)).flatten()
    }

    /// When [`expire`](Self::expire) is due next; `None` when nothing is pending.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let window = self.suspended.first_key_value();
        let window = window.map(|((since, _), _)| since.saturating_add(self.window));
        let due = window.into_iter().chain(self.gone.due()).min();
        due.filter(|due| *due != NEVER).map(Duration::from_nanos)
    }

    /// Since when the session has no socket; `None` when it has one, or is not known.
    pub fn suspended_since(&self, session: &str) -> Option<Duration> {
        let entry = self.by_name.get(&self.hasher.hash_one(session))?;
        let (since, _) = **entry.suspended.as_ref()?;
        Some(Duration::from_nanos(since))
    }

    /// Frees memory when the rings of all sessions take more than the budget allows, until an eighth of it is free. The rings
    /// of connected sessions are emptied first: those lose nothing while they stay connected. Then suspended sessions are
    /// evicted, longest suspended first. `empty` calls [`Session::empty_ring`](super::super::Session::empty_ring). Returns the sessions that the caller
    /// has to end.
    pub fn relieve(&mut self, now: Duration, budget: &Budget, mut empty: impl FnMut(&C)) -> Vec<C> {
        let mut evicted = Vec::new();
        if !budget.is_exceeded() {
            return evicted;
        }
        for entry in self.by_name.values().filter(|entry| entry.suspended.is_none()) {
            if budget.has_reserve() {
                return evicted;
            }
            empty(&entry.connection);
        }
        while !budget.has_reserve()
            && let Some((_, &session)) = self.suspended.first_key_value()
        {
            let Some(connection) = self.end(nanos(now), session, NotResumed::Evicted) else {
                break;
            };
            empty(&connection);
            evicted.push(connection);
        }
        evicted
    }

    /// Removes all sessions, in any order: the server stops. The caller ends them.
    pub fn clear(&mut self) -> Vec<C> {
        self.suspended.clear();
        std::mem::take(&mut self.by_name).into_values().map(|entry| entry.connection).collect()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many sessions have no socket.
    pub fn suspended(&self) -> usize {
        self.suspended.len()
    }

    fn take(&mut self, session: u64) -> Option<C> {
        let entry = self.by_name.remove(&session)?;
        if let Some(key) = entry.suspended {
            self.suspended.remove(&*key);
        }
        let len = self.by_name.len().max(LEAST);
        if self.by_name.capacity() > 8 * len {
            self.by_name.shrink_to(2 * len);
        }
        Some(entry.connection)
    }

    fn end(&mut self, now: Nanos, session: u64, reason: NotResumed) -> Option<C> {
        let connection = self.take(session)?;
        self.gone.remember(session, reason, now.saturating_add(self.window));
        Some(connection)
    }
}
