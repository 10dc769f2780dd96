//! [`ResumeLimits`].

use std::time::Duration;

/// How long sessions outlive their sockets, and how many messages are kept for them. The messages of one session are its
/// *ring*.
///
/// ```
/// use std::time::Duration;
/// use wse_proto::session::ResumeLimits;
/// let limits = ResumeLimits::default().window(Duration::from_secs(120)).ring_bytes(1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResumeLimits {
    /// Server: how long a session outlives its socket. Default: 60 s.
    pub window: Duration,
    /// The most bytes of messages that a session keeps until the peer has acknowledged them. At a server the oldest go
    /// first; at a client sending fails. Default: 256 KiB.
    pub ring_bytes: usize,
    /// The same in messages. Default: 4,096.
    pub ring_messages: usize,
    /// Server: the most bytes that all sessions keep together, counted in blocks of 4 KiB. Past it, sessions with a socket
    /// give up what they keep; then the longest suspended sessions end. Default: 256 MiB.
    pub total_bytes: usize,
    /// Server: how many sessions are remembered that have expired or were evicted, so that their clients learn why they are
    /// not resumed. Each is remembered for one more window. Default: 65,536.
    pub remembered: usize,
}

impl Default for ResumeLimits {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            ring_bytes: 256 << 10,
            ring_messages: 4096,
            total_bytes: 256 << 20,
            remembered: 65_536,
        }
    }
}

impl ResumeLimits {
    /// Sets how long a session outlives its socket. Default: 60 s.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets the most bytes of messages that a session keeps until the peer has acknowledged them. Default: 256 KiB.
    #[must_use]
    pub const fn ring_bytes(mut self, bytes: usize) -> Self {
        self.ring_bytes = bytes;
        self
    }

    /// Sets the most messages that a session keeps until the peer has acknowledged them. Default: 4,096.
    #[must_use]
    pub const fn ring_messages(mut self, messages: usize) -> Self {
        self.ring_messages = messages;
        self
    }

    /// Sets the most bytes that all sessions keep together. Default: 256 MiB.
    #[must_use]
    pub const fn total_bytes(mut self, bytes: usize) -> Self {
        self.total_bytes = bytes;
        self
    }

    /// Sets how many sessions are remembered that have expired or were evicted. Default: 65,536.
    #[must_use]
    pub const fn remembered(mut self, sessions: usize) -> Self {
        self.remembered = sessions;
        self
    }
}
