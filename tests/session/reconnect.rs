//! When a client connects again, and after how long.

use std::time::Duration;

use proptest::prelude::*;
use wse_proto::session::{Backoff, reconnects};

#[test]
fn only_ends_that_may_heal_are_worth_another_connection() {
    let healing: Vec<_> = (0..=u16::MAX).filter(|code| reconnects(*code)).collect();
    assert_eq!(healing, [1005, 1006, 1011, 1012, 1013, 1014, 4000]);
}

#[test]
fn the_wait_doubles_up_to_the_cap() {
    let backoff = Backoff::default();
    let longest: Vec<_> = (0..8).map(|attempt| backoff.delay(attempt, 1.0).as_secs()).collect();
    assert_eq!(longest, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(backoff.attempts, None);
}

#[test]
fn a_backoff_is_what_it_was_set_to() {
    let backoff = Backoff::default()
        .base(Duration::from_millis(100))
        .cap(Duration::from_millis(350))
        .attempts(4);
    assert_eq!(backoff.attempts, Some(4));
    let longest: Vec<_> = (0..4).map(|attempt| backoff.delay(attempt, 1.0).as_millis()).collect();
    assert_eq!(longest, [100, 200, 350, 350]);
    // A base over the cap is cut, too.
    let backoff = Backoff::default().base(Duration::from_secs(60));
    assert_eq!(backoff.delay(0, 1.0), Duration::from_secs(30));
}

/// Neither a base nor a cap of 0 makes a client connect again and again without a pause.
#[test]
fn the_wait_has_a_floor() {
    let zero = Backoff::default().base(Duration::ZERO);
    let longest: Vec<_> = (0..4).map(|attempt| zero.delay(attempt, 1.0).as_millis()).collect();
    assert_eq!(longest, [10, 20, 40, 80]);
    for zero in [zero, Backoff::default()].map(|it| it.cap(Duration::ZERO)) {
        let longest: Vec<_> = (0..4).map(|attempt| zero.delay(attempt, 1.0).as_millis()).collect();
        assert_eq!(longest, [10; 4]);
    }
}

/// Only a connection that lasted longer than the wait before it, and than the base, was a success.
#[test]
fn a_success_outlasts_the_wait() {
    let backoff = Backoff::default();
    let ms = Duration::from_millis;
    for (lasted, wait, success) in [
        (0, 0, false),
        (1000, 0, false),
        (1001, 0, true),
        (1001, 1001, false),
        (30_000, 30_000, false),
        (30_001, 30_000, true),
    ] {
        assert_eq!(backoff.outlasts(ms(lasted), ms(wait)), success, "{lasted} after {wait}");
    }
    assert!(!backoff.base(Duration::ZERO).outlasts(ms(10), Duration::ZERO));
    assert!(backoff.base(Duration::ZERO).outlasts(ms(11), Duration::ZERO));
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_millis),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        Just(Duration::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_wait_is_longer_than_the_doubled_base_or_the_cap(
        base in duration(),
        cap in duration(),
        attempt in prop_oneof![0..40_u32, any::<u32>()],
        luck in 0.0..=1.0_f64,
    ) {
        let wait = Backoff::default().base(base).cap(cap).delay(attempt, luck);
        let floor = Duration::from_millis(10);
        prop_assert!(wait <= cap.max(floor));
        prop_assert!(wait <= base.max(floor).saturating_mul(2_u32.saturating_pow(attempt)));
        prop_assert!(wait <= Duration::from_secs(365 * 24 * 3600));
    }

    #[test]
    fn more_luck_or_more_failures_never_shorten_the_wait(
        base in duration(),
        cap in duration(),
        attempt in 0..40_u32,
        luck in 0.0..=1.0_f64,
        more in 0.0..=1.0_f64,
    ) {
        let backoff = Backoff::default().base(base).cap(cap);
        let (less, more) = (luck.min(more), luck.max(more));
        prop_assert!(backoff.delay(attempt, less) <= backoff.delay(attempt, more));
        prop_assert!(backoff.delay(attempt, luck) <= backoff.delay(attempt + 1, luck));
        prop_assert_eq!(backoff.delay(attempt, 0.0), Duration::ZERO);
    }

    #[test]
    fn jitter_spreads_over_the_whole_wait(attempt in 0..10_u32, luck in 0.0..=1.0_f64) {
        let backoff = Backoff::default();
        let share = backoff.delay(attempt, luck).as_secs_f64();
        let whole = backoff.delay(attempt, 1.0).as_secs_f64();
        prop_assert!((share - whole * luck).abs() < 1e-6);
    }

    #[test]
    fn luck_out_of_range_counts_as_its_nearest_end(attempt in any::<u32>(), off in 0.0..1e300_f64) {
        let backoff = Backoff::default();
        prop_assert_eq!(backoff.delay(attempt, 1.0 + off), backoff.delay(attempt, 1.0));
        prop_assert_eq!(backoff.delay(attempt, -off), Duration::ZERO);
        prop_assert_eq!(backoff.delay(attempt, f64::INFINITY), backoff.delay(attempt, 1.0));
        prop_assert_eq!(backoff.delay(attempt, f64::NAN), Duration::ZERO);
    }
}
