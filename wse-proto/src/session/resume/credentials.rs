//! [`Credentials`]: when the credentials of a client expire.

use std::time::Duration;

use crate::session::deadlines::{NEVER, Nanos, nanos};

/// How long before the end the client is told, at most.
const NOTICE: Nanos = 30_000_000_000;

/// When the credentials of a client expire, and when the client is told.
#[derive(Debug)]
pub(in crate::session) struct Credentials {
    notice: Nanos,
    end: Nanos,
    /// Whether new credentials wait for a decision.
    pub(in crate::session) renewing: bool,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Due {
    /// Tell the client that its credentials expire in this time.
    Notice(Duration),
    /// The credentials have expired.
    End,
}

impl Credentials {
    pub(in crate::session) const fn never() -> Self {
        Self { notice: NEVER, end: NEVER, renewing: false }
    }

    /// They expire in this time. The client is told 30 s before, or in the middle if that is later.
    pub(in crate::session) fn expire_in(&mut self, now: Duration, time: Duration) {
        self.end = nanos(now.saturating_add(time));
        self.notice = self.end.saturating_sub(NOTICE.min(nanos(time) / 2));
        if self.end == NEVER {
            self.notice = NEVER;
        }
    }

    pub(in crate::session) fn due(&self) -> Nanos {
        self.notice.min(self.end)
    }

    /// Takes what is due now.
    pub(in crate::session) fn poll(&mut self, now: Nanos) -> Option<Due> {
        if self.end <= now {
            (self.notice, self.end) = (NEVER, NEVER);
            return Some(Due::End);
        }
        if self.notice > now {
            return None;
        }
        self.notice = NEVER;
        Some(Due::Notice(Duration::from_nanos(self.end - now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d16_the_notice_comes_30_s_before_the_end_or_in_the_middle() {
        let s = Duration::from_secs;
        let table = [(3600, 3570, 30), (60, 30, 30), (40, 20, 20), (0, 0, 0)];
        for (lifetime, notice, left) in table {
            let mut credentials = Credentials::never();
            credentials.expire_in(s(100), s(lifetime));
            assert_eq!(credentials.due(), nanos(s(100 + notice)), "{lifetime}");
            if left > 0 {
                let due = credentials.poll(nanos(s(100 + notice)));
                assert_eq!(due, Some(Due::Notice(s(left))));
                assert_eq!(credentials.poll(nanos(s(99 + lifetime))), None);
            }
            assert_eq!(credentials.poll(nanos(s(100 + lifetime))), Some(Due::End));
            assert_eq!(credentials.due(), NEVER);
        }
        let mut never = Credentials::never();
        never.expire_in(s(1), Duration::MAX);
        assert_eq!(never.due(), NEVER);
    }
}
