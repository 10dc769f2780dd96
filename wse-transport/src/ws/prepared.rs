//! [`PreparedMessage`].

use std::{fmt, sync::Arc};

use super::message::Message;
use crate::deflate::Shared;

/// A message that goes to many connections, and is compressed once for those with equal settings.
///
/// Connections share the result if they have the same level and window, and no takeover, which is the default. The first
/// of them that queues the message compresses it; others that queue it meanwhile wait for the result. Other connections
/// compress it on their own, or send it uncompressed. The result is kept as long as the message. Cloning is cheap.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), wse_transport::ws::Error> {
/// use futures::{SinkExt, StreamExt};
/// use wse_transport::ws::{Config, Message, PreparedMessage, Role, WebSocket};
///
/// let news = PreparedMessage::new(Message::text("it rains"));
/// for _ in 0..3 {
///     let (one, other) = tokio::io::duplex(1024);
///     let mut server = WebSocket::new(one, Role::Server, Config::default());
///     let mut client = WebSocket::new(other, Role::Client, Config::default());
///     server.feed_prepared(&news).await?;
///     server.flush().await?;
///     assert_eq!(client.next().await.transpose()?.as_ref(), Some(news.message()));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PreparedMessage(Arc<Prepared>);

struct Prepared {
    message: Message,
    compressed: Shared,
}

impl PreparedMessage {
    /// Prepares a message. Only text and binary messages benefit.
    #[must_use]
    pub fn new(message: Message) -> Self {
        Self(Arc::new(Prepared { message, compressed: Shared::default() }))
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    pub(super) fn compressed(&self) -> &Shared {
        &self.0.compressed
    }
}

impl From<Message> for PreparedMessage {
    fn from(message: Message) -> Self {
        Self::new(message)
    }
}

impl fmt::Debug for PreparedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PreparedMessage").field(self.message()).finish()
    }
}
