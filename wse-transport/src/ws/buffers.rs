//! Buffers that belong to the thread, and to a connection only while something is under way in it.

use std::{cell::RefCell, mem};

use bytes::BytesMut;

/// How large a new buffer is, in bytes.
const NEW: usize = 8 * 1024;

/// How many buffers a thread keeps: as many as are in use at once by one connection, and some for those
/// that wait within a message.
const KEEP: usize = 8;

/// A larger buffer is not kept, in bytes.
const MAX: usize = 64 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Gives a connection a buffer if it has none.
pub(super) fn lend(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        *buffer = SPARE
            .with(|spare| spare.try_borrow_mut().ok()?.pop())
            .unwrap_or_else(|| BytesMut::with_capacity(NEW));
    }
}

/// Takes a buffer back if nothing is in it. What was decoded from it, and is still held somewhere, stays
/// valid: it shares the memory.
pub(super) fn take_back(buffer: &mut BytesMut) {
    if !buffer.is_empty() || buffer.capacity() == 0 {
        return;
    }
    let buffer = mem::take(buffer);
    if buffer.capacity() > MAX {
        return;
    }
    SPARE.with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.len() < KEEP
        {
            spare.push(buffer);
        }
    });
}
