//! [`Channel`]: what a node publishes to and subscribes to.

use std::fmt;

use wse::Text;
use wse::cluster::Destination;

use crate::id::NodeId;

/// A channel of a cluster. A [`Backplane`](crate::Backplane) has a name for each.
///
/// `Display` writes it without ambiguity: `beats`, `all`, `node/…`, `user/…` or `room/…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Channel {
    /// The beats by which nodes know each other.
    Beats,
    /// Messages to all connections.
    All,
    /// What only this node is told.
    Node(NodeId),
    /// Messages to a user.
    User(Text),
    /// Messages to a room.
    Room(Text),
}

impl Channel {
    /// The channel that `Display` writes like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            None if text == "beats" => Some(Self::Beats),
            None if text == "all" => Some(Self::All),
            Some(("node", id)) => NodeId::parse(id).map(Self::Node),
            Some(("user", id)) => Some(Self::User(id.into())),
            Some(("room", name)) => Some(Self::Room(name.into())),
            _ => None,
        }
    }

    /// Whom messages on this channel go to.
    pub(crate) fn destination(&self) -> Option<Destination> {
        match self {
            Self::All => Some(Destination::All),
            Self::User(id) => Some(Destination::User(id.clone())),
            Self::Room(name) => Some(Destination::Room(name.clone())),
            Self::Beats | Self::Node(_) => None,
        }
    }
}

impl From<&Destination> for Channel {
    fn from(to: &Destination) -> Self {
        match to {
            Destination::All => Self::All,
            Destination::User(id) => Self::User(id.clone()),
            Destination::Room(name) => Self::Room(name.clone()),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beats => f.write_str("beats"),
            Self::All => f.write_str("all"),
            Self::Node(id) => write!(f, "node/{id}"),
            Self::User(id) => write!(f, "user/{id}"),
            Self::Room(name) => write!(f, "room/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_read_as_it_was_written() {
        let texts = ["", "/", "a/b", "über", "all", "beats"].map(Text::from);
        let users = texts.iter().cloned().map(Channel::User);
        let rooms = texts.iter().cloned().map(Channel::Room);
        let others = [Channel::Beats, Channel::All, Channel::Node(NodeId::new(7 << 90))];
        for channel in users.chain(rooms).chain(others) {
            assert_eq!(Channel::parse(&channel.to_string()), Some(channel));
        }
        for text in ["", "none", "node/7", "node/+0000000000000000000000000000007", "users/ann"] {
            assert_eq!(Channel::parse(text), None, "{text}");
        }
    }
}
