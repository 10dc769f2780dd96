//! [`DuplicateWindows`]: which reliable messages each user has sent, over all connections of the user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wse_proto::Text;
use wse_proto::session::Duplicates;

/// The number of windows that are kept for users without a connection. A window takes at most 8
/// KiB.
const MAX_IDLE_WINDOWS: usize = 4096;

/// Which reliable messages each user of a server has sent: the last 1,024 of each user. A message that is sent again, since
/// its receipt was lost, is recognized by them.
///
/// Clones are handles to the same windows. A server that takes the place of another one in the same process gets them, or
/// else a message that both receive is handled twice. Windows of users without a connection are kept for 4,096 users.
///
/// ```
/// # use wse::{Accept, Hello, JsonArray, Server, ServerBuilder};
/// use wse::DuplicateWindows;
///
/// # fn builder() -> ServerBuilder<JsonArray> {
/// #     Server::builder(JsonArray).identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let windows = DuplicateWindows::default();
/// let old = builder().duplicate_windows(windows.clone()).build();
/// let new = builder().duplicate_windows(windows).build();
/// # drop((old, new));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct DuplicateWindows(Arc<Mutex<WindowTable>>);

#[derive(Debug)]
struct WindowTable {
    windows: HashMap<Text, (Duplicates, u64)>,
    /// How often a window was requested. Each window records when it was requested last.
    asked: u64,
    /// The number of windows at which idle ones are removed.
    most: usize,
}

impl Default for WindowTable {
    fn default() -> Self {
        Self { windows: HashMap::new(), asked: 0, most: 2 * MAX_IDLE_WINDOWS }
    }
}

impl DuplicateWindows {
    /// Returns the window of a user. When there are too many windows, those of users without a
    /// connection are removed, least recently used first, until [`MAX_IDLE_WINDOWS`] of them
    /// remain.
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

impl WindowTable {
    /// Removes idle windows. Runs rarely enough that the amortized cost per user is small.
    fn forget(&mut self) {
        let idle = self.windows.values().filter(|(window, _)| !window.is_shared());
        let mut idle: Vec<u64> = idle.map(|(_, last)| *last).collect();
        if let Some(gone) = idle.len().checked_sub(MAX_IDLE_WINDOWS + 1) {
            let (_, newest_gone, _) = idle.select_nth_unstable(gone);
            let newest_gone = *newest_gone;
            self.windows.retain(|_, (window, last)| window.is_shared() || *last > newest_gone);
        }
        self.most = 2 * self.windows.len().max(MAX_IDLE_WINDOWS);
        self.windows.shrink_to(self.most);
    }
}

#[cfg(test)]
mod tests {
    use wse_proto::Stamp;

    use super::*;

    #[test]
    fn idle_windows_are_removed_least_recently_used_first() {
        let windows = DuplicateWindows::default();
        let user = |n: usize| Text::from(n.to_string());
        let connected = windows.of(&"connected".into());
        let stamp = Stamp::from("a");
        assert!(connected.is_new(&stamp));
        const USERS: usize = 5 * MAX_IDLE_WINDOWS;
        for n in 0..USERS {
            assert!(windows.of(&user(n)).is_new(&stamp));
        }
        assert!(windows.0.lock().unwrap().windows.len() <= 2 * MAX_IDLE_WINDOWS);
        // Users with a connection and the most recent others keep their windows.
        assert!(!windows.of(&"connected".into()).is_new(&stamp));
        assert!((USERS - MAX_IDLE_WINDOWS..USERS).all(|n| !windows.of(&user(n)).is_new(&stamp)));
        assert!(windows.of(&user(0)).is_new(&stamp));
    }

    #[test]
    fn windows_in_use_are_never_removed() {
        let windows = DuplicateWindows::default();
        let in_use: Vec<_> =
            (0..3 * MAX_IDLE_WINDOWS).map(|n| windows.of(&Text::from(n.to_string()))).collect();
        for (n, window) in in_use.iter().enumerate() {
            assert!(window.is_new(&Stamp::from("a")));
            assert!(!windows.of(&Text::from(n.to_string())).is_new(&Stamp::from("a")));
        }
    }
}
