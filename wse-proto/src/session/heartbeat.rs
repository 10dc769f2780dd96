//! [`Heartbeat`]: whether the peer is alive, and the round-trip time.
//!
//! ```text
//!               ping sent                     nothing received until the next ping
//!   Live ───────────────────────► Live, waiting ───────────────────────────────────────► Late
//!    ▲                                  │                                                  │
//!    │        anything is received      │                      anything is received        │
//!    └──────────────────────────────────┴──────────────────────────────────────────────────┤
//!                                                       nothing received for the timeout   │
//!                                                                                          ▼
//!                                                             closed: 1006 wse.heartbeat-timeout
//! ```

use std::time::Duration;

use super::deadlines::{NEVER, Nanos, nanos};

/// How often a peer is pinged, and how long it may be silent.
///
/// Interval and timeout grow with the round-trip time, smoothed as in RFC 6298 §2: a distant peer is pinged less often and
/// may be silent for longer. Any bytes that arrive show that the peer is alive, also a part of a message.
///
/// ```
/// use std::time::Duration;
/// use wse_proto::session::Heartbeat;
/// let often = Heartbeat { min_interval: Duration::from_millis(500), ..Heartbeat::default() };
/// let fixed = Heartbeat::fixed(Duration::from_secs(5), Duration::from_secs(15));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The shortest time between two pings. Default: 2 s.
    pub min_interval: Duration,
    /// The time between two pings in round-trip times, if that is longer. Default: 10.
    pub interval_rtts: u16,
    /// The longest time between two pings. Default: 25 s. Some proxies close a connection that is idle for a minute.
    pub max_interval: Duration,
    /// The shortest silence after a ping that ends the connection. Default: 10 s.
    pub min_timeout: Duration,
    /// The same in round-trip times, if that is longer. Default: 50.
    pub timeout_rtts: u16,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_secs(2),
            interval_rtts: 10,
            max_interval: Duration::from_secs(25),
            min_timeout: Duration::from_secs(10),
            timeout_rtts: 50,
        }
    }
}

impl Heartbeat {
    /// A ping every `interval`, and the end of the connection after `timeout` of silence, whatever the round-trip time.
    pub const fn fixed(interval: Duration, timeout: Duration) -> Self {
        Self {
            min_interval: interval,
            interval_rtts: 0,
            max_interval: interval,
            min_timeout: timeout,
            timeout_rtts: 0,
        }
    }
}

/// The state of the heartbeat: [`Session::liveness`](super::Session::liveness).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Liveness {
    /// Whether the peer is late.
    pub state: LivenessState,
    /// The smoothed round-trip time; `None` before the first pong.
    pub rtt: Option<Duration>,
    /// The variation of the round-trip time: RTTVAR of RFC 6298.
    pub rtt_var: Duration,
    /// Pings sent.
    pub pings: u32,
    /// Pongs received.
    pub pongs: u32,
    /// Which pings are sent.
    pub via: PingVia,
}

/// See [`Liveness::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LivenessState {
    /// Something was received since the last ping but one.
    Live,
    /// Nothing was received since a ping, and the next one was sent already.
    Late,
}

/// Which pings a session sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PingVia {
    /// WebSocket pings (RFC 6455 §5.5.2). Every WebSocket implementation answers them by itself, also a browser.
    WebSocket,
    /// Messages of the protocol, answered by the peer's session. A client in a browser needs them, because it can neither
    /// send nor see WebSocket pings.
    Session,
}

/// Milliseconds in 32 bits, to keep [`HeartbeatState`] small; 49 days at most.
fn millis(time: Duration) -> u32 {
    time.as_millis().try_into().unwrap_or(u32::MAX)
}

const MILLI: Nanos = 1_000_000;

/// How long a check waits, at least, and in round-trip times.
const MIN_CHECK: Nanos = 3_000 * MILLI;
const CHECK_RTTS: u16 = 10;

/// The shortest time between two pings: peers limit them to 20 a second.
const PAUSE: Nanos = 50 * MILLI;

/// The heartbeat of one session. Small, because it is most of the memory of an idle session.
#[derive(Debug)]
pub(super) struct HeartbeatState {
    pub(super) via: PingVia,
    late: bool,
    /// Whether the silence since the last ping ends the connection sooner.
    checking: bool,
    interval_rtts: u16,
    timeout_rtts: u16,
    min_interval: u32,
    max_interval: u32,
    min_timeout: u32,
    /// In microseconds; 0 before the first sample.
    srtt: u32,
    rtt_var: u32,
    sent: u32,
    /// The number of the last pong.
    answered: u32,
    pongs: u32,
    /// When the last ping was sent; `NEVER` when this side may delay its pong.
    sent_at: Nanos,
    /// When the first ping since the last sign of life was sent.
    silent_since: Nanos,
    next: Nanos,
}

/// What the heartbeat wants done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeartbeatAction {
    /// Send the ping with this number. `late`: the peer became late.
    Ping { serial: u64, late: bool },
    /// End the connection: the peer is gone.
    Dead,
}

impl HeartbeatState {
    pub(super) fn new(heartbeat: Heartbeat, via: PingVia, first: Nanos) -> Self {
        // With an interval of zero, a ping would always be due.
        let min_interval = millis(heartbeat.min_interval).max(1);
        Self {
            via,
            late: false,
            checking: false,
            interval_rtts: heartbeat.interval_rtts,
            timeout_rtts: heartbeat.timeout_rtts,
            min_interval,
            max_interval: millis(heartbeat.max_interval).max(min_interval),
            min_timeout: millis(heartbeat.min_timeout),
            srtt: 0,
            rtt_var: 0,
            sent: 0,
            answered: 0,
            pongs: 0,
            sent_at: NEVER,
            silent_since: NEVER,
            next: first,
        }
    }

    /// Something was received. Returns whether the peer was late until now.
    pub(super) fn received(&mut self, at: Nanos) -> bool {
        if self.silent_since != NEVER && at >= self.silent_since {
            self.silent_since = NEVER;
            self.checking = false;
            return std::mem::take(&mut self.late);
        }
        false
    }

    /// This side did not read for a while.
    pub(super) fn reading_paused(&mut self) {
        self.sent_at = NEVER;
    }

    /// Takes a pong with this number. Returns whether it belongs to a ping that has no pong yet.
    pub(super) fn pong(&mut self, now: Nanos, serial: u64) -> bool {
        let Ok(serial) = u32::try_from(serial) else { return false };
        if serial <= self.answered || serial > self.sent {
            return false;
        }
        self.answered = serial;
        self.pongs += 1;
        // Only the time of the last ping is known, so only its pong is a sample (compare RFC 6298 §3).
        if serial == self.sent && self.sent_at != NEVER {
            self.sample(now.saturating_sub(self.sent_at));
        }
        true
    }

    /// RFC 6298 §2.
    fn sample(&mut self, rtt: Nanos) {
        let rtt = u32::try_from(rtt / 1000).unwrap_or(u32::MAX).max(1);
        if self.srtt == 0 {
            self.srtt = rtt;
            self.rtt_var = rtt / 2;
        } else {
            let mix = |old: u32, new: u32, parts: u64| {
                ((u64::from(old) * (parts - 1) + u64::from(new)) / parts) as u32
            };
            self.rtt_var = mix(self.rtt_var, self.srtt.abs_diff(rtt), 4);
            self.srtt = mix(self.srtt, rtt, 8).max(1);
        }
    }

    fn rtts(&self, count: u16) -> Nanos {
        Nanos::from(self.srtt) * 1000 * Nanos::from(count)
    }

    fn interval(&self) -> Nanos {
        let [min, max] = [self.min_interval, self.max_interval].map(|it| Nanos::from(it) * MILLI);
        self.rtts(self.interval_rtts).clamp(min, max)
    }

    fn timeout(&self) -> Nanos {
        self.rtts(self.timeout_rtts).max(Nanos::from(self.min_timeout) * MILLI)
    }

    fn dead_at(&self) -> Nanos {
        let timeout = self.timeout();
        let checked = self.rtts(CHECK_RTTS).max(MIN_CHECK).min(timeout);
        self.silent_since.saturating_add(if self.checking { checked } else { timeout })
    }

    /// Sends a ping at the next tick, and waits for less time than usual.
    pub(super) fn check_now(&mut self, now: Nanos) {
        if self.checking {
            // Asking again must not put off the end.
            return;
        }
        self.next = match self.sent_at {
            NEVER => now,
            sent_at => now.max(sent_at.saturating_add(PAUSE)),
        };
        // The silence until now may be that of a machine that slept.
        (self.silent_since, self.checking) = (NEVER, true);
    }

    /// When [`tick`](Self::tick) is due next.
    pub(super) fn due(&self) -> Nanos {
        self.next.min(self.dead_at())
    }

    pub(super) fn tick(&mut self, now: Nanos) -> Option<HeartbeatAction> {
        if self.dead_at() <= now {
            return Some(HeartbeatAction::Dead);
        }
        if self.next > now {
            return None;
        }
        self.sent = self.sent.wrapping_add(1);
        self.sent_at = now;
        self.next = now.saturating_add(self.interval());
        let late = self.silent_since != NEVER && !std::mem::replace(&mut self.late, true);
        if self.silent_since == NEVER {
            self.silent_since = now;
            // A check of a late peer has not heard it yet.
            self.late &= self.checking;
        }
        Some(HeartbeatAction::Ping { serial: self.sent.into(), late })
    }

    pub(super) fn liveness(&self) -> Liveness {
        let micros = |micros: u32| Duration::from_micros(micros.into());
        Liveness {
            state: if self.late { LivenessState::Late } else { LivenessState::Live },
            rtt: (self.srtt != 0).then(|| micros(self.srtt)),
            rtt_var: micros(self.rtt_var),
            pings: self.sent,
            pongs: self.pongs,
            via: self.via,
        }
    }
}

/// When the first ping is due: after a share of the interval, so that connections that began together are not pinged
/// together.
pub(super) fn first(heartbeat: &Heartbeat, now: Duration, jitter: f64) -> Nanos {
    let share = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    // `mul_f64` panics on overflow.
    let interval = heartbeat.min_interval.min(Duration::from_millis(u32::MAX.into()));
    nanos(now.saturating_add(interval.mul_f64(share)))
}
