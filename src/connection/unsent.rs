//! [`Unsent`]: what becomes of a message while it waits to be written.

use std::time::Duration;

use tokio::time::Instant;
use wse_proto::Text;

use super::clock::{deadline, remaining};

/// What becomes of a message of a client while it waits: in the offline queue when there is no connection, and otherwise in the
/// send queue, such as on a slow network or while the connection is suspended. See
/// [`Client::send_with`](crate::Client::send_with).
///
/// A message that was written once is not changed by this any more.
///
/// ```
/// use std::time::Duration;
/// use wse::Unsent;
///
/// let position = Unsent::latest("position");
/// let typing = Unsent::Expire(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsent {
    /// It does not wait for a connection: while the client is not ready, sending fails.
    Refuse,
    /// It waits, and is written in the order in which messages were sent.
    Keep,
    /// It waits for this time, and is dropped then.
    Expire(Duration),
    /// It waits, and takes the place of a message that still waits with the same key: behind all others.
    Latest(Text),
}

impl Unsent {
    /// [`Latest`](Self::Latest) of this key.
    pub fn latest(key: impl Into<Text>) -> Self {
        Self::Latest(key.into())
    }

    /// What a queue has to do.
    pub(crate) fn rule(self) -> Option<Rule> {
        match self {
            Self::Refuse | Self::Keep => None,
            Self::Expire(time) => deadline(time).map(Rule::Until),
            Self::Latest(key) => Some(Rule::Key(key)),
        }
    }
}

/// What a queue does with a message that waits.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// Drops it then.
    Until(Instant),
    /// Drops it when another one with the same key comes.
    Key(Text),
}

impl Rule {
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Self::Until(until) if remaining(*until).is_zero())
    }

    pub(crate) fn has_key(&self, wanted: &Text) -> bool {
        matches!(self, Self::Key(key) if key == wanted)
    }
}
