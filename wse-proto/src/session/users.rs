//! [`Users`]: the connected users and their connections.

use std::collections::HashMap;
use std::time::Duration;

use crate::Text;

/// The table of users does not shrink below room for so many.
const LEAST: usize = 16;

/// The connected users by id, each with its connections, oldest first. The number of connections per user is limited.
///
/// `C` is the caller's type for a connection. The `id` of a connection must be unique.
///
/// ```
/// use wse_proto::session::Users;
/// let mut users = Users::new(1);
/// assert!(users.join("ann".into(), 1, "phone").first);
/// let joined = users.join("ann".into(), 2, "desk");
/// assert!(!joined.first);
/// assert_eq!(joined.evicted, ["phone"]);
/// assert_eq!(users.leave("ann", 2), Some(true));
/// ```
#[derive(Debug)]
pub struct Users<C> {
    limit: usize,
    by_id: HashMap<Text, Vec<(u64, C)>>,
}

/// What [`Users::join`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Joined<C> {
    /// Whether it is the first connection of the user.
    pub first: bool,
    /// Connections over the limit. They are removed, and the caller closes them.
    pub evicted: Vec<C>,
}

impl<C> Users<C> {
    /// Without users. Each may have `limit` connections; 0 counts as 1.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), by_id: HashMap::new() }
    }

    /// Adds a connection of `user`. When the limit is reached, it removes the oldest ones.
    pub fn join(&mut self, user: Text, id: u64, connection: C) -> Joined<C> {
        self.join_with(user, id, connection, |_| None)
    }

    /// As [`join`](Self::join), where connections may be suspended. `suspended` says since when. When the limit is reached, it
    /// removes the longest suspended ones first, and then the oldest ones.
    pub fn join_with(
        &mut self,
        user: Text,
        id: u64,
        connection: C,
        suspended: impl Fn(&C) -> Option<Duration>,
    ) -> Joined<C> {
        let connections = self.by_id.entry(user).or_default();
        let first = connections.is_empty();
        let excess = (connections.len() + 1).saturating_sub(self.limit);
        let mut evicted = Vec::with_capacity(excess);
        for _ in 0..excess {
            let since = |(index, (_, connection)): (usize, &(u64, C))| {
                suspended(connection).map(|since| (since, index))
            };
            let longest = connections.iter().enumerate().filter_map(since).min();
            let (_, connection) = connections.remove(longest.map_or(0, |(_, index)| index));
            evicted.push(connection);
        }
        connections.push((id, connection));
        Joined { first, evicted }
    }

    /// Removes a connection. Returns `Some(true)` when it was the last of its user, `None` when it was not found.
    pub fn leave(&mut self, user: &str, id: u64) -> Option<bool> {
        let connections = self.by_id.get_mut(user)?;
        let at = connections.iter().position(|(other, _)| *other == id)?;
        connections.remove(at);
        let last = connections.is_empty();
        if last {
            self.by_id.remove(user);
            self.shrink();
        }
        Some(last)
    }

    /// Removes all connections of a user.
    pub fn remove(&mut self, user: &str) -> Vec<C> {
        let connections = self.by_id.remove(user).unwrap_or_default();
        self.shrink();
        connections.into_iter().map(|(_, connection)| connection).collect()
    }

    /// Gives memory back when most users have left. Moving the rest is cheap, spread over those.
    fn shrink(&mut self) {
        let len = self.by_id.len().max(LEAST);
        if self.by_id.capacity() > 8 * len {
            self.by_id.shrink_to(2 * len);
        }
    }

    /// The connections of a user, oldest first.
    pub fn of(&self, user: &str) -> impl Iterator<Item = &C> {
        self.by_id.get(user).into_iter().flatten().map(|(_, connection)| connection)
    }

    /// All users and the number of their connections, in any order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, usize)> {
        self.by_id.iter().map(|(user, connections)| (user, connections.len()))
    }

    /// All connections, in any order.
    pub fn connections(&self) -> impl Iterator<Item = &C> {
        self.by_id.values().flatten().map(|(_, connection)| connection)
    }

    /// How many users are connected.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no user is connected.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shrinks_when_most_users_have_left() {
        let mut users = Users::new(1);
        let name = |n: u64| Text::from(n.to_string());
        for n in 0..10_000 {
            users.join(name(n), n, ());
        }
        assert!(users.by_id.capacity() >= 10_000);
        for n in 0..5000 {
            assert_eq!(users.leave(&name(n), n), Some(true));
        }
        for n in 5000..9990 {
            assert_eq!(users.remove(&name(n)).len(), 1);
        }
        assert_eq!(users.len(), 10);
        assert!(users.by_id.capacity() <= 8 * LEAST, "{}", users.by_id.capacity());
        assert!((9990..10_000).all(|n| users.of(&name(n)).count() == 1));
    }
}
