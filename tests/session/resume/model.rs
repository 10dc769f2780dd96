//! What one direction of a session has to deliver, by a model that knows nothing of the implementation.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use bytes::Bytes;

/// One direction: what was sent under each number, and what the other side got.
#[derive(Debug, Default)]
pub(super) struct Direction {
    sent: Vec<Bytes>,
    /// How many numbers the receiver has passed.
    got: usize,
    /// What the sender still holds: number and size. `None` for a side that never drops.
    held: Option<Held>,
    lost: Vec<Range<usize>>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    messages: usize,
    entries: VecDeque<(usize, usize)>,
}

impl Direction {
    /// A sender that keeps so much.
    pub(super) fn ring(bytes: usize, messages: usize) -> Self {
        let held = Held { bytes, messages, entries: VecDeque::new() };
        Self { held: Some(held), ..Self::default() }
    }

    pub(super) fn sends(&mut self, message: &Bytes) {
        self.sent.push(message.clone());
        let Some(held) = &mut self.held else { return };
        held.entries.push_back((self.sent.len(), message.len()));
        let total = |held: &Held| held.entries.iter().map(|(_, len)| len).sum::<usize>();
        while total(held) > held.bytes || held.entries.len() > held.messages {
            held.entries.pop_front();
        }
    }

    /// The receiver takes a message: it is the next one.
    pub(super) fn gets(&mut self, message: &Bytes) {
        let expected = self.sent.get(self.got).expect("a message that was not sent");
        assert_eq!(message, expected, "number {}", self.got + 1);
        self.got += 1;
    }

    /// The receiver is told of a gap.
    pub(super) fn loses(&mut self, first: u64, last: u64) {
        let held = self.held.as_ref().expect("a side that loses nothing");
        let oldest = held.entries.front().map_or(self.sent.len() + 1, |(number, _)| *number);
        // Less may have been lost when the server said so than now.
        assert_eq!(first as usize, self.got + 1, "the gap begins behind what was got");
        assert!((last as usize) < oldest, "{last} is not lost");
        self.lost.push(self.got..last as usize);
        self.got = last as usize;
    }

    /// The sender decides at a resume. Returns what is lost for a receiver that says it has got so many.
    pub(super) fn gap(&self, seen: u64) -> Option<(u64, u64)> {
        let entries = &self.held.as_ref()?.entries;
        let oldest = entries.front().map_or(self.sent.len() + 1, |(number, _)| *number) as u64;
        (seen + 1 < oldest).then_some((seen + 1, oldest - 1))
    }

    pub(super) fn has_got_all(&self) -> bool {
        self.got == self.sent.len()
    }

    pub(super) fn has_got(&self, message: &Bytes) -> bool {
        let at = self.sent[..self.got].iter().position(|sent| sent == message);
        at.is_some_and(|at| !self.lost.iter().any(|lost| lost.contains(&at)))
    }
}

/// Calls and receipts: each ends exactly once.
#[derive(Debug, Default)]
pub(super) struct Promises {
    open: HashMap<String, Bytes>,
    ended: HashSet<String>,
}

impl Promises {
    pub(super) fn begin(&mut self, promise: String, message: Bytes) {
        assert!(self.open.insert(promise, message).is_none());
    }

    /// Ends a promise. Returns the message that it was for.
    pub(super) fn end(&mut self, promise: &str) -> Bytes {
        assert!(self.ended.insert(promise.to_owned()), "{promise} has ended twice");
        self.open.remove(promise).unwrap_or_else(|| panic!("{promise} was never begun"))
    }

    /// The application does not wait any more.
    pub(super) fn forget(&mut self, promise: &str) {
        self.open.remove(promise);
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}
