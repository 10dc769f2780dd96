//! From values to WebSocket messages, through a buffer that each thread reuses.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Encode, Head, Protocol, Text};
use wse_transport::ws;

use super::wire::{Wire, frame};

/// A thread's buffer starts at this size, in bytes. A buffer that has grown beyond it is not kept.
const SCRATCH: usize = 8 * 1024;

thread_local! {
    static BUFFER: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

impl Wire {
    /// Packs a message with its payload.
    #[inline]
    pub(crate) fn message<P: Protocol, T: ?Sized>(
        &self,
        head: &Head,
        payload: &T,
    ) -> Result<ws::Message, CodecError>
    where
        P::Format: Encode<T>,
    {
        if let Head::Message { name, .. } | Head::Call { name, .. } = head {
            self.check_name(name)?;
        }
        let mut buffer = scratch();
        let protocol = self.typed::<P>();
        let write = |out: &mut BytesMut| protocol.format().encode(payload, out);
        let written = protocol.pack_with(head, &mut buffer, write);
        frame(self.info.kind(), finish(buffer, written)?)
    }

    /// Checks that the peer does not take a message of this name for one of another kind, and close the connection.
    pub(super) fn check_name(&self, name: &Text) -> Result<(), CodecError> {
        if name.is_empty() || self.info.types().contains(name) {
            return Err(CodecError::value(
                "the name",
                "empty, or reserved for the protocol itself",
            ));
        }
        Ok(())
    }

    /// Encodes a value in the format of the protocol.
    pub(crate) fn encode<P: Protocol, T: ?Sized>(&self, value: &T) -> Result<Bytes, CodecError>
    where
        P::Format: Encode<T>,
    {
        let mut buffer = scratch();
        let written = self.format::<P>().encode(value, &mut buffer);
        finish(buffer, written)
    }
}

/// Takes the thread's buffer, with room for a usual message. The thread has none until [`finish`] returns it, since the
/// encoding of a value may come back here.
fn scratch() -> BytesMut {
    match BUFFER.take() {
        Some(buffer) if buffer.capacity() >= SCRATCH / 8 => buffer,
        spare => renewed(spare),
    }
}

#[cold]
fn renewed(spare: Option<BytesMut>) -> BytesMut {
    spare
        .and_then(|mut buffer| buffer.try_reclaim(SCRATCH).then_some(buffer))
        .unwrap_or_else(|| BytesMut::with_capacity(SCRATCH))
}

/// Splits off what was written, and returns the rest of the buffer to the thread.
fn finish(mut buffer: BytesMut, written: Result<(), CodecError>) -> Result<Bytes, CodecError> {
    let large = buffer.len() > SCRATCH;
    let bytes = buffer.split().freeze();
    if !large {
        // A large one goes with its message. Keeping it would hold the memory of the largest message ever sent.
        BUFFER.set(Some(buffer));
    }
    written.map(|()| bytes)
}
