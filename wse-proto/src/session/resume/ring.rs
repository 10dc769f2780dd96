//! [`Ring`]: messages that the peer has not acknowledged yet. It is called a ring, since the oldest make room for new ones.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::budget::Budget;

/// The messages that were sent and not acknowledged, in the order of their numbers. The newest has the number of messages
/// sent.
///
/// ```text
/// number   1 … acknowledged        lost          held
///          ──────────────────┼──────────────┼───────────┤ sent
/// ```
#[derive(Debug)]
pub(in crate::session) struct Ring {
    held: VecDeque<Bytes>,
    bytes: usize,
    sent: u64,
    acknowledged: u64,
    /// The blocks that the budget counts for this ring.
    reserved: u32,
    /// Up to so many bytes in the ring, a push needs no look at the budget.
    easy_bytes: u32,
    budget: Arc<Budget>,
}

/// The first allocation has space for so many messages. A peer acknowledges every 64.
const FEW: usize = 32;

impl Ring {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        let held = VecDeque::new();
        Self { held, bytes: 0, easy_bytes: 0, sent: 0, acknowledged: 0, reserved: 0, budget }
    }

    pub(in crate::session) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The number of messages sent, which is the number of the newest.
    pub(in crate::session) fn sent(&self) -> u64 {
        self.sent
    }

    /// The largest number that the peer has acknowledged.
    pub(in crate::session) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The number of the oldest message held; the next number when there is none.
    pub(in crate::session) fn oldest(&self) -> u64 {
        self.sent + 1 - self.held.len() as u64
    }

    /// The messages held, in order.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.held.iter()
    }

    pub(in crate::session) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of this size fits without the loss of another. An empty ring has space for any.
    pub(in crate::session) fn has_space(&self, len: usize) -> bool {
        let limits = self.budget.limits();
        self.held.is_empty()
            || self.held.len() < limits.ring_messages
                && self.bytes.saturating_add(len) <= limits.ring_bytes
    }

    /// Adds the message with the next number. Returns whether the caller has to look at the limits: the ring may hold more
    /// than it may, or it has reserved more memory.
    #[inline(always)]
    pub(in crate::session) fn push(&mut self, message: Bytes) -> bool {
        self.sent += 1;
        self.bytes += message.len();
        let full = self.held.len() >= self.budget.limits().ring_messages;
        if full || self.bytes > self.easy_bytes as usize {
            return self.push_and_grow(message);
        }
        self.held.push_back(message);
        false
    }

    #[cold]
    fn push_and_grow(&mut self, message: Bytes) -> bool {
        if self.held.capacity() == 0 {
            self.held.reserve(FEW);
        }
        self.held.push_back(message);
        self.reserve();
        true
    }

    /// Reserves what the messages take.
    fn reserve(&mut self) {
        self.reserved = self.budget.reserve(self.reserved, self.bytes);
        let easy = self.budget.limits().ring_bytes.min(Budget::bytes_of(self.reserved));
        self.easy_bytes = easy.try_into().unwrap_or(u32::MAX);
    }

    fn is_over(&self) -> bool {
        let limits = self.budget.limits();
        self.bytes > limits.ring_bytes || self.held.len() > limits.ring_messages
    }

    /// Drops the oldest messages until the ring is within its limits. A message that is larger than the ring is dropped
    /// with all before it.
    pub(in crate::session) fn shrink(&mut self) {
        while self.is_over() && self.drop_oldest() {}
        self.settle();
    }

    /// Drops all messages.
    pub(in crate::session) fn empty(&mut self) {
        self.held = VecDeque::new();
        self.bytes = 0;
        self.settle();
    }

    /// The peer has processed this many messages. The caller has checked that so many were sent.
    pub(in crate::session) fn acknowledge(&mut self, seen: u64) {
        self.acknowledged = self.acknowledged.max(seen);
        let covered = (seen + 1).saturating_sub(self.oldest());
        if covered >= self.held.len() as u64 {
            return self.empty();
        }
        for _ in 0..covered {
            self.drop_oldest();
        }
        self.settle();
    }

    /// Begins to count at this number.
    pub(in crate::session) fn restart(&mut self, sent: u64) {
        self.empty();
        (self.sent, self.acknowledged) = (sent, sent);
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.held.pop_front();
        self.bytes -= oldest.as_ref().map_or(0, Bytes::len);
        oldest.is_some()
    }

    /// Gives memory back that is not needed any more.
    fn settle(&mut self) {
        if self.held.is_empty() {
            // An idle session keeps no buffer.
            self.held = VecDeque::new();
        }
        self.reserve();
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.budget.reserve(self.reserved, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::ResumeLimits;
    use super::*;

    fn ring(bytes: usize, messages: usize) -> Ring {
        let limits = ResumeLimits::default().ring_bytes(bytes).ring_messages(messages);
        Ring::new(Budget::new(limits))
    }

    fn push(ring: &mut Ring, len: usize) {
        ring.push(Bytes::from(vec![b'x'; len]));
        ring.shrink();
    }

    #[test]
    fn d27_the_oldest_go_first_and_a_large_message_goes_with_all_before_it() {
        let mut ring = ring(10, 3);
        let table = [
            // The size of what is pushed, the oldest number that is held then, and the newest that was sent.
            (4, 1, 1),
            (4, 1, 2),
            (4, 2, 3),
            (1, 2, 4),
            (1, 3, 5),
            (11, 7, 6),
            (1, 7, 7),
        ];
        for (len, oldest, sent) in table {
            push(&mut ring, len);
            assert_eq!((ring.oldest(), ring.sent()), (oldest, sent));
            assert_eq!(ring.bytes(), ring.iter().map(Bytes::len).sum::<usize>());
        }
    }

    #[test]
    fn what_is_acknowledged_is_dropped_and_an_empty_ring_has_no_buffer() {
        let mut ring = ring(100, 100);
        for _ in 0..5 {
            push(&mut ring, 1);
        }
        ring.acknowledge(3);
        assert_eq!((ring.oldest(), ring.sent(), ring.iter().count()), (4, 5, 2));
        ring.acknowledge(5);
        assert_eq!((ring.oldest(), ring.held.capacity(), ring.budget.used()), (6, 0, 0));
    }

    #[test]
    fn the_budget_counts_blocks_of_what_is_held() {
        let mut ring = ring(1 << 20, 100);
        push(&mut ring, 1);
        push(&mut ring, 100);
        assert_eq!(ring.budget.used(), 4096);
        push(&mut ring, 5000);
        assert_eq!(ring.budget.used(), 8192);
        ring.empty();
        assert_eq!(ring.budget.used(), 0);
        push(&mut ring, 1);
        let budget = Arc::clone(&ring.budget);
        drop(ring);
        assert_eq!(budget.used(), 0);
    }
}
