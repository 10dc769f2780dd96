//! [`Phase`]: how far a session is. `server.rs` and `client.rs` say how it advances.

use std::time::Duration;

use crate::{ResumeRequest, SessionMessage};

/// The phase of a session. The greeting differs between the sides; afterwards they are alike.
#[derive(Debug)]
pub(super) enum Phase {
    /// Boxed: only used during authentication.
    Server(Box<ServerGreeting>),
    Client(ClientGreeting),
    Ready,
    /// Without a socket, until the session is resumed.
    Suspended,
    Closed,
}

impl Phase {
    /// When the time for the greeting is up; `None` when there is no such deadline.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Server(greeting) => greeting.deadline,
            _ => None,
        }
    }
}

/// The greeting at the server.
#[derive(Debug)]
pub(super) struct ServerGreeting {
    pub(super) state: ServerState,
    pub(super) deadline: Option<Duration>,
    /// What the greeting asks for, if this side offers resume.
    pub(super) asked: Option<ResumeRequest>,
    /// The most messages that are held.
    pub(super) limit: usize,
}

/// How far the greeting at the server is.
#[derive(Debug)]
pub(super) enum ServerState {
    /// The client did not greet yet.
    Ungreeted,
    /// The application decides. Messages of the client are held meanwhile.
    Validating { challenged: bool, held: Vec<SessionMessage> },
    /// The client has to answer the challenge.
    Challenged,
}

/// How far the greeting at the client is.
#[derive(Debug)]
pub(super) enum ClientGreeting {
    /// The server has to answer the greeting.
    Greeted,
    /// The application has to answer the challenge.
    Solving,
}
