//! [`User`]: all connections of one user.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::broadcast::error::RecvError;
use wse_proto::session::Close;
use wse_proto::{CodecError, Encode, Head, Protocol, Stamp, Text};

use super::conn::Conn;
use super::events::ServerEvent;
use super::{Server, broadcast};
use crate::connection::{
    Attempt, Expected, GaveUp, RECEIPT_TIMEOUT, ReceiptError, Reliable, reliably, stamp,
};

/// Between attempts to reach connections that take nothing.
const REST: Duration = Duration::from_millis(100);

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

    /// Sends a message to all the user's connections and waits for their receipts, each for 5 s: how many have it,
    /// of how many. It is encoded once per protocol in use.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded; nobody got it then.
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

    /// As [`send_acked`](Self::send_acked), waiting for `timeout`; `None` waits as long as the connections last.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded; nobody got it then.
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

    /// Sends a message to all the user's connections until one of them is known to have it: again when no receipt
    /// comes, and over the next connection when there is none. A client drops what it has seen.
    ///
    /// # Errors
    ///
    /// [`GaveUp`]: when the time is over, or clients give no receipts.
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
                // Their queues are full, or they are about to leave.
                tokio::time::sleep(REST).await;
            }
            // As long as one device may get it, it is worth another attempt.
            let at = failures.iter().position(ReceiptError::may_heal).unwrap_or(0);
            let error =
                if failures.is_empty() { ReceiptError::NotReady } else { failures.swap_remove(at) };
            Attempt::Failed { sent, error }
        })
        .await
    }

    /// Sends a message under one stamp; per connection, what waits for its receipt.
    fn send_under<T: ?Sized>(
        &self,
        stamp: Stamp,
        reliable: bool,
        timeout: Option<Duration>,
        name: Text,
        payload: &T,
    ) -> Result<Vec<Result<Expected<P>, ReceiptError>>, CodecError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::Message { name, receipt: Some(stamp.clone()), reliable };
        let connections = self.connections();
        let packed = broadcast::pack(&connections, &head, payload)?;
        let send = |conn: &Conn<P>| match packed.get(conn.protocol().variant()).cloned().flatten() {
            Some(message) => conn.link().push_under(stamp.clone(), message, timeout),
            None => Err(ReceiptError::NotReady),
        };
        Ok(connections.iter().map(send).collect())
    }

    /// Waits until the user has a connection; `None` when the server ends first.
    async fn connected(&self) -> Option<()> {
        let inner = &self.server.inner;
        let mut events = inner.events.subscribe();
        while !self.is_connected() {
            let event = inner.stop.run_until_cancelled(events.recv()).await?;
            match event {
                Ok(ServerEvent::Connected(conn)) if conn.user_id() == &*self.id => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
        Some(())
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

/// How many devices of a user have a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Those that gave a receipt.
    pub received: usize,
    /// All that it was meant for: the user's connections when it was sent.
    pub devices: usize,
}

impl<P: Protocol> fmt::Debug for User<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}
