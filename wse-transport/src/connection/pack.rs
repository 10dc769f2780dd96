//! From values to WebSocket messages, through a buffer that each thread reuses.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Encode, Head, Opcode, Protocol};

use crate::ws;

/// A thread's buffer starts at this size and is given back when a message made it larger, in bytes.
const SCRATCH: usize = 8 * 1024;

thread_local! {
    static BUFFER: RefCell<BytesMut> = RefCell::default();
}

/// Packs a message with its payload.
pub(crate) fn message<P: Protocol, T: ?Sized>(
    protocol: &P,
    head: &Head,
    payload: &T,
) -> Result<ws::Message, CodecError>
where
    P::Format: Encode<T>,
{
    if let Head::Message { name, .. } | Head::Call { name, .. } = head
        && (name.is_empty() || protocol.internal_types().contains(name))
    {
        // The peer would take it for something else and close the connection.
        return Err(CodecError::value("the name", "empty, or reserved for the protocol itself"));
    }
    packed(protocol, head, |out| protocol.format().encode(payload, out))
}

/// Packs a message whose payload `write` appends.
pub(crate) fn packed<P: Protocol>(
    protocol: &P,
    head: &Head,
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<ws::Message, CodecError> {
    let bytes = scratch(|out| protocol.pack_with(head, out, write))?;
    frame(protocol.opcode(), bytes)
}

/// A message of bytes that are already packed.
pub(crate) fn frame(opcode: Opcode, bytes: Bytes) -> Result<ws::Message, CodecError> {
    match opcode {
        Opcode::Binary => Ok(ws::Message::Binary(bytes)),
        Opcode::Text => ws::Text::try_from(bytes).map(ws::Message::Text).map_err(|error| {
            CodecError::malformed("a packed message", "the protocol is text, but this is not UTF-8")
                .with_source(error)
        }),
    }
}

/// What `write` appends, as bytes that share the thread's buffer.
pub(crate) fn scratch(
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<Bytes, CodecError> {
    // Taken out while in use: a value's own encoding may come back here.
    let mut buffer = BUFFER.take();
    if buffer.capacity() < SCRATCH / 8 && !buffer.try_reclaim(SCRATCH) {
        buffer = BytesMut::with_capacity(SCRATCH);
    }
    let written = write(&mut buffer);
    let large = buffer.len() > SCRATCH;
    let bytes = buffer.split().freeze();
    if !large {
        // A large one goes with its message; keeping it would hold the memory of the largest ever sent.
        BUFFER.with_borrow_mut(|spare| *spare = buffer);
    }
    written.map(|()| bytes)
}
