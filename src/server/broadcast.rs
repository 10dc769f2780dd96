//! One message to many connections: it is encoded once per protocol in use and compressed once, and the bytes are shared.

use std::sync::Arc;

use wse_proto::{CodecError, Encode, Head, Negotiate};
use wse_transport::ws::PreparedMessage;

use super::core::{ConnCore, CoreEvent};
use super::registry::Registry;
use crate::connection::{Class, Connection, Wakes, Wire};

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
    pub(super) fn same<P, T>(wire: &Wire, head: &Head, payload: &T) -> Result<Self, CodecError>
    where
        P: Negotiate,
        P::Format: Encode<T>,
        T: ?Sized,
    {
        Ok(Self::Same(wire.message::<P::Protocol, T>(head, payload)?.into()))
    }

    /// Packs a message once for each of the [`speakers`].
    pub(super) fn for_each<P, T>(
        speakers: &[Arc<Connection>],
        head: &Head,
        payload: &T,
    ) -> Result<Self, CodecError>
    where
        P: Negotiate,
        P::Format: Encode<T>,
        T: ?Sized,
    {
        let mut packed = Vec::new();
        for Wire { variant, .. } in speakers.iter().map(|it| &it.wire) {
            packed.resize(packed.len().max(variant + 1), None);
        }
        for wire in speakers.iter().map(|it| &it.wire) {
            packed[wire.variant] = Some(wire.message::<P::Protocol, T>(head, payload)?.into());
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

/// Queues a message on these connections. Returns how many took it.
///
/// All encoding comes first, so that an error means that nothing was sent.
pub(super) fn send<P, T>(
    connections: &[ConnCore],
    head: &Head,
    payload: &T,
) -> Result<usize, CodecError>
where
    P: Negotiate,
    P::Format: Encode<T>,
    T: ?Sized,
{
    let connections = || connections.iter().map(|conn| conn.connection());
    let packed = Packed::for_each::<P, T>(&speakers(connections()), head, payload)?;
    let mut wakes = Wakes::default();
    let reached = push_all(connections(), &packed, &mut wakes);
    wakes.wake();
    Ok(reached)
}

/// Queues a message on all connections of a server with one protocol. Returns how many took it.
/// Copies no handles. Unauthenticated connections are visited too, and reject it.
pub(super) fn send_all(registry: &Registry<ConnCore, CoreEvent>, packed: &Packed) -> usize {
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
pub(super) fn push_all<'a>(
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
