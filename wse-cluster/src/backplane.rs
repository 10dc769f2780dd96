//! [`Backplane`]: what carries messages between nodes, and keeps the directory.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::channel::Channel;
use crate::directory::{Reply, Request};

/// What carries messages between nodes, and keeps the directory: a broker that all nodes reach.
///
/// The node does the rest: it notices when it no longer hears itself, drops the session, opens another one, and subscribes
/// again. So a session need not connect again by itself, and should not.
#[async_trait]
pub trait Backplane: Send + Sync + 'static {
    /// Opens new connections to the broker. What arrives goes to `inbox`, until the session is dropped.
    ///
    /// # Errors
    ///
    /// When the broker cannot be reached. The node tries again, with growing waits.
    async fn open(&self, inbox: Inbox) -> Result<Arc<dyn Session>, BackplaneError>;
}

/// Open connections to a broker.
///
/// The node waits at most 2 s for each of these futures. A request whose future it drops may have been done.
#[async_trait]
pub trait Session: Send + Sync {
    /// Subscribes to channels. When it returns, what is published later arrives. A channel that is subscribed to already is
    /// no error. At most 512 channels at once.
    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError>;

    /// Ends subscriptions.
    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError>;

    /// Publishes messages, in this order, to all who subscribe to their channels, this node among them.
    async fn publish(&self, messages: &[(Channel, Bytes)]) -> Result<(), BackplaneError>;

    /// Asks the directory. Requests are done in the order in which they were asked.
    async fn ask(&self, request: &Request) -> Result<Reply, BackplaneError>;
}

/// Where a [`Session`] puts what arrives.
#[derive(Clone, Debug)]
pub struct Inbox {
    sender: mpsc::Sender<Arrived>,
    session: u64,
}

/// What a session has put into its inbox.
#[derive(Debug)]
pub(crate) enum Arrived {
    Message(Channel, Bytes),
    /// The session with this number has ended, and why.
    End(u64, String),
}

impl Inbox {
    pub(crate) fn new(sender: mpsc::Sender<Arrived>, session: u64) -> Self {
        Self { sender, session }
    }

    /// An inbox that nobody reads, for tests of a [`Backplane`].
    #[must_use]
    pub fn unread() -> Self {
        Self::new(mpsc::channel(1).0, 0)
    }

    /// Says that the session has ended by itself, so that the node opens another one at once. Without it, the node notices that
    /// it does not hear itself.
    pub fn end(&self, why: impl Into<String>) {
        let _ = self.sender.try_send(Arrived::End(self.session, why.into()));
    }

    /// Puts a message in. If there is no space, it is dropped: the node notices the gap. Returns false when nobody takes
    /// messages any more.
    pub fn put(&self, channel: Channel, message: Bytes) -> bool {
        match self.sender.try_send(Arrived::Message(channel, message)) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

/// Why a broker has not done what it was asked for.
#[derive(Debug)]
pub struct BackplaneError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl BackplaneError {
    /// An error with this text, which says what the broker was asked for.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for BackplaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for BackplaneError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
