//! [`Client`]: one connection to a server, opened again when it is lost.

mod builder;
mod connector;
mod credentials;
mod error;
mod guest;
mod manager;
mod shared;
mod status;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};
use wse_proto::session::{Close, Liveness};
use wse_proto::{CloseReason, CodecError, Decode, Encode, Fault, Protocol, Text};

use crate::connection::{
    AckedCall, CallError, CallOptions, GaveUp, Metrics, RECEIPT_TIMEOUT, ReceiptError, Reliable,
    SendError,
};
use crate::router::{Call, Outcome, Unhandled};
pub use builder::ClientBuilder;
pub use connector::{Connector, TcpConnector, Transport};
pub use error::ConnectError;
use manager::Command;
use shared::Shared;
pub use status::{ClientEvent, Status};

/// A client of one protocol. Clones are handles to the same client; when the last one is dropped, the
/// connection is closed with 1000 `wse.by-client`.
pub struct Client<P: Protocol> {
    shared: Arc<Shared<P>>,
    alive: Arc<DropGuard>,
}

impl<P: Protocol> Client<P> {
    /// A client to be, of the server at this `ws://` URL; or `wss://`, with the feature `tls`.
    pub fn builder(protocol: P, url: impl Into<String>) -> ClientBuilder<P> {
        ClientBuilder::new(protocol, url.into())
    }

    fn new(shared: Shared<P>) -> Self {
        let gone = CancellationToken::new();
        let alive = Arc::new(gone.clone().drop_guard());
        let _ = shared.gone.set((gone, Arc::downgrade(&alive)));
        Self { shared: Arc::new(shared), alive }
    }

    /// The handle that handlers get; `None` when the application has dropped all of its own.
    fn of(shared: &Arc<Shared<P>>) -> Option<Self> {
        let (_, alive) = shared.gone.get()?;
        Some(Self { shared: Arc::clone(shared), alive: alive.upgrade()? })
    }

    /// Connects and waits for the welcome. With [`reconnect`](ClientBuilder::reconnect), failures that may
    /// pass are tried again until it comes; a refusal is final.
    ///
    /// Cancel safe: dropping the future leaves the client connecting; [`close`](Self::close) stops it.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(&self) -> Result<(), ConnectError> {
        let connected = self.shared.start()?;
        connected.await.unwrap_or(Err(ConnectError::Closed))
    }

    /// The payload of the last welcome.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a `W`.
    pub fn welcome<W>(&self) -> Result<W, CodecError>
    where
        P::Format: Decode<W>,
    {
        self.decode(&self.shared.welcome())
    }

    /// Decodes a payload of this client's connection.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a `T`.
    pub fn decode<T>(&self, payload: &Bytes) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.shared.protocol().format().decode(payload)
    }

    /// Encodes a value in the format of this client's connection, such as the details of a fault.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it cannot be written in this format.
    pub fn encode<T: ?Sized>(&self, value: &T) -> Result<Bytes, CodecError>
    where
        P::Format: Encode<T>,
    {
        let mut out = bytes::BytesMut::new();
        self.shared.protocol().format().encode(value, &mut out)?;
        Ok(out.freeze())
    }

    /// Sends a message. `Ok` means queued; messages of one connection arrive in order.
    ///
    /// While the client is not ready this is an error, unless the client has an
    /// [`offline_queue`](ClientBuilder::offline_queue).
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was queued then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        self.shared.send(name.into(), payload)
    }

    /// Waits until the send queue has room, or the connection has ended; while there is none, until the
    /// [`offline_queue`](ClientBuilder::offline_queue) has room. Cancel safe.
    pub async fn room(&self) {
        self.shared.room().await;
    }

    /// Calls a procedure of the server's, within the client's call timeout (default 20 s). It is sent when
    /// the future is first polled.
    ///
    /// Dropping the future cancels the call: the server is told, where the protocol can say so.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn call<T: ?Sized, R>(
        &self,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<R, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        self.call_told(self.shared.settings.call_timeout, name, payload, false).await
    }

    /// As [`call`](Self::call), within `timeout`; `None` waits as long as the connection lasts. The server is told
    /// for how long it is waited for, where the protocol can say so.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn call_within<T: ?Sized, R>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<R, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        self.call_told(timeout, name, payload, true).await
    }

    async fn call_told<T: ?Sized, R>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
        told: bool,
    ) -> Result<R, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        let link = self.shared.link().ok_or(CallError::NotReady)?;
        link.call(name.into(), payload, timeout, told).await
    }

    /// Sends a message and waits until the server has it: its session says so when the message arrives, before it is
    /// handled. Waits for 5 s. The table of [outcomes](wse_proto::session::receipts#outcomes) has all that may come
    /// of it. It is sent when the future is first polled; dropping the future then forgets the receipt.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`].
    pub async fn send_acked<T: ?Sized>(
        &self,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), ReceiptError>
    where
        P::Format: Encode<T>,
    {
        self.send_acked_within(Some(RECEIPT_TIMEOUT), name, payload).await
    }

    /// As [`send_acked`](Self::send_acked), waiting for `timeout`; `None` waits as long as the connection lasts.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`].
    pub async fn send_acked_within<T: ?Sized>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), ReceiptError>
    where
        P::Format: Encode<T>,
    {
        let link = self.shared.link().ok_or(ReceiptError::NotReady)?;
        link.send_acked(name.into(), payload, timeout).await
    }

    /// Calls a procedure and asks for a receipt: that the call has arrived is known before its result is. It is
    /// sent at once.
    ///
    /// ```
    /// # use wse_proto::{Decode, Encode, Protocol};
    /// # async fn example<P: Protocol<Format: Encode<str> + Decode<String>>>(client: &wse_transport::Client<P>)
    /// #     -> Result<(), wse_transport::CallError> {
    /// use wse_transport::CallOptions;
    /// let mut call = client.call_acked(CallOptions::default(), "render", "page 1")?;
    /// if call.receipt().await.is_ok() {
    ///     println!("the peer is at it");
    /// }
    /// let page: String = call.result().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError`]; nothing was sent then.
    pub fn call_acked<T: ?Sized, R>(
        &self,
        options: CallOptions,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<AckedCall<P, R>, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        self.shared.link().ok_or(CallError::NotReady)?.call_acked(options, name.into(), payload)
    }

    /// Whether the peer is heard, and how far away it is; `None` when there is no connection, or the server is not watched.
    pub fn liveness(&self) -> Option<Liveness> {
        self.shared.link()?.liveness()
    }

    /// Sends a message until it is known to have arrived: again under the same stamp when no receipt comes, and
    /// over the next connection when this one ends; the server drops what it has seen. It is handled at least
    /// once then, and once only unless meanwhile the server was restarted, more than 1,024 others came between, or
    /// thousands of other users came and went while this one was away.
    ///
    /// Waits for a connection, if there is none, for as long as the client seeks one. Dropping the future stops it.
    ///
    /// # Errors
    ///
    /// [`GaveUp`]: when the time is over, the client does not connect again, or the server gives no receipts.
    pub async fn send_reliable<T: ?Sized>(
        &self,
        options: Reliable,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        self.shared.send_reliable(options, name.into(), payload).await
    }

    /// What its connections got that meant nothing, counted since it was built.
    pub fn metrics(&self) -> Metrics {
        self.shared.counts.metrics()
    }

    /// Handles messages of this name, from now on and instead of an earlier handler.
    ///
    /// Handlers start in the order of the messages; one that waits holds up nobody. A payload that is no
    /// `T`, and an error that the handler returns, are [`ClientEvent::Error`]s.
    pub fn on<T, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Self, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
        P::Format: Decode<T>,
    {
        self.shared.router.on(name.into(), handler);
    }

    /// Stops handling messages of this name; whether they were.
    pub fn off(&self, name: &str) -> bool {
        self.shared.router.remove_message(name)
    }

    /// Registers a procedure for the server to call, from now on and instead of an earlier one.
    pub fn procedure<T, R, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Self, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.shared.router.procedure(name.into(), handler);
    }

    /// As [`procedure`](Self::procedure), for a handler that wants to know more of the call than its payload.
    pub fn procedure_with<T, R, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Self, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.shared.router.procedure_with(name.into(), handler);
    }

    /// Removes a procedure; whether there was one.
    pub fn remove_procedure(&self, name: &str) -> bool {
        self.shared.router.remove_procedure(name)
    }

    /// Handles messages that no handler is registered for. Default: they are dropped.
    pub fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(Self, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.shared.router.unhandled(handler);
    }

    /// Where the client is.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Where the client is, now and at each change; of changes faster than the reader only the last
    /// is seen. Cancel safe.
    pub fn statuses(&self) -> impl Stream<Item = Status> + Send + Unpin + use<P> {
        let receiver = self.shared.status.subscribe();
        Box::pin(futures::stream::unfold((receiver, true), |(mut receiver, first)| async move {
            if !first {
                receiver.changed().await.ok()?;
            }
            let status = *receiver.borrow_and_update();
            Some((status, (receiver, false)))
        }))
    }

    /// What happens from now on. A reader that falls more than 256 behind gets
    /// [`ClientEvent::Missed`]. Cancel safe.
    pub fn events(&self) -> impl Stream<Item = ClientEvent> + Send + Unpin + use<P> {
        let receiver = self.shared.events.subscribe();
        Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(RecvError::Lagged(count)) => Some((ClientEvent::Missed(count), receiver)),
                Err(RecvError::Closed) => None,
            }
        }))
    }

    /// Goes on at another server, as whoever it is: closes with 4000 `jump`, connects there and
    /// waits for the welcome. Reconnects go there from now on.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as for [`connect`](Self::connect).
    pub async fn jump(&self, url: impl Into<String>) -> Result<(), ConnectError> {
        self.shared.jump(url.into(), None).await
    }

    /// As [`jump`](Self::jump), with a new identity and meta.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as for [`connect`](Self::connect).
    pub async fn jump_as<I, M>(
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
        let credentials = credentials::Credentials::fixed(identity, meta);
        self.shared.jump(url.into(), Some(credentials)).await
    }

    /// Closes the connection, or stops connecting, with 1000 `wse.by-client`; it is not opened again.
    /// What is queued is sent first. [`closed`](Self::closed) waits for the end: do so before the program
    /// ends.
    pub fn close(&self) {
        self.close_with(Close::normal(CloseReason::ByClient));
    }

    /// As [`close`](Self::close), with another code and reason.
    pub fn close_with(&self, close: Close) {
        self.shared.command(Command::Close(close));
    }

    /// Waits until the client is idle or offline and its closing handshake is over, and tells how its last
    /// connection ended. What was sent before [`close`](Self::close) is written then, unless the server
    /// does not read it within the [`close_timeout`](ClientBuilder::close_timeout). Cancel safe.
    pub async fn closed(&self) -> Option<Close> {
        let ends = |status: &Status| matches!(status, Status::Idle | Status::Offline);
        let mut status = self.shared.status.subscribe();
        let _ = status.wait_for(ends).await;
        let close = self.shared.last_close();
        let mut driven = self.shared.driven.subscribe();
        tokio::select! {
            _ = driven.wait_for(|count| *count == 0) => {}
            // Somebody connects it anew.
            _ = status.wait_for(|status| !ends(status)) => {}
        }
        close
    }
}

impl<P: Protocol> Clone for Client<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), alive: Arc::clone(&self.alive) }
    }
}

impl<P: Protocol> fmt::Debug for Client<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("status", &self.status())
            .field("router", &self.shared.router)
            .finish_non_exhaustive()
    }
}
