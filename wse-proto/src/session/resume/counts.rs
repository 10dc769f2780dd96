//! [`Counts`]: how many messages were processed, and when the peer is told.

use crate::session::deadlines::{NEVER, Nanos};

/// After how many processed messages the peer is told.
const UNTOLD: u32 = 64;

/// How long after the first processed message the peer is told: 5 s.
const TOLD_WITHIN: Nanos = 5_000_000_000;

/// The number of counted messages that were processed, and what the peer knows of it.
#[derive(Debug)]
pub(in crate::session) struct Counts {
    received: u64,
    /// How many of them the peer does not know of.
    untold: u32,
    /// When the peer has to be told.
    tell_at: Nanos,
}

impl Counts {
    pub(super) const fn new(received: u64) -> Self {
        Self { received, untold: 0, tell_at: NEVER }
    }

    pub(in crate::session) const fn received(&self) -> u64 {
        self.received
    }

    /// How many more messages may be counted before something is to be done: the timer is to be set, or the peer is to be
    /// told.
    pub(super) const fn spare(&self) -> u32 {
        match self.untold {
            0 => 0,
            untold => (UNTOLD - 1).saturating_sub(untold),
        }
    }

    /// Counts a message when nothing is to be done: see [`spare`](Self::spare).
    #[inline]
    pub(super) fn count_spare(&mut self) {
        self.received += 1;
        self.untold += 1;
    }

    /// Counts a message. Returns whether the peer is to be told.
    pub(in crate::session) fn count(&mut self, now: Nanos) -> bool {
        if self.untold == 0 {
            self.tell_at = now.saturating_add(TOLD_WITHIN);
        }
        self.received += 1;
        self.untold = self.untold.saturating_add(1);
        self.untold >= UNTOLD
    }

    /// When the peer has to be told.
    pub(in crate::session) const fn tell_at(&self) -> Nanos {
        self.tell_at
    }

    /// The peer is told now. Returns the number.
    pub(in crate::session) fn tell(&mut self) -> u64 {
        self.untold = 0;
        self.tell_at = NEVER;
        self.received
    }

    /// Continues at this number, which the peer knows.
    pub(in crate::session) fn restart(&mut self, received: u64) {
        *self = Self::new(received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn d23_the_peer_is_told_after_64_messages_or_5_s() {
        let mut counts = Counts::new(0);
        assert_eq!(counts.tell_at(), NEVER, "nothing is new");
        for number in 1..64 {
            assert!(!counts.count(number * S), "{number}");
        }
        assert_eq!(counts.tell_at(), 6 * S, "5 s after the first");
        assert!(counts.count(70 * S));
        // It may be told later, and tells the number of that moment.
        assert!(counts.count(71 * S));
        assert_eq!((counts.tell(), counts.tell_at()), (65, NEVER));
        assert!(!counts.count(80 * S));
        assert_eq!(counts.tell_at(), 85 * S);
    }

    #[test]
    fn messages_that_need_nothing_done_are_the_second_to_the_63rd() {
        let mut counts = Counts::new(10);
        assert_eq!(counts.spare(), 0);
        assert!(!counts.count(0));
        let mut spare = 0;
        while counts.spare() > 0 {
            counts.count_spare();
            spare += 1;
        }
        assert_eq!(spare, 62);
        assert!(counts.count(0), "the 64th");
    }
}
