//! Read and write buffers that belong to the thread, and to a connection only while something is under way
//! in it.
//!
//! They are large, so that one read takes in all that has arrived, and hot, since every connection of a
//! thread goes through the same few.

use std::cell::RefCell;

use bytes::BytesMut;

/// How large a buffer is, in bytes.
pub(super) const SIZE: usize = 128 * 1024;

/// How many buffers a thread keeps: as many as are in use at once by one connection, and some for those
/// that wait within a message.
const KEEP: usize = 8;

/// With less room than this at its end, a buffer is renewed, in bytes.
const MIN: usize = 8 * 1024;

/// So much of a message that is under way is copied while its connection waits, in bytes, rather than that
/// it keeps a buffer: a peer that stops within a message costs us no more than it has sent.
const SHELF: usize = 8 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Makes room behind what is in the buffer: for at least `need` bytes, [`SIZE`] at most, or if that is 0 for
/// whatever comes.
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
    // From the start again when nobody holds what went through it: there it is in the cache.
    if !fresh.try_reclaim(SIZE) && fresh.capacity() < buffer.len() + need {
        fresh = BytesMut::with_capacity(SIZE.max(buffer.len() + need));
    }
    fresh.extend_from_slice(buffer);
    let mut old = std::mem::replace(buffer, fresh);
    old.clear();
    keep(old);
}

/// Takes a buffer back unless much is in it. What was decoded from it, and is still held somewhere, stays
/// valid: it shares the memory.
pub(super) fn take_back(buffer: &mut BytesMut) {
    if !is_short(buffer) {
        return;
    }
    let left = BytesMut::from(&buffer[..]);
    let mut old = std::mem::replace(buffer, left);
    old.clear();
    keep(old);
}

/// Drops a buffer that is the connection's `own` unless much is in it. In the thread's hands it would stay
/// alive, unseen as long as bytes of it are held elsewhere.
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
    // The capacity is what is left behind the bytes that went through, and says nothing about them.
    if buffer.capacity() == 0 || buffer.try_reclaim(SIZE + 1) {
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
