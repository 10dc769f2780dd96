//! [`Deadlines`]: a timer queue with amortised constant time per entry.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Nanoseconds since the start of the session, in half the size of a `Duration`.
pub(super) type Nanos = u64;

/// No deadline. Also stands for times beyond the range of [`Nanos`], 584 years.
pub(super) const NEVER: Nanos = Nanos::MAX;

pub(super) fn nanos(time: Duration) -> Nanos {
    time.as_nanos().try_into().unwrap_or(NEVER)
}

/// A radix heap. Deadlines that are further away lie in wider buckets. They move to narrower ones as time advances, at
/// most once for each bit of a time.
///
/// A cancelled entry stays until it is reached, or until more than half of the entries are cancelled. So cancelling does
/// not search: the caller says which entries are still live.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    /// By the highest bit in which a deadline differs from `last`; at most 65.
    buckets: BTreeMap<u32, VecDeque<(Nanos, K)>>,
    /// No entry has a deadline before this.
    last: Nanos,
    /// Nothing is due before this; [`NEVER`] when there is nothing.
    soonest: Nanos,
    /// Entries in the buckets, and how many of them are live.
    stored: u32,
    live: u32,
    /// How often an entry was put into a bucket.
    #[cfg(test)]
    moves: usize,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            buckets: BTreeMap::new(),
            last: 0,
            soonest: NEVER,
            stored: 0,
            live: 0,
            #[cfg(test)]
            moves: 0,
        }
    }
}

impl<K> Deadlines<K> {
    /// Adds `key` with the deadline `at`, unless that is [`NEVER`].
    pub(super) fn add(&mut self, at: Nanos, key: K) {
        if at != NEVER {
            self.soonest = self.soonest.min(at);
            self.live += 1;
            self.put(at, key);
        }
    }

    /// Takes note that an entry with this deadline was cancelled or has ended. `is_live` must say so too.
    pub(super) fn cancelled(&mut self, at: Nanos, is_live: impl Fn(&K, Nanos) -> bool) {
        if at == NEVER {
            return;
        }
        self.live -= 1;
        if self.live == 0 {
            *self = Self { last: self.last, ..Self::default() };
        } else if self.stored > 2 * self.live + 16 {
            self.buckets.retain(|_, bucket| {
                bucket.retain(|(at, key)| is_live(key, *at));
                bucket.shrink_to(2 * bucket.len());
                !bucket.is_empty()
            });
            self.stored = self.buckets.values().map(|bucket| bucket.len() as u32).sum();
        }
    }

    /// Removes and returns one live entry whose deadline has passed. Call [`cancelled`](Self::cancelled) for it.
    pub(super) fn expire(&mut self, now: Nanos, is_live: impl Fn(&K, Nanos) -> bool) -> Option<K> {
        while self.soonest <= now {
            let Some(mut bucket) = self.buckets.first_entry() else {
                self.soonest = NEVER;
                return None;
            };
            if *bucket.key() == 0 {
                // All entries of this bucket are due now, in the order in which they were added.
                let first = bucket.get_mut().pop_front();
                if bucket.get().is_empty() {
                    bucket.remove();
                }
                self.stored -= u32::from(first.is_some());
                match first {
                    Some((at, key)) if is_live(&key, at) => return Some(key),
                    _ => continue,
                }
            }
            let bucket = bucket.remove();
            self.stored -= bucket.len() as u32;
            let live: Vec<_> = bucket.into_iter().filter(|(at, key)| is_live(key, *at)).collect();
            let Some(soonest) = live.iter().map(|(at, _)| *at).min() else { continue };
            self.soonest = soonest;
            self.last = self.last.max(soonest.min(now));
            for (at, key) in live {
                self.put(at, key);
            }
        }
        None
    }

    /// Nothing is due before this; [`NEVER`] when there is nothing.
    pub(super) fn soonest(&self) -> Nanos {
        self.soonest
    }

    /// How many entries are live.
    pub(super) fn len(&self) -> usize {
        self.live as usize
    }

    fn put(&mut self, at: Nanos, key: K) {
        let bucket = Nanos::BITS - (at.max(self.last) ^ self.last).leading_zeros();
        self.buckets.entry(bucket).or_default().push_back((at, key));
        self.stored += 1;
        #[cfg(test)]
        {
            self.moves += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Compares with a table that is searched, for near, far, equal and cancelled deadlines.
    #[test]
    fn what_is_due_comes_in_order_and_nothing_is_left() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut deadlines = Deadlines::default();
            let mut pending: HashMap<u64, Nanos> = HashMap::new();
            let (mut now, mut next) = (0, 0);
            for _ in 0..300 {
                match random(4) {
                    0 | 1 => {
                        let width = random(40);
                        let at = now + random(1 << width);
                        next += 1;
                        pending.insert(next, at);
                        deadlines.add(at, next);
                    }
                    2 => {
                        let key = random(next + 1);
                        if let Some(at) = pending.remove(&key) {
                            deadlines.cancelled(at, |key, at| pending.get(key) == Some(&at));
                        }
                    }
                    _ => {
                        let width = random(36);
                        now += random(1 << width);
                        while let Some(key) =
                            deadlines.expire(now, |key, at| pending.get(key) == Some(&at))
                        {
                            let at = pending.remove(&key).unwrap();
                            deadlines.cancelled(at, |key, at| pending.get(key) == Some(&at));
                            assert!(at <= now && pending.values().all(|other| *other >= at));
                        }
                        assert!(pending.values().all(|at| *at > now));
                    }
                }
                assert_eq!(deadlines.len(), pending.len());
                let soonest = pending.values().min().copied().unwrap_or(NEVER);
                assert!(deadlines.soonest() <= soonest);
                assert!(deadlines.stored <= 2 * deadlines.live + 17);
                assert_eq!(deadlines.buckets.is_empty(), deadlines.stored == 0);
            }
        }
    }

    /// 20 s are 35 bits of nanoseconds, so each entry moves at most 35 times, however many there are.
    #[test]
    fn none_is_moved_more_often_when_there_are_more() {
        let scattered = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 20_000_000_000;
        let equal = |_| 20_000_000_000;
        for (count, at) in [100_u64, 1_000, 10_000, 100_000]
            .into_iter()
            .flat_map(|count| [(count, &scattered as &dyn Fn(u64) -> Nanos), (count, &equal)])
        {
            let mut deadlines = Deadlines::default();
            for key in 0..count {
                deadlines.add(at(key), key);
            }
            let mut left = count;
            for now in (0..=20_000).map(|millis| millis * 1_000_000) {
                while deadlines.expire(now, |_, _| true).is_some() {
                    left -= 1;
                }
            }
            assert_eq!(left, 0);
            assert!(deadlines.moves <= 36 * count as usize, "{} of {count}", deadlines.moves);
        }
    }
}
