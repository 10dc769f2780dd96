//! When a client connects again.

use std::time::Duration;

/// Whether a client should reconnect after a connection that ended with this close code (RFC 6455 §7.4): yes after
/// 1005, 1006, 1011 to 1014, and 4000; no after any other, such as a normal end (1000), a server that goes away for
/// good (1001), or a protocol error (1002).
pub const fn reconnects(code: u16) -> bool {
    matches!(code, 1005 | 1006 | 1011..=1014 | 4000)
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The least `base` and `cap`: otherwise a client would connect again and again without a pause.
const FLOOR: Duration = Duration::from_millis(10);

/// How long to wait before the next attempt to connect: exponential backoff with full jitter.
///
/// ```
/// use std::time::Duration;
/// use wse_proto::session::Backoff;
/// let backoff = Backoff::default();
/// assert_eq!(backoff.delay(0, 0.5), Duration::from_millis(500));
/// assert_eq!(backoff.delay(3, 0.5), Duration::from_secs(4));
/// assert!(backoff.delay(1000, 1.0) <= Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The longest first wait. Default: 1 s; less than 10 ms counts as 10 ms.
    pub base: Duration,
    /// The upper limit of every wait. Default: 30 s; less than 10 ms counts as 10 ms, and more than a year as a year.
    pub cap: Duration,
    /// After how many failed attempts in a row to give up. The caller counts and compares. A connection that did not last
    /// longer than the wait before it counts as a failed attempt: see [`outlasts`](Self::outlasts). Default: never.
    pub attempts: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(30), attempts: None }
    }
}

impl Backoff {
    /// Sets the longest first wait. Default: 1 s; less than 10 ms counts as 10 ms.
    #[must_use]
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the upper limit of every wait. Default: 30 s; less than 10 ms counts as 10 ms, and more than a year as a year.
    #[must_use]
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Gives up after so many failed attempts in a row; connections that did not last count too. Default: never.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// The wait before attempt number `attempt`, counted from 0 after each success. `random` is a random number from
    /// 0 to 1: full jitter spreads the clients of a server that restarted. A number outside the range counts as the
    /// nearer end, NaN as 0.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let longest =
            self.base.max(FLOOR).saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        let random = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
        // A year at most: `mul_f64` panics on overflow.
        longest.min(self.cap.max(FLOOR)).min(YEAR).mul_f64(random)
    }

    /// Whether a connection that lasted this long was a success, so that the attempts are counted from 0 again: it must have
    /// lasted longer than `wait`, the wait before it, and than [`base`](Self::base). Otherwise a server that welcomes its
    /// clients and drops them would have them all come back at once, forever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wse_proto::session::Backoff;
    /// let (backoff, wait) = (Backoff::default(), Duration::from_secs(4));
    /// assert!(!backoff.outlasts(Duration::from_secs(4), wait));
    /// assert!(backoff.outlasts(Duration::from_secs(5), wait));
    /// ```
    #[must_use]
    pub fn outlasts(&self, lasted: Duration, wait: Duration) -> bool {
        lasted > wait.max(self.base.clamp(FLOOR, YEAR))
    }
}
