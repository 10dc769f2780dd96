//! [`Windows`]: which messages each user has sent that may come again, over all connections of the user.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wse_proto::Text;
use wse_proto::session::Duplicates;

/// Users whose windows are kept, connected or not; a window is at most 8 KiB.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<HashMap<Text, Duplicates>>);

impl Windows {
    /// The window of a user. When there are too many, those of users who are not connected are forgotten.
    pub(super) fn of(&self, user: &Text) -> Duplicates {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get(user) {
            return window.clone();
        }
        if windows.len() >= MOST {
            windows.retain(|_, window| window.is_shared());
        }
        windows.entry(user.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use wse_proto::Stamp;

    use super::*;

    #[test]
    fn windows_of_those_who_are_gone_make_room() {
        let windows = Windows::default();
        let here = windows.of(&"here".into());
        assert!(here.is_new(&Stamp::from("a")));
        for n in 0..2 * MOST {
            windows.of(&Text::from(n.to_string()));
        }
        assert!(windows.0.lock().unwrap().len() <= MOST);
        assert!(!windows.of(&"here".into()).is_new(&Stamp::from("a")));
    }
}
