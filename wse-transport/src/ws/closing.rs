//! The closing handshake as a state machine (RFC 6455 §7).

use super::codec::Role;

/// How far the end of a connection has come.
///
/// ```text
///                    ┌──────┐
///       ┌────────────│ Open │──────────────┐
///       │ Close      └──────┘ PeerClose    │ Violation
///       ▼                │                 ▼
/// ┌───────────┐          │           ┌────────┐
/// │ CloseSent │          │           │ Failed │
/// └───────────┘          │           └────────┘
///       │ PeerClose      │                 │ Flushed
///       │ or Violation   │                 │
///       │        ┌───────▼───┐  Flushed  ┌─▼────────┐
///       └───────▶│ Answering │──────────▶│ Draining │
///                └───────────┘  (client) └──────────┘
///                      │ Flushed (server)  │ Eof
///                      ▼                   ▼
///                  ┌───────────────────────────┐
///     Eof, Timeout │           Ended           │
///  (any state) ───▶└───────────────────────────┘
/// ```
///
/// A server ends the TCP connection as soon as both close frames are through, a client waits for
/// it to do so (§7.1.1). After a violation both stop sending, and read without looking what still
/// comes: closing a socket with unread bytes would reset it, and destroy the close frame on its
/// way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closing {
    /// Messages go both ways.
    Open,
    /// Our close frame is queued or sent; theirs is awaited, data that still comes is discarded.
    CloseSent,
    /// Their close frame came; ours is queued, or was sent before. Nothing more is read.
    Answering,
    /// They broke the protocol; our close frame is queued. Nothing more is read.
    Failed,
    /// All is sent; whatever comes is discarded until TCP ends.
    Draining,
    /// Nothing more will happen.
    Ended,
}

/// What moves [`Closing`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosingEvent {
    /// We want to close.
    Close,
    /// The peer's close frame arrived.
    PeerClose,
    /// The peer broke the protocol.
    Violation,
    /// All that was queued is written, and the write side is shut down where the state asks for
    /// it; or it cannot be written any more.
    Flushed,
    /// The peer's side of TCP ended, or TCP failed.
    Eof,
    /// The handshake took longer than it may.
    Timeout,
}

impl Closing {
    /// The state after `event`, and whether a close frame is to be queued now.
    ///
    /// An event that cannot happen in a state changes nothing.
    #[must_use]
    pub const fn on(self, event: ClosingEvent, role: Role) -> (Self, bool) {
        use ClosingEvent::{Close, Eof, Flushed, PeerClose, Timeout, Violation};
        match (self, event) {
            (_, Eof | Timeout) => (Self::Ended, false),
            (Self::Open, Close) => (Self::CloseSent, true),
            (Self::Open, PeerClose) => (Self::Answering, true),
            (Self::Open, Violation) => (Self::Failed, true),
            // RFC 6455 §5.5.1: one close frame each; what is wrong after ours ends the wait.
            (Self::CloseSent, PeerClose | Violation) => (Self::Answering, false),
            (Self::Answering, Flushed) => match role {
                Role::Server => (Self::Ended, false),
                Role::Client => (Self::Draining, false),
            },
            (Self::Failed, Flushed) => (Self::Draining, false),
            (Self::Open | Self::CloseSent | Self::Draining, Flushed)
            | (Self::CloseSent, Close)
            | (Self::Answering | Self::Failed | Self::Draining, Close | PeerClose | Violation)
            | (Self::Ended, _) => (self, false),
        }
    }

    /// Whether messages may still be sent.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether our write side of TCP is to be shut down once all is flushed: a server's always, a
    /// client's only when it fails the connection.
    #[must_use]
    pub const fn shuts_down(self, role: Role) -> bool {
        match self {
            Self::Answering => matches!(role, Role::Server),
            Self::Failed => true,
            Self::Open | Self::CloseSent | Self::Draining | Self::Ended => false,
        }
    }
}
