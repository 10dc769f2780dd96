//! [`Windows`]: which messages each user has sent that may come again, over all connections of the user.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wse_proto::Text;
use wse_proto::session::Duplicates;

/// Users whose windows are kept while they are not connected, at least; a window is at most 8 KiB.
const MOST: usize = 4096;

#[derive(Debug)]
pub(super) struct Windows(Mutex<Known>);

#[derive(Debug)]
struct Known {
    windows: HashMap<Text, (Duplicates, u64)>,
    /// How often a window was asked for; with each window, when it was last.
    asked: u64,
    /// At so many it is time to look who has gone.
    most: usize,
}

impl Default for Windows {
    fn default() -> Self {
        Self(Mutex::new(Known { windows: HashMap::new(), asked: 0, most: 2 * MOST }))
    }
}

impl Windows {
    /// The window of a user. When there are too many, those are forgotten that were not asked for the longest, of
    /// users who are not connected: [`MOST`] of these are kept.
    pub(super) fn of(&self, user: &Text) -> Duplicates {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.asked += 1;
        let asked = known.asked;
        if let Some((window, last)) = known.windows.get_mut(user) {
            *last = asked;
            return window.clone();
        }
        if known.windows.len() >= known.most {
            known.forget();
        }
        let window = Duplicates::default();
        known.windows.insert(user.clone(), (window.clone(), asked));
        window
    }
}

impl Known {
    /// Seldom enough to cost each user next to nothing.
    fn forget(&mut self) {
        let idle = self.windows.values().filter(|(window, _)| !window.is_shared());
        let mut idle: Vec<u64> = idle.map(|(_, last)| *last).collect();
        if let Some(gone) = idle.len().checked_sub(MOST + 1) {
            let (_, newest_gone, _) = idle.select_nth_unstable(gone);
            let newest_gone = *newest_gone;
            self.windows.retain(|_, (window, last)| window.is_shared() || *last > newest_gone);
        }
        self.most = 2 * self.windows.len().max(MOST);
    }
}

#[cfg(test)]
mod tests {
    use wse_proto::Stamp;

    use super::*;

    #[test]
    fn windows_of_those_who_are_gone_the_longest_make_room() {
        let windows = Windows::default();
        let user = |n: usize| Text::from(n.to_string());
        let here = windows.of(&"here".into());
        let stamp = Stamp::from("a");
        assert!(here.is_new(&stamp));
        const USERS: usize = 5 * MOST;
        for n in 0..USERS {
            assert!(windows.of(&user(n)).is_new(&stamp));
        }
        assert!(windows.0.lock().unwrap().windows.len() <= 2 * MOST);
        // The last ones can come back, and whoever is still there.
        assert!(!windows.of(&"here".into()).is_new(&stamp));
        assert!((USERS - MOST..USERS).all(|n| !windows.of(&user(n)).is_new(&stamp)));
        assert!(windows.of(&user(0)).is_new(&stamp));
    }

    #[test]
    fn nobody_who_is_there_is_forgotten_however_many_they_are() {
        let windows = Windows::default();
        let there: Vec<_> = (0..3 * MOST).map(|n| windows.of(&Text::from(n.to_string()))).collect();
        for (n, window) in there.iter().enumerate() {
            assert!(window.is_new(&Stamp::from("a")));
            assert!(!windows.of(&Text::from(n.to_string())).is_new(&Stamp::from("a")));
        }
    }
}
