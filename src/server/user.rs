//! [`User`]: all connections of one user.

use std::fmt;
use std::ops::Deref;

use wse_proto::session::Close;
use wse_proto::{Negotiate, Text};

use super::audience::To;
use super::cluster::Destination;
use super::conn::Conn;
use super::handle::Server;
use super::target::Target;

/// A user of a server, connected or not: all its devices at once.
///
/// ```
/// use wse::{JsonArray, Server};
///
/// fn notify(server: &Server<JsonArray>) -> Result<(), wse::CodecError> {
///     let ann = server.user("ann");
///     let devices = ann.send("news", "hello")?;
///     println!("sent to {devices} devices of {}", ann.id());
///     Ok(())
/// }
/// ```
///
/// The methods that send are those of a [`Target`].
pub struct User<P: Negotiate> {
    pub(super) target: Target<P>,
    id: Text,
}

impl<P: Negotiate> Server<P> {
    /// Returns the user with this id, connected or not.
    #[must_use]
    pub fn user(&self, id: impl Into<Text>) -> User<P> {
        let id = id.into();
        User { target: Target::new(self.clone(), To::Many(Destination::User(id.clone()))), id }
    }

    /// Returns the users that have a connection, in no particular order.
    #[must_use]
    pub fn users(&self) -> Vec<User<P>> {
        self.inner.registry.ids().into_iter().map(|id| self.user(id)).collect()
    }

    /// Closes all connections of a user. Returns how many there were.
    pub fn close_user(&self, id: &str, close: Close) -> usize {
        self.user(id).close(close)
    }
}

impl<P: Negotiate> User<P> {
    /// Returns the user's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the user's connections, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Conn<P>> {
        self.target.cores().into_iter().map(Conn::of).collect()
    }

    /// Returns whether the user has a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.target.server.inner.registry.users_with(&self.id).of(&self.id).next().is_some()
    }

    /// Waits until the user has a connection. Returns `None` when the server ends first.
    pub(super) async fn connected(&self) -> Option<()> {
        if self.is_connected() {
            return Some(());
        }
        let inner = &self.target.server.inner;
        let arrival = inner.registry.arrivals_with(&self.id).of(&self.id);
        loop {
            // Before the check, so that no connection is missed.
            let next = arrival.next();
            if self.is_connected() {
                return Some(());
            }
            inner.stop.run_until_cancelled(next).await?;
        }
    }

    /// Closes all connections of the user, on other nodes of a [cluster](crate::ServerBuilder::cluster) too. Returns how many
    /// there were on this one.
    pub fn close(&self, close: Close) -> usize {
        if let Some(cluster) = &self.target.server.inner.cluster {
            cluster.close_user(&self.id, &close);
        }
        let connections = self.target.cores();
        for conn in &connections {
            conn.close(close.clone());
        }
        connections.len()
    }
}

impl<P: Negotiate> Clone for User<P> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), id: self.id.clone() }
    }
}

impl<P: Negotiate> From<&User<P>> for Target<P> {
    fn from(user: &User<P>) -> Self {
        user.target.clone()
    }
}

impl<P: Negotiate> Deref for User<P> {
    type Target = Target<P>;

    fn deref(&self) -> &Target<P> {
        &self.target
    }
}

impl<P: Negotiate> fmt::Debug for User<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}
