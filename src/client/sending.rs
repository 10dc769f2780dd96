//! How a [`Client`] sends messages and calls procedures.

use std::time::Duration;

use wse_proto::{Decode, Encode, Negotiate, Text};

use super::handle::Client;
use crate::connection::{
    AckedCall, CallError, CallOptions, GaveUp, RECEIPT_TIMEOUT, ReceiptError, Reliable, SendError,
    Unsent,
};

impl<P: Negotiate> Client<P> {
    /// Sends a message. `Ok` means that the message is queued. Messages of one connection arrive in
    /// order.
    ///
    /// While the client is not ready, this fails with [`SendError::NotReady`], or the message goes
    /// to the [`offline_queue`](crate::ClientBuilder::offline_queue) if there is one.
    ///
    /// # Errors
    ///
    /// [`SendError`]. Nothing was queued then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        self.shared().send::<P::Protocol, T>(name.into(), payload)
    }

    /// Sends a message as [`send`](Self::send) does, and says what becomes of it while it waits: for a connection, for one that
    /// is suspended to be resumed, or for the messages before it to be written. See [`Unsent`].
    ///
    /// Without a connection, up to 1,024 messages are kept, or as many as the
    /// [`offline_queue`](crate::ClientBuilder::offline_queue). They are sent behind the next welcome, and dropped when the
    /// client goes offline. What is queued on a connection that ends is lost, unless the server lets it be resumed: then it is
    /// sent over the next one, also if the session is gone.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate<Format: wse::Encode<(i64, i64)> + wse::Encode<str>>>(client: &wse::Client<P>)
    /// #     -> Result<(), wse::SendError> {
    /// use std::time::Duration;
    /// use wse::Unsent;
    ///
    /// // Only the last position is of interest.
    /// client.send_with(Unsent::latest("position"), "position", &(3, 4))?;
    /// // Nobody wants to know it later.
    /// client.send_with(Unsent::Expire(Duration::from_secs(3)), "typing", "ann")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`]. Nothing was queued then. A message of [`Unsent::Latest`] that has no room leaves the older one where it
    /// is.
    pub fn send_with<T: ?Sized>(
        &self,
        unsent: Unsent,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        self.shared().send_with::<P::Protocol, T>(unsent, name.into(), payload)
    }

    /// Waits until the send queue accepts messages, or the connection ends. Without a connection it
    /// returns at once if the [`offline_queue`](crate::ClientBuilder::offline_queue) has space or is 0;
    /// otherwise it waits until there is space. To wait for a connection, use
    /// [`statuses`](Self::statuses). Cancel safe.
    pub async fn writable(&self) {
        self.shared().writable().await;
    }

    /// Calls a procedure of the server and waits for the result, at most for the client's
    /// [`call_timeout`](crate::ClientBuilder::call_timeout), 20 s by default. The server is not told
    /// this timeout: see [`call_within`](Self::call_within).
    ///
    /// The call is sent when the future is first polled. Dropping the future cancels the call: the
    /// server is told, if the protocol supports it.
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
        self.call_inner(self.shared().settings.call_timeout, name, payload, false).await
    }

    /// Calls a procedure as [`call`](Self::call) does, and waits at most for `timeout`. `None`
    /// waits as long as the connection lasts. The server is told the timeout, if the protocol
    /// supports it.
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
        self.call_inner(timeout, name, payload, true).await
    }

    async fn call_inner<T: ?Sized, R>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
        announce: bool,
    ) -> Result<R, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        let connection = self.shared().connection().ok_or(CallError::NotReady)?;
        connection.call::<P::Protocol, T, R>(name.into(), payload, timeout, announce).await
    }

    /// Sends a message and waits for the server's receipt, at most 5 s. The server's session sends
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
        let connection = self.shared().connection().ok_or(ReceiptError::NotReady)?;
        connection.send_acked::<P::Protocol, T>(name.into(), payload, timeout).await
    }

    /// Calls a procedure and asks for a receipt, which tells that the call has arrived before the
    /// result is known. The call is sent at once.
    ///
    /// ```
    /// # use wse::{Decode, Encode, Negotiate};
    /// # async fn example<P: Negotiate<Format: Encode<str> + Decode<String>>>(client: &wse::Client<P>)
    /// #     -> Result<(), wse::CallError> {
    /// use wse::CallOptions;
    /// let mut call = client.call_acked(CallOptions::default(), "render", "page 1")?;
    /// if call.receipt().await.is_ok() {
    ///     println!("the server has the call");
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
        let connection = self.shared().connection().ok_or(CallError::NotReady)?;
        connection.call_acked::<P, T, R>(options, name.into(), payload)
    }

    /// Sends a message until the server gives a receipt. It is sent again with the same stamp when
    /// no receipt comes, and over the next connection when this one ends. The server drops
    /// duplicates.
    ///
    /// `Ok` means that the message has arrived. It is handled once, unless the server restarted, this
    /// user sent more than 1,024 other reliable messages, or thousands of other users connected and
    /// left before it was repeated. Then it may be handled again.
    ///
    /// Without a connection, this waits as long as the client tries to connect. Dropping the future
    /// stops the attempts.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the time is over, the client does not reconnect, the payload cannot be
    /// encoded, too many receipts are pending, or the server gives no receipts.
    pub async fn send_reliable<T: ?Sized>(
        &self,
        options: Reliable,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        self.shared().send_reliable::<P::Protocol, T>(options, name.into(), payload).await
    }
}
