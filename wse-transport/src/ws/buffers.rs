//! Read and write buffers. They belong to the thread; a connection borrows them only while it has data.
//!
//! They are large, so that one read takes all that has arrived, and stay in the cache, since all connections of a
//! thread use the same few.

use std::cell::RefCell;

use bytes::BytesMut;

/// The size of a buffer, in bytes.
pub(super) const SIZE: usize = 128 * 1024;

/// The number of buffers that a thread keeps: as many as one connection uses at once, and some for connections that
/// wait within a message.
const KEEP: usize = 8;

/// A buffer with less space than this at its end is renewed, in bytes.
const MIN: usize = 8 * 1024;

/// A connection that waits within a message copies up to this many bytes of it, instead of keeping a buffer: a peer
/// that stops within a message costs no more memory than it has sent.
const SHELF: usize = 8 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Makes space behind the contents of a buffer: at least `need` bytes, and [`SIZE`] at most; for `need` 0, as much as
/// there is.
pub(super) fn lend(buffer: &mut BytesMut, need: usize) {
    let need = if need == 0 { MIN } else { need };
    if buffer.capacity() - buffer.len() >= need {
        return;
    }
    let mut fresh = SPARE
        .try_with(|spare| spare.try_borrow_mut().ok()?.pop())
        .ok()
        .flatten()
        .unwrap_or_default();
    // Reuse the memory from its start if no message holds it: there it is in the cache.
    if !fresh.try_reclaim(SIZE) && fresh.capacity() < buffer.len() + need {
        fresh = BytesMut::with_capacity(SIZE.max(buffer.len() + need));
    }
    fresh.extend_from_slice(buffer);
    let mut old = std::mem::replace(buffer, fresh);
    old.clear();
    keep(old);
}

/// Takes a buffer back unless it holds much data. Messages that were decoded from it and are still held stay valid:
/// they share the memory.
pub(super) fn take_back(buffer: &mut BytesMut) {
    if !is_short(buffer) {
        return;
    }
    let left = BytesMut::from(&buffer[..]);
    let mut old = std::mem::replace(buffer, left);
    old.clear();
    keep(old);
}

/// Drops a buffer that is the connection's `own` unless it holds much data. The thread would keep its memory alive as
/// long as a message holds a part of it.
pub(super) fn drop_own(buffer: &mut BytesMut, own: &mut bool) {
    if *own && is_short(buffer) {
        *buffer = BytesMut::from(&buffer[..]);
        *own = false;
    }
}

fn is_short(buffer: &BytesMut) -> bool {
    buffer.len() <= SHELF
}

fn keep(mut buffer: BytesMut) {
    // The capacity is the space behind the bytes that went through, and does not include them.
    if buffer.capacity() == 0 || buffer.try_reclaim(SIZE + 1) {
        return;
    }
    // A thread that ends keeps no buffers.
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

    use super::{MIN, SHELF, SIZE, lend, take_back};

    #[test]
    fn what_was_large_is_not_kept_however_little_of_it_is_left() {
        for left in [0, 100] {
            let mut buffer = BytesMut::with_capacity(4 * SIZE);
            buffer.resize(buffer.capacity() - left, 0);
            buffer.advance(buffer.len());
            take_back(&mut buffer);
            assert!(!buffer.try_reclaim(1), "the connection keeps it, {left} left");
            lend(&mut buffer, 1);
            assert!(!buffer.try_reclaim(SIZE + 1), "the thread keeps it, {left} left");
        }
    }

    #[test]
    fn the_end_of_a_message_is_waited_for_where_the_rest_is() {
        let mut buffer = BytesMut::with_capacity(4 * SIZE);
        buffer.resize(4 * SIZE - 100, 7);
        let place = buffer.as_ptr();
        lend(&mut buffer, 100);
        assert_eq!(buffer.as_ptr(), place);
    }

    #[test]
    fn what_waits_within_a_message_keeps_what_it_has_sent_and_no_more() {
        let mut buffer = BytesMut::new();
        lend(&mut buffer, 1);
        buffer.extend_from_slice(&[7; SHELF]);
        take_back(&mut buffer);
        assert_eq!(buffer, [7; SHELF][..]);
        assert!(buffer.capacity() < SHELF + 64, "{}", buffer.capacity());
        lend(&mut buffer, SIZE / 2);
        assert_eq!(buffer, [7; SHELF][..]);
        assert!(buffer.capacity() - buffer.len() >= SIZE / 2);
    }

    #[test]
    fn a_buffer_whose_bytes_are_held_is_used_to_its_end() {
        let mut buffer = BytesMut::new();
        lend(&mut buffer, 1);
        buffer.extend_from_slice(b"held");
        let held = buffer.split().freeze();
        take_back(&mut buffer);
        lend(&mut buffer, 1);
        assert_eq!(buffer.as_ptr(), held.as_ptr().wrapping_add(4));
        drop(held);
        take_back(&mut buffer);
        lend(&mut buffer, MIN);
        assert!(buffer.capacity() >= SIZE, "from the start again");
    }
}
