//! How long a heartbeat waits: the interval and the timeout, by the round-trip time and by what is set.

use std::time::Duration;

use crate::support::session::*;
use wse_proto::session::{Heartbeat, Session};

/// Each second, and no more than three without a sign of life.
const HEARTBEAT: Heartbeat = Heartbeat::fixed(ms(1000), ms(3000));

/// A server's session past the welcome that pings from the start.
fn watching(heartbeat: Heartbeat) -> Session {
    server().with_heartbeat(heartbeat, None, T0, 0.0)
}

/// What a session does when `now` has come.
fn beat(session: &mut Session, now: Duration) -> Said {
    session.handle_timeout(now);
    drain(session)
}

/// Beats and pongs, each `rtt` after its ping or just before the next: until nothing changes any more.
fn settled(heartbeat: Heartbeat, rtt: Duration) -> (Session, Duration) {
    let mut session = watching(heartbeat);
    let mut now = T0;
    for ping in 1..=400 {
        now = session.poll_heartbeat().unwrap();
        let said = beat(&mut session, now);
        assert_eq!(said, Said::new(&[&format!("ping {ping}")], &[]), "{rtt:?}");
        let before_next = session.poll_heartbeat().unwrap() - ms(1);
        let at = (now + rtt).min(before_next);
        session.handle_pong(at, ping.to_string().as_bytes());
        assert_eq!(drain(&mut session), Said::nothing(), "{rtt:?}");
    }
    (session, now)
}

const RTTS: [Duration; 15] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_micros(7),
    ms(1),
    ms(50),
    ms(199),
    ms(200),
    ms(201),
    ms(500),
    ms(1000),
    ms(1900),
    ms(2499),
    ms(2500),
    ms(2501),
    ms(20_000),
];

/// Not as the session reckons, but as the documentation says it.
#[test]
fn interval_and_timeout_follow_the_round_trip_time() {
    for rtt in RTTS {
        let (mut session, last) = settled(Heartbeat::default(), rtt);
        let known = session.liveness().unwrap().rtt.unwrap();
        // Whole microseconds, at least one, and rounded down at each step.
        let error = known.abs_diff(rtt);
        assert!(error <= Duration::from_micros(8), "{rtt:?}: {known:?}");

        let interval = (10 * known).max(ms(2000)).min(ms(25_000));
        let next = session.poll_heartbeat().unwrap();
        assert_eq!(next - last, interval, "{rtt:?}");

        let timeout = (50 * known).max(ms(10_000));
        assert_eq!(dies(&mut session) - next, timeout, "{rtt:?}");
    }
}

#[test]
fn a_fixed_heartbeat_ignores_round_trip_times() {
    for rtt in [T0, ms(1), ms(400), ms(900), ms(999)] {
        let (mut session, last) = settled(HEARTBEAT, rtt);
        let next = session.poll_heartbeat().unwrap();
        assert_eq!(next - last, ms(1000), "{rtt:?}");
        assert_eq!(dies(&mut session) - next, ms(3000), "{rtt:?}");
    }
}

#[test]
fn the_round_trip_time_is_smoothed_as_rfc_6298_says() {
    // Its section 2, in the words of its formulas.
    let (alpha, beta) = (1.0 / 8.0, 1.0 / 4.0);
    let mut known: Option<(f64, f64)> = None;
    let mut seed = 42_u64;
    let mut session = watching(Heartbeat::fixed(ms(60_000), ms(600_000)));
    for ping in 1..=1000_u64 {
        // Mostly near, now and then far.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let rtt = Duration::from_micros(
            match (seed >> 33) % 20 {
                0 => (seed >> 40) % 30_000_000,
                1 => 1,
                _ => 20_000 + (seed >> 40) % 30_000,
            } + 1,
        );
        let r = rtt.as_secs_f64();
        let (srtt, rttvar) = match known {
            None => (r, r / 2.0),
            Some((srtt, rttvar)) => {
                ((1.0 - alpha) * srtt + alpha * r, (1.0 - beta) * rttvar + beta * (srtt - r).abs())
            }
        };
        known = Some((srtt, rttvar));

        let now = session.poll_heartbeat().unwrap();
        beat(&mut session, now);
        session.handle_pong(now + rtt, ping.to_string().as_bytes());
        let liveness = session.liveness().unwrap();
        // Each step rounds down to a microsecond, of which an eighth and a quarter go at the next.
        let (ours, var) = (liveness.rtt.unwrap().as_secs_f64(), liveness.rtt_var.as_secs_f64());
        assert!((ours - srtt).abs() < 9e-6, "{ping}: {ours} for {srtt}");
        assert!((var - rttvar).abs() < 15e-6, "{ping}: {var} for {rttvar}");
    }
}

#[test]
fn the_first_ping_comes_after_its_share_of_the_interval() {
    let start = ms(5000);
    let heartbeat = Heartbeat::default();
    for (jitter, wait) in [
        (0.0, T0),
        (0.25, ms(500)),
        (0.5, ms(1000)),
        (1.0, ms(2000)),
        // Not a share at all.
        (-1.0, T0),
        (7.0, ms(2000)),
        (f64::NAN, T0),
        (f64::INFINITY, T0),
    ] {
        let mut session = server().with_heartbeat(heartbeat, None, start, jitter);
        let first = start + wait;
        assert_eq!(session.poll_heartbeat(), Some(first), "{jitter}");
        assert_eq!(session.poll_timeout(), Some(first), "{jitter}");
        let early = first - Duration::from_nanos(1);
        assert_eq!(beat(&mut session, early), Said::nothing(), "{jitter}");
        assert_eq!(beat(&mut session, first), Said::new(&["ping 1"], &[]), "{jitter}");
        assert_eq!(session.poll_heartbeat(), Some(first + ms(2000)), "{jitter}");
    }
}

#[test]
fn no_time_at_all_is_a_millisecond_between_pings() {
    let zero = Heartbeat {
        min_interval: T0,
        interval_rtts: 0,
        max_interval: T0,
        min_timeout: T0,
        timeout_rtts: 0,
    };
    for heartbeat in [zero, Heartbeat { min_timeout: ms(5), ..zero }, Heartbeat::fixed(T0, ms(5))] {
        let mut session = watching(heartbeat);
        assert_eq!(dies(&mut session), heartbeat.min_timeout);

        // Who answers at once lives, and is asked a thousand times a second, not without end.
        let mut session = watching(heartbeat);
        for ping in 1..=1000_u64 {
            let now = session.poll_heartbeat().unwrap();
            assert_eq!(now, ms(ping - 1));
            assert_eq!(beat(&mut session, now), Said::new(&[&format!("ping {ping}")], &[]));
            session.handle_pong(now, ping.to_string().as_bytes());
            assert_eq!(drain(&mut session), Said::nothing());
        }
    }
    // The least is more than the most: the least counts.
    let odd = Heartbeat { min_interval: ms(5000), max_interval: ms(10), ..Heartbeat::default() };
    let (mut session, last) = settled(odd, ms(700));
    let next = session.poll_heartbeat().unwrap();
    assert_eq!(next - last, ms(5000));
    assert_eq!(dies(&mut session) - next, ms(35_000));
}

#[test]
fn enormous_times_do_no_harm() {
    let most = Heartbeat {
        min_interval: Duration::MAX,
        interval_rtts: u16::MAX,
        max_interval: Duration::MAX,
        min_timeout: Duration::MAX,
        timeout_rtts: u16::MAX,
    };
    let century = Duration::from_secs(100 * 365 * 86_400);
    for heartbeat in [
        most,
        Heartbeat::fixed(Duration::MAX, Duration::MAX),
        Heartbeat::fixed(Duration::MAX, T0),
        Heartbeat::fixed(T0, Duration::MAX),
        Heartbeat { min_interval: ms(1), min_timeout: ms(1), ..most },
        Heartbeat { max_interval: T0, ..most },
    ] {
        for start in [T0, century, 5 * century] {
            for jitter in [0.0, 0.3, 1.0] {
                let mut session = server().with_heartbeat(heartbeat, None, start, jitter);
                for ping in 1..=20_u32 {
                    let Some(now) = session.poll_heartbeat() else { break };
                    assert!(now >= start, "{heartbeat:?}");
                    session.handle_timeout(now);
                    // From no round trip at all to a year of it.
                    let rtt = century / 100 * (ping % 2);
                    session.handle_pong(now + rtt, ping.to_string().as_bytes());
                    drain(&mut session);
                }
                session.handle_timeout(Duration::MAX);
                session.handle_life(Duration::MAX);
                session.handle_pong(Duration::MAX, b"7");
                session.poll_timeout();
            }
        }
    }
    // Never is no time to be woken at that a clock could not tell.
    let mut session = server().with_heartbeat(HEARTBEAT, None, Duration::MAX, 1.0);
    assert!(session.poll_timeout().is_some_and(|at| at > century));
    assert_eq!(beat(&mut session, century), Said::nothing());
}
