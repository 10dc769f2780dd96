//! [`Client`]: a handle to a client.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::broadcast::error::RecvError;
use wse_proto::session::{Close, Liveness};
use wse_proto::{CloseReason, CodecError, Decode, Encode, Negotiate};

use super::command::Command;
use super::credentials::Credentials;
use super::error::ConnectError;
use super::shared::{ClientCore, Shared};
use super::status::{ClientEvent, Status};
use crate::connection::{Counts, QueueState};

/// A client of one protocol.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use wse::{Backoff, Client, JsonArray};
///
/// let client = Client::builder(JsonArray, "ws://127.0.0.1:4200")
///     .identity("ann".to_owned())
///     .reconnect(Backoff::default())
///     .on("said", |_client, text: String| async move { println!("{text}") })
///     .connect()
///     .await?;
///
/// let sum: i64 = client.call("add", &(1, 2)).await?;
/// client.send("say", &format!("1 + 2 = {sum}"))?;
///
/// client.close();
/// client.closed().await;
/// # Ok(()) }
/// ```
///
/// Clones are handles to the same client. When the last one is dropped, the connection is closed
/// with 1000 `wse.by-client`.
pub struct Client<P: Negotiate> {
    core: ClientCore,
    protocol_type: PhantomData<fn() -> P>,
}

impl<P: Negotiate> Client<P> {
    pub(super) fn of(core: ClientCore) -> Self {
        Self { core, protocol_type: PhantomData }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.core.shared
    }

    /// Connects and waits for the welcome. The first failure is returned, unless
    /// [`reconnect`](crate::ClientBuilder::reconnect) is set with a number of attempts, or
    /// [`retry_first`](crate::ClientBuilder::retry_first): then attempts whose failure is transient are
    /// repeated. A refusal is final.
    ///
    /// Cancel safe: when the future is dropped, the client goes on connecting.
    /// [`close`](Self::close) stops it.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(&self) -> Result<(), ConnectError> {
        let connected = self.shared().start()?;
        connected.await.unwrap_or(Err(ConnectError::Closed))
    }

    /// Decodes the payload of the last welcome.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a `W`.
    pub fn welcome<W>(&self) -> Result<W, CodecError>
    where
        P::Format: Decode<W>,
    {
        self.decode(&self.shared().welcome())
    }

    /// Decodes a payload of this client's connection.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload is not a `T`.
    pub fn decode<T>(&self, payload: &Bytes) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.shared().with_wire(|wire| wire.format::<P::Protocol>().decode(payload))
    }

    /// Encodes a value in the format of this client's connection, for example the details of a
    /// fault.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the format cannot represent the value.
    pub fn encode<T: ?Sized>(&self, value: &T) -> Result<Bytes, CodecError>
    where
        P::Format: Encode<T>,
    {
        self.shared().with_wire(|wire| wire.encode::<P::Protocol, T>(value))
    }

    /// Returns whether the server is heard, and the round-trip time. `None` when there is no
    /// connection or the heartbeat is off.
    #[must_use]
    pub fn liveness(&self) -> Option<Liveness> {
        self.shared().connection()?.liveness()
    }

    /// Returns how much waits in the send queue of the connection, and how many messages
    /// [`SlowPeer`](crate::SlowPeer) has dropped. `None` when there is no connection.
    #[must_use]
    pub fn queued(&self) -> Option<QueueState> {
        Some(self.shared().connection()?.queued())
    }

    /// Returns counts of unexpected or dropped inbound messages, of all connections since the
    /// client was built.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared().counts.counts()
    }

    /// Returns the current status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared().status()
    }

    /// Returns when the client connects again; `None` while it does not wait for that. The event
    /// [`Retrying`](ClientEvent::Retrying) tells the same when the wait begins.
    #[must_use]
    pub fn next_attempt(&self) -> Option<Instant> {
        self.shared().state().next_attempt.map(tokio::time::Instant::into_std)
    }

    /// Checks at once whether the server is still there. Call it when the machine has woken from sleep, or has changed its
    /// network: a lost connection is noticed, and replaced, much sooner.
    ///
    /// - When the client is ready, it sends a ping. If nothing arrives within 3 s, or ten round-trip times if that is longer, the
    ///   connection ends as when the [`heartbeat`](crate::ClientBuilder::heartbeat) notices the loss. Without a heartbeat,
    ///   nothing is done.
    /// - When the client waits before the next attempt, the attempt is made now, and later waits begin with the first one. A
    ///   callback of [`Retrying`](ClientEvent::Retrying) comes before the wait, and cannot end it.
    /// - During an attempt: if it fails, the wait behind it is as short as the first one.
    /// - Otherwise nothing is done. Calling it again while a check is under way changes nothing.
    pub fn check_now(&self) {
        let shared = self.shared();
        if let Some(connection) = shared.connection().filter(|connection| connection.is_attached())
        {
            return connection.session(|session, now| session.check_now(now));
        }
        let mut state = shared.state();
        let trying = matches!(state.status, Status::Connecting | Status::Reconnecting);
        state.check_asked = trying && state.next_attempt.is_none();
        drop(state);
        shared.check_now.notify_waiters();
    }

    /// Returns a stream of the current status and every later one. A slow reader misses
    /// intermediate statuses, never the last. Cancel safe.
    pub fn statuses(&self) -> impl Stream<Item = Status> + Send + Unpin + use<P> {
        let receiver = self.shared().status.subscribe();
        Box::pin(futures::stream::unfold((receiver, true), |(mut receiver, first)| async move {
            if !first {
                receiver.changed().await.ok()?;
            }
            let status = *receiver.borrow_and_update();
            Some((status, (receiver, false)))
        }))
    }

    /// Returns a stream of the events from now on. A reader that falls more than 256 events behind
    /// gets [`ClientEvent::Missed`]. Cancel safe.
    pub fn events(&self) -> impl Stream<Item = ClientEvent> + Send + Unpin + use<P> {
        let receiver = self.shared().events.subscribe();
        Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(RecvError::Lagged(count)) => Some((ClientEvent::Missed(count), receiver)),
                Err(RecvError::Closed) => None,
            }
        }))
    }

    /// Reconnects to `url`, with the current identity. Closes the connection with 4000 `jump`,
    /// connects and waits for the welcome. Later reconnects use the new URL too.
    ///
    /// The identity and meta go to the new server, for which [`migrate_as`](Self::migrate_as) has
    /// others. Header fields with credentials, and a login in the builder's URL, do not go to another
    /// scheme, host or port: see [`ClientBuilder::header`](crate::ClientBuilder::header).
    ///
    /// Cancel safe: when the future is dropped, the client goes on connecting.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as for [`connect`](Self::connect).
    #[doc(alias = "jump")]
    pub async fn migrate(&self, url: impl Into<String>) -> Result<(), ConnectError> {
        self.shared().migrate(url.into(), None).await
    }

    /// Reconnects as [`migrate`](Self::migrate) does, with a new identity and meta.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as for [`connect`](Self::connect).
    #[doc(alias = "jump_as")]
    pub async fn migrate_as<I, M>(
        &self,
        url: impl Into<String>,
        identity: I,
        meta: M,
    ) -> Result<(), ConnectError>
    where
        P::Format: Encode<I> + Encode<M>,
        I: Send + Sync + 'static,
        M: Send + Sync + 'static,
    {
        let credentials = Credentials::fixed::<P::Protocol, I, M>(identity, meta);
        self.shared().migrate(url.into(), Some(credentials)).await
    }

    /// Closes the connection, or stops connecting, with 1000 `wse.by-client`. The client does not
    /// reconnect.
    ///
    /// Queued messages are sent first. Before the program ends, wait for [`closed`](Self::closed). A procedure that closes
    /// its own client is answered first, within the [`close_timeout`](crate::ClientBuilder::close_timeout).
    pub fn close(&self) {
        self.close_with(Close::normal(CloseReason::ByClient));
    }

    /// Closes the connection as [`close`](Self::close) does, with another code and reason.
    pub fn close_with(&self, close: Close) {
        let shared = self.shared();
        if let Some(connection) = shared.connection() {
            connection.close_after_own_answer(&close, shared.settings.close_timeout);
        }
        shared.command(Command::Close(close));
    }

    /// Waits until the client is idle or offline and its closing handshake is over. Returns how its
    /// last connection ended.
    ///
    /// What was sent before [`close`](Self::close) is then written, unless the server does not read
    /// it within the [`close_timeout`](crate::ClientBuilder::close_timeout). Cancel safe.
    pub async fn closed(&self) -> Option<Close> {
        let ends = |status: &Status| matches!(status, Status::Idle | Status::Offline);
        let mut status = self.shared().status.subscribe();
        let _ = status.wait_for(ends).await;
        let close = self.shared().last_close();
        let mut open_connections = self.shared().open_connections.subscribe();
        tokio::select! {
            _ = open_connections.wait_for(|count| *count == 0) => {}
            // `connect` was called again.
            _ = status.wait_for(|status| !ends(status)) => {}
        }
        close
    }
}

impl<P: Negotiate> Clone for Client<P> {
    fn clone(&self) -> Self {
        Self::of(self.core.clone())
    }
}

impl<P: Negotiate> fmt::Debug for Client<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("status", &self.status())
            .field("router", &self.shared().router)
            .finish_non_exhaustive()
    }
}
