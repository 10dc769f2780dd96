//! [`ServerSide`]: the server's part of one connection, from its greeting to its end.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use http::Request;
use tokio_util::sync::DropGuard;
use wse_proto::session::{Close, Duplicates, Event, Heartbeat, LivenessState};
use wse_proto::{CloseReason, ErrorCode, Hi, Pings, SessionMessage, Text};
use wse_transport::ws;

use super::admission::Admission;
use super::core::{ConnCore, CoreErrorEvent, CoreEvent, ServerCore};
use super::identify::{AnswerSlot, DecisionFuture, Refuse, UnauthenticatedCore};
use super::refused::{Refused, RefusedAt, RefusedWith};
use super::renewal::renew;
use crate::chain::{chain, find_source};
use crate::connection::{Connection, DriverConfig, Incoming, Side, Tasks, count};
use crate::random;
use crate::router::{BoxError, Failure, Report, Scope};

pub(super) struct ServerSide {
    server: Arc<ServerCore>,
    /// Until the connection is accepted, which knows it then. Boxed, so that idle connections do not have space for it.
    peer_addr: Option<Box<SocketAddr>>,
    id: u64,
    phase: Phase,
    /// Stops the decision about new credentials.
    renewing: Option<Box<DropGuard>>,
}

enum Phase {
    AwaitingGreeting(Arc<Request<()>>),
    Identifying(Box<Decision>),
    /// Waits until the events of the user's other connections are emitted.
    Accepted(Box<Admission>),
    User(ConnCore),
    Ended,
}

struct Decision {
    deciding: DecisionFuture,
    hi: Hi,
    answer: AnswerSlot,
    request: Arc<Request<()>>,
}

impl ServerSide {
    pub(super) fn new(
        server: Arc<ServerCore>,
        connection: &Arc<Connection>,
        request: Request<()>,
        peer_addr: Option<SocketAddr>,
    ) -> Self {
        let id = server.next_id();
        server.registry.enter(id, connection);
        if server.stop.is_cancelled() {
            connection.close(server.shutdown_close());
        } else if server.is_draining() {
            connection.close(ServerCore::drain_close());
        }
        let phase = Phase::AwaitingGreeting(Arc::new(request));
        let peer_addr = peer_addr.map(Box::new);
        Self { server, peer_addr, id, phase, renewing: None }
    }

    fn conn(&self) -> Option<&ConnCore> {
        match &self.phase {
            Phase::User(conn) => Some(conn),
            _ => None,
        }
    }

    fn error(&self, code: ErrorCode, message: &str) {
        let conn = self.conn().cloned();
        self.server.emit(CoreEvent::Error(CoreErrorEvent::new(conn, code, message)));
    }

    fn on_greeting(&mut self, connection: &Arc<Connection>, mut hi: Hi) {
        let Phase::AwaitingGreeting(request) = &self.phase else { return };
        let request = Arc::clone(request);
        if let Some(find) =
            self.server.identity.as_ref().filter(|_| !connection.wire.info.has_greeting())
        {
            hi.identity = find(&request, &connection.wire).unwrap_or_default();
        }
        let answer = AnswerSlot::default();
        let candidate = UnauthenticatedCore {
            connection: Arc::clone(connection),
            request: Arc::clone(&request),
            peer_addr: self.peer_addr.as_deref().copied(),
            answer: Arc::clone(&answer),
        };
        let Some(identify) = &self.server.identify else {
            // Unreachable: a server without `identify` does not compile.
            return connection.session(|session, _| session.refuse());
        };
        match catch_unwind(AssertUnwindSafe(|| identify(candidate, &hi))) {
            Ok(deciding) => {
                self.phase =
                    Phase::Identifying(Box::new(Decision { deciding, hi, answer, request }));
            }
            Err(_) => {
                // The phase says how far the connection came.
                let deciding = Box::pin(std::future::pending());
                self.phase =
                    Phase::Identifying(Box::new(Decision { deciding, hi, answer, request }));
                self.identify_failed(connection, "`identify` panicked".into());
            }
        }
    }

    /// Reports that a connection is turned away. Does nothing after the first time, and once the connection is accepted.
    fn report_refused(&mut self, close: Close, cause: &str) {
        let stage = match &self.phase {
            Phase::AwaitingGreeting(_) => RefusedAt::Greeting,
            Phase::Identifying(_) | Phase::Accepted(_) => RefusedAt::Identify,
            Phase::User(_) | Phase::Ended => return,
        };
        self.phase = Phase::Ended;
        let peer_addr = self.peer_addr.as_deref().copied();
        self.server.refused(Refused::new(peer_addr, stage, RefusedWith::Close(close), cause));
    }

    fn refused(&mut self, connection: &Arc<Connection>, refuse: Refuse) {
        let Refuse { close, cause, error } = refuse;
        let cause = cause.as_deref().unwrap_or("`identify` has refused");
        if let Some(code) = error {
            self.error(code, cause);
        }
        self.report_refused(close.clone(), cause);
        connection.close(close);
    }

    /// Closes a connection whose `identify` failed or panicked. That is not a verdict about the client, which may try
    /// again.
    fn identify_failed(&mut self, connection: &Arc<Connection>, error: BoxError) {
        let failure = Failure::internal("identify".into(), error);
        let reason = failure.id.as_ref().map(|id| format!("internal error, id {id}"));
        let close = Close::new(1011, reason.unwrap_or_default());
        let cause = failure.message.clone();
        self.server.emit(CoreEvent::Error(CoreErrorEvent::of_failure(None, failure)));
        self.report_refused(close.clone(), &cause);
        connection.close(close);
    }

    /// Why this side has closed a connection before it was accepted, when nothing else has reported it.
    fn cause_of(&self, close: &Close) -> &'static str {
        match (&close.reason, &self.phase) {
            (CloseReason::NotAuthorized, Phase::AwaitingGreeting(_)) => "no greeting in time",
            (CloseReason::NotAuthorized, _) => "no decision in time",
            (CloseReason::HeartbeatTimeout, _) => "the client was no longer heard",
            _ if self.server.stop.is_cancelled() => "the server shuts down",
            _ if self.server.is_draining() => "the server drains",
            _ => "closed before the decision",
        }
    }

    /// Adds an accepted connection when it is its turn. Returns the messages that the session held.
    fn poll_admission(
        &mut self,
        connection: &Arc<Connection>,
        cx: &mut Context<'_>,
    ) -> Vec<SessionMessage> {
        let Phase::Accepted(admission) = &mut self.phase else { return Vec::new() };
        admission.decide(&self.server, connection);
        if !admission.is_new() {
            return Vec::new();
        }
        match admission.poll_place(&self.server, self.id, cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(close)) => {
                self.report_refused(close.clone(), "the cluster has no place for it");
                connection.close(close);
                return Vec::new();
            }
            Poll::Pending => return Vec::new(),
        }
        let Phase::Accepted(admission) = &mut self.phase else { return Vec::new() };
        if self.server.poll_turn(admission.user(), cx).is_pending() {
            return Vec::new();
        }
        let Phase::Accepted(admission) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return Vec::new();
        };
        let peer = (self.id, self.peer_addr.take().map(|it| *it));
        let Some((conn, first, held)) = admission.admit(&self.server, connection, peer) else {
            return Vec::new();
        };
        self.phase = Phase::User(conn.clone());
        self.server.join(&conn, first);
        held
    }
}

impl Report for ConnCore {
    fn failed(&self, failure: Failure) {
        self.emit(CoreEvent::Error(CoreErrorEvent::of_failure(Some(self.clone()), failure)));
    }
}

impl ServerSide {
    /// Returns what handlers run with. `None` before the connection is accepted.
    fn scope<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
    ) -> Option<Scope<'a, ConnCore, ConnCore>> {
        let Phase::User(conn) = &self.phase else { return None };
        let ServerCore { router, tasks, config, .. } = &*self.server;
        let (handle, expose) = (conn.clone(), config.expose_errors);
        Some(Scope { router, connection, handle, tasks, report: conn, expose })
    }
}

impl Side for ServerSide {
    type Alive = ();

    fn message(
        &self,
        connection: &Arc<Connection>,
        name: Text,
        payload: Bytes,
        reliable: bool,
        cx: &mut Context<'_>,
    ) {
        if let Some(scope) = self.scope(connection) {
            scope.message(name, payload, reliable, cx);
        }
    }

    fn call(
        &self,
        connection: &Arc<Connection>,
        name: Text,
        call: Incoming,
        payload: Bytes,
        cx: &mut Context<'_>,
    ) {
        if let Some(scope) = self.scope(connection) {
            scope.call(name, call, payload, cx);
        }
    }

    fn event(&mut self, connection: &Arc<Connection>, event: Event) {
        match event {
            Event::Greeted { hi } => self.on_greeting(connection, hi),
            Event::Answered { answer } => {
                if let Phase::Identifying(decision) = &self.phase {
                    let mut slot = decision.answer.lock().unwrap_or_else(PoisonError::into_inner);
                    let waiting = slot.take();
                    drop(slot);
                    let _ = waiting.map(|waiting| waiting.send(answer));
                }
            }
            Event::Suspended { close } => {
                if let Phase::User(conn) = &self.phase {
                    self.server.suspended(conn, close);
                }
            }
            Event::Resumed { outcome } => {
                if let Phase::User(conn) = &self.phase {
                    self.server.resumed(conn, &outcome);
                }
            }
            Event::Renew { hi } => {
                if let Phase::User(conn) = &self.phase {
                    self.renewing = Some(Box::new(renew(conn, hi)));
                }
            }
            Event::Liveness(state) => {
                if let Phase::User(conn) = &self.phase {
                    conn.emit(match state {
                        LivenessState::Live => CoreEvent::Live(conn.clone()),
                        LivenessState::Late => CoreEvent::Late(conn.clone()),
                    });
                }
            }
            Event::ErrorReport { fault } => {
                count(&self.server.counts.error_reports);
                let message = fault.message.as_deref().unwrap_or_default();
                let conn = self.conn().cloned();
                let event = CoreErrorEvent::new(conn, ErrorCode::ErrorReport, message);
                let source = Some(Arc::new(fault) as _);
                self.server.emit(CoreEvent::Error(CoreErrorEvent { source, ..event }));
            }
            Event::Unreadable { error } => {
                count(&self.server.counts.unreadable);
                self.error(ErrorCode::MessageProcessing, &chain(&error));
            }
            Event::Violation { code, error } => {
                let message = error.map_or_else(
                    || "the client broke the protocol".to_owned(),
                    |error| chain(&error),
                );
                self.error(code, &message);
                self.report_refused(Close::normal(CloseReason::ProtocolError), &message);
            }
            _ => {}
        }
    }

    fn poll(&mut self, connection: &Arc<Connection>, cx: &mut Context<'_>) -> Vec<SessionMessage> {
        if let Phase::Identifying(decision) = &mut self.phase {
            match catch_unwind(AssertUnwindSafe(|| decision.deciding.poll_unpin(cx))) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(Ok(accepted))) => {
                    if let Phase::Identifying(decision) =
                        std::mem::replace(&mut self.phase, Phase::Ended)
                    {
                        let Decision { hi, request, .. } = *decision;
                        let admission = Admission::new(accepted, hi, request);
                        self.phase = Phase::Accepted(Box::new(admission));
                    }
                }
                Ok(Poll::Ready(Err(error))) => {
                    match find_source(&*error, |error| error.downcast_ref::<Refuse>()) {
                        Some(refuse) => self.refused(connection, refuse.clone()),
                        None => self.identify_failed(connection, error),
                    }
                }
                Err(_) => self.identify_failed(connection, "`identify` panicked".into()),
            }
        }
        self.poll_admission(connection, cx)
    }

    fn alive(&self) -> Option<()> {
        Some(())
    }

    fn max_handlers(&self) -> usize {
        self.server.config.handlers
    }

    fn config(&self) -> DriverConfig {
        let config = &self.server.config;
        DriverConfig {
            limits: config.limits,
            handled_bytes: config.handled_bytes(),
            close_timeout: config.close_timeout,
        }
    }

    fn duplicates(&self) -> Option<Duplicates> {
        self.conn().map(|conn| self.server.config.windows.of(conn.user()))
    }

    fn slow(&mut self, _connection: &Arc<Connection>) {
        if let Phase::User(conn) = &self.phase {
            conn.emit(CoreEvent::Slow(conn.clone()));
        }
    }

    fn panicked(&mut self, connection: &Arc<Connection>, text: &str) {
        let name = connection.wire.info.name();
        let message = format!("the protocol `{name}` panicked{text}");
        tracing::error!(name, message, "application code panicked");
        let error = CoreErrorEvent::new(self.conn().cloned(), ErrorCode::Failed, &message);
        self.server.emit(CoreEvent::Error(CoreErrorEvent { name: Some(name.into()), ..error }));
        self.report_refused(Close::new(1011, "internal error"), &message);
    }

    fn failed(&mut self, _connection: &Arc<Connection>, error: ws::Error) {
        match error {
            ws::Error::Protocol(error) => {
                let message = error.to_string();
                self.error(ErrorCode::ConnectionError, &message);
                self.report_refused(Close::new(error.close_code().into(), ""), &message);
            }
            error => {
                let peer =
                    self.conn().map_or(self.peer_addr.as_deref(), |it| it.0.peer_addr.as_ref());
                tracing::debug!(%error, ?peer, "connection lost");
            }
        }
    }

    fn tasks(&self) -> Tasks {
        self.server.tasks.clone()
    }

    fn heartbeat(&self, connection: &Connection) -> Option<(Heartbeat, f64)> {
        let jitter = match connection.wire.info.can().has_pings() {
            // Peers of such a protocol expect the first ping at once.
            Pings::Always => 0.0,
            _ => random::unit(),
        };
        self.server.config.heartbeat.map(|heartbeat| (heartbeat, jitter))
    }

    fn resumes(&mut self) -> Option<Arc<Connection>> {
        match &mut self.phase {
            Phase::Accepted(admission) => admission.take_resumed(),
            _ => None,
        }
    }

    fn adopt(
        &mut self,
        connection: &Arc<Connection>,
        greeted: &Arc<Connection>,
        by: &mut Self,
    ) -> bool {
        let (Phase::User(conn), Phase::Accepted(admission)) = (&self.phase, &by.phase) else {
            return false;
        };
        if !admission.attach(conn, greeted) {
            return false;
        }
        self.renewing = None;
        by.phase = Phase::Ended;
        if self.server.registry.is_aborted() {
            connection.abort();
        }
        true
    }

    fn not_resumed(&mut self) {
        if let Phase::Accepted(admission) = &mut self.phase {
            admission.not_resumed();
        }
    }

    fn relieve(&self) {
        self.server.relieve();
    }

    fn departed(&mut self, connection: &Arc<Connection>, close: &Close) {
        if connection.is_closing() {
            self.report_refused(close.clone(), self.cause_of(close));
        }
        if let Phase::User(conn) = std::mem::replace(&mut self.phase, Phase::Ended) {
            self.server.depart(&conn, close);
        }
    }
}

impl Drop for ServerSide {
    /// Also handles the end of a connection whose task was cancelled.
    fn drop(&mut self) {
        self.server.registry.leave(self.id);
        if self.server.cluster.is_some() {
            self.server.evicted_early().remove(&self.id);
        }
        if let Phase::User(conn) = std::mem::replace(&mut self.phase, Phase::Ended) {
            self.server.depart(&conn, &Close::VANISHED);
        }
    }
}
