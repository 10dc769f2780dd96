//! The closing handshake as a state machine (RFC 6455 §7).

use crate::frame::Role;

/// The state of the closing handshake.
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
/// A server ends TCP once both close frames are sent; a client waits for it to do so (§7.1.1). After a violation both
/// stop sending, and discard what arrives: closing a socket with unread bytes would reset it, and could destroy the
/// close frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closing {
    /// Messages go both ways.
    Open,
    /// Our close frame is queued or sent, and the peer's is awaited. Data that still arrives is discarded.
    CloseSent,
    /// The peer's close frame has arrived; ours is queued or sent. Nothing more is read.
    Answering,
    /// The peer violated the protocol; our close frame is queued. Nothing more is read.
    Failed,
    /// Everything is sent; what arrives is discarded until TCP ends.
    Draining,
    /// The connection has ended.
    Ended,
}

/// An event that changes the state [`Closing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosingEvent {
    /// This side starts to close.
    Close,
    /// The peer's close frame arrived.
    PeerClose,
    /// The peer violated the protocol.
    Violation,
    /// All queued bytes are written, and the write side is shut down if the state demands it; or writing has failed.
    Flushed,
    /// The peer has ended TCP, or TCP has failed.
    Eof,
    /// The handshake has exceeded its deadline.
    Timeout,
}

impl Closing {
    /// The state after `event`, and whether to queue a close frame now.
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
            // RFC 6455 §5.5.1: one close frame each; a violation after ours ends the wait.
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

    /// Whether messages can still be sent.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether to shut the write side of TCP down once all is flushed: a server always does, a client only when it fails the
    /// connection.
    #[must_use]
    pub const fn shuts_down(self, role: Role) -> bool {
        match self {
            Self::Answering => matches!(role, Role::Server),
            Self::Failed => true,
            Self::Open | Self::CloseSent | Self::Draining | Self::Ended => false,
        }
    }
}
