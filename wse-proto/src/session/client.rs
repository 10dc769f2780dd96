//! The client's side of the greeting.
//!
//! ```text
//!                 challenge               answer()
//!   ── hi ──► Greeted ─────────► Solving ──────────┐
//!               ▲  │                               │
//!               │  │ welcome                       │
//!               │  ▼                               │
//!               │ Ready                            │
//!               └──────────────────────────────────┘
//! ```
//!
//! Other messages before the welcome are dropped. In `Solving`, another challenge or a welcome closes the connection
//! with 1000 `wse.protocol-error`.

use bytes::Bytes;

use super::event::Event;
use super::limits::SessionLimits;
use super::machine::Session;
use super::phase::{ClientGreeting, Phase};
use super::queue::push;
use crate::{Body, ErrorCode, Head, Hi, ProtocolInfo, SessionMessage, UsageError};

impl Session {
    /// The client's side of a new connection over this protocol. It sends the greeting `hi`. With `None`, for a protocol
    /// without a greeting ([`ProtocolInfo::no_greeting`]), it is ready at once.
    ///
    /// It sets no deadline for the welcome; that is up to the caller.
    pub fn client(protocol: ProtocolInfo, hi: Option<Hi>, limits: SessionLimits) -> Self {
        match hi {
            Some(hi) => {
                let mut session =
                    Self::new(Phase::Client(ClientGreeting::Greeted), protocol, limits);
                let head = match session.capabilities.has_receipts() {
                    true => Head::HiWithReceipts,
                    false => Head::Hi,
                };
                session.send(SessionMessage { head, body: Body::Hi(hi) });
                session
            }
            None => {
                let mut session = Self::new(Phase::Ready, protocol, limits);
                push(&mut session.events, Event::Ready { welcome: Bytes::new() });
                session
            }
        }
    }

    /// Answers the challenge with an encoded value.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] unless a challenge is unanswered.
    pub fn answer(&mut self, answer: Bytes) -> Result<(), UsageError> {
        match &mut self.phase {
            Phase::Client(greeting @ ClientGreeting::Solving) => {
                *greeting = ClientGreeting::Greeted;
                self.send(SessionMessage::raw(Head::Challenge, answer));
                Ok(())
            }
            _ => Err(UsageError::NotAsked),
        }
    }

    pub(super) fn client_greeting(&mut self, message: SessionMessage) {
        let Phase::Client(greeting) = &mut self.phase else { return };
        match (&*greeting, message) {
            (
                ClientGreeting::Greeted,
                SessionMessage { head: Head::Challenge, body: Body::Raw(quest) },
            ) => {
                *greeting = ClientGreeting::Solving;
                push(&mut self.events, Event::Challenged { quest });
            }
            (
                ClientGreeting::Greeted,
                SessionMessage { head: Head::Welcome, body: Body::Raw(welcome) },
            ) => {
                self.phase = Phase::Ready;
                self.session_welcomed();
                push(&mut self.events, Event::Ready { welcome });
            }
            (
                ClientGreeting::Solving,
                SessionMessage { head: Head::Challenge | Head::Welcome, .. },
            ) => {
                self.violation(ErrorCode::ProtocolViolation, None);
            }
            (ClientGreeting::Greeted, SessionMessage { head: Head::Session, body }) => {
                self.session_told(body);
            }
            (ClientGreeting::Solving, SessionMessage { head: Head::Session, .. }) => {
                self.violation(ErrorCode::ProtocolViolation, None);
            }
            _ => {}
        }
    }
}
