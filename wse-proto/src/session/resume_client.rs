//! Resume at the client.

use std::collections::HashSet;
use std::sync::Arc;

use super::calls::{CallFailure, CallId};
use super::close::Close;
use super::event::{Event, Output};
use super::limits::SessionLimits;
use super::machine::Session;
use super::phase::{ClientGreeting, Phase};
use super::queue::push;
use super::receipts::{Key, ReceiptFailure};
use super::resume::{Budget, Greeted, Resume, Token};
use crate::{
    Body, ErrorCode, Head, Hi, NotResumed, Outcome, ProtocolInfo, ReceiptOf, ResumeRequest,
    SessionInfo, SessionMessage, Stamp, Text, UsageError,
};

/// What a client that was started again knows of its session.
#[derive(Clone, PartialEq, Eq)]
pub struct Restored {
    /// The name of the session.
    pub session: Text,
    /// The token.
    pub token: Text,
    /// How many counted messages of the server the client has processed.
    pub seen: u64,
    /// A random number, where the stamps of calls begin, so that answers to calls before the start are not taken for others.
    pub stamps_from: u64,
}

/// Does not show the token, which is secret.
impl std::fmt::Debug for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { session, seen, .. } = self;
        f.debug_struct("Restored").field("session", session).field("seen", seen).finish()
    }
}

impl Session {
    /// As [`client`](Self::client), for a session that can be resumed if the protocol and the server have that.
    pub fn resumable_client(
        protocol: ProtocolInfo,
        hi: Hi,
        limits: SessionLimits,
        budget: &Arc<Budget>,
    ) -> Self {
        let mut session = Self::new(Phase::Client(ClientGreeting::Greeted), protocol, limits);
        if session.capabilities.has_resume() {
            let token = Token::given("");
            let resume = Resume::new(Arc::clone(budget), None, token, 0);
            session.resume = Some(Box::new(resume));
        }
        session.greet(hi);
        session
    }

    /// A client that was started again and has lost the messages that it had sent, such as a page that was loaded again. It
    /// resumes the session that it has stored.
    pub fn restored_client(
        protocol: ProtocolInfo,
        hi: Hi,
        limits: SessionLimits,
        budget: &Arc<Budget>,
        restored: Restored,
    ) -> Self {
        let mut session = Self::new(Phase::Client(ClientGreeting::Greeted), protocol, limits);
        if session.capabilities.has_resume() {
            let Restored { session: name, token, seen, stamps_from } = restored;
            let token = Token::given(&token);
            let mut resume = Resume::new(Arc::clone(budget), Some(&name), token, seen);
            resume.sent_unknown = true;
            session.resume = Some(Box::new(resume));
            session.calls.begin_at(stamps_from);
        }
        session.greet(hi);
        session
    }

    /// Client: greets over a new socket, to resume a suspended session.
    ///
    /// Start the heartbeat of the socket by [`start_heartbeat`](Self::start_heartbeat). [`Event::Resumed`] and [`Event::Ready`]
    /// come with the welcome. If the socket ends first, and its code allows it, the session is suspended again.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotAsked`] when the session is not suspended.
    pub fn reconnect(&mut self, hi: Hi) -> Result<(), UsageError> {
        if !self.is_suspended() {
            return Err(UsageError::NotAsked);
        }
        self.phase = Phase::Client(ClientGreeting::Greeted);
        self.greet(hi);
        Ok(())
    }

    /// Client: what [`restored_client`](Self::restored_client) needs, for a client that stores it. `stamps_from` is a random
    /// number: see [`Restored`]. `None` when the session cannot be resumed.
    pub fn stored(&self, stamps_from: u64) -> Option<Restored> {
        let resume = self.resume.as_ref()?;
        Some(Restored {
            session: resume.session()?.into(),
            token: resume.token.text(),
            seen: resume.counts.received(),
            stamps_from,
        })
    }

    /// Queues the greeting, before what else waits to be sent.
    fn greet(&mut self, mut hi: Hi) {
        if let Some(resume) = &mut self.resume {
            let request = match resume.session().map(Text::from) {
                None => ResumeRequest::New,
                Some(session) => ResumeRequest::Resume {
                    session,
                    token: resume.token.text(),
                    seen: resume.tell(),
                },
            };
            resume.set_greeted(Greeted::Waiting);
            hi.resume = Some(Box::new(request.to_value()));
            self.announced = true;
        }
        let head = match self.capabilities.has_receipts() {
            true => Head::HiWithReceipts,
            false => Head::Hi,
        };
        let message = SessionMessage { head, body: Body::Hi(hi) };
        self.outputs.push_front(Output::Send(message));
    }

    /// Takes what the server says of the session, before the welcome.
    pub(super) fn session_told(&mut self, body: Body) {
        let Some(resume) = &mut self.resume else { return };
        match body {
            Body::Session(info)
                if matches!(resume.greeted(), Some(Greeted::Waiting)) && may_be(resume, &info) =>
            {
                resume.set_greeted(Greeted::Told(info));
            }
            _ => self.violation(ErrorCode::ProtocolViolation, None),
        }
    }

    /// The welcome has come: the session begins, continues, or is replaced by a new one.
    pub(super) fn session_welcomed(&mut self) {
        let Some(resume) = &mut self.resume else { return };
        let told = match resume.take_greeted() {
            Some(Greeted::Told(info)) => Some(*info),
            _ => None,
        };
        let close = resume.take_last_close();
        match (resume.session().is_some(), told) {
            (false, None) => self.resume = None,
            (false, Some(info)) => self.begin(info),
            (true, Some(info))
                if matches!(info.outcome, Outcome::Full | Outcome::Partial { .. }) =>
            {
                self.continue_session(info);
            }
            (true, told) => self.begin_again(told, &close.unwrap_or(Close::VANISHED)),
        }
    }

    /// A new session.
    fn begin(&mut self, info: SessionInfo) {
        if let Some(resume) = &mut self.resume {
            resume.name(&info.session, &info.token);
        }
    }

    fn continue_session(&mut self, SessionInfo { session, token, outcome, seen, .. }: SessionInfo) {
        let Some(resume) = &mut self.resume else { return };
        resume.name(&session, &token);
        if std::mem::take(&mut resume.sent_unknown) {
            resume.ring.restart(seen);
        }
        if let Outcome::Partial { last, .. } = outcome {
            resume.restart_counts(last);
        }
        push(&mut self.events, Event::Resumed { outcome });
        self.acknowledge(seen);
        // At once: it shows the server that the client knows the new token.
        let later = std::mem::take(&mut self.outputs);
        self.tell_seen();
        let replay: Vec<_> = match &self.resume {
            Some(resume) => resume.ring.iter().cloned().map(Output::Replay).collect(),
            None => Vec::new(),
        };
        for output in replay.into_iter().chain(later) {
            push(&mut self.outputs, output);
        }
    }

    /// The server does not know the session any more. What waits for its messages ends. Calls and messages that were never
    /// written go on: they are sent in the new session.
    fn begin_again(&mut self, told: Option<SessionInfo>, close: &Close) {
        let reason = match &told {
            Some(SessionInfo { outcome: Outcome::None(reason), .. }) => reason.clone(),
            _ => NotResumed::Unknown,
        };
        // What was meant for one user is not sent as another.
        let other_user = reason == NotResumed::User;
        push(&mut self.events, Event::Resumed { outcome: Outcome::None(reason) });
        let resume = self.resume.as_ref();
        let ended = match other_user {
            true => self.calls.drain(),
            false => self.calls.drain_to(resume.map_or(CallId::NONE, |resume| resume.called())),
        };
        let written: HashSet<&Stamp> = resume.into_iter().flat_map(|it| it.receipts()).collect();
        let calls = &self.calls;
        let goes_on = |(of, stamp): &Key| match of {
            ReceiptOf::Call => calls.has_stamp(stamp),
            ReceiptOf::Message => !other_user && !written.contains(stamp),
            ReceiptOf::Answer => false,
        };
        let receipts = self.receipts.as_mut().map(|it| it.end_others(goes_on));
        self.tidy();
        for (of, stamp) in receipts.unwrap_or_default() {
            let outcome = Err(ReceiptFailure::Closed(close.clone()));
            push(&mut self.events, Event::ReceiptEnded { of, stamp, outcome });
        }
        for call in ended {
            let outcome = Err(CallFailure::Disconnected(close.clone()));
            push(&mut self.events, Event::CallEnded { call, outcome });
        }
        // They belong to the old session.
        self.outputs.clear();
        let Some(resume) = &mut self.resume else { return };
        resume.sent_unknown = false;
        resume.clear_tracked();
        resume.ring.restart(0);
        resume.restart_counts(0);
        match told {
            Some(info) => self.begin(info),
            None => self.resume = None,
        }
    }
}

/// Whether a server can say this of a session.
fn may_be(resume: &Resume, info: &SessionInfo) -> bool {
    let ring = &resume.ring;
    match (resume.session(), &info.outcome) {
        (None, Outcome::Full | Outcome::Partial { .. }) => return false,
        (_, Outcome::New | Outcome::None(_)) => return info.seen == 0,
        (Some(session), _) if info.session != session => return false,
        (_, Outcome::Partial { first, .. }) if *first != resume.counts.received() + 1 => {
            return false;
        }
        _ => {}
    }
    resume.sent_unknown || (ring.acknowledged()..=ring.sent()).contains(&info.seen)
}
