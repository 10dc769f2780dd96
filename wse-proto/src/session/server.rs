//! The server's side of the greeting.
//!
//! ```text
//!                hi                 challenge()                answer
//!   Stranger ─────────► Validating ─────────────► Challenged ─────────► Validating
//!                           │ accept(): welcome                             │ accept(): welcome
//!                           ▼                                               ▼
//!                         Ready ◄───────────────────────────────────────────┘
//!
//!   any other message in Stranger or Challenged ► closed 1000 wse.protocol-error
//!   refuse(), or the deadline                   ► closed 1000 wse.not-authorized
//! ```
//!
//! What arrives while the application decides is held, up to [`SessionLimits::held`] messages, and handled
//! once the connection is ready: a client may pipeline behind its greeting.

use std::time::Duration;

use bytes::Bytes;

use crate::{Body, CloseReason, ErrorCode, Head, Hi, Message, UsageError};

use super::{Close, Event, Phase, Session, SessionLimits, push};

#[derive(Debug)]
pub(super) struct Greeting {
    state: State,
    deadline: Option<Duration>,
    /// How many messages are held at most.
    limit: usize,
}

#[derive(Debug)]
enum State {
    Stranger,
    Validating { challenged: bool, held: Vec<Message> },
    Challenged,
}

impl Greeting {
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }
}

impl Session {
    /// The server's side of a new connection. Without a `greeting`
    /// ([`Protocol::has_greeting`](crate::Protocol::has_greeting)) the application is asked at once, with
    /// an empty [`Hi`], and no welcome is sent.
    ///
    /// `deadline` is a moment, not a length of time: a connection that is not accepted when
    /// [`handle_timeout`](Self::handle_timeout) reaches it is closed with 1000 `wse.not-authorized`.
    /// `None` waits for ever, even for a stranger who never greets.
    ///
    /// What arrives while the application decides is held, up to [`SessionLimits::held`] messages,
    /// and handled when it accepts.
    pub fn server(greeting: bool, deadline: Option<Duration>, limits: SessionLimits) -> Self {
        let state = if greeting { State::Stranger } else { validating(false) };
        let greeter = Greeting { state, deadline, limit: limits.held };
        let phase = Phase::Server(Box::new(greeter));
        let mut session = Self::new(phase, greeting, limits);
        if !greeting {
            push(&mut session.events, Event::Greeted { hi: Hi::default() });
        }
        session
    }

    /// Asks a greeted stranger to solve this quest, an encoded value; once per connection. Anything
    /// but the answer closes the connection, and so does what was already pipelined behind the greeting.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] unless [`Event::Greeted`] waits for a decision: the connection may
    /// have ended, or have no greeting and thus no challenge.
    pub fn challenge(&mut self, quest: Bytes) -> Result<(), UsageError> {
        let Phase::Server(greeting) = &mut self.phase else {
            return Err(UsageError::NotAsked);
        };
        let state = &mut greeting.state;
        match state {
            State::Validating { challenged: false, held } if self.greeting => {
                // Nothing can be pipelined behind a question that was not yet asked.
                let early = !held.is_empty();
                *state = State::Challenged;
                if early {
                    self.violation(ErrorCode::ProtocolViolation, None);
                } else {
                    self.send(Message::raw(Head::Challenge, quest));
                }
                Ok(())
            }
            _ => Err(UsageError::NotAsked),
        }
    }

    /// Lets the stranger in and sends the welcome, an encoded value. Messages that were held are
    /// handled behind it: one that is not allowed there closes the connection, which joined all the same.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] when no decision is waited for: the connection may have ended. Nobody joins then.
    pub fn accept(&mut self, now: Duration, welcome: Bytes) -> Result<(), UsageError> {
        for message in self.admit(welcome)? {
            self.handle_message(now, message);
        }
        Ok(())
    }

    /// As [`accept`](Self::accept), but gives back what was held: for [`handle_message`](Self::handle_message), once the
    /// application has done what it does when somebody joins.
    ///
    /// # Errors
    ///
    /// Those of `accept`.
    pub fn admit(&mut self, welcome: Bytes) -> Result<Vec<Message>, UsageError> {
        let Phase::Server(greeting) = &mut self.phase else { return Err(UsageError::NotAsked) };
        let State::Validating { held, .. } = &mut greeting.state else {
            return Err(UsageError::NotAsked);
        };
        let held = std::mem::take(held);
        self.phase = Phase::Ready;
        if self.greeting {
            self.send(Message::raw(Head::Welcome, welcome));
        }
        Ok(held)
    }

    /// Closes the connection with 1000 `wse.not-authorized`, in whatever state it is. Does nothing
    /// when it has ended.
    pub fn refuse(&mut self) {
        self.close(Close::normal(CloseReason::NotAuthorized));
    }

    pub(super) fn server_greeting(&mut self, message: Message) {
        let Phase::Server(greeting) = &mut self.phase else { return };
        let Greeting { state, limit, .. } = &mut **greeting;
        match (&mut *state, message) {
            (State::Stranger, Message { head: Head::Hi, body: Body::Hi(hi) }) => {
                *state = validating(false);
                push(&mut self.events, Event::Greeted { hi });
            }
            (State::Challenged, Message { head: Head::Challenge, body: Body::Raw(answer) }) => {
                *state = validating(true);
                push(&mut self.events, Event::Answered { answer });
            }
            (State::Validating { held, .. }, message) if held.len() < *limit => held.push(message),
            _ => self.violation(ErrorCode::ProtocolViolation, None),
        }
    }
}

fn validating(challenged: bool) -> State {
    State::Validating { challenged, held: Vec::new() }
}
