//! Sessions that outlive their socket: how one loses it, and how it ends.
//!
//! ```text
//!            the socket ends (1005, 1006, 1011 … 1014, 4000)         reconnect()
//!   Ready ────────────────────────────────────────────► Suspended ───────────────► Client
//!     ▲                                                  │   │  ▲                     │  │
//!     │             server: attach()                     │   │  └─────────────────────┘  │
//!     ├──────────────────────────────────────────────────┘   │     the attempt fails     │
//!     │                                      end_suspended() │                           │
//!     │                                                      ▼                           │
//!     │                                                   Closed          the welcome    │
//!     └──────────────────────────────────────────────────────────────────────────────────┘
//! ```

use super::close::Close;
use super::event::{Event, Output};
use super::machine::Session;
use super::phase::Phase;
use super::queue::push;
use super::retry::reconnects;

impl Session {
    /// Whether the session has no socket, and waits for another one. Messages and calls may be sent.
    pub fn is_suspended(&self) -> bool {
        matches!(self.phase, Phase::Suspended)
    }

    /// Whether the session has a socket past the welcome: only then may a counted message be written to a socket.
    pub fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Ends a suspended session: its window is over, or it is evicted. Pending calls and receipts fail. Returns how its last
    /// socket ended; `None` when the session is not suspended.
    pub fn end_suspended(&mut self) -> Option<Close> {
        if !self.is_suspended() {
            return None;
        }
        let close = self.resume.as_mut().and_then(|resume| resume.take_last_close());
        let close = close.unwrap_or(Close::VANISHED);
        self.end_session(&close);
        Some(close)
    }

    /// Ends the session, whatever the code, and without output: the server stops, for example. Pending calls and receipts
    /// fail.
    pub fn end_session(&mut self, close: &Close) {
        if !self.is_closed() {
            self.end(close);
        }
        self.outputs.clear();
    }

    /// Suspends the session instead of its end, if it can be resumed and the code allows it: the codes after which clients
    /// come back. Returns whether the session lives on.
    pub(super) fn suspend(&mut self, close: &Close) -> bool {
        if self.is_suspended() {
            return true;
        }
        let was_ready = matches!(self.phase, Phase::Ready);
        if !reconnects(close.code) || !(was_ready || self.is_resuming()) {
            return false;
        }
        let Some(resume) = &mut self.resume else { return false };
        resume.set_drain(None);
        resume.take_greeted();
        if was_ready {
            resume.set_last_close(close.clone());
            push(&mut self.events, Event::Suspended { close: close.clone() });
        }
        self.phase = Phase::Suspended;
        self.heartbeat = None;
        // The others belong to the old socket.
        self.outputs
            .retain(|output| matches!(output, Output::Send(message) if message.head.is_counted()));
        true
    }

    /// Whether this is a client that resumes a session and has no welcome yet.
    pub(super) fn is_resuming(&self) -> bool {
        matches!(self.phase, Phase::Client(_))
            && self.resume.as_ref().is_some_and(|resume| resume.session().is_some())
    }
}
