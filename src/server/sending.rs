//! How a [`Server`] broadcasts messages.

use wse_proto::{CodecError, Encode, Head, Negotiate, Text};

use super::broadcast;
use super::conn::Conn;
use super::handle::Server;

impl<P: Negotiate> Server<P> {
    /// Sends a message to every connection of every user. Returns how many connections queued it.
    ///
    /// The message is encoded once per protocol in use, and the connections share the bytes.
    /// Connections that are closing, or whose full queue rejects the message, are not counted. A
    /// message that a [`SlowPeer`](crate::SlowPeer) policy drops later is counted.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn broadcast<T: ?Sized>(
        &self,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::message(name);
        if !self.inner.protocol.is_only() {
            let connections = self.inner.registry.connections();
            return broadcast::send::<P, T>(&connections, &head, payload);
        }
        let message = self.inner.wire.message::<P::Protocol, T>(&head, payload)?;
        Ok(broadcast::send_all(&self.inner.registry, message))
    }

    /// Sends a message as [`broadcast`](Self::broadcast) does, but not to the connections of the
    /// user `except`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn broadcast_except<T: ?Sized>(
        &self,
        except: &str,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        self.broadcast_where(|conn| conn.user_id() != except, name, payload)
    }

    /// Sends a message as [`broadcast`](Self::broadcast) does, but only to the connections for
    /// which `wanted` returns true, such as the members of a chat room.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn broadcast_where<T: ?Sized>(
        &self,
        wanted: impl Fn(&Conn<P>) -> bool,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        let mut connections = self.inner.registry.connections();
        connections.retain(|core| wanted(&Conn::of(core.clone())));
        broadcast::send::<P, T>(&connections, &Head::message(name), payload)
    }
}
