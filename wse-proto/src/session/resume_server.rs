//! Resume at the server.

use std::sync::Arc;

use bytes::Bytes;

use super::close::Close;
use super::event::Output;
use super::machine::Session;
use super::phase::{Phase, ServerState};
use super::queue::push;
use super::resume::{Budget, Resume, Token};
use crate::{
    Body, ErrorCode, Head, NotResumed, Outcome, ResumeRequest, SessionInfo, SessionMessage, Text,
    UsageError,
};

/// Why a socket was not attached to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAttached {
    /// The client says that it has processed more than was sent. Its socket is closed with 1000 `wse.protocol-error`; the
    /// session and its token are as before.
    Violation,
    /// The session has ended. Answer as if it were not known.
    Ended,
    /// The client has not asked for it, or its socket has ended.
    NotAsked,
}

impl Session {
    /// Server: lets clients resume their sessions, if the protocol has that
    /// ([`Capabilities::resume`](crate::Capabilities::resume)). A client whose greeting has a wrong `resume` is closed with
    /// 1000 `wse.protocol-error`. Default: what a client says of resume is not judged.
    #[must_use]
    pub fn with_resume(mut self) -> Self {
        self.offers_resume = self.capabilities.has_resume();
        self
    }

    /// What the client's greeting asks for; `None` when it says nothing about resume, when this side does not offer it, and
    /// when no decision is due.
    pub fn resume_request(&self) -> Option<&ResumeRequest> {
        match &self.phase {
            Phase::Server(greeting) => greeting.asked.as_ref(),
            _ => None,
        }
    }

    /// Server: makes the connection a session that can be resumed, before [`accept`](Self::accept) or
    /// [`admit`](Self::admit). `outcome` is [`Outcome::New`], or [`Outcome::None`] with the reason.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] when [`resume_request`](Self::resume_request) has nothing.
    pub fn grant(
        &mut self,
        budget: &Arc<Budget>,
        session: Text,
        token: Token,
        outcome: Outcome,
    ) -> Result<(), UsageError> {
        if !self.is_validating() || self.resume_request().is_none() {
            return Err(UsageError::NotAsked);
        }
        let info = SessionInfo {
            session: session.clone(),
            token: token.text(),
            window: budget.limits().window,
            outcome,
            seen: 0,
        };
        let resume = Resume::new(Arc::clone(budget), Some(&session), token, 0);
        self.resume = Some(Box::new(resume));
        self.send(SessionMessage { head: Head::Session, body: Body::Session(Box::new(info)) });
        Ok(())
    }

    /// The name of the session; `None` when it cannot be resumed.
    pub fn session_name(&self) -> Option<&str> {
        self.resume.as_ref()?.session()
    }

    /// Server: why this request does not resume this session; `None` when it may be attached. `same_user` and
    /// `same_protocol` compare the user and the subprotocol of the new socket with those of this session.
    pub fn refusal(
        &self,
        request: &ResumeRequest,
        same_user: bool,
        same_protocol: bool,
    ) -> Option<NotResumed> {
        let ResumeRequest::Resume { session, token, .. } = request else {
            return Some(NotResumed::Unknown);
        };
        match &self.resume {
            Some(resume) if !self.is_closed() && resume.session() == Some(session) => {
                if !resume.knows(token) {
                    return Some(NotResumed::Token);
                }
            }
            _ => return Some(NotResumed::Unknown),
        }
        match (same_user, same_protocol) {
            (false, _) => Some(NotResumed::User),
            (_, false) => Some(NotResumed::Protocol),
            _ => None,
        }
    }

    /// Server: whether a client that has processed so many messages claims more than was sent. Its socket is closed with 1000
    /// `wse.protocol-error`, and this session is left as it is.
    pub fn is_ahead(&self, seen: u64) -> bool {
        self.resume.as_ref().is_some_and(|resume| seen > resume.ring.sent())
    }

    /// Server: closes the socket whose client [is ahead](Self::is_ahead) of the session that it asks for.
    pub fn refuse_ahead(&mut self) {
        self.violation(ErrorCode::ProtocolViolation, None);
    }

    /// Server: resumes this session over the socket that `socket` was made for, after [`refusal`](Self::refusal) has
    /// returned `None`. A session that still has a socket is taken over: the caller closes the old socket with 1000
    /// `wse.session-taken`, and throws away what is read from it from now on.
    ///
    /// This session sends what is said of it, the welcome, and the messages that the client has not processed
    /// ([`Output::Replay`]). The heartbeat and what the greeting said come from `socket`, which has ended then. Calls and
    /// receipts whose message is lost end.
    ///
    /// # Errors
    ///
    /// See [`NotAttached`].
    pub fn attach(
        &mut self,
        socket: &mut Self,
        token: Token,
        welcome: Bytes,
    ) -> Result<Outcome, NotAttached> {
        let Some(ResumeRequest::Resume { token: used, seen, .. }) =
            socket.resume_request().filter(|_| socket.is_validating()).cloned()
        else {
            return Err(NotAttached::NotAsked);
        };
        let Some(resume) =
            self.resume.as_mut().filter(|_| matches!(self.phase, Phase::Ready | Phase::Suspended))
        else {
            return Err(NotAttached::Ended);
        };
        if seen > resume.ring.sent() {
            socket.violation(ErrorCode::ProtocolViolation, None);
            return Err(NotAttached::Violation);
        }
        let last = resume.ring.oldest() - 1;
        let outcome = match seen {
            _ if seen < last => Outcome::Partial { first: seen + 1, last },
            _ => Outcome::Full,
        };
        let close = resume.take_last_close().unwrap_or(Close::VANISHED);
        resume.renew_token(&used, token);
        self.acknowledge(seen);
        self.lose(last, &close);
        self.take_over(socket);
        self.say_resumed(outcome.clone(), welcome);
        Ok(outcome)
    }

    /// Takes what belongs to a socket from the session that was made for it.
    fn take_over(&mut self, socket: &mut Self) {
        self.phase = Phase::Ready;
        self.heartbeat = socket.heartbeat.take();
        self.peer_receipts = socket.peer_receipts;
        self.outputs
            .retain(|output| matches!(output, Output::Send(message) if message.head.is_counted()));
        socket.phase = Phase::Closed;
        socket.outputs.clear();
    }

    fn say_resumed(&mut self, outcome: Outcome, welcome: Bytes) {
        let Some(resume) = &mut self.resume else { return };
        let info = SessionInfo {
            session: resume.session().unwrap_or_default().into(),
            token: resume.token.text(),
            window: resume.ring.budget().limits().window,
            outcome,
            seen: resume.tell(),
        };
        let replay: Vec<_> = resume.ring.iter().cloned().map(Output::Replay).collect();
        // Before what the session wanted to send while it had no socket.
        let later = std::mem::take(&mut self.outputs);
        self.send(SessionMessage { head: Head::Session, body: Body::Session(Box::new(info)) });
        self.send(SessionMessage::raw(Head::Welcome, welcome));
        for output in replay.into_iter().chain(later) {
            push(&mut self.outputs, output);
        }
    }

    fn is_validating(&self) -> bool {
        match &self.phase {
            Phase::Server(greeting) => matches!(greeting.state, ServerState::Validating { .. }),
            _ => false,
        }
    }
}
