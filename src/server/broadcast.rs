//! One message to many connections: it is encoded once per protocol in use and compressed once, and the bytes are shared.

use std::sync::Arc;

use wse_proto::CodecError;
use wse_transport::ws::{Message, PreparedMessage};

use super::audience::{Audience, To};
use super::cluster::Destination;
use super::core::{ConnCore, CoreEvent, ServerCore};
use super::registry::Registry;
use super::rooms::RoomCore;
use crate::connection::{Class, Connection, Wakes, Wire};

/// Packs a message for one protocol. `None` if it is not sent over this protocol.
pub(super) type Pack<'a> = dyn FnMut(&Wire) -> Result<Option<Message>, CodecError> + 'a;

/// A message as each of several connections needs it.
pub(super) enum Packed {
    /// All connections of the server speak the same protocol.
    Same(PreparedMessage),
    /// By the variants of the protocols.
    Each(Vec<Option<PreparedMessage>>),
}

impl Packed {
    /// Packs a message for the only protocol of a server. Called without a lock, as `for_each` is, since the encoding of a
    /// payload may call the server.
    fn same(wire: &Wire, pack: &mut Pack<'_>) -> Result<Self, CodecError> {
        let packed = pack(wire)?;
        Ok(packed.map_or_else(|| Self::Each(Vec::new()), |message| Self::Same(message.into())))
    }

    /// Packs a message once for each of the [`speakers`].
    pub(super) fn for_each(
        speakers: &[Arc<Connection>],
        pack: &mut Pack<'_>,
    ) -> Result<Self, CodecError> {
        let mut packed = Vec::new();
        for Wire { variant, .. } in speakers.iter().map(|it| &it.wire) {
            packed.resize(packed.len().max(variant + 1), None);
        }
        for wire in speakers.iter().map(|it| &it.wire) {
            packed[wire.variant] = pack(wire)?.map(PreparedMessage::from);
        }
        Ok(Self::Each(packed))
    }

    /// Returns the message for this connection. `None` if it was packed for none of its protocol.
    pub(super) fn of(&self, connection: &Connection) -> Option<&PreparedMessage> {
        match self {
            Self::Same(message) => Some(message),
            Self::Each(messages) => messages.get(connection.wire.variant)?.as_ref(),
        }
    }
}

/// Returns one connection of each protocol in use.
pub(super) fn speakers<'a>(
    connections: impl Iterator<Item = &'a Arc<Connection>>,
) -> Vec<Arc<Connection>> {
    let mut speakers: Vec<Arc<Connection>> = Vec::new();
    for connection in connections {
        if speakers.iter().all(|it| it.wire.variant != connection.wire.variant) {
            speakers.push(Arc::clone(connection));
        }
    }
    speakers
}

impl ServerCore {
    /// Queues a message on the connections of this server that it goes to. Returns how many took it.
    ///
    /// All encoding comes first, so that an error means that nothing was sent.
    pub(super) fn broadcast(
        &self,
        audience: &Audience,
        pack: &mut Pack<'_>,
    ) -> Result<usize, CodecError> {
        match &audience.to {
            To::Many(Destination::All) if self.protocol.is_only() && audience.except.is_empty() => {
                Ok(send_all(&self.registry, &Packed::same(&self.wire, pack)?))
            }
            To::Many(Destination::Room(name)) => {
                let room = self.rooms.get(name);
                room.map_or(Ok(0), |room| self.send_to_members(&room, audience, pack))
            }
            _ => {
                let conns = audience.conns(self);
                let connections = || conns.iter().map(ConnCore::connection);
                let packed = Packed::for_each(&speakers(connections()), pack)?;
                let mut wakes = Wakes::default();
                let reached = push_all(connections(), &packed, &mut wakes);
                wakes.wake();
                Ok(reached)
            }
        }
    }

    fn send_to_members(
        &self,
        room: &RoomCore<ConnCore>,
        audience: &Audience,
        pack: &mut Pack<'_>,
    ) -> Result<usize, CodecError> {
        let packed = if self.protocol.is_only() {
            Packed::same(&self.wire, pack)?
        } else {
            let members = room.members();
            let wanted = members.iter().filter(|member| !audience.except.has(&member.conn));
            let speakers = speakers(wanted.map(|member| &member.connection));
            drop(members);
            Packed::for_each(&speakers, pack)?
        };
        let mut wakes = Wakes::default();
        let members = room.members();
        let wanted = members.iter().filter(|member| !audience.except.has(&member.conn));
        let reached = push_all(wanted.map(|member| &member.connection), &packed, &mut wakes);
        drop(members);
        wakes.wake();
        Ok(reached)
    }
}

/// Queues a message on all connections of a server with one protocol. Returns how many took it.
/// Copies no handles. Unauthenticated connections are visited too, and reject it.
fn send_all(registry: &Registry<ConnCore, CoreEvent>, packed: &Packed) -> usize {
    let mut reached = 0;
    let mut wakes = Wakes::default();
    for shard in registry.open_connections() {
        reached += push_all(shard.values(), packed, &mut wakes);
        drop(shard);
        wakes.wake();
    }
    reached
}

/// The number of connections that are visited together.
const BATCH: usize = 16;

/// Queues a message on these connections, which may be behind a lock: the caller wakes `wakes` once it is released. Returns
/// how many took the message.
fn push_all<'a>(
    mut connections: impl Iterator<Item = &'a Arc<Connection>>,
    packed: &Packed,
    wakes: &mut Wakes,
) -> usize {
    let push = |connection: &Arc<Connection>, wakes: &mut Wakes| {
        let message = packed.of(connection).cloned();
        message.is_some_and(|it| connection.push_later(Class::Message, it, wakes).is_ok())
    };
    let mut reached = 0;
    loop {
        let batch: [Option<&Arc<Connection>>; BATCH] = std::array::from_fn(|_| connections.next());
        let batch = || batch.iter().copied().flatten();
        // Idle connections are in no CPU cache. Reading a field of each first lets the cache misses overlap.
        std::hint::black_box(batch().filter(|it| it.holds_reading()).count());
        reached += batch().filter(|it| push(it, wakes)).count();
        if batch().count() < BATCH {
            return reached;
        }
    }
}
