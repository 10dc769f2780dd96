//! [`Audience`]: the connections that a message goes to, of any protocol.

use std::sync::Arc;

use wse_proto::Text;

use super::cluster::Destination;
use super::core::{ConnCore, ServerCore};
use super::rooms::RoomCore;

/// The connections that a message goes to. Which ones they are is decided when it is sent.
#[derive(Clone)]
pub(super) struct Audience {
    pub(super) to: To,
    pub(super) except: Except,
}

/// All connections of one kind, before some are left out.
#[derive(Clone)]
pub(super) enum To {
    /// Those of a server, of a user, or in a room.
    Many(Destination),
    Conn(ConnCore),
}

/// The connections that are left out.
#[derive(Clone, Default)]
pub(super) struct Except {
    pub(super) conns: Vec<ConnCore>,
    pub(super) users: Vec<Text>,
}

impl Except {
    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty() && self.users.is_empty()
    }

    /// Whether the message does not go to this connection. Reads the connection only if users are left out.
    pub(super) fn has(&self, conn: &ConnCore) -> bool {
        self.conns.iter().any(|it| it.is(conn)) || self.users.iter().any(|user| user == conn.user())
    }
}

impl Audience {
    pub(super) fn new(to: To) -> Self {
        Self { to, except: Except::default() }
    }

    /// Returns the connections, oldest first; all of them in no particular order.
    pub(super) fn conns(&self, server: &ServerCore) -> Vec<ConnCore> {
        let mut conns = match &self.to {
            To::Many(Destination::All) => server.registry.connections(),
            To::Many(Destination::User(id)) => {
                server.registry.users_with(id).of(id).cloned().collect()
            }
            To::Many(Destination::Room(name)) => {
                let conns = |room: Arc<RoomCore<ConnCore>>| {
                    room.members().iter().map(|member| member.conn.clone()).collect()
                };
                server.rooms.get(name).map(conns).unwrap_or_default()
            }
            To::Conn(conn) => vec![conn.clone()],
        };
        if !self.except.is_empty() {
            conns.retain(|conn| !self.except.has(conn));
        }
        conns
    }
}
