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
//! Other messages before the welcome are dropped. A second challenge before the first is answered, and
//! a welcome in between, close the connection: 1000 `wse.protocol-error`.

use bytes::Bytes;

use crate::{Body, ErrorCode, Head, Hi, Message, UsageError};

use super::{Event, Phase, Session, SessionLimits, push};

#[derive(Debug)]
pub(super) enum Greeting {
    Greeted,
    Solving,
}

impl Session {
    /// The client's side of a new connection: sends the greeting. Without one
    /// ([`Protocol::has_greeting`](crate::Protocol::has_greeting), `hi` is `None`) it is ready at once.
    ///
    /// It has no deadline of its own: a server that never welcomes is for the caller to give up on.
    pub fn client(hi: Option<Hi>, limits: SessionLimits) -> Self {
        match hi {
            Some(hi) => {
                let mut session = Self::new(Phase::Client(Greeting::Greeted), true, limits);
                session.send(Message::hi(hi));
                session
            }
            None => {
                let mut session = Self::new(Phase::Ready, false, limits);
                push(&mut session.events, Event::Ready { welcome: Bytes::new() });
                session
            }
        }
    }

    /// Answers the challenge with an encoded value.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] unless a challenge waits for its answer.
    pub fn answer(&mut self, answer: Bytes) -> Result<(), UsageError> {
        match &mut self.phase {
            Phase::Client(greeting @ Greeting::Solving) => {
                *greeting = Greeting::Greeted;
                self.send(Message::raw(Head::Challenge, answer));
                Ok(())
            }
            _ => Err(UsageError::NotAsked),
        }
    }

    pub(super) fn client_greeting(&mut self, message: Message) {
        let Phase::Client(greeting) = &mut self.phase else { return };
        match (&*greeting, message) {
            (Greeting::Greeted, Message { head: Head::Challenge, body: Body::Raw(quest) }) => {
                *greeting = Greeting::Solving;
                push(&mut self.events, Event::Challenged { quest });
            }
            (Greeting::Greeted, Message { head: Head::Welcome, body: Body::Raw(welcome) }) => {
                self.phase = Phase::Ready;
                push(&mut self.events, Event::Ready { welcome });
            }
            (Greeting::Solving, Message { head: Head::Challenge | Head::Welcome, .. }) => {
                self.violation(ErrorCode::ProtocolViolation, None);
            }
            _ => {}
        }
    }
}
