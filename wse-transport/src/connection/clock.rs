//! The one place where the endpoints read the time.

use std::time::Duration;

use tokio::time::Instant;

/// How long it is until `deadline`.
pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Time as a session wants it: since a fixed moment, here the start of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.elapsed()
    }

    /// The time at `now`.
    pub(crate) fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0)
    }

    /// The moment `time` after the start; one that never comes when there is no such moment.
    pub(crate) fn at(&self, time: Duration) -> Option<Instant> {
        self.0.checked_add(time)
    }
}
