//! The server's side of the greeting.
//!
//! ```text
//!                hi                 challenge()                answer
//!   Ungreeted ────────► Validating ─────────────► Challenged ─────────► Validating
//!                           │ accept(): welcome                             │ accept(): welcome
//!                           ▼                                               ▼
//!                         Ready ◄───────────────────────────────────────────┘
//!
//!   any other message in Ungreeted or Challenged ► closed 1000 wse.protocol-error
//!   refuse(), or the deadline                   ► closed 1000 wse.not-authorized
//! ```
//!
//! A client may send messages right after its greeting. While the application decides, up to [`SessionLimits::held`]
//! messages are held; they are handled once the connection is ready.

use std::time::Duration;

use bytes::Bytes;

use super::close::Close;
use super::event::Event;
use super::limits::SessionLimits;
use super::machine::Session;
use super::phase::{Phase, ServerGreeting, ServerState};
use super::queue::push;
use crate::{
    Body, CloseReason, ErrorCode, Head, Hi, ProtocolInfo, ResumeRequest, SessionMessage, UsageError,
};

impl Session {
    /// The server's side of a new connection over this protocol. If the protocol has no greeting
    /// ([`ProtocolInfo::no_greeting`]), [`Event::Greeted`] comes at once, with an empty [`Hi`], and no welcome is sent.
    ///
    /// `deadline` is a point in time, not a duration: a connection that is not accepted when
    /// [`handle_timeout`](Self::handle_timeout) reaches it is closed with 1000 `wse.not-authorized`.
    /// `None` sets no deadline, even for a client that never greets.
    ///
    /// While the application decides, up to [`SessionLimits::held`] messages are held. They are handled when it
    /// accepts.
    pub fn server(
        protocol: ProtocolInfo,
        deadline: Option<Duration>,
        limits: SessionLimits,
    ) -> Self {
        let greeting = protocol.has_greeting();
        let state = if greeting { ServerState::Ungreeted } else { validating(false) };
        let greeter = ServerGreeting { state, deadline, asked: None, limit: limits.held };
        let phase = Phase::Server(Box::new(greeter));
        let mut session = Self::new(phase, protocol, limits);
        if !greeting {
            push(&mut session.events, Event::Greeted { hi: Hi::default() });
        }
        session
    }

    /// Sends a challenge to a client that has greeted, once per connection. `quest` is the question, an encoded value.
    /// Any message but the answer closes the connection, and so does a message that was sent after the greeting and
    /// before the challenge.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] unless [`Event::Greeted`] waits for a decision. The connection may have ended, or the
    /// protocol has no greeting and thus no challenge.
    pub fn challenge(&mut self, quest: Bytes) -> Result<(), UsageError> {
        let Phase::Server(greeting) = &mut self.phase else {
            return Err(UsageError::NotAsked);
        };
        let state = &mut greeting.state;
        match state {
            ServerState::Validating { challenged: false, held } if self.greeting => {
                // A client cannot have answered a question that it did not get.
                let early = !held.is_empty();
                *state = ServerState::Challenged;
                if early {
                    self.violation(ErrorCode::ProtocolViolation, None);
                } else {
                    self.send(SessionMessage::raw(Head::Challenge, quest));
                }
                Ok(())
            }
            _ => Err(UsageError::NotAsked),
        }
    }

    /// Accepts the client and sends the welcome, an encoded value. Then it handles the messages that were held. One
    /// that is not allowed closes the connection, which was accepted nevertheless.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] when no decision is due; the connection may have ended. The client is not accepted
    /// then.
    pub fn accept(&mut self, now: Duration, welcome: Bytes) -> Result<(), UsageError> {
        for message in self.admit(welcome)? {
            self.handle_message(now, message);
        }
        Ok(())
    }

    /// As [`accept`](Self::accept), but returns the messages that were held. The caller gives them to
    /// [`handle_message`](Self::handle_message) once the application knows of the new connection.
    ///
    /// # Errors
    ///
    /// Those of `accept`.
    pub fn admit(&mut self, welcome: Bytes) -> Result<Vec<SessionMessage>, UsageError> {
        let Phase::Server(greeting) = &mut self.phase else { return Err(UsageError::NotAsked) };
        let ServerState::Validating { held, .. } = &mut greeting.state else {
            return Err(UsageError::NotAsked);
        };
        let held = std::mem::take(held);
        self.phase = Phase::Ready;
        if self.greeting {
            self.send(SessionMessage::raw(Head::Welcome, welcome));
        }
        Ok(held)
    }

    /// Closes the connection with 1000 `wse.not-authorized`, in any state. Does nothing when it has ended.
    pub fn refuse(&mut self) {
        self.close(Close::normal(CloseReason::NotAuthorized));
    }

    pub(super) fn server_greeting(&mut self, message: SessionMessage) {
        let Phase::Server(greeting) = &mut self.phase else { return };
        let ServerGreeting { state, asked, limit, .. } = &mut **greeting;
        match (&mut *state, message) {
            (
                ServerState::Ungreeted,
                SessionMessage {
                    head: head @ (Head::Hi | Head::HiWithReceipts),
                    body: Body::Hi(mut hi),
                },
            ) => {
                let request = match hi.resume.take() {
                    Some(value) if self.capabilities.has_resume() => {
                        ResumeRequest::from_value(&value)
                    }
                    _ => Ok(None),
                };
                self.announced = matches!(request, Ok(Some(_)));
                match request {
                    Err(_) if self.offers_resume => {
                        return self.violation(ErrorCode::ProtocolViolation, None);
                    }
                    Ok(request) if self.offers_resume => *asked = request,
                    _ => {}
                }
                *state = validating(false);
                self.peer_receipts = head == Head::HiWithReceipts;
                push(&mut self.events, Event::Greeted { hi });
            }
            (
                ServerState::Challenged,
                SessionMessage { head: Head::Challenge, body: Body::Raw(answer) },
            ) => {
                *state = validating(true);
                push(&mut self.events, Event::Answered { answer });
            }
            // A client that resumes sends nothing but the answer before the welcome: it would not be counted.
            (ServerState::Validating { held, .. }, message)
                if held.len() < *limit && !matches!(asked, Some(ResumeRequest::Resume { .. })) =>
            {
                held.push(message)
            }
            _ => self.violation(ErrorCode::ProtocolViolation, None),
        }
    }
}

fn validating(challenged: bool) -> ServerState {
    ServerState::Validating { challenged, held: Vec::new() }
}
