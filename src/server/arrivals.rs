//! [`Arrivals`]: who waits for a user to connect, by user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use wse_proto::Text;

/// Those who wait for users to connect. A connection wakes only those who wait for its user.
///
/// The table has one entry for each user that is waited for.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<HashMap<Text, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    notify: Arc<Notify>,
    count: usize,
}

impl Arrivals {
    /// Starts to wait for a user.
    pub(super) fn of(&self, user: &Text) -> Arrival<'_> {
        let mut table = self.lock();
        let waiting = table.entry(user.clone()).or_default();
        waiting.count += 1;
        let notify = Arc::clone(&waiting.notify);
        Arrival { arrivals: self, user: user.clone(), notify }
    }

    /// Wakes those who wait for this user, without a lock.
    pub(super) fn notify(&self, user: &Text) {
        let notify = self.lock().get(user).map(|waiting| Arc::clone(&waiting.notify));
        if let Some(notify) = notify {
            notify.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Text, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a user. Dropping it stops waiting.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    arrivals: &'a Arrivals,
    user: Text,
    notify: Arc<Notify>,
}

impl Arrival<'_> {
    /// Completes when the user connects after this call.
    pub(super) fn next(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let mut table = self.arrivals.lock();
        if let Some(waiting) = table.get_mut(&self.user) {
            waiting.count -= 1;
            if waiting.count == 0 {
                table.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_only_users_that_are_waited_for() {
        let arrivals = Arrivals::default();
        let [ann, bob] = ["ann", "bob"].map(Text::from);
        let waiting = [arrivals.of(&ann), arrivals.of(&ann), arrivals.of(&bob)];
        assert_eq!(arrivals.lock().len(), 2);
        let [first, second, third] = waiting;
        drop((first, third));
        assert!(arrivals.lock().contains_key(&ann));
        drop(second);
        assert!(arrivals.lock().is_empty());
    }
}
