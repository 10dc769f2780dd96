//! Queues of events and outputs. They take no memory while they are empty.

use std::collections::VecDeque;

/// Reserves space for one item, which is the common case; `push_back` alone would reserve space for four.
pub(super) fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
    queue.push_back(item);
}

/// Frees the buffer when the queue is empty, so that idle sessions take less memory.
pub(super) fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let item = queue.pop_front();
    if queue.is_empty() && queue.capacity() > 0 {
        *queue = VecDeque::new();
    }
    item
}
