//! How many pings and pongs a peer may send.

use std::time::Duration;

/// A bound on received pings and pongs together: `burst` at once, refilled by `per_second`. One
/// more closes with 1008. Pongs that answer pings of ours are free, and what came while the application held back
/// reading is weighed by how long that was.
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

/// Pings whose pongs are waited for, at most; more than a heartbeat sends before it gives up.
const PINGS: u16 = 1024;

/// The token bucket behind [`ControlRate`], in the time that the frames paid for.
#[derive(Debug)]
pub(crate) struct ControlBudget {
    rate: Option<ControlRate>,
    /// When the bucket will be full again; in the past when it is.
    full_at: Duration,
    /// Pings of ours that may still be answered.
    pings: u16,
    /// Frames that may pass besides: they had to wait until we read on.
    waited: u16,
}

impl ControlBudget {
    pub(crate) const fn new(rate: Option<ControlRate>) -> Self {
        Self { rate, full_at: Duration::ZERO, pings: 0, waited: 0 }
    }

    /// We have sent a ping: its pong costs the peer nothing.
    pub(crate) fn pinged(&mut self) {
        self.pings = self.pings.saturating_add(1).min(PINGS);
    }

    /// Nothing was read for so long, though the peer may have said something all the time.
    pub(crate) fn waited(&mut self, time: Duration) {
        let Some(ControlRate { per_second, .. }) = self.rate else { return };
        let frames = u64::from(per_second).saturating_mul(time.as_secs());
        self.waited = self.waited.saturating_add(frames.try_into().unwrap_or(u16::MAX));
    }

    /// Whether one more frame may pass, a pong or a ping. `now` is the time since any moment, the same in all calls.
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
            // Whoever was not read has no other place for them.
            let spared = self.waited.checked_sub(1);
            self.waited = spared.unwrap_or_default();
            return spared.is_some();
        }
        self.full_at = full_at;
        true
    }
}
