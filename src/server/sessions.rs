//! [`Resumption`]: the sessions of a server that outlive their sockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use wse_proto::NotResumed;
use wse_proto::session::{Budget, ResumeLimits, Sessions};

use crate::connection::Clock;

/// The sessions of a server by their names. `C` is a connection.
pub(super) struct Resumption<C> {
    pub(super) budget: Arc<Budget>,
    /// The time of `sessions`.
    clock: Clock,
    sessions: Mutex<Sessions<C>>,
    /// Notified when a session was suspended.
    suspended: Notify,
}

impl<C: Clone> Resumption<C> {
    pub(super) fn new(limits: ResumeLimits) -> Self {
        Self {
            budget: Budget::new(limits),
            clock: Clock::start(),
            sessions: Mutex::new(Sessions::new(&limits)),
            suspended: Notify::new(),
        }
    }

    /// The connection of a session.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn find(&self, name: &str) -> Result<C, NotResumed> {
        self.lock().find(name).cloned()
    }

    /// Adds the session of a new connection.
    pub(super) fn create(&self, name: &str, conn: C) {
        self.lock().create(name, conn);
    }

    /// A session has lost its socket. Its window begins.
    pub(super) fn suspend(&self, name: &str) {
        let now = self.clock.now();
        self.lock().suspend(now, name);
        self.suspended.notify_one();
    }

    /// A session has a socket again. Returns false when it has ended.
    pub(super) fn resume(&self, name: &str) -> bool {
        let mut sessions = self.lock();
        sessions.resume(name);
        sessions.find(name).is_ok()
    }

    /// Forgets a session that has ended. If it was `evicted`, its client learns that.
    pub(super) fn remove(&self, name: &str, evicted: bool) {
        let now = self.clock.now();
        let mut sessions = self.lock();
        let removed = if evicted { sessions.evict(now, name) } else { sessions.remove(name) };
        drop(sessions);
        drop(removed);
    }

    /// Since when a session has no socket.
    pub(super) fn suspended_since(&self, name: &str) -> Option<Duration> {
        self.lock().suspended_since(name)
    }

    /// Frees memory when the sessions keep too much: `empty` drops what a session keeps. Returns those that end.
    pub(super) fn relieve(&self, empty: impl FnMut(&C)) -> Vec<C> {
        let now = self.clock.now();
        self.lock().relieve(now, &self.budget, empty)
    }

    /// Forgets all sessions. Returns their connections.
    pub(super) fn clear(&self) -> Vec<C> {
        self.lock().clear()
    }

    /// Ends suspended sessions when their window is over, by `end`.
    pub(super) async fn expire(&self, end: impl Fn(&C)) {
        loop {
            let now = self.clock.now();
            while let Some(conn) = { self.lock().expire(now) } {
                end(&conn);
            }
            let due = self.lock().poll_timeout().and_then(|at| self.clock.at(at));
            let suspended = self.suspended.notified();
            match due {
                Some(due) => drop(tokio::time::timeout_at(due, suspended).await),
                None => suspended.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions<C>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
