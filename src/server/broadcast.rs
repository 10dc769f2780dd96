//! Broadcasts: a message is encoded once per protocol in use and compressed once, and the bytes are
//! shared.

use std::sync::Arc;

use wse_proto::{CodecError, Encode, Head, Negotiate};
use wse_transport::ws::{self, PreparedMessage};

use super::core::{ConnCore, CoreEvent};
use super::registry::Registry;
use crate::connection::{Class, Connection, Wakes};

/// Queues a message on these connections. Returns how many took it.
///
/// All encoding comes first, so that an error means that nothing was sent. Called without a lock,
/// since the encoding of a payload may call the server.
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
    let packed = pack::<P, T>(connections, head, payload)?;
    let reached = connections.iter().filter(|conn| {
        let message = packed.of(conn);
        message.is_some_and(|message| conn.connection().push(Class::Message, message).is_ok())
    });
    Ok(reached.count())
}

/// A message as each of several connections needs it, by the variant of its protocol.
#[derive(Default)]
pub(super) struct Packed(Vec<Option<PreparedMessage>>);

impl Packed {
    /// Returns the message for this connection.
    pub(super) fn of(&self, conn: &ConnCore) -> Option<PreparedMessage> {
        self.0.get(conn.connection().wire.variant).cloned().flatten()
    }

    /// Returns one connection of each variant that is not packed yet.
    fn missing<'a>(&mut self, connections: &'a [ConnCore]) -> Vec<&'a Connection> {
        let mut missing: Vec<&Connection> = Vec::new();
        for connection in connections.iter().map(|conn| conn.connection()) {
            let variant = connection.wire.variant;
            if missing.iter().all(|it| it.wire.variant != variant) {
                self.0.resize(self.0.len().max(variant + 1), None);
                missing.push(connection);
            }
        }
        missing
    }
}

/// Packs a message once per protocol in use.
pub(super) fn pack<P, T>(
    connections: &[ConnCore],
    head: &Head,
    payload: &T,
) -> Result<Packed, CodecError>
where
    P: Negotiate,
    P::Format: Encode<T>,
    T: ?Sized,
{
    let mut packed = Packed::default();
    for connection in packed.missing(connections) {
        let message = connection.wire.message::<P::Protocol, T>(head, payload)?;
        packed.0[connection.wire.variant] = Some(message.into());
    }
    Ok(packed)
}

/// The number of connections that are visited together.
const BATCH: usize = 16;

/// Queues a message on all connections of a server with one protocol. Returns how many took it.
/// Copies no handles. Unauthenticated connections are visited too, and reject it.
pub(super) fn send_all(registry: &Registry<ConnCore, CoreEvent>, message: ws::Message) -> usize {
    let message = PreparedMessage::new(message);
    let push = |it: &Arc<Connection>, wakes: &mut Wakes| {
        it.push_later(Class::Message, message.clone(), wakes).is_ok()
    };
    let mut reached = 0;
    let mut wakes = Wakes::default();
    for shard in registry.open_connections() {
        let mut open = shard.values();
        loop {
            let batch: [Option<&Arc<Connection>>; BATCH] = std::array::from_fn(|_| open.next());
            let batch = || batch.iter().copied().flatten();
            // Idle connections are in no CPU cache. Reading a field of each first lets the cache misses
            // overlap.
            std::hint::black_box(batch().filter(|it| it.holds_reading()).count());
            reached += batch().filter(|it| push(it, &mut wakes)).count();
            if batch().count() < BATCH {
                break;
            }
        }
        drop(shard);
        wakes.wake();
    }
    reached
}
