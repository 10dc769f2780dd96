//! [`User`]: all connections of one user.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use wse_proto::session::Close;
use wse_proto::{CodecError, Encode, Head, Negotiate, Stamp, Text};

use super::broadcast;
use super::conn::Conn;
use super::core::ConnCore;
use super::handle::Server;
use crate::connection::{
    Attempt, Expected, GaveUp, RECEIPT_TIMEOUT, ReceiptError, Reliable, reliably, stamp,
};

/// The pause after an attempt that no connection of the user accepted.
const RETRY_DELAY: Duration = Duration::from_millis(100);

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
pub struct User<P: Negotiate> {
    server: Server<P>,
    id: Text,
}

impl<P: Negotiate> Server<P> {
    /// Returns the user with this id, connected or not.
    #[must_use]
    pub fn user(&self, id: impl Into<Text>) -> User<P> {
        User { server: self.clone(), id: id.into() }
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
        self.cores().into_iter().map(Conn::of).collect()
    }

    fn cores(&self) -> Vec<ConnCore> {
        self.server.inner.registry.users_with(&self.id).of(&self.id).cloned().collect()
    }

    /// Returns whether the user has a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.server.inner.registry.users_with(&self.id).of(&self.id).next().is_some()
    }

    /// Sends a message to all connections of the user. Returns how many queued it. Connections that
    /// are closing, or whose queue is full, are not counted. The message is encoded once per
    /// protocol in use.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn send<T: ?Sized>(&self, name: impl Into<Text>, payload: &T) -> Result<usize, CodecError>
    where
        P::Format: Encode<T>,
    {
        broadcast::send::<P, T>(&self.cores(), &Head::message(name), payload)
    }

    /// Sends a message to all connections of the user and waits for their receipts, at most 5 s
    /// each. Returns how many gave one. The message is encoded once per protocol in use.
    ///
    /// A client that gives no receipts is not sent the message, but counts as a device. Clients say in
    /// their greeting that they give some; those of this crate do. Dropping the future forgets the
    /// receipts, not the message.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub async fn send_acked<T: ?Sized>(
        &self,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<Delivered, CodecError>
    where
        P::Format: Encode<T>,
    {
        self.send_acked_within(Some(RECEIPT_TIMEOUT), name, payload).await
    }

    /// Sends a message as [`send_acked`](Self::send_acked) does, and waits at most for `timeout`.
    /// `None` waits as long as the connections last.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub async fn send_acked_within<T: ?Sized>(
        &self,
        timeout: Option<Duration>,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<Delivered, CodecError>
    where
        P::Format: Encode<T>,
    {
        let sent = self.send_under(stamp(), false, timeout, name.into(), payload)?;
        let devices = sent.len();
        let mut waiting: FuturesUnordered<_> = sent.into_iter().flatten().collect();
        let mut received = 0;
        while let Some(outcome) = waiting.next().await {
            received += usize::from(outcome.is_ok());
        }
        Ok(Delivered { received, devices })
    }

    /// Sends a message to all connections of the user until one of them gives a receipt. It is sent
    /// again when no receipt comes, and waits for the next connection when there is none. A client
    /// drops duplicates.
    ///
    /// A client that gives no receipts is not sent the message. Dropping the future stops the attempts.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the time is over, the payload cannot be encoded, too many receipts are pending,
    /// or the clients give no receipts.
    pub async fn send_reliable<T: ?Sized>(
        &self,
        options: Reliable,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        let name = name.into();
        let name = &name;
        reliably(options, |stamp| async move {
            if self.connected().await.is_none() {
                return Attempt::Hopeless;
            }
            let timeout = Some(options.receipt_timeout);
            let sent = match self.send_under(stamp, true, timeout, name.clone(), payload) {
                Ok(sent) => sent,
                Err(error) => {
                    return Attempt::Failed { sent: false, error: ReceiptError::Encode(error) };
                }
            };
            let (waiting, errors): (Vec<_>, Vec<_>) = sent.into_iter().partition(Result::is_ok);
            let mut waiting: FuturesUnordered<_> = waiting.into_iter().flatten().collect();
            let sent = !waiting.is_empty();
            let mut failures: Vec<_> = errors.into_iter().filter_map(Result::err).collect();
            while let Some(outcome) = waiting.next().await {
                match outcome {
                    Ok(()) => return Attempt::Delivered,
                    Err(failure) => failures.push(failure),
                }
            }
            if !sent {
                // The queues are full, or the connections are closing.
                tokio::time::sleep(RETRY_DELAY).await;
            }
            // Try again as long as the error of one device may be temporary.
            let at = failures.iter().position(ReceiptError::is_transient).unwrap_or(0);
            let error =
                if failures.is_empty() { ReceiptError::NotReady } else { failures.swap_remove(at) };
            Attempt::Failed { sent, error }
        })
        .await
    }

    /// Sends a message with this stamp. Returns the pending receipt of each connection.
    fn send_under<T: ?Sized>(
        &self,
        stamp: Stamp,
        reliable: bool,
        timeout: Option<Duration>,
        name: Text,
        payload: &T,
    ) -> Result<Vec<Result<Expected, ReceiptError>>, CodecError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::Message { name, receipt: Some(stamp.clone()), reliable };
        let (able, unable): (Vec<_>, Vec<_>) =
            self.cores().into_iter().partition(|conn| conn.connection().gives_receipts());
        let packed = broadcast::pack::<P, T>(&able, &head, payload)?;
        let send = |conn: &ConnCore| match packed.of(conn) {
            Some(message) => conn.connection().push_under(stamp.clone(), message, timeout),
            None => Err(ReceiptError::NotReady),
        };
        let unable = unable.iter().map(|_| Err(ReceiptError::Unsupported));
        Ok(able.iter().map(send).chain(unable).collect())
    }

    /// Waits until the user has a connection. Returns `None` when the server ends first.
    async fn connected(&self) -> Option<()> {
        if self.is_connected() {
            return Some(());
        }
        let inner = &self.server.inner;
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

    /// Closes all connections of the user. Returns how many there were.
    pub fn close(&self, close: Close) -> usize {
        let connections = self.cores();
        for conn in &connections {
            conn.close(close.clone());
        }
        connections.len()
    }
}

/// How many devices of a user have confirmed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The number of connections that gave a receipt.
    pub received: usize,
    /// The number of connections that the user had when the message was sent.
    pub devices: usize,
}

impl<P: Negotiate> fmt::Debug for User<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}
