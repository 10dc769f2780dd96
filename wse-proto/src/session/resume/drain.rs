//! [`Drain`]: when a client goes to another server.

use std::time::Duration;

use crate::DrainNotice;
use crate::session::deadlines::{Nanos, nanos};

/// When a client goes to another server.
#[derive(Debug)]
pub(in crate::session) struct Drain {
    at: Nanos,
    latest: Nanos,
}

impl Drain {
    pub(in crate::session) fn new(now: Duration, notice: &DrainNotice, random: f64) -> Self {
        let at = |time| nanos(now.saturating_add(time));
        Self { at: at(notice.choose(random)), latest: at(notice.latest()) }
    }

    /// When the client closes its socket: at the chosen time, or at the latest time while calls are pending. `idle` says that
    /// none is.
    pub(in crate::session) const fn due(&self, idle: bool) -> Nanos {
        if idle { self.at } else { self.latest }
    }
}
