//! [`ThisNode`]: a server, as the link to its cluster sees it; and what the server gives that link.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use wse_proto::session::Close;
use wse_proto::{CodecError, Head, Text};

use super::audience::{Audience, Except, To};
use super::cluster::{Delivered, Encoding, LocalNode, Publication};
use super::core::{CoreEvent, ServerCore};
use crate::connection::Wire;

/// Weak, so that a link does not keep its server.
pub(super) struct ThisNode(Weak<ServerCore>);

impl ThisNode {
    pub(super) fn new(server: &Arc<ServerCore>) -> Self {
        Self(Arc::downgrade(server))
    }
}

impl LocalNode for ThisNode {
    fn deliver(&self, publication: &Publication) -> Delivered {
        self.0.upgrade().map_or_else(Delivered::default, |server| server.deliver(publication))
    }

    fn evict(&self, user: &Text, conn_id: u64) -> bool {
        self.0.upgrade().is_some_and(|server| server.evict(user, conn_id))
    }

    fn close_user(&self, user: &str, close: Close) -> usize {
        self.0.upgrade().map_or(0, |server| server.close_user_here(user, &close))
    }

    fn left(&self, user: &Text, close: &Close) {
        if let Some(server) = self.0.upgrade() {
            server.in_order(user, |events| {
                events.push_back(CoreEvent::Left(user.clone(), close.clone()));
            });
        }
    }

    fn joined_again(&self, user: &Text, conn_id: u64) {
        let Some(server) = self.0.upgrade() else { return };
        server.in_order(user, |events| {
            let conn = server.conn(user, conn_id);
            events.extend(conn.map(CoreEvent::Joined));
        });
    }

    fn connections_per_user(&self) -> usize {
        self.0.upgrade().map_or(1, |server| server.config.connections_per_user)
    }
}

impl ServerCore {
    /// Encodes a payload for each protocol that connections of the cluster may have.
    pub(super) fn encodings(
        &self,
        encode: &mut dyn FnMut(&Wire) -> Result<Bytes, CodecError>,
    ) -> Result<Vec<Encoding>, CodecError> {
        let encode = |wire: &Wire| {
            Ok(Encoding { protocol: Text::from_static(wire.info.name()), payload: encode(wire)? })
        };
        self.wires.iter().map(encode).collect()
    }

    /// Queues a message of another node.
    fn deliver(&self, publication: &Publication) -> Delivered {
        let Publication { to, except_users, name, encodings } = publication;
        let except = Except { conns: Vec::new(), users: except_users.clone() };
        let audience = Audience { to: To::Many(to.clone()), except };
        let (head, mut unreadable) = (Head::message(name.clone()), 0);
        let reached = self.broadcast(&audience, &mut |wire| {
            let encoding = encodings.iter().find(|it| it.protocol == *wire.info.name());
            let packed = encoding.and_then(|it| wire.pack(&head, &it.payload).ok());
            unreadable += usize::from(packed.is_none());
            Ok(packed)
        });
        Delivered { queued: reached.unwrap_or_default(), unreadable }
    }

    /// Closes all connections of a user on this node. Returns how many there were.
    fn close_user_here(&self, user: &str, close: &Close) -> usize {
        let conns: Vec<_> = self.registry.users_with(user).of(user).cloned().collect();
        conns.iter().for_each(|conn| conn.close(close.clone()));
        conns.len()
    }
}
