//! [`AnswerSize`]: how large the answers of a procedure are, as far as is known.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a procedure that has never answered is expected to answer with, in bytes. With the defaults of the budget and of
/// `max_handlers`, that never keeps one from starting: calls may wait for each other.
const UNKNOWN: u32 = 4096;

/// The size of the largest of the last answers of a procedure, over all connections. A running procedure counts for it in
/// the budget of its connection, or else a peer that reads nothing could have any number of large answers made.
#[derive(Debug)]
pub(super) struct AnswerSize(AtomicU32);

impl Default for AnswerSize {
    fn default() -> Self {
        Self(AtomicU32::new(UNKNOWN))
    }
}

impl AnswerSize {
    /// What the next answer is expected to take, in bytes.
    pub(super) fn expected(&self) -> usize {
        self.0.load(Ordering::Relaxed) as usize
    }

    /// Notes the size of an answer. Larger ones of before are forgotten little by little.
    pub(super) fn record(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let before = self.0.load(Ordering::Relaxed);
        // One of several at once may be missed. The next one counts.
        self.0.store(bytes.max(before - before.div_ceil(8)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_answers_count_at_once_and_are_forgotten_slowly() {
        let size = AnswerSize::default();
        assert_eq!(size.expected(), 4096);
        size.record(1_000_000);
        assert_eq!(size.expected(), 1_000_000);
        size.record(10);
        assert_eq!(size.expected(), 875_000);
        for _ in 0..200 {
            size.record(10);
        }
        assert_eq!(size.expected(), 10);
        size.record(usize::MAX);
        assert_eq!(size.expected(), u32::MAX as usize);
        size.record(0);
        assert!(size.expected() < u32::MAX as usize);
    }
}
