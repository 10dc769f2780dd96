//! [`Request`], [`Reply`]: what a node asks of a directory.

use std::time::Duration;

use wse::Text;

use crate::id::NodeId;

/// A connection of a user, on any node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// The node that it is connected to.
    pub node: NodeId,
    /// Its number there: see [`Conn::id`](wse::Conn::id).
    pub conn_id: u64,
}

/// What happens to a further connection of a user who has as many as `connections_per_user` allows, on all nodes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtLimit {
    /// The oldest connection is closed with 1000 `wse.clients-concurrency`.
    #[default]
    Evict,
    /// The new connection is refused, with 1000 `wse.clients-concurrency`.
    Refuse,
}

/// What a node asks of the directory. Each is done as a whole or not at all, and in one order for all nodes.
///
/// A place that is not refreshed within its lease has lapsed: it does not count, and is removed by the next request that sees
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Gives a connection a place. Answered with [`Reply::Admitted`] or [`Reply::Full`]. A place that is there is refreshed.
    Admit {
        /// The user.
        user: Text,
        /// The connection.
        device: Device,
        /// The most connections of the user. 0 counts as 1.
        limit: usize,
        /// What happens beyond.
        at_limit: AtLimit,
        /// How long the place lasts without a refresh.
        lease: Duration,
    },
    /// Takes a place back. Answered with [`Reply::Released`].
    Release {
        /// The user.
        user: Text,
        /// The connection.
        device: Device,
    },
    /// Prolongs places of one node. Answered with [`Reply::Refreshed`].
    Refresh {
        /// The node.
        node: NodeId,
        /// Users with the numbers of their connections, at most 500.
        places: Vec<(Text, u64)>,
        /// How long the places last from now.
        lease: Duration,
    },
    /// Removes places that have lapsed, at most 500 at once. Answered with [`Reply::Reaped`].
    Reap,
    /// Looks a user up. Writes nothing. Answered with [`Reply::Found`].
    Find {
        /// The user.
        user: Text,
    },
}

/// What the directory answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The connection has a place.
    Admitted {
        /// Whether the user had no place before. False if this connection had one.
        first: bool,
        /// Whether the user had only places that have lapsed: the user has left before this.
        left: bool,
        /// The connections that have lost their places to it, oldest first.
        evicted: Vec<Device>,
    },
    /// The user has as many places as allowed. These are they, oldest first.
    Full(Vec<Device>),
    /// The place is taken back.
    Released {
        /// Whether the connection had a place.
        found: bool,
        /// The user's oldest connection now; `None` if the user has none.
        oldest: Option<Device>,
    },
    /// Places were prolonged.
    Refreshed {
        /// Those that there are none of.
        lost: Vec<(Text, u64)>,
    },
    /// Places that have lapsed were removed.
    Reaped {
        /// The users who have left by that. Each is told to one node only.
        left: Vec<Text>,
        /// Whether there may be more places that have lapsed.
        more: bool,
    },
    /// The connections of the user, oldest first.
    Found(Vec<Device>),
}
