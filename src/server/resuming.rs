//! What a server does with connections that lose their sockets: it suspends them, resumes them, and ends them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use wse_proto::session::{Close, Token};
use wse_proto::{CloseReason, Outcome, ResumeRequest, Text};

use super::core::{ConnCore, CoreEvent, ServerCore};
use crate::connection::{Connection, Resumed};
use crate::random;

impl ServerCore {
    /// Starts the task that ends suspended sessions. Once.
    pub(super) fn start_resumption_task(self: &Arc<Self>) {
        if self.resumption.is_some() && self.start_once() {
            let server = Arc::clone(self);
            self.tasks.spawn(async move {
                if let Some(resumption) = &server.resumption {
                    let end = |conn: &ConnCore| conn.connection().end_suspended();
                    server.stop.run_until_cancelled(resumption.expire(end)).await;
                }
            });
        }
    }

    /// The connection that a client of this user may resume over another one.
    ///
    /// # Errors
    ///
    /// What the client is told of its new session.
    pub(super) fn resumed_by(
        &self,
        request: &ResumeRequest,
        user: &str,
        over: &Connection,
    ) -> Result<ConnCore, Outcome> {
        let (Some(resumption), ResumeRequest::Resume { session, .. }) = (&self.resumption, request)
        else {
            return Err(Outcome::New);
        };
        let found = resumption.find(session).and_then(|conn| {
            let same_user = conn.user() == user;
            match conn.connection().refusal(request, same_user, over) {
                None => Ok(conn),
                Some(reason) => Err(reason),
            }
        });
        found.map_err(Outcome::None)
    }

    /// A connection has lost its socket, and its client may come back.
    pub(super) fn suspended(&self, conn: &ConnCore, close: Close) {
        if self.is_draining() {
            // Its client cannot come back to this server.
            return conn.connection().end_suspended();
        }
        self.begin_window(conn);
        self.in_order(conn.user(), |events| {
            // Nothing comes after the end.
            if !conn.is_departed() {
                events.push_back(CoreEvent::Suspended(conn.clone(), close));
            }
        });
        if self.stop.is_cancelled() {
            conn.connection().stop_suspended(&Close::new(1012, CloseReason::ByServer));
        }
    }

    /// The window of a suspended connection begins.
    pub(super) fn begin_window(&self, conn: &ConnCore) {
        let name = conn.connection().session_name();
        if let Some((resumption, name)) = self.resumption.as_ref().zip(name) {
            resumption.suspend(&name);
        }
    }

    /// The window of a suspended connection does not go on. Returns false when it was over already, or the connection has
    /// ended otherwise.
    pub(super) fn keep_session(&self, conn: &ConnCore) -> bool {
        let name = conn.connection().session_name();
        self.resumption.as_ref().zip(name).is_some_and(|(it, name)| it.resume(&name))
    }

    /// A client has come back.
    pub(super) fn resumed(&self, conn: &ConnCore, outcome: &Outcome) {
        self.keep_session(conn);
        self.in_order(conn.user(), |events| {
            if !conn.is_departed() {
                events.push_back(CoreEvent::Resumed(conn.clone(), Resumed::of(outcome)));
            }
        });
    }

    /// Since when a connection has no socket.
    pub(super) fn suspended_since(&self, conn: &ConnCore) -> Option<Duration> {
        let resumption = self.resumption.as_ref()?;
        resumption.suspended_since(&conn.connection().session_name()?)
    }

    /// Frees memory when the sessions keep too much. Some may end by this.
    pub(super) fn relieve(&self) {
        let Some(resumption) = &self.resumption else { return };
        for conn in resumption.relieve(|conn| conn.connection().empty_ring()) {
            conn.connection().end_suspended();
        }
    }

    /// Forgets the session of a connection that has ended.
    pub(super) fn end_session(&self, conn: &ConnCore, evicted: bool) {
        let name = conn.connection().session_name();
        if let Some((resumption, name)) = self.resumption.as_ref().zip(name) {
            resumption.remove(&name, evicted);
        }
    }

    /// Ends all suspended sessions as at the end of their windows: the server drains.
    pub(super) fn end_suspended(&self) {
        let Some(resumption) = &self.resumption else { return };
        for conn in resumption.clear() {
            conn.connection().end_suspended();
        }
    }

    /// Ends all suspended sessions: the server stops.
    pub(super) fn stop_suspended(&self) {
        let Some(resumption) = &self.resumption else { return };
        let close = Close::new(1012, CloseReason::ByServer);
        for conn in resumption.clear() {
            conn.connection().stop_suspended(&close);
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
