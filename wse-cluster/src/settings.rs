//! [`Settings`]: the times of a node, and what the operator chooses.

use std::time::Duration;

use wse::Text;

use crate::directory::AtLimit;

/// What happens to clients that log in while the node has no connection to its backplane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenDown {
    /// They are admitted, within the limit on this node. When the backplane is back, they get places in the directory, and may
    /// lose them to others.
    #[default]
    Admit,
    /// They are closed with 1013 (try again later).
    Refuse,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Text,
    pub(crate) at_limit: AtLimit,
    pub(crate) when_down: WhenDown,
    pub(crate) key: Option<Vec<u8>>,
    /// From one beat to the next.
    pub(crate) beat: Duration,
    /// A node that has not heard its own beat for so long opens new connections.
    pub(crate) hear_within: Duration,
    /// A node is gone when no beat of it came for so long.
    pub(crate) dead_after: Duration,
    /// From one refresh of the places to the next, and from one reaping to the next.
    pub(crate) refresh: Duration,
    /// A place lasts so long without a refresh.
    pub(crate) lease: Duration,
    /// The first wait and the longest one before connections are opened again.
    pub(crate) backoff: [Duration; 2],
}

impl Settings {
    /// For so long from its last refresh, a place has surely not lapsed: the clocks of the node and of the directory differ by
    /// less than a tenth.
    pub(crate) fn safe_lease(&self) -> Duration {
        self.lease * 9 / 10
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: Text::from_static("node"),
            at_limit: AtLimit::Evict,
            when_down: WhenDown::Admit,
            key: None,
            beat: Duration::from_secs(2),
            hear_within: Duration::from_secs(5),
            dead_after: Duration::from_secs(7),
            refresh: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            backoff: [Duration::from_millis(200), Duration::from_secs(5)],
        }
    }
}
