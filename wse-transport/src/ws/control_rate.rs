//! [`ControlRate`]: a limit on pings and pongs.

use std::time::Duration;

/// A limit on received pings and pongs together: `burst` at once, refilled by `per_second`. One more closes with 1008.
///
/// Pongs that answer our pings do not count. Frames that queued up while the application did not read are judged by how
/// long that was.
///
/// A ping costs its sender 6 bytes, and the receiver a pong, a system call and a turn of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRate {
    /// The frames that may arrive at once. Default: 60.
    pub burst: u32,
    /// The frames per second on average. Default: 20.
    pub per_second: u32,
}

impl Default for ControlRate {
    fn default() -> Self {
        Self { burst: 60, per_second: 20 }
    }
}

/// The most pings whose pongs are awaited; more than a heartbeat sends before it gives up.
const PINGS: u16 = 1024;

/// The token bucket of a [`ControlRate`], in units of time.
#[derive(Debug)]
pub(crate) struct ControlBudget {
    rate: Option<ControlRate>,
    /// When the bucket is full again; in the past if it is full.
    full_at: Duration,
    /// Pings whose pongs are awaited.
    pings: u16,
    /// Frames that are allowed in addition, since they queued up while reading was paused.
    waited: u16,
}

impl ControlBudget {
    pub(crate) const fn new(rate: Option<ControlRate>) -> Self {
        Self { rate, full_at: Duration::ZERO, pings: 0, waited: 0 }
    }

    /// A ping was sent: its pong does not count.
    pub(crate) fn pinged(&mut self) {
        self.pings = self.pings.saturating_add(1).min(PINGS);
    }

    /// Nothing was read for this long, while the peer may have sent frames.
    pub(crate) fn reading_paused(&mut self, time: Duration) {
        let Some(ControlRate { per_second, .. }) = self.rate else { return };
        let frames = u64::from(per_second).saturating_mul(time.as_secs());
        self.waited = self.waited.saturating_add(frames.try_into().unwrap_or(u16::MAX));
    }

    /// Whether one more frame is allowed, a pong or a ping. `now` is the time since a fixed moment.
    pub(crate) fn take(&mut self, pong: bool, now: impl FnOnce() -> Duration) -> bool {
        let Some(ControlRate { burst, per_second }) = self.rate else {
            return true;
        };
        if pong && self.pings > 0 {
            self.pings -= 1;
            return true;
        }
        let now = now();
        let cost = Duration::from_secs(1) / per_second.max(1);
        let full_at = self.full_at.max(now) + cost;
        if full_at - now > cost * burst {
            // Spend credit that accrued while reading was paused.
            let spared = self.waited.checked_sub(1);
            self.waited = spared.unwrap_or_default();
            return spared.is_some();
        }
        self.full_at = full_at;
        true
    }
}
