//! How many pings and pongs a peer may send.

use std::time::Duration;

/// A bound on received pings and pongs together: `burst` at once, refilled by `per_second`. One
/// more closes with 1008.
///
/// Each ping costs its sender 6 bytes and us a pong, a system call and a turn of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRate {
    /// Frames that may come at once. Default: 60.
    pub burst: u32,
    /// Frames per second in the long run. Default: 20.
    pub per_second: u32,
}

impl Default for ControlRate {
    fn default() -> Self {
        Self { burst: 60, per_second: 20 }
    }
}

/// The token bucket behind [`ControlRate`], in the time that the frames paid for.
#[derive(Debug)]
pub(crate) struct ControlBudget {
    rate: Option<ControlRate>,
    /// When the bucket will be full again; in the past when it is.
    full_at: Duration,
}

impl ControlBudget {
    pub(crate) const fn new(rate: Option<ControlRate>) -> Self {
        Self { rate, full_at: Duration::ZERO }
    }

    /// Whether one more frame may pass. `now` is the time since any moment, the same in all calls.
    pub(crate) fn take(&mut self, now: impl FnOnce() -> Duration) -> bool {
        let Some(ControlRate { burst, per_second }) = self.rate else {
            return true;
        };
        let now = now();
        let cost = Duration::from_secs(1) / per_second.max(1);
        let full_at = self.full_at.max(now) + cost;
        if full_at - now > cost * burst {
            return false;
        }
        self.full_at = full_at;
        true
    }
}
