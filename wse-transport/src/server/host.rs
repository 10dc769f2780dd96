//! [`Host`]: the server's side of one connection, from stranger to user.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use http::Request;
use wse_proto::session::{Close, Duplicates, Event, LivenessState};
use wse_proto::{CloseReason, ErrorCode, Hi, Message, Protocol};

use super::conn::{Conn, Parts};
use super::events::{ServerError, ServerEvent};
use super::identify::{Accepted, AnswerSlot, Deciding, Refuse, Stranger};
use super::inner::Inner;
use super::request::Kept;
use crate::connection::{DriverConfig, Link, Side, count};
use crate::router::{Failed, Report, Scope};
use crate::ws;

pub(super) struct Host<P: Protocol> {
    server: Arc<Inner<P>>,
    peer_addr: Option<SocketAddr>,
    id: u64,
    phase: Phase<P>,
}

enum Phase<P: Protocol> {
    Stranger(Arc<Request<()>>),
    Deciding(Box<Decision>),
    User(Conn<P>),
    Gone,
}

struct Decision {
    deciding: Deciding,
    hi: Hi,
    answer: AnswerSlot,
    request: Arc<Request<()>>,
}

impl<P: Protocol> Host<P> {
    pub(super) fn new(
        server: Arc<Inner<P>>,
        link: &Arc<Link<P>>,
        request: Request<()>,
        peer_addr: Option<SocketAddr>,
    ) -> Self {
        let id = server.next_id();
        server.roster.enter(id, link);
        if server.stop.is_cancelled() {
            link.close(server.farewell());
        }
        Self { server, peer_addr, id, phase: Phase::Stranger(Arc::new(request)) }
    }

    fn conn(&self) -> Option<&Conn<P>> {
        match &self.phase {
            Phase::User(conn) => Some(conn),
            _ => None,
        }
    }

    fn error(&self, code: ErrorCode, message: String) {
        let conn = self.conn().cloned();
        self.server.emit(ServerEvent::Error(ServerError { conn, code, name: None, message }));
    }

    fn greeted(&mut self, link: &Arc<Link<P>>, mut hi: Hi) {
        let Phase::Stranger(request) = &self.phase else { return };
        let request = Arc::clone(request);
        if let Some(find) =
            self.server.identity.as_ref().filter(|_| !link.protocol().has_greeting())
        {
            hi.identity = find(&request, link.format()).unwrap_or_default();
        }
        let answer = AnswerSlot::default();
        let stranger = Stranger {
            link: Arc::clone(link),
            request: Arc::clone(&request),
            peer_addr: self.peer_addr,
            answer: Arc::clone(&answer),
        };
        let Some(identify) = &self.server.identify else {
            tracing::warn!("everybody is refused: the server has no `identify`");
            link.session(|session, _| session.refuse());
            return;
        };
        match catch_unwind(AssertUnwindSafe(|| identify(stranger, &hi))) {
            Ok(deciding) => {
                self.phase = Phase::Deciding(Box::new(Decision { deciding, hi, answer, request }));
            }
            Err(_) => self.undecided(link),
        }
    }

    /// `identify` panicked. That is no verdict: the client may try again.
    fn undecided(&mut self, link: &Arc<Link<P>>) {
        self.phase = Phase::Gone;
        self.error(ErrorCode::Failed, "`identify` panicked".to_owned());
        link.close(Close::new(1011, CloseReason::None));
    }

    fn decided(
        &mut self,
        link: &Arc<Link<P>>,
        hi: Hi,
        request: &Request<()>,
        verdict: Result<Accepted, Refuse>,
    ) -> Vec<Message> {
        match verdict {
            Ok(Accepted { user, welcome, state }) => {
                let conn = Conn::new(Parts {
                    id: self.id,
                    user,
                    hi,
                    peer_addr: self.peer_addr,
                    request: Kept::new(request),
                    state,
                    server: Arc::clone(&self.server),
                    link: Arc::clone(link),
                });
                // The client may have gone meanwhile; then nobody joins.
                if let Ok(held) = link.session(|session, _| session.admit(welcome)) {
                    self.phase = Phase::User(conn.clone());
                    self.server.join(&conn);
                    return held;
                }
            }
            Err(Refuse { close, cause, error }) => {
                match (error, cause) {
                    (Some(code), cause) => self.error(code, cause.unwrap_or_default()),
                    (None, Some(cause)) => {
                        tracing::debug!(%cause, peer = ?self.peer_addr, "refused");
                    }
                    (None, None) => {}
                }
                link.close(close);
            }
        }
        Vec::new()
    }
}

impl<P: Protocol> Report for Conn<P> {
    fn failed(&self, Failed { code, name, fault }: Failed) {
        let (conn, name, message) = (Some(self.clone()), Some(name), fault.to_string());
        self.emit(ServerEvent::Error(ServerError { conn, code, name, message }));
    }
}

impl<P: Protocol> Side<P> for Host<P> {
    type Conn = Conn<P>;
    type Report = Conn<P>;

    fn scope<'a>(&'a self, link: &'a Arc<Link<P>>) -> Option<Scope<'a, P, Conn<P>, Conn<P>>> {
        let Phase::User(conn) = &self.phase else { return None };
        let Inner { router, tasks, .. } = &*self.server;
        Some(Scope { router, link, connection: conn.clone(), tasks, report: conn })
    }

    fn event(&mut self, link: &Arc<Link<P>>, event: Event) {
        match event {
            Event::Greeted { hi } => self.greeted(link, hi),
            Event::Answered { answer } => {
                if let Phase::Deciding(decision) = &self.phase
                    && let Some(waiting) =
                        decision.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
                {
                    let _ = waiting.send(answer);
                }
            }
            Event::Liveness(state) => {
                if let Phase::User(conn) = &self.phase {
                    conn.emit(match state {
                        LivenessState::Live => ServerEvent::Live(conn.clone()),
                        LivenessState::Late => ServerEvent::Late(conn.clone()),
                    });
                }
            }
            Event::Complaint { fault } => {
                count(&self.server.counts.complaints);
                self.error(ErrorCode::Complaint, fault.message.unwrap_or_default());
            }
            Event::Unreadable { error } => {
                count(&self.server.counts.unreadable);
                self.error(ErrorCode::MessageProcessing, error.to_string());
            }
            Event::Violation { code, error } => {
                let message = error.map_or_else(
                    || "the peer sent what the protocol does not allow".to_owned(),
                    |error| error.to_string(),
                );
                self.error(code, message);
            }
            _ => {}
        }
    }

    fn poll(&mut self, link: &Arc<Link<P>>, cx: &mut Context<'_>) -> Vec<Message> {
        let Phase::Deciding(decision) = &mut self.phase else { return Vec::new() };
        match catch_unwind(AssertUnwindSafe(|| decision.deciding.poll_unpin(cx))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(verdict)) => {
                if let Phase::Deciding(decision) = std::mem::replace(&mut self.phase, Phase::Gone) {
                    let Decision { hi, request, .. } = *decision;
                    return self.decided(link, hi, &request, verdict);
                }
            }
            Err(_) => self.undecided(link),
        }
        Vec::new()
    }

    fn max_handlers(&self) -> usize {
        self.server.config.handlers
    }

    fn config(&self) -> DriverConfig {
        let config = &self.server.config;
        DriverConfig { limits: config.limits, close_timeout: config.close_timeout }
    }

    fn duplicates(&self) -> Option<Duplicates> {
        self.conn().map(|conn| self.server.windows.of(conn.user()))
    }

    fn failed(&mut self, _link: &Arc<Link<P>>, error: ws::Error) {
        match error {
            ws::Error::Protocol(error) => self.error(ErrorCode::ConnectionError, error.to_string()),
            error => tracing::debug!(%error, peer = ?self.peer_addr, "connection lost"),
        }
    }

    fn departed(&mut self, _link: &Arc<Link<P>>, close: &Close) {
        if let Phase::User(conn) = std::mem::replace(&mut self.phase, Phase::Gone) {
            self.server.depart(&conn, close);
        }
    }
}

impl<P: Protocol> Drop for Host<P> {
    /// A connection whose task is cancelled has ended all the same.
    fn drop(&mut self) {
        self.server.roster.leave(self.id);
        if let Phase::User(conn) = std::mem::replace(&mut self.phase, Phase::Gone) {
            self.server.depart(&conn, &Close::VANISHED);
        }
    }
}
