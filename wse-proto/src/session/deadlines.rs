//! [`Deadlines`]: when what is waited for is given up, in amortised constant time each.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Nanoseconds since the start of the session: half of a `Duration`.
pub(super) type Nanos = u64;

/// No deadline at all, and what lies further away than can be told: five centuries.
pub(super) const NEVER: Nanos = Nanos::MAX;

pub(super) fn nanos(time: Duration) -> Nanos {
    time.as_nanos().try_into().unwrap_or(NEVER)
}

/// A radix heap: what is further away lies in wider buckets, and moves to narrower ones as time comes nearer,
/// at most once for each bit of a time. What was cancelled stays until it is come across or is the larger part,
/// so that nothing is searched for: whoever asks says what is still waited for.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    /// By the highest bit in which a deadline differs from `last`; at most 65.
    buckets: BTreeMap<u32, VecDeque<(Nanos, K)>>,
    /// No deadline is before this.
    last: Nanos,
    /// Nothing is due before this; [`NEVER`] when there is nothing.
    soonest: Nanos,
    /// Entries in the buckets, and those among them that are still waited for.
    stored: u32,
    live: u32,
    /// How often an entry was put anywhere.
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
    /// Waits for `key` until `at`, unless that is [`NEVER`].
    pub(super) fn add(&mut self, at: Nanos, key: K) {
        if at != NEVER {
            self.soonest = self.soonest.min(at);
            self.live += 1;
            self.put(at, key);
        }
    }

    /// What had this deadline is not waited for any more, as `is_live` says too.
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

    /// Takes out one whose deadline has come; tell [`cancelled`](Self::cancelled) when it is done with.
    pub(super) fn expire(&mut self, now: Nanos, is_live: impl Fn(&K, Nanos) -> bool) -> Option<K> {
        while self.soonest <= now {
            let Some(mut bucket) = self.buckets.first_entry() else {
                self.soonest = NEVER;
                return None;
            };
            if *bucket.key() == 0 {
                // All of them are due now, the first that came first.
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

    /// How many are waited for.
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

    /// Against a table that is searched, with deadlines far and near, equal ones, and cancelled ones.
    #[test]
    fn what_is_due_comes_in_order_and_nothing_is_left() {
        let mut seed = 7_u64;
        let mut luck = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut deadlines = Deadlines::default();
            let mut waiting: HashMap<u64, Nanos> = HashMap::new();
            let (mut now, mut next) = (0, 0);
            for _ in 0..300 {
                match luck(4) {
                    0 | 1 => {
                        let width = luck(40);
                        let at = now + luck(1 << width);
                        next += 1;
                        waiting.insert(next, at);
                        deadlines.add(at, next);
                    }
                    2 => {
                        let key = luck(next + 1);
                        if let Some(at) = waiting.remove(&key) {
                            deadlines.cancelled(at, |key, at| waiting.get(key) == Some(&at));
                        }
                    }
                    _ => {
                        let width = luck(36);
                        now += luck(1 << width);
                        while let Some(key) =
                            deadlines.expire(now, |key, at| waiting.get(key) == Some(&at))
                        {
                            let at = waiting.remove(&key).unwrap();
                            deadlines.cancelled(at, |key, at| waiting.get(key) == Some(&at));
                            assert!(at <= now && waiting.values().all(|other| *other >= at));
                        }
                        assert!(waiting.values().all(|at| *at > now));
                    }
                }
                assert_eq!(deadlines.len(), waiting.len());
                let soonest = waiting.values().min().copied().unwrap_or(NEVER);
                assert!(deadlines.soonest() <= soonest);
                assert!(deadlines.stored <= 2 * deadlines.live + 17);
                assert_eq!(deadlines.buckets.is_empty(), deadlines.stored == 0);
            }
        }
    }

    /// However many there are: 20 s have 35 bits of nanoseconds, and so each is moved 35 times at most.
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
