//! The limits of a send queue, what happens when the peer reads too slowly, and how full it is.

use std::time::Duration;

/// What waits in the send queue of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// The messages that are not written yet. Calls, answers and messages of the session itself count.
    pub messages: usize,
    /// Their bytes, before framing and compression.
    pub bytes: usize,
    /// The messages that [`SlowPeer`] has dropped since the connection began.
    pub dropped: u64,
    /// Whether the queue is full, or has refused or dropped a message and nothing was written since then.
    pub full: bool,
}

/// The limits of a connection's send queue.
///
/// ```
/// use std::time::Duration;
/// use wse::{SendQueue, SlowPeer};
/// let queue = SendQueue::default().messages(64).slow_peer(SlowPeer::LatestOnly);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendQueue {
    /// The most bytes that may be queued. 0 counts as 1. Default: 1 MiB. A single larger message is accepted when the queue
    /// is empty.
    pub bytes: usize,
    /// The most messages that may be queued. 0 counts as 1. Default: 1,024.
    pub messages: usize,
    /// What happens when either limit is reached. Default: [`SlowPeer::Close`] after 10 s.
    pub slow_peer: SlowPeer,
}

/// What happens when a peer reads more slowly than this side sends.
///
/// Under each policy, reading from the peer pauses while the queued answers alone reach the limit on bytes, or twice the
/// limit on messages: the peer then asks for more than it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPeer {
    /// A send fails with [`SendError::QueueFull`](crate::SendError::QueueFull). When the queue stays full for this long,
    /// the connection is closed with 1013. Answers that the peer does not read count too.
    Close {
        /// How long the queue may stay full.
        after: Duration,
    },
    /// A message that does not fit is dropped without an error. Calls and answers are never dropped.
    DropNewest,
    /// A message that does not fit replaces all queued messages. Calls and answers are never dropped.
    LatestOnly,
}

impl Default for SendQueue {
    fn default() -> Self {
        let slow_peer = SlowPeer::Close { after: Duration::from_secs(10) };
        Self { bytes: 1 << 20, messages: 1024, slow_peer }
    }
}

impl SendQueue {
    /// Sets the most bytes that may be queued. 0 counts as 1. Default: 1 MiB.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the most messages that may be queued. 0 counts as 1. Default: 1,024.
    #[must_use]
    pub const fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// Sets what happens when a limit is reached. Default: close after 10 s.
    #[must_use]
    pub const fn slow_peer(mut self, policy: SlowPeer) -> Self {
        self.slow_peer = policy;
        self
    }
}
