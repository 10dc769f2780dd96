//! [`Conn`]: one connection of a user, as handlers get it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use wse_proto::session::{Close, Liveness};
use wse_proto::{CodecError, Decode, Encode, Negotiate, NotResumed, Text};

use super::core::ConnCore;
use crate::connection::{
    AckedCall, CallError, CallOptions, QueueState, RECEIPT_TIMEOUT, ReceiptError, SendError,
};

/// One authenticated connection of a user.
///
/// ```
/// use wse::{Close, Conn, JsonArray, SendError};
///
/// fn warn(conn: &Conn<JsonArray>) -> Result<(), SendError> {
///     println!("connection {} of {}", conn.id(), conn.user_id());
///     conn.send("warning", "the server restarts soon")?;
///     conn.close(Close::new(1012, "restart"));
///     Ok(())
/// }
/// ```
///
/// Clones are handles to the same connection. A handle stays valid after the connection has ended:
/// sending then fails with [`SendError::NotReady`].
pub struct Conn<P: Negotiate> {
    pub(super) core: ConnCore,
    protocol_type: PhantomData<fn() -> P>,
}

impl<P: Negotiate> Conn<P> {
    pub(super) fn of(core: ConnCore) -> Self {
        Self { core, protocol_type: PhantomData }
    }

    /// Returns the connection's number, unique in its server.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.core.0.id
    }

    /// Returns the id of the connection's user.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.core.0.user
    }

    /// Decodes the identity of the greeting.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not an `I`.
    pub fn identity<I>(&self) -> Result<I, CodecError>
    where
        P::Format: Decode<I>,
    {
        self.core.0.connection.decode::<P::Protocol, I>(&self.core.hi().identity)
    }

    /// Decodes the meta of the greeting. Absent meta counts as an empty map.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not an `M`.
    pub fn meta<M: 'static>(&self) -> Result<M, CodecError>
    where
        P::Format: Decode<M>,
    {
        let format = self.core.0.connection.wire.format::<P::Protocol>();
        super::identify::meta(format, &self.core.hi().meta)
    }

    /// Returns the address of the socket's other end, or the address that
    /// [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) report in its place. `None` for a
    /// connection in memory.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.core.0.peer_addr
    }

    /// Returns the HTTP request that the connection began with. It is stored compactly until the
    /// first call.
    #[must_use]
    pub fn request(&self) -> &Request<()> {
        self.core.0.request.get()
    }

    /// Returns the state of type `S` that [`Accept::state`](crate::Accept::state) attached, if any.
    #[must_use]
    pub fn state<S: Any + Send + Sync>(&self) -> Option<Arc<S>> {
        self.core.0.state.get::<Arc<S>>().cloned()
    }

    /// Returns why the client has this new connection in place of the one that it asked to resume. `None` when it asked for
    /// none, and when the server has no [`resume`](crate::ServerBuilder::resume).
    #[must_use]
    pub fn not_resumed(&self) -> Option<&NotResumed> {
        self.core.0.state.get::<NotResumed>()
    }

    /// Returns the application state of type `A` that
    /// [`ServerBuilder::state`](crate::ServerBuilder::state) added.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate>(conn: &wse::Conn<P>) {
    /// struct Database;
    /// let database: &Database = conn.app();
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When the server has no state of this type. Inside a handler the panic is caught: it becomes
    /// an error event, and a caller gets a generic failure.
    #[must_use]
    pub fn app<A: Any + Send + Sync>(&self) -> &A {
        self.core.0.server.app().unwrap_or_else(|| {
            panic!("the server has no state of type `{}`", std::any::type_name::<A>())
        })
    }

    /// Returns the protocol of this connection.
    #[must_use]
    pub fn protocol(&self) -> &P::Protocol {
        self.core.0.connection.wire.typed()
    }

    /// Encodes a value in this connection's format, for example the details of a fault.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the format cannot represent the value.
    pub fn encode<T: ?Sized>(&self, value: &T) -> Result<Bytes, CodecError>
    where
        P::Format: Encode<T>,
    {
        self.core.0.connection.wire.encode::<P::Protocol, T>(value)
    }

    /// Decodes a payload of this connection.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload is not a `T`.
    pub fn decode<T>(&self, payload: &Bytes) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.core.0.connection.decode::<P::Protocol, T>(payload)
    }

    /// Sends a message on this connection only. A [`Target`](crate::Target) sends to several. `Ok` means that the message is
    /// queued, or kept while the connection is suspended. Messages arrive in order.
    ///
    /// # Errors
    ///
    /// [`SendError`]. Nothing was queued then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        self.core.0.connection.send::<P::Protocol, T>(name.into(), payload)
    }

    /// Waits until the send queue accepts messages again, or the connection has ended. After a send
    /// that was rejected for its size, it waits until the peer has read something: then try again.
    /// Cancel safe.
    pub async fn writable(&self) {
        self.core.0.connection.writable().await;
    }

    /// Returns how much waits in the send queue of this connection, and how many messages
    /// [`SlowPeer`](crate::SlowPeer) has dropped.
    #[must_use]
    pub fn queued(&self) -> QueueState {
        self.core.0.connection.queued()
    }

    /// Calls a procedure of the client and waits for the result, at most for the server's
    /// [`call_timeout`](crate::ServerBuilder::call_timeout), 20 s by default. The client is not told
    /// this timeout: see [`call_within`](Self::call_within).
    ///
    /// The call is sent when the future is first polled. Dropping the future cancels the call: the
    /// client is told, if the protocol supports it.
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
        let timeout = self.core.0.server.config.call_timeout;
        self.core.0.connection.call::<P::Protocol, T, R>(name.into(), payload, timeout, false)
    }

    /// Calls a procedure as [`call`](Self::call) does, and waits at most for `timeout`. `None`
    /// waits as long as the connection lasts. The client is told the timeout, if the protocol
    /// supports it.
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
        self.core.0.connection.call::<P::Protocol, T, R>(name.into(), payload, timeout, true)
    }

    /// Sends a message and waits for the client's receipt, at most 5 s. The client's session sends
    /// the receipt when the message arrives, before a handler runs.
    ///
    /// The message is sent when the future is first polled. Dropping the future forgets the
    /// receipt, not the message. See the table of
    /// [outcomes](wse_proto::session::receipts#outcomes).
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

    /// Sends a message as [`send_acked`](Self::send_acked) does, and waits at most for `timeout`.
    /// `None` waits as long as the connection lasts.
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
        let connection = &self.core.0.connection;
        connection.send_acked::<P::Protocol, T>(name.into(), payload, timeout).await
    }

    /// Calls a procedure and asks for a receipt, which tells that the call has arrived before the
    /// result is known. The call is sent at once.
    ///
    /// ```
    /// # use wse::{Decode, Encode, Negotiate};
    /// # async fn example<P: Negotiate<Format: Encode<str> + Decode<String>>>(conn: &wse::Conn<P>)
    /// #     -> Result<(), wse::CallError> {
    /// use wse::CallOptions;
    /// let mut call = conn.call_acked(CallOptions::default(), "render", "page 1")?;
    /// if call.receipt().await.is_ok() {
    ///     println!("the client has the call");
    /// }
    /// let page: String = call.result().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError`]. Nothing was sent then.
    pub fn call_acked<T: ?Sized, R>(
        &self,
        options: CallOptions,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<AckedCall<P, R>, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        self.core.0.connection.call_acked::<P, T, R>(options, name.into(), payload)
    }

    /// Returns whether the client is heard, and the round-trip time. `None` when the heartbeat is
    /// off.
    #[must_use]
    pub fn liveness(&self) -> Option<Liveness> {
        self.core.0.connection.liveness()
    }

    /// Closes the connection after sending what is queued. Does nothing when the connection has
    /// ended.
    ///
    /// A procedure may close the connection that it was called over: the connection then closes after the answer, at most
    /// [`close_timeout`](crate::ServerBuilder::close_timeout) later, 10 s by default. That holds in the procedure's own
    /// future, not in tasks that it spawns. Other calls that are being handled are not answered any more: see
    /// [`close_after_answers`](Self::close_after_answers).
    ///
    /// ```
    /// # use wse::{Close, CloseReason, Conn};
    /// # fn example<P: wse::Negotiate>(conn: &Conn<P>) {
    /// conn.close(Close::normal(CloseReason::ByServer));
    /// conn.close(Close::new(4001, "maintenance"));
    /// # }
    /// ```
    pub fn close(&self, close: Close) {
        self.core.close(close);
    }

    /// Closes the connection once the calls of the client that are being handled are answered, at most
    /// [`close_timeout`](crate::ServerBuilder::close_timeout) from now, 10 s by default.
    ///
    /// Meanwhile this side sends only answers, and takes no new messages and calls.
    pub fn close_after_answers(&self, close: Close) {
        self.core.close_after_answers(close);
    }

    /// Closes the connection after sending what is queued, in a procedure too: no call that is being handled is answered any
    /// more.
    pub fn close_now(&self, close: Close) {
        self.core.close_now(close);
    }

    /// Sets in which time, from now, the credentials of the client expire. It replaces the deadline of
    /// [`Accept::expires_in`](crate::Accept::expires_in), where you read what happens before the deadline and at it.
    /// [`Duration::MAX`] is never. Does nothing when the connection has ended.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate>(conn: &wse::Conn<P>) {
    /// use std::time::Duration;
    /// // The account is locked: the client has one more minute.
    /// conn.expire_in(Duration::from_secs(60));
    /// # }
    /// ```
    pub fn expire_in(&self, time: Duration) {
        self.core.0.connection.session(|session, now| session.expire_in(now, Some(time)));
    }

    /// Returns whether messages can be sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.core.0.connection.is_ready()
    }
}

impl<P: Negotiate> Clone for Conn<P> {
    fn clone(&self) -> Self {
        Self::of(self.core.clone())
    }
}

impl<P: Negotiate> PartialEq for Conn<P> {
    fn eq(&self, other: &Self) -> bool {
        self.core.is(&other.core)
    }
}

impl<P: Negotiate> Eq for Conn<P> {}

impl<P: Negotiate> fmt::Debug for Conn<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
