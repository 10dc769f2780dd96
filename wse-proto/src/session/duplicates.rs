//! [`Duplicates`]: which reliable messages were received already.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Stamp;

/// How many stamps are remembered.
const WINDOW: usize = 1024;

/// The stamps of the last 1,024 reliable messages ([`Head::Message`](crate::Head::Message)`::reliable`), to recognise
/// repetitions.
///
/// Clones are handles to the same window. All connections over which a sender may repeat a message share one; at a
/// server these are the connections of a user. A stamp takes 8 bytes, whatever its length.
///
/// ```
/// use wse_proto::{Stamp, session::Duplicates};
/// let duplicates = Duplicates::default();
/// assert!(duplicates.is_new(&Stamp::from("a")));
/// assert!(!duplicates.clone().is_new(&Stamp::from("a")));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Duplicates(Arc<Window>);

#[derive(Debug, Default)]
struct Window {
    /// With random keys: a peer must not be able to choose stamps with equal hashes.
    hasher: RandomState,
    seen: Mutex<VecDeque<u64>>,
}

impl Duplicates {
    /// Whether this stamp is not among the last ones; remembers it.
    pub fn is_new(&self, stamp: &Stamp) -> bool {
        let hash = self.0.hasher.hash_one(stamp);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !seen.contains(&hash);
        if new {
            if seen.len() == WINDOW {
                seen.pop_front();
            }
            seen.push_back(hash);
        }
        new
    }

    /// Whether there are other handles to the same window.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_when_the_window_is_full() {
        let duplicates = Duplicates::default();
        for serial in 0..=WINDOW as i64 {
            assert!(duplicates.is_new(&Stamp::Int(serial)));
        }
        assert!(!duplicates.is_new(&Stamp::Int(1)), "among the last 1,024");
        assert!(duplicates.is_new(&Stamp::Int(0)), "before them");
    }
}
