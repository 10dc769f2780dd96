//! A buffer per thread, into which payloads are serialized before they are copied into the message.
//!
//! Serializers write a few bytes at a time. In a `Vec` that is a bounds check and a copy. In a [`BytesMut`] it takes as long
//! as the serialization itself. One more copy of the whole payload is cheaper.

use std::cell::Cell;

use bytes::BytesMut;

/// A buffer that is larger than this, in bytes, is freed after use.
const KEEP: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Appends what `write` writes.
pub(crate) fn through<R>(out: &mut BytesMut, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Taken out while in use: the `Serialize` of a value may call this function again.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let result = write(&mut scratch);
    out.extend_from_slice(&scratch);
    if scratch.capacity() <= KEEP {
        SCRATCH.set(scratch);
    }
    result
}
