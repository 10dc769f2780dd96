//! [`User`]: all connections of one user.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use wse_proto::session::Close;
use wse_proto::{Encode, Negotiate, Text};

use super::conn::Conn;
use super::core::{CoreEvent, CoreUndelivered};
use super::handle::Server;
use super::target::{Target, To};
use crate::connection::{Attempt, GaveUp, ReceiptError, Reliable, reliably};

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
///
/// The methods that send are those of a [`Target`].
pub struct User<P: Negotiate> {
    target: Target<P>,
    id: Text,
}

impl<P: Negotiate> Server<P> {
    /// Returns the user with this id, connected or not.
    #[must_use]
    pub fn user(&self, id: impl Into<Text>) -> User<P> {
        let id = id.into();
        User { target: Target::new(self.clone(), To::User(id.clone())), id }
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
        self.target.cores().into_iter().map(Conn::of).collect()
    }

    /// Returns whether the user has a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.target.server.inner.registry.users_with(&self.id).of(&self.id).next().is_some()
    }

    /// Sends a message to all connections of the user until one of them gives a receipt. It is sent
    /// again when no receipt comes, and waits for the next connection when there is none. A client
    /// drops duplicates.
    ///
    /// A client that gives no receipts is not sent the message. Dropping the future stops the attempts.
    ///
    /// A message that reaches no device is an event: see
    /// [`on_undelivered`](crate::ServerBuilder::on_undelivered).
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
        let connected = self.is_connected();
        if !connected {
            self.undelivered(name, payload);
        }
        let outcome = reliably(options, |stamp| async move {
            if self.connected().await.is_none() {
                return Attempt::Hopeless;
            }
            let timeout = Some(options.receipt_timeout);
            let sent = match self.target.send_under(stamp, true, timeout, name.clone(), payload) {
                Ok(sent) => sent,
                Err(error) => {
                    return Attempt::Failed { sent: false, error: ReceiptError::Encode(error) };
                }
            };
            let sent = sent.into_iter().map(|(_, receipt)| receipt);
            let (waiting, errors): (Vec<_>, Vec<_>) = sent.partition(Result::is_ok);
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
        .await;
        if let Err(gave_up) = &outcome
            && connected
            && !matches!(gave_up.last, Some(ReceiptError::Encode(_)))
        {
            self.undelivered(name, payload);
        }
        outcome
    }

    /// Emits the event of a reliable message that has reached no device.
    fn undelivered<T: ?Sized>(&self, name: &Text, payload: &T)
    where
        P::Format: Encode<T>,
    {
        let server = &self.target.server.inner;
        let payload = match server.wire.encode::<P::Protocol, T>(payload) {
            Ok(payload) => payload,
            Err(_) if server.protocol.is_only() => return,
            // Another protocol of the server may be able to.
            Err(_) => Bytes::new(),
        };
        server.emit(CoreEvent::Undelivered(Arc::new(CoreUndelivered {
            user: self.id.clone(),
            name: name.clone(),
            payload,
            server: Arc::clone(server),
        })));
    }

    /// Waits until the user has a connection. Returns `None` when the server ends first.
    async fn connected(&self) -> Option<()> {
        if self.is_connected() {
            return Some(());
        }
        let inner = &self.target.server.inner;
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
        let connections = self.target.cores();
        for conn in &connections {
            conn.close(close.clone());
        }
        connections.len()
    }
}

impl<P: Negotiate> Clone for User<P> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), id: self.id.clone() }
    }
}

impl<P: Negotiate> From<&User<P>> for Target<P> {
    fn from(user: &User<P>) -> Self {
        user.target.clone()
    }
}

impl<P: Negotiate> Deref for User<P> {
    type Target = Target<P>;

    fn deref(&self) -> &Target<P> {
        &self.target
    }
}

impl<P: Negotiate> fmt::Debug for User<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}
