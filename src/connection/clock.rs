//! Reading the time. The endpoints do so here only.

use std::time::Duration;

use tokio::time::Instant;

/// The time until `deadline`.
pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The moment in `time`; `None` if it cannot be represented.
pub(crate) fn deadline(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

/// The clock of a connection. Sessions count time from a fixed moment, which is the start of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts a clock.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.0.elapsed()
    }

    /// The time from the start to `now`.
    pub(crate) fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0)
    }

    /// The moment `time` after the start; `None` if it cannot be represented.
    pub(crate) fn at(&self, time: Duration) -> Option<Instant> {
        self.0.checked_add(time)
    }
}
