//! [`Resumption`]: the sessions of a server that outlive their sockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::sync::Notify;
use wse_proto::session::{Budget, Close, ResumeLimits, Sessions, Token};
use wse_proto::{CloseReason, Outcome, ResumeRequest, Text};

use super::core::{ConnCore, ServerCore};
use crate::connection::{Clock, Connection};
use crate::random;

/// The sessions of a server by their names, and the task that ends those whose window is over.
pub(super) struct Resumption {
    pub(super) budget: Arc<Budget>,
    /// The time of `sessions`.
    clock: Clock,
    sessions: Mutex<Sessions<ConnCore>>,
    /// Notified when a session was suspended.
    suspended: Notify,
}

impl Resumption {
    pub(super) fn new(limits: ResumeLimits) -> Self {
        Self {
            budget: Budget::new(limits),
            clock: Clock::start(),
            sessions: Mutex::new(Sessions::new(&limits)),
            suspended: Notify::new(),
        }
    }

    /// The connection whose session a client may resume over another one.
    ///
    /// # Errors
    ///
    /// [`Outcome::None`] with its reason.
    pub(super) fn find(
        &self,
        request: &ResumeRequest,
        user: &str,
        over: &Connection,
    ) -> Result<ConnCore, Outcome> {
        let ResumeRequest::Resume { session, .. } = request else { return Err(Outcome::New) };
        let found = self.lock().find(session).cloned();
        let found = found.and_then(|conn| {
            let same_user = conn.user() == user;
            match conn.connection().refusal(request, same_user, over) {
                None => Ok(conn),
                Some(reason) => Err(reason),
            }
        });
        found.map_err(Outcome::None)
    }

    /// Adds the session of a new connection.
    pub(super) fn create(&self, name: &str, conn: &ConnCore) {
        self.lock().create(name, conn.clone());
    }

    pub(super) fn suspend(&self, name: &str) {
        let now = self.clock.now();
        self.lock().suspend(now, name);
        self.suspended.notify_one();
    }

    pub(super) fn resume(&self, name: &str) {
        self.lock().resume(name);
    }

    /// Forgets a session that has ended. If it was `evicted`, its client learns that.
    pub(super) fn remove(&self, name: &str, evicted: bool) {
        let now = self.clock.now();
        let mut sessions = self.lock();
        let removed = if evicted { sessions.evict(now, name) } else { sessions.remove(name) };
        drop(sessions);
        drop(removed);
    }

    /// Since when a connection has no socket.
    pub(super) fn suspended_since(&self, conn: &ConnCore) -> Option<Duration> {
        let name = conn.connection().session_name()?;
        self.lock().suspended_since(&name)
    }

    /// Frees memory when the sessions keep too much. Some may be ended by this.
    pub(super) fn relieve(&self) {
        let now = self.clock.now();
        let evicted = self.lock().relieve(now, &self.budget, |conn| conn.connection().empty_ring());
        for conn in evicted {
            conn.connection().end_suspended();
        }
    }

    /// Ends suspended sessions when their window is over.
    async fn expire(&self) {
        loop {
            let now = self.clock.now();
            while let Some(conn) = { self.lock().expire(now) } {
                conn.connection().end_suspended();
            }
            let due = self.lock().poll_timeout().and_then(|at| self.clock.at(at));
            let suspended = self.suspended.notified();
            match due {
                Some(due) => drop(tokio::time::timeout_at(due, suspended).await),
                None => suspended.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions<ConnCore>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCore {
    /// Starts the task that ends suspended sessions. Once.
    pub(super) fn start_resumption_task(self: &Arc<Self>) {
        if self.resumption.is_some() && self.start_once() {
            let server = Arc::clone(self);
            self.tasks.spawn(async move {
                if let Some(resumption) = &server.resumption {
                    server.stop.run_until_cancelled(resumption.expire()).await;
                }
            });
        }
    }

    /// Ends all suspended sessions: the server stops.
    pub(super) fn stop_suspended(&self) {
        if let Some(resumption) = &self.resumption {
            let close = Close::new(1012, CloseReason::ByServer);
            let all = resumption.lock().clear();
            for conn in all {
                conn.connection().stop_suspended(&close);
            }
        }
    }
}

/// A name that nobody can guess.
pub(super) fn name() -> Text {
    BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>()).into()
}

/// A new secret.
pub(super) fn token() -> Token {
    Token::new(random::bytes())
}
