//! What happens to the connection of a client: it is ready, suspended, resumed, ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use wse_proto::session::{Close, reconnects};
use wse_proto::{CloseReason, ErrorCode};

use super::offline_queue::Kept;
use super::shared::{ClientCore, Shared};
use super::status::{ClientEvent, Status};
use crate::callback::text_of;
use crate::connection::{Connection, Resumed, Wakes};

impl Shared {
    /// Handles the welcome of a connection: runs `on_ready`, then sends the offline queue. Does nothing more once the
    /// client was closed or has moved on to another connection.
    pub(super) fn ready(self: &Arc<Self>, connection: Arc<Connection>, welcome: Bytes) {
        // What is replaced is dropped at the end, without the lock.
        let mut _old = [None, None];
        let mut state = self.state();
        if !connection.is_ready() {
            return;
        }
        _old[0] = state.last.replace(Arc::clone(&connection));
        state.welcome = Bytes::copy_from_slice(&welcome);
        if let Some(on_ready) = &self.settings.on_ready
            && let Some(core) = ClientCore::of(self)
        {
            _old[1] = state.connection.replace(Arc::clone(&connection));
            state.on_ready_thread = Some(std::thread::current().id());
            drop(state);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| on_ready(core))) {
                let message = format!("`on_ready` panicked{}", text_of(&*panic));
                self.panicked("on_ready".into(), message);
            }
            state = self.state();
            if state.on_ready_thread == Some(std::thread::current().id()) {
                state.on_ready_thread = None;
            }
            if !state.is_current(&connection) || !connection.is_ready() {
                return;
            }
        }
        let (mut lost, mut wakes) = (0, Wakes::default());
        for Kept { variant, message, rule } in state.offline_queue.take() {
            let fits = variant == connection.wire.variant;
            if !fits || connection.push_kept(message, rule, &mut wakes).is_err() {
                lost += 1;
            }
        }
        let replaced = (state.connection.replace(connection), state.suspended.take());
        // Under the lock, so that it does not overwrite the status of a client that is closed meanwhile.
        state.status = Status::Ready;
        drop(state);
        drop(replaced);
        wakes.wake();
        self.publish_status();
        if lost > 0 {
            let message = format!("{lost} messages from the offline queue could not be sent");
            self.error(ErrorCode::NotReady, &message);
        }
        self.emit(ClientEvent::Ready(welcome));
    }

    /// The connection has lost its socket, and waits for another one.
    pub(super) fn suspended(&self, connection: &Arc<Connection>, close: Close) {
        // Without the lock, since it may call the application.
        let comes_back = self.reconnects_after(&close);
        let mut state = self.state();
        state.last_close = Some(close.clone());
        state.comes_back = comes_back;
        if state.is_current(connection) && state.commands.is_some() && comes_back {
            state.suspended = Some(Arc::clone(connection));
            state.status = Status::Reconnecting;
        }
        let waits = state.suspended.is_some();
        drop(state);
        if !waits {
            connection.stop_suspended(&close);
            return;
        }
        self.publish_status();
        self.emit(ClientEvent::Suspended(close));
    }

    /// The connection has a socket again.
    pub(super) fn resumed(&self, connection: &Arc<Connection>, welcome: &Bytes, how: Resumed) {
        let mut state = self.state();
        state.welcome = Bytes::copy_from_slice(welcome);
        if state.is_current(connection) {
            state.suspended = None;
            state.status = Status::Ready;
        }
        drop(state);
        self.publish_status();
        self.emit(ClientEvent::Resumed(how));
    }

    /// The connection that waits for another socket.
    pub(super) fn suspended_connection(&self) -> Option<Arc<Connection>> {
        self.state().suspended.clone()
    }

    /// Ends the connection that waits for another socket.
    pub(super) fn end_suspended(&self) {
        let mut state = self.state();
        let suspended = state.suspended.take();
        let close = state.last_close.clone().unwrap_or(Close::VANISHED);
        drop(state);
        if let Some(connection) = suspended {
            connection.stop_suspended(&close);
        }
    }

    /// Handles the end of a connection. If the client connects again, its status changes here: code that learns of the end by a
    /// failed call already finds that the client is not ready. If it does not, the status changes when the manager ends, since
    /// only then can `connect` start another one.
    pub(super) fn ended(&self, connection: &Arc<Connection>, close: &Close) {
        // Without the lock, since it may call the application.
        let comes_back = self.reconnects_after(close);
        let mut state = self.state();
        state.last_close = Some(close.clone());
        state.comes_back = comes_back;
        // Without `commands` the client was closed, and stays offline.
        let waiting = state.connection.is_none() && state.commands.is_some();
        if waiting || state.is_current(connection) {
            // The caller has another reference to it.
            state.connection = None;
            state.suspended = None;
            if comes_back {
                state.status = Status::Reconnecting;
            }
        }
        drop(state);
        self.publish_status();
        self.emit(ClientEvent::Closed(close.clone()));
    }

    /// Whether the client connects again after this close. A panic of the application's function is a no.
    pub(super) fn reconnects_after(&self, close: &Close) -> bool {
        let Some(when) = &self.settings.reconnect_when else {
            let expired = close.code == 4001 && close.reason == CloseReason::CredentialsExpired;
            let comes_back =
                reconnects(close.code) || expired && self.state().target.credentials.may_change();
            return self.settings.reconnect.is_some() && comes_back;
        };
        let when = AssertUnwindSafe(|| when(close));
        self.settings.reconnect.is_some() && catch_unwind(when).unwrap_or_default()
    }

    /// Whether the client connects again after the connection that has ended last.
    pub(super) fn comes_back(&self) -> bool {
        self.state().comes_back
    }

    /// Drops the connection before a migration.
    pub(super) fn migrating(&self) {
        self.end_suspended();
        let mut state = self.state();
        let old = state.connection.take();
        state.status = Status::Reconnecting;
        drop(state);
        drop(old);
        self.publish_status();
    }

    /// Handles the end of the manager: nothing is sent any more.
    pub(super) fn stop(&self) {
        self.end_suspended();
        let mut state = self.state();
        let old = (state.commands.take(), state.connection.take());
        state.offline_queue.clear();
        (state.next_attempt, state.check_asked) = (None, false);
        // Under the lock, so that it does not overwrite the status of a manager that starts meanwhile.
        state.status = Status::Offline;
        drop(state);
        drop(old);
        self.publish_status();
    }
}
