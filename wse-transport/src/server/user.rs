//! [`User`]: all connections of one user.

use std::fmt;

use wse_proto::session::Close;
use wse_proto::{CodecError, Encode, Protocol, Text};

use super::conn::Conn;
use super::{Server, broadcast};

/// A user of the server's, connected or not: all its devices at once.
pub struct User<P: Protocol> {
    pub(super) server: Server<P>,
    pub(super) id: Text,
}

impl<P: Protocol> User<P> {
    /// The user's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The user's connections, oldest first.
    pub fn connections(&self) -> Vec<Conn<P>> {
        self.server.inner.roster.users_with(&self.id).of(&self.id).cloned().collect()
    }

    /// Whether the user has a connection.
    pub fn is_connected(&self) -> bool {
        self.server.inner.roster.users_with(&self.id).of(&self.id).next().is_some()
    }

    /// Sends a message to all the user's connections, encoded once per protocol in use; to how many
    /// it was queued. Connections that are closing, or whose queue is full, do not count.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded; nobody got it then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        broadcast::send(&self.connections(), &name.into(), payload)
    }

    /// Closes all the user's connections; how many there were.
    pub fn close(&self, close: Close) -> usize {
        let connections = self.connections();
        for conn in &connections {
            conn.close(close.clone());
        }
        connections.len()
    }
}

impl<P: Protocol> fmt::Debug for User<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}
