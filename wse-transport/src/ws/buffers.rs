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
            .try_with(|spare| spare.try_borrow_mut().ok()?.pop())
            .ok()
            .flatten()
            .unwrap_or_else(|| BytesMut::with_capacity(NEW));
    }
}

/// Takes a buffer back if nothing is in it. What was decoded from it, and is still held somewhere, stays
/// valid: it shares the memory.
pub(super) fn take_back(buffer: &mut BytesMut) {
    if !buffer.is_empty() {
        return;
    }
    let mut buffer = mem::take(buffer);
    // The capacity is what is left behind the bytes that went through, and says nothing about them.
    if buffer.capacity() == 0 || buffer.try_reclaim(MAX + 1) {
        return;
    }
    // A thread that ends keeps nothing.
    let _ = SPARE.try_with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.len() < KEEP
        {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BytesMut};

    use super::{MAX, lend, take_back};

    #[test]
    fn what_was_large_is_not_kept_however_little_of_it_is_left() {
        for left in [0, 100] {
            let mut buffer = BytesMut::with_capacity(4 * MAX);
            buffer.resize(buffer.capacity() - left, 0);
            buffer.advance(buffer.len());
            take_back(&mut buffer);
            assert!(!buffer.try_reclaim(1), "the connection keeps it, {left} left");
            lend(&mut buffer);
            assert!(!buffer.try_reclaim(MAX + 1), "the thread keeps it, {left} left");
        }
    }
}
