//! Who comes and goes: connections of users, and members of rooms, with their events in order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use wse_proto::session::Close;
use wse_proto::{CloseReason, Text};

use super::core::{ConnCore, CoreEvent, ServerCore};
use super::rooms::{JoinError, Member};

impl ServerCore {
    /// Takes the turn of a user, before [`join`](Self::join) or [`announce`](Self::announce). Until
    /// then another connection of the user is announced.
    pub(super) fn poll_turn(&self, user: &Text, cx: &Context<'_>) -> Poll<()> {
        self.registry.order_with(user).poll_turn(user, cx)
    }

    /// Adds an accepted connection, and ends the turn of its user. The oldest connections above the
    /// user's limit are closed.
    ///
    /// `first` says whether the user had no connection on any node, if the server is one of several.
    pub(super) fn join(&self, conn: &ConnCore, first: Option<bool>) {
        let (user, close) = (conn.user(), Close::normal(CloseReason::ClientsConcurrency));
        let mut closed = Vec::new();
        self.registry.order_with(user).change(user, |events| {
            let since = |conn: &ConnCore| self.suspended_since(conn);
            let mut users = self.registry.users_with(user);
            let joined = users.join_with(user.clone(), conn.id(), conn.clone(), since);
            drop(users);
            for evicted in &joined.evicted {
                evicted.0.memberships.end(&self.rooms, evicted.id());
                self.part(evicted, &close, events);
            }
            if first.unwrap_or(joined.first) {
                events.push_back(CoreEvent::Joined(conn.clone()));
            }
            events.push_back(CoreEvent::Connected(conn.clone()));
            closed = joined.evicted;
        });
        for evicted in closed {
            self.end_session(&evicted, true);
            evicted.close_now(close.clone());
        }
        self.announce(user);
        self.registry.arrivals_with(user).notify(user);
        if self.cluster.is_some() && self.evicted_early().remove(&conn.id()) {
            self.evict(user, conn.id());
        }
    }

    /// Removes a connection that has ended. An evicted one was removed already.
    pub(super) fn depart(&self, conn: &ConnCore, close: &Close) {
        let user = conn.user();
        self.end_session(conn, false);
        // Before the order is locked: a message to many may hold the lock of a room for long.
        conn.0.memberships.end(&self.rooms, conn.id());
        self.in_order(user, |events| {
            if conn.is_departed() {
                return;
            }
            let last = self.registry.users_with(user).leave(user, conn.id()) == Some(true);
            self.part(conn, close, events);
            // The cluster tells when the user has no connection on any node.
            if last && self.cluster.is_none() {
                events.push_back(CoreEvent::Left(user.clone(), close.clone()));
            }
        });
    }

    /// Takes leave of a connection that is no longer its user's, once.
    fn part(&self, conn: &ConnCore, close: &Close, events: &mut VecDeque<CoreEvent>) {
        if !conn.depart() {
            return;
        }
        self.exited(conn, events);
        events.push_back(CoreEvent::Disconnected(conn.clone(), close.clone()));
        if let Some(cluster) = &self.cluster {
            cluster.release(conn.user(), conn.id(), Some(close));
        }
    }

    /// Returns a connection of a user that has not ended.
    pub(super) fn conn(&self, user: &Text, id: u64) -> Option<ConnCore> {
        let conn = self.registry.users_with(user).of(user).find(|conn| conn.id() == id).cloned();
        conn.filter(|conn| !conn.is_departed())
    }

    /// Closes a connection that has lost its place to another node's. Returns whether there was one.
    pub(super) fn evict(&self, user: &Text, id: u64) -> bool {
        let close = Close::normal(CloseReason::ClientsConcurrency);
        // Under its lock: `join` looks there once the connection is its user's.
        let mut early = self.evicted_early();
        let Some(conn) = self.conn(user, id) else {
            return self.registry.open_connection(id).is_some() && early.insert(id);
        };
        drop(early);
        self.end_session(&conn, true);
        self.depart(&conn, &close);
        conn.close_now(close);
        true
    }

    /// Emits the queued events of a user, and ends the user's turn.
    pub(super) fn announce(&self, user: &Text) {
        self.registry.order_with(user).emit(user, |event| {
            // A waker of a stream of events may panic too.
            if catch_unwind(AssertUnwindSafe(|| self.emit(event))).is_err() {
                tracing::error!("a reader of events panicked");
            }
        });
    }

    /// Adds a connection to a room. Returns whether it was not in it.
    pub(super) fn join_room(&self, conn: &ConnCore, name: &Text) -> Result<bool, JoinError> {
        let limit = self.config.max_room_name;
        if name.len() > limit {
            return Err(JoinError::NameTooLong { len: name.len(), limit });
        }
        // Copied: a long text may hold the whole message that it came in.
        let name = &Text::from(name.as_str());
        let join = || {
            let member = Member { conn: conn.clone(), connection: Arc::clone(conn.connection()) };
            let max_rooms = self.config.max_rooms;
            conn.0.memberships.join(&self.rooms, max_rooms, name, conn.id(), member)
        };
        if !self.config.room_events {
            return join();
        }
        let mut joined = Ok(false);
        self.in_order(conn.user(), |events| {
            joined = join();
            if joined == Ok(true) {
                events.push_back(CoreEvent::Entered(conn.clone(), name.clone()));
            }
        });
        joined
    }

    /// Removes a connection from a room. Returns whether it was in it.
    pub(super) fn leave_room(&self, conn: &ConnCore, name: &str) -> bool {
        let leave = || conn.0.memberships.leave(&self.rooms, name, conn.id());
        if !self.config.room_events {
            return leave();
        }
        let mut left = false;
        self.in_order(conn.user(), |events| {
            left = leave();
            if left {
                events.push_back(CoreEvent::Exited(conn.clone(), name.into()));
            }
        });
        left
    }

    /// Makes a change, and emits its events in the order of the user's events.
    pub(super) fn in_order(&self, user: &Text, change: impl FnOnce(&mut VecDeque<CoreEvent>)) {
        if self.registry.order_with(user).change(user, change) {
            self.announce(user);
        }
    }

    /// Queues the events of the rooms that a connection was in at its end.
    fn exited(&self, conn: &ConnCore, events: &mut VecDeque<CoreEvent>) {
        let rooms = conn.0.memberships.take_ended();
        if self.config.room_events {
            events.extend(rooms.into_iter().map(|room| CoreEvent::Exited(conn.clone(), room)));
        }
    }
}
