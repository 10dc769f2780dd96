//! [`Server`]: users, their connections, and the handlers of what they say.

mod broadcast;
mod builder;
mod conn;
mod events;
mod host;
mod identify;
mod identity;
mod inner;
mod listen;
mod mount;
mod request;
mod roster;
#[cfg(feature = "hyper")]
mod upgrade;
mod user;
mod windows;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures::Stream;
use tokio::sync::broadcast::error::RecvError;
use wse_proto::session::{Close, Users};
use wse_proto::{CloseReason, CodecError, Decode, Encode, Fault, Protocol, Text};

use crate::connection::Metrics;
use crate::router::{Call, Outcome, Unhandled};
pub use builder::ServerBuilder;
pub use conn::Conn;
pub use events::{ServerError, ServerEvent};
pub use identify::{Accept, Hello, Refuse, Stranger};
pub use identity::IdentityFrom;
use inner::Inner;
pub use mount::Listener;
pub use user::{Delivered, User};

/// A server of one protocol. Clones are handles to the same server.
///
/// It runs until [`shutdown`](Server::shutdown), also when all handles are gone.
pub struct Server<P: Protocol> {
    inner: Arc<Inner<P>>,
}

impl<P: Protocol> Server<P> {
    /// A server to be. Set at least [`identify`](ServerBuilder::identify): without it everybody is refused.
    pub fn builder(protocol: P) -> ServerBuilder<P> {
        ServerBuilder::new(protocol)
    }

    /// Handles messages of this name, from now on and instead of an earlier handler.
    ///
    /// Handlers of one connection start in the order of its messages; one that waits holds up nobody.
    /// A payload that is no `T` is an error event; the connection stays. So is an error that the handler returns.
    pub fn on<T, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
        P::Format: Decode<T>,
    {
        self.inner.router.on(name.into(), handler);
    }

    /// Stops handling messages of this name; whether they were.
    pub fn off(&self, name: &str) -> bool {
        self.inner.router.remove_message(name)
    }

    /// Registers a procedure for clients to call, from now on and instead of an earlier one.
    ///
    /// Its result, or its [`Fault`], goes to the caller. A payload that is no `T`, and a panic, are faults
    /// too. Each fault is also an error event of code [`ErrorCode::Failed`](crate::ErrorCode::Failed), whose
    /// message tells the fault's own code.
    pub fn procedure<T, R, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.inner.router.procedure(name.into(), handler);
    }

    /// As [`procedure`](Self::procedure), for a handler that wants to know more of the call than its payload: for
    /// how long the client waits, whether it still does, and whether it gets the answer.
    pub fn procedure_with<T, R, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Conn<P>, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.inner.router.procedure_with(name.into(), handler);
    }

    /// Removes a procedure; whether there was one.
    pub fn remove_procedure(&self, name: &str) -> bool {
        self.inner.router.remove_procedure(name)
    }

    /// Handles messages that no handler is registered for. Default: they are dropped.
    pub fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(Conn<P>, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.inner.router.unhandled(handler);
    }

    /// Calls `callback` at each event, at once and in order. It runs where the event happens and holds
    /// up others: it may send and close, but should not block.
    pub fn on_event(&self, callback: impl Fn(&ServerEvent<P>) + Send + Sync + 'static) {
        self.inner.add_callback(Arc::new(callback));
    }

    /// The events from now on, until the server is shut down. A reader that falls more than 1,024 behind
    /// gets [`ServerEvent::Missed`]. Cancel safe.
    pub fn events(&self) -> impl Stream<Item = ServerEvent<P>> + Send + Unpin + use<P> {
        let state = (self.inner.events.subscribe(), self.inner.ended.clone());
        Box::pin(futures::stream::unfold(state, |(mut receiver, ended)| async move {
            let received = tokio::select! {
                biased;
                received = receiver.recv() => received,
                () = ended.cancelled() => Err(RecvError::Closed),
            };
            match received {
                Ok(event) => Some((event, (receiver, ended))),
                Err(RecvError::Lagged(count)) => {
                    Some((ServerEvent::Missed(count), (receiver, ended)))
                }
                Err(RecvError::Closed) => None,
            }
        }))
    }

    /// Sends a message to every connection of every user, encoded once per protocol in use, the bytes
    /// shared; to how many it was queued. Connections that are closing, or whose full queue refuses it, do
    /// not count; what a [`SlowPeer`](crate::SlowPeer) policy drops does.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded; nobody got it then.
    pub fn broadcast<T: ?Sized>(
        &self,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        let name = name.into();
        if self.inner.protocol.variants() > 1 {
            return broadcast::send(&self.connections(), &name, payload);
        }
        broadcast::send_all(&self.inner.roster, &self.inner.protocol, &name, payload)
    }

    /// As [`broadcast`](Self::broadcast), but not to the connections of user `except`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded; nobody got it then.
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

    /// As [`broadcast`](Self::broadcast), but only to the connections for which `wanted` says so, such as
    /// those in a room.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded; nobody got it then.
    pub fn broadcast_where<T: ?Sized>(
        &self,
        wanted: impl Fn(&Conn<P>) -> bool,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        let mut connections = self.connections();
        connections.retain(wanted);
        broadcast::send(&connections, &name.into(), payload)
    }

    /// All connections of all users, in no order.
    pub fn connections(&self) -> Vec<Conn<P>> {
        let cloned = |users: MutexGuard<'_, Users<Conn<P>>>| -> Vec<_> {
            users.connections().cloned().collect()
        };
        self.inner.roster.users().flat_map(cloned).collect()
    }

    /// The user with this id, connected or not.
    pub fn user(&self, id: impl Into<Text>) -> User<P> {
        User { server: self.clone(), id: id.into() }
    }

    /// The users that are connected, in no order.
    pub fn users(&self) -> Vec<User<P>> {
        self.inner.roster.ids().into_iter().map(|id| self.user(id)).collect()
    }

    /// Closes all connections of a user; how many there were.
    pub fn close_user(&self, id: &str, close: Close) -> usize {
        self.user(id).close(close)
    }

    /// What its connections got that meant nothing, counted since its start.
    pub fn metrics(&self) -> Metrics {
        self.inner.counts.metrics()
    }

    /// The addresses that the server listens on.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.inner.local_addrs().into_iter().map(|(addr, _)| addr).collect()
    }

    /// The URL of the first address that the server listens on, such as `ws://127.0.0.1:4200`; `wss://`
    /// where that is TLS.
    pub fn url(&self) -> Option<String> {
        self.inner.local_addrs().first().map(|(addr, scheme)| format!("{scheme}://{addr}"))
    }

    /// Stops: accepts nobody any more, closes every connection with 1001, and waits until all
    /// connections and handlers have ended, at most `grace`; then cancels those that have not.
    /// Whether all ended by themselves. A handler that blocks its thread cannot be cancelled, and is
    /// waited for; one that calls this waits for itself, and is cancelled.
    ///
    /// 1001 says that the server goes for good: clients do not reconnect. Before a restart,
    /// [`shutdown_with`](Self::shutdown_with) 1012 makes them.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.shutdown_with(Close::new(1001, CloseReason::ByServer), grace).await
    }

    /// As [`shutdown`](Self::shutdown), but every connection is closed with this code and reason: 1012
    /// for a restart, after which clients come back.
    pub async fn shutdown_with(&self, close: Close, grace: Duration) -> bool {
        self.inner.stop(close);
        let ended = tokio::time::timeout(grace, self.inner.tasks.join()).await.is_ok();
        self.inner.cancel();
        self.inner.tasks.join().await;
        self.inner.end();
        ended
    }
}

impl<P: Protocol> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<P: Protocol> fmt::Debug for Server<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("protocol", &self.inner.protocol.name())
            .field("users", &self.inner.roster.len())
            .field("router", &self.inner.router)
            .finish_non_exhaustive()
    }
}
