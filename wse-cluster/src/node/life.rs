//! [`Life`]: whether a node hears itself. It is ready only while it does.

use std::time::Duration;

use crate::settings::Settings;

/// The state of a node's connections to the backplane. Times are from the start of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It opens new ones.
    Opening,
    /// They are open, and its channels are being subscribed to.
    Subscribing {
        since: Duration,
    },
    /// Its beats go out, and it has not heard one yet.
    Listening {
        since: Duration,
    },
    /// It has heard itself.
    Ready {
        heard: Duration,
    },
    /// It opens new ones at this time.
    Waiting {
        until: Duration,
    },
    Stopped,
}

/// The life of a node.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) phase: Phase,
    /// Counts the sessions with the backplane. What comes from an older one does not count.
    pub(super) session: u64,
    next_beat: Duration,
    /// Sessions that were lost, or could not be opened, since the node was ready.
    failures: u32,
    random: u64,
}

impl Life {
    pub(super) fn new(random: u64) -> Self {
        Self {
            phase: Phase::Opening,
            session: 1,
            next_beat: Duration::ZERO,
            failures: 0,
            random: random | 1,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether messages can be published.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Listening { .. } | Phase::Ready { .. })
    }

    pub(super) fn listen(&mut self, now: Duration) {
        self.phase = Phase::Listening { since: now };
        self.next_beat = now;
    }

    /// The node has heard a beat of its own. Returns whether it becomes ready by that.
    pub(super) fn heard(&mut self, now: Duration) -> bool {
        let becomes = matches!(self.phase, Phase::Listening { .. });
        if becomes || self.is_ready() {
            self.phase = Phase::Ready { heard: now };
            self.failures = 0;
        }
        if becomes {
            // The others learn it at once.
            self.beat_soon(now);
        }
        becomes
    }

    /// Drops the session. Another one is opened after a wait.
    pub(super) fn wait(&mut self, now: Duration, settings: &Settings) {
        let [first, most] = settings.backoff;
        let full = first.saturating_mul(1 << self.failures.min(10)).min(most);
        self.failures += 1;
        // Between half and all of it, so that nodes do not come at once.
        let until = now + full / 2 + (full / 2).mul_f64(self.unit());
        self.phase = Phase::Waiting { until };
    }

    pub(super) fn open(&mut self) {
        self.phase = Phase::Opening;
        self.session += 1;
    }

    /// The next beat is due now.
    pub(super) fn beat_soon(&mut self, now: Duration) {
        self.next_beat = now;
    }

    /// Whether a beat is due now; the next one is due later then.
    pub(super) fn takes_beat(&mut self, now: Duration, settings: &Settings) -> bool {
        let due = self.is_open() && self.next_beat <= now;
        if due {
            self.next_beat = now + settings.beat;
        }
        due
    }

    /// Whether the session is to be given up: it is deaf, or does not get so far as to hear.
    pub(super) fn is_deaf(&self, now: Duration, settings: &Settings) -> bool {
        self.deaf_at(settings).is_some_and(|at| at <= now)
    }

    fn deaf_at(&self, settings: &Settings) -> Option<Duration> {
        match self.phase {
            Phase::Listening { since } => Some(since + settings.hear_within),
            Phase::Ready { heard } => Some(heard + settings.hear_within),
            // With many channels it takes longer.
            Phase::Subscribing { since } => Some(since + 6 * settings.hear_within),
            Phase::Opening | Phase::Waiting { .. } | Phase::Stopped => None,
        }
    }

    /// When something is due next.
    pub(super) fn due(&self, settings: &Settings) -> Option<Duration> {
        let beat = self.is_open().then_some(self.next_beat);
        let wait = match self.phase {
            Phase::Waiting { until } => Some(until),
            _ => None,
        };
        [beat, wait, self.deaf_at(settings)].into_iter().flatten().min()
    }

    /// A number from 0 to 1: xorshift64.
    fn unit(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}
