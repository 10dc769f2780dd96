//! The time to judge a head is proportional to its length, whatever is in it: anyone can send one.

use std::time::{Duration, Instant};

#[path = "../support/heads.rs"]
mod heads;

use heads::{KINDS, head, judge};

/// The shortest of three runs, since others use the machine too.
fn time(head: &str) -> Duration {
    let once = || {
        let start = Instant::now();
        judge(head.as_bytes());
        start.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}

/// `benches/instructions` counts the instructions of the same. Here four times as much as in proportion is allowed; a
/// reader whose time is quadratic needs 16 times as much.
#[test]
fn the_time_to_judge_a_head_is_linear() {
    const FACTOR: u32 = 16;
    for kind in KINDS {
        let (small, large) = (head(*kind, 32 * 1024), head(*kind, FACTOR as usize * 32 * 1024));
        assert!(large.len() > 8 * small.len(), "{}", kind.0);
        let (few, many) = (time(&small), time(&large));
        assert!(
            many < 4 * FACTOR * few + Duration::from_millis(20),
            "{}: {few:?} for {} bytes, {many:?} for {}",
            kind.0,
            small.len(),
            large.len(),
        );
    }
}
