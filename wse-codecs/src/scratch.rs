//! Serializing into a `Vec` that each thread keeps, and from there into the message.
//!
//! Serializers write a few bytes at a time. Into a `Vec` that is a bounds check and a copy; into a
//! [`BytesMut`] it takes as long as the serializing itself. One more copy of the whole costs less.

use std::cell::Cell;

use bytes::BytesMut;

/// A thread gives its buffer back when a value made it larger than this, in bytes.
const KEEP: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Appends what `write` writes.
pub(crate) fn through<R>(out: &mut BytesMut, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Taken out while in use: a value's own `Serialize` may come back here.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let result = write(&mut scratch);
    out.extend_from_slice(&scratch);
    if scratch.capacity() <= KEEP {
        SCRATCH.set(scratch);
    }
    result
}
