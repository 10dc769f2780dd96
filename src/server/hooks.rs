//! The hooks of a [`ServerBuilder`]: callbacks for events.

use std::sync::Arc;

use wse_proto::Negotiate;
use wse_proto::session::Close;

use super::builder::ServerBuilder;
use super::conn::Conn;
use super::core::CoreEvent;
use super::events::{ErrorEvent, ServerEvent, typed};
use super::refused::Refused;
use super::undelivered::Undelivered;
use crate::callback::Callback;
use crate::connection::Resumed;

impl<P: Negotiate, S> ServerBuilder<P, S> {
    /// Calls `callback` at each event: see [`Server::on_event`](crate::Server::on_event).
    pub fn on_event(self, callback: impl Fn(&ServerEvent<P>) + Send + Sync + 'static) -> Self {
        self.hooked("on_event", callback)
    }

    fn hooked(
        mut self,
        hook: &'static str,
        callback: impl Fn(&ServerEvent<P>) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.push(typed(hook, callback));
        self
    }

    /// Calls `callback` at a user's first connection, after its welcome was queued.
    pub fn on_joined(mut self, callback: impl Fn(&Conn<P>) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Callback::new("on_joined", move |event| {
            if let CoreEvent::Joined(conn) = event {
                callback(&Conn::of(conn.clone()));
            }
        }));
        self
    }

    /// Calls `callback` at each accepted connection.
    pub fn on_connected(mut self, callback: impl Fn(&Conn<P>) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Callback::new("on_connected", move |event| {
            if let CoreEvent::Connected(conn) = event {
                callback(&Conn::of(conn.clone()));
            }
        }));
        self
    }

    /// Calls `callback` at the end of each accepted connection.
    pub fn on_disconnected(
        mut self,
        callback: impl Fn(&Conn<P>, &Close) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.push(Callback::new("on_disconnected", move |event| {
            if let CoreEvent::Disconnected(conn, close) = event {
                callback(&Conn::of(conn.clone()), close);
            }
        }));
        self
    }

    /// Calls `callback` with the user's id at the end of a user's last connection.
    pub fn on_left(mut self, callback: impl Fn(&str, &Close) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Callback::new("on_left", move |event| {
            if let CoreEvent::Left(user, close) = event {
                callback(user, close);
            }
        }));
        self
    }

    /// Calls `callback` with the name of the room when a connection has joined it. Switches
    /// [`room_events`](Self::room_events) on.
    pub fn on_entered(mut self, callback: impl Fn(&Conn<P>, &str) + Send + Sync + 'static) -> Self {
        self.config.room_events = true;
        self.callbacks.push(Callback::new("on_entered", move |event| {
            if let CoreEvent::Entered(conn, room) = event {
                callback(&Conn::of(conn.clone()), room);
            }
        }));
        self
    }

    /// Calls `callback` with the name of the room when a connection has left it. A connection that ends leaves its rooms
    /// before [`on_disconnected`](Self::on_disconnected) is called. Switches [`room_events`](Self::room_events) on.
    pub fn on_exited(mut self, callback: impl Fn(&Conn<P>, &str) + Send + Sync + 'static) -> Self {
        self.config.room_events = true;
        self.callbacks.push(Callback::new("on_exited", move |event| {
            if let CoreEvent::Exited(conn, room) = event {
                callback(&Conn::of(conn.clone()), room);
            }
        }));
        self
    }

    /// Calls `callback` at each [`ServerEvent::Suspended`]: a connection has lost its socket, and may be resumed.
    pub fn on_suspended(
        mut self,
        callback: impl Fn(&Conn<P>, &Close) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.push(Callback::new("on_suspended", move |event| {
            if let CoreEvent::Suspended(conn, close) = event {
                callback(&Conn::of(conn.clone()), close);
            }
        }));
        self
    }

    /// Calls `callback` at each [`ServerEvent::Resumed`]: the client of a connection has come back.
    pub fn on_resumed(
        mut self,
        callback: impl Fn(&Conn<P>, &Resumed) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.push(Callback::new("on_resumed", move |event| {
            if let CoreEvent::Resumed(conn, resumed) = event {
                callback(&Conn::of(conn.clone()), resumed);
            }
        }));
        self
    }

    /// Calls `callback` once for each message of [`User::send_reliable`](crate::User::send_reliable) that no device of its user
    /// has confirmed, for example to send a push notification. The message may have arrived all the same.
    ///
    /// It is called when the outcome of the last device is known:
    ///
    /// - If the user has no connection when the message is sent, at once. The message still arrives if a device connects before
    ///   the sender gives up.
    /// - If all devices that are left are suspended, at the end of the last window. A device that comes back before that gets
    ///   the message, also if the sender has given up, and there is no call.
    /// - Otherwise when the sender gives up without a receipt.
    ///
    /// It is not called when the future of the sender is dropped, when the payload cannot be encoded, and when the server's
    /// process ends.
    pub fn on_undelivered(
        mut self,
        callback: impl Fn(&Undelivered<P>) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.push(Callback::new("on_undelivered", move |event| {
            if let CoreEvent::Undelivered(message) = event {
                callback(&Undelivered::of(Arc::clone(message)));
            }
        }));
        self
    }

    /// Calls `callback` at each connection that was turned away before it was accepted. It may run while the connection
    /// is still being answered.
    pub fn on_refused(mut self, callback: impl Fn(&Refused) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Callback::new("on_refused", move |event| {
            if let CoreEvent::Refused(refused) = event {
                callback(refused);
            }
        }));
        self
    }

    /// Calls `callback` at each error event.
    pub fn on_error(self, callback: impl Fn(&ErrorEvent<P>) + Send + Sync + 'static) -> Self {
        self.hooked("on_error", move |event| {
            if let ServerEvent::Error(error) = event {
                callback(error);
            }
        })
    }
}
