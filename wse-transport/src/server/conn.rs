//! [`Conn`]: one connection of a user, as the server's handlers get it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Request};
use wse_proto::session::{Close, Liveness};
use wse_proto::{CodecError, Decode, Encode, Hi, Protocol, Text};

use super::Server;
use super::events::ServerEvent;
use super::inner::Inner as Shared;
use super::request::Kept;
use crate::connection::{
    AckedCall, CallError, CallOptions, Link, RECEIPT_TIMEOUT, ReceiptError, SendError,
};

/// An authenticated connection of the server's. Clones are handles to the same connection.
///
/// It knows whose it is, and sends, calls and closes. It outlives its socket: what is sent on a connection
/// that has ended fails with [`SendError::NotReady`].
pub struct Conn<P: Protocol>(Arc<Inner<P>>);

struct Inner<P: Protocol> {
    id: u64,
    user: Text,
    hi: Hi,
    peer_addr: Option<SocketAddr>,
    request: Kept,
    state: Extensions,
    server: Arc<Shared<P>>,
    link: Arc<Link<P>>,
    departed: AtomicBool,
}

/// What a connection is made of, once its user is known.
pub(super) struct Parts<P: Protocol> {
    pub(super) id: u64,
    pub(super) user: Text,
    pub(super) hi: Hi,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) request: Kept,
    pub(super) state: Extensions,
    pub(super) server: Arc<Shared<P>>,
    pub(super) link: Arc<Link<P>>,
}

impl<P: Protocol> Conn<P> {
    pub(super) fn new(parts: Parts<P>) -> Self {
        let Parts { id, user, hi, peer_addr, request, state, server, link } = parts;
        // Copied, so that an idle connection does not hold the buffer its greeting was read into.
        let hi = Hi {
            identity: Bytes::copy_from_slice(&hi.identity),
            meta: Bytes::copy_from_slice(&hi.meta),
        };
        let departed = AtomicBool::new(false);
        Self(Arc::new(Inner { id, user, hi, peer_addr, request, state, server, link, departed }))
    }

    /// The connection's number: unique in its server.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Whose connection it is.
    pub fn user_id(&self) -> &str {
        &self.0.user
    }

    /// The identity that it greeted with.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not an `I`.
    pub fn identity<I>(&self) -> Result<I, CodecError>
    where
        P::Format: Decode<I>,
    {
        self.decode(&self.0.hi.identity)
    }

    /// The meta that it greeted with; absent counts as an empty map.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not an `M`.
    pub fn meta<M: 'static>(&self) -> Result<M, CodecError>
    where
        P::Format: Decode<M>,
    {
        super::identify::meta(self.0.link.format(), &self.0.hi.meta)
    }

    /// The server that it is a connection of.
    pub fn server(&self) -> Server<P> {
        Server { inner: Arc::clone(&self.0.server) }
    }

    /// The address of the socket's other end, or what
    /// [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) say in its place; `None` for a
    /// connection in memory.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr
    }

    /// The HTTP request that the connection began with. It is kept in little room until it is first asked for.
    pub fn request(&self) -> &Request<()> {
        self.0.request.get()
    }

    /// The state that [`Accept::state`](crate::Accept::state) attached.
    pub fn state<S: Any + Send + Sync>(&self) -> Option<Arc<S>> {
        self.0.state.get::<Arc<S>>().cloned()
    }

    /// The protocol of this connection.
    pub fn protocol(&self) -> &P {
        self.0.link.protocol()
    }

    /// Encodes a value in this connection's format, such as the details of a fault.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it cannot be written in this format.
    pub fn encode<T: ?Sized>(&self, value: &T) -> Result<Bytes, CodecError>
    where
        P::Format: Encode<T>,
    {
        self.0.link.encode(value)
    }

    /// Decodes a payload of this connection.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a `T`.
    pub fn decode<T>(&self, payload: &Bytes) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.0.link.decode(payload)
    }

    /// Sends a message to this connection only. `Ok` means queued; messages arrive in order.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was queued then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        self.0.link.send(name.into(), payload)
    }

    /// Waits until the send queue has room, or the connection has ended. After a send that was refused
    /// for its size it waits until the peer has read something: try again then. Cancel safe.
    pub async fn room(&self) {
        self.0.link.room().await;
    }

    /// Calls a procedure of the client's, within the server's call timeout (default 20 s). It is sent when
    /// the future is first polled.
    ///
    /// Dropping the future cancels the call: the client is told, where the protocol can say so.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn call<T: ?Sized, R>(
        &self,
        name: impl Into<Text>,
        payload: &T,
    ) -> impl Future<Output = Result<R, CallError>>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        let timeout = self.0.server.config.call_timeout;
        self.0.link.call(name.into(), payload, timeout, false)
    }

    /// As [`call`](Self::call), within `timeout`; `None` waits as long as the connection lasts. The client is told
    /// for how long it is waited for, where the protocol can say so.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn call_within<T: ?Sized, R>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
    ) -> impl Future<Output = Result<R, CallError>>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        self.0.link.call(name.into(), payload, timeout, true)
    }

    /// Sends a message and waits until the client has it: its session says so when the message arrives, before it is
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
        let link = &self.0.link;
        link.send_acked(name.into(), payload, timeout).await
    }

    /// Calls a procedure and asks for a receipt: that the call has arrived is known before its result is. It is
    /// sent at once.
    ///
    /// ```
    /// # use wse_proto::{Decode, Encode, Protocol};
    /// # async fn example<P: Protocol<Format: Encode<str> + Decode<String>>>(conn: &wse_transport::Conn<P>)
    /// #     -> Result<(), wse_transport::CallError> {
    /// use wse_transport::CallOptions;
    /// let mut call = conn.call_acked(CallOptions::default(), "render", "page 1")?;
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
        self.0.link.call_acked(options, name.into(), payload)
    }

    /// Whether the peer is heard, and how far away it is; `None` when clients are not watched.
    pub fn liveness(&self) -> Option<Liveness> {
        self.0.link.liveness()
    }

    /// Closes the connection, after what is already queued. Does nothing when it has ended.
    ///
    /// ```
    /// # use wse_transport::{Close, CloseReason, Conn};
    /// # fn example<P: wse_proto::Protocol>(conn: &Conn<P>) {
    /// conn.close(Close::normal(CloseReason::ByServer));
    /// conn.close(Close::new(4001, "maintenance"));
    /// # }
    /// ```
    pub fn close(&self, close: Close) {
        self.0.link.close(close);
    }

    /// Whether messages can be sent.
    pub fn is_ready(&self) -> bool {
        self.0.link.is_ready()
    }

    pub(super) fn link(&self) -> &Arc<Link<P>> {
        &self.0.link
    }

    pub(super) fn user(&self) -> &Text {
        &self.0.user
    }

    /// Tells those who watch the server.
    pub(super) fn emit(&self, event: ServerEvent<P>) {
        self.0.server.emit(event);
    }

    /// Marks the connection as gone; whether it was not yet.
    pub(super) fn depart(&self) -> bool {
        !self.0.departed.swap(true, Ordering::AcqRel)
    }
}

impl<P: Protocol> Clone for Conn<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Protocol> PartialEq for Conn<P> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<P: Protocol> Eq for Conn<P> {}

impl<P: Protocol> fmt::Debug for Conn<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("id", &self.0.id)
            .field("user", &self.0.user)
            .finish_non_exhaustive()
    }
}
