//! What joins several servers into one: the traits between a server and the crate `wse-cluster`.
//!
//! Applications use that crate. Implement [`ClusterLink`] only to join servers in another way.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use wse_proto::Text;
use wse_proto::session::Close;

/// The link of one server to the others of its cluster. The server calls it, and it calls the server, a [`LocalNode`].
///
/// Its methods are called with and without locks of the server: they must not block, nor call the server back at once. Work of
/// theirs belongs in a task.
pub trait ClusterLink: fmt::Debug + Send + Sync + 'static {
    /// The server is built. Called once, before all others.
    fn start(&self, node: Box<dyn LocalNode>);

    /// Sends a message to the connections of the other nodes. The server has sent it to its own.
    fn publish(&self, publication: Publication);

    /// Whether this node has members of a room. Called at each change, in order.
    fn has_members(&self, room: &Text, any: bool);

    /// Asks for a place for a connection that `identify` has accepted, and waits until messages to its user reach this node. The
    /// error is what the connection is closed with. Dropping the future gives the place back, as [`release`](Self::release)
    /// does.
    fn admit(&self, user: &Text, conn_id: u64) -> BoxFuture<'static, Result<Admitted, Close>>;

    /// Gives back the place of a connection that has ended, with its close. `None` if it was closed before it became its user's.
    fn release(&self, user: &Text, conn_id: u64, close: Option<&Close>);

    /// Closes the connections of a user on other nodes.
    fn close_user(&self, user: &Text, close: &Close);

    /// The server stops. Its connections are closed already.
    fn stop(&self) -> BoxFuture<'static, ()>;
}

/// A server, as the link to its cluster sees it.
pub trait LocalNode: Send + Sync {
    /// Queues a message of another node on the connections of this one.
    fn deliver(&self, publication: &Publication) -> Delivered;

    /// Closes a connection that has lost its place. Returns whether there was one.
    fn evict(&self, user: &Text, conn_id: u64) -> bool;

    /// Closes all connections of a user. Returns how many there were.
    fn close_user(&self, user: &str, close: Close) -> usize;

    /// Passes on that the last connection of a user on any node has ended.
    fn left(&self, user: &Text, close: &Close);

    /// A connection whose user was taken for gone has a place again, the first of the user.
    fn joined_again(&self, user: &Text, conn_id: u64);

    /// Returns how many connections a user may have, on all nodes together.
    fn connections_per_user(&self) -> usize;
}

/// A message to connections of other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publication {
    /// Whose connections it goes to.
    pub to: Destination,
    /// The users who are left out.
    pub except_users: Vec<Text>,
    /// The name of the message.
    pub name: Text,
    /// The payload in the format of each protocol that connections may have.
    pub encodings: Vec<Encoding>,
}

impl Publication {
    /// A message that leaves out nobody.
    #[must_use]
    pub fn new(to: Destination, name: impl Into<Text>, encodings: Vec<Encoding>) -> Self {
        Self { to, except_users: Vec::new(), name: name.into(), encodings }
    }
}

/// Whose connections a [`Publication`] goes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// All connections.
    All,
    /// Those of the user with this id.
    User(Text),
    /// Those in the room of this name.
    Room(Text),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::User(id) => write!(f, "user {id:?}"),
            Self::Room(name) => write!(f, "room {name:?}"),
        }
    }
}

/// A payload in the format of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The name of the protocol: see [`ProtocolInfo::name`](wse_proto::ProtocolInfo::name).
    pub protocol: Text,
    /// The payload, as the format of that protocol writes it.
    pub payload: Bytes,
}

/// What became of a [`Publication`] on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// How many connections have queued it.
    pub queued: usize,
    /// How many protocols in use have no encoding of it that can be sent. Their connections do not get it.
    pub unreadable: usize,
}

/// The place of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admitted {
    /// Whether the user had no other connection on any node.
    pub first: bool,
}

impl Admitted {
    /// A place; `first` says whether the user had no other connection on any node.
    #[must_use]
    pub const fn new(first: bool) -> Self {
        Self { first }
    }
}
