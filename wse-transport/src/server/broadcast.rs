//! One message to many connections: encoded once per protocol in use, the bytes shared, and compressed once.

use std::sync::Arc;

use wse_proto::{CodecError, Encode, Head, Protocol, Text};

use super::conn::Conn;
use super::roster::Roster;
use crate::connection::{Class, Link, pack};
use crate::ws::PreparedMessage;

/// Queues a message on these connections; on how many. All encoding comes first, so that an error means
/// that nobody got it. Called without a lock: a payload's own encoding may come back to the server.
pub(super) fn send<P, T>(
    connections: &[Conn<P>],
    name: &Text,
    payload: &T,
) -> Result<usize, CodecError>
where
    P: Protocol,
    P::Format: Encode<T>,
    T: ?Sized,
{
    let packed = pack(connections, &Head::message(name.clone()), payload)?;
    let reached = connections.iter().filter(|conn| {
        let message = packed.get(conn.protocol().variant()).cloned().flatten();
        message.is_some_and(|message| conn.link().push(Class::Message, message).is_ok())
    });
    Ok(reached.count())
}

/// A message as each of these connections wants it, by the variant of its protocol.
pub(super) fn pack<P, T>(
    connections: &[Conn<P>],
    head: &Head,
    payload: &T,
) -> Result<Vec<Option<PreparedMessage>>, CodecError>
where
    P: Protocol,
    P::Format: Encode<T>,
    T: ?Sized,
{
    let mut packed: Vec<Option<PreparedMessage>> = Vec::new();
    for conn in connections {
        let protocol = conn.protocol();
        let variant = protocol.variant();
        if packed.len() <= variant {
            packed.resize(variant + 1, None);
        }
        if packed[variant].is_none() {
            packed[variant] = Some(pack::message(protocol, head, payload)?.into());
        }
        if protocol.variants() == 1 {
            break;
        }
    }
    Ok(packed)
}

/// How many connections are looked at together.
const BATCH: usize = 16;

/// Queues a message on all connections, where all speak the same protocol; on how many. It is encoded without
/// a lock, as in [`send`]; then no handle is copied. Strangers are among them, and take nothing.
pub(super) fn send_all<P, T>(
    roster: &Roster<P>,
    protocol: &P,
    name: &Text,
    payload: &T,
) -> Result<usize, CodecError>
where
    P: Protocol,
    P::Format: Encode<T>,
    T: ?Sized,
{
    let message =
        PreparedMessage::new(pack::message(protocol, &Head::message(name.clone()), payload)?);
    let push = |link: &&Arc<Link<P>>| link.push(Class::Message, message.clone()).is_ok();
    let mut reached = 0;
    for links in roster.links() {
        let mut links = links.values();
        loop {
            let batch: [Option<&Arc<Link<P>>>; BATCH] = std::array::from_fn(|_| links.next());
            let batch = || batch.iter().copied().flatten();
            // Links that have been idle are in no cache: looked at together, they are waited for together.
            std::hint::black_box(batch().filter(|link| link.holds_reading()).count());
            reached += batch().filter(&push).count();
            if batch().count() < BATCH {
                break;
            }
        }
    }
    Ok(reached)
}
