//! [`ClientSide`]: the client's part of one connection, from its greeting to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::sync::DropGuard;
use wse_proto::session::{Close, Duplicates, Event, Heartbeat, LivenessState};
use wse_proto::{CloseReason, ErrorCode, Outcome, SessionMessage, Text};
use wse_transport::ws;

use super::error::ConnectError;
use super::renewal::renew;
use super::shared::{ClientCore, Shared};
use super::status::ClientEvent;
use crate::chain::chain;
use crate::connection::{Connection, DriverConfig, Incoming, Resumed, Side, Tasks, count};
use crate::random;
use crate::router::{BoxError, Failure, Report, Scope};

pub(super) struct ClientSide {
    shared: Arc<Shared>,
    /// Receives the welcome, or the error in its place.
    welcomed: Option<oneshot::Sender<Result<Bytes, ConnectError>>>,
    ready: bool,
    /// How the attempt to resume the session has ended, until the welcome is handled.
    resumed: Option<Outcome>,
    /// How the last socket of the session has ended.
    last_close: Option<Close>,
    /// Receives how the connection ended.
    ended: Option<oneshot::Sender<Close>>,
    solving: Option<BoxFuture<'static, Result<Bytes, BoxError>>>,
    /// Stops the task that asks for new credentials.
    renewing: Option<DropGuard>,
}

impl ClientSide {
    pub(super) fn new(
        shared: Arc<Shared>,
        welcomed: oneshot::Sender<Result<Bytes, ConnectError>>,
        ended: oneshot::Sender<Close>,
    ) -> Self {
        Self {
            shared,
            welcomed: Some(welcomed),
            ready: false,
            resumed: None,
            last_close: None,
            ended: Some(ended),
            solving: None,
            renewing: None,
        }
    }

    /// The session is about to be resumed over another socket.
    pub(super) fn reconnecting(
        &mut self,
        welcomed: oneshot::Sender<Result<Bytes, ConnectError>>,
        ended: oneshot::Sender<Close>,
    ) {
        (self.welcomed, self.ended) = (Some(welcomed), Some(ended));
    }

    /// Handles the welcome, before any message after it is handled: handlers may send at once.
    fn welcomed(&mut self, connection: &Arc<Connection>, welcome: Bytes) {
        self.ready = true;
        match self.resumed.take() {
            Some(outcome @ (Outcome::Full | Outcome::Partial { .. })) => {
                self.shared.resumed(connection, &welcome, Resumed::of(&outcome));
            }
            other => {
                if let Some(close) = self.last_close.take().filter(|_| other.is_some()) {
                    // The server does not know the session any more.
                    self.shared.emit(ClientEvent::Closed(close));
                }
                self.shared.ready(Arc::clone(connection), welcome.clone());
            }
        }
        if let Some(welcomed) = self.welcomed.take() {
            let _ = welcomed.send(Ok(welcome));
        }
    }

    /// Fails the greeting for a reason on the client's side.
    fn give_up(&mut self, connection: &Arc<Connection>, error: ConnectError) {
        self.fail(error);
        connection.close(Close::normal(CloseReason::ByClient));
    }

    fn fail(&mut self, error: ConnectError) {
        if let Some(welcomed) = self.welcomed.take() {
            let _ = welcomed.send(Err(error));
        }
    }
}

impl Report for Arc<Shared> {
    fn failed(&self, Failure { code, name, message, id, source }: Failure) {
        tracing::debug!(%code, %name, message, "error event");
        self.emit(ClientEvent::Error { code, name: Some(name), message, id, source });
    }
}

impl ClientSide {
    /// Returns what handlers run with. `None` when the application has dropped its client.
    fn scope<'a>(
        &'a self,
        connection: &'a Arc<Connection>,
    ) -> Option<Scope<'a, ClientCore, Arc<Shared>>> {
        let handle = ClientCore::of(&self.shared)?;
        let Shared { router, tasks, settings, .. } = &*self.shared;
        let expose = settings.expose_errors;
        Some(Scope { router, connection, handle, tasks, report: &self.shared, expose })
    }
}

impl Side for ClientSide {
    type Alive = ClientCore;

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
            Event::Challenged { quest } => match &self.shared.settings.solver {
                Some(solve) => {
                    let solving = || solve(Arc::clone(connection), &quest);
                    match catch_unwind(AssertUnwindSafe(solving)) {
                        Ok(solving) => self.solving = Some(solving),
                        Err(_) => self.give_up(connection, panicked()),
                    }
                }
                None => self.give_up(connection, ConnectError::NoSolver),
            },
            Event::Ready { welcome } => self.welcomed(connection, welcome),
            Event::Resumed { outcome } => self.resumed = Some(outcome),
            Event::Suspended { close } => {
                self.last_close = Some(close.clone());
                self.shared.suspended(connection, close);
            }
            Event::Drain { notice } => {
                let close = Close::new(4000, CloseReason::Drain);
                if self.shared.reconnects_after(&close) {
                    let random = random::unit();
                    connection.session(|session, now| session.follow_drain(now, &notice, random));
                }
            }
            Event::Expires { time } => {
                self.shared.emit(ClientEvent::Expiring(time));
                self.renewing = renew(&self.shared, connection, time);
            }
            Event::Renewed { time } => self.shared.emit(ClientEvent::Renewed(time)),
            Event::Liveness(state) => {
                self.shared.emit(match state {
                    LivenessState::Live => ClientEvent::Live,
                    LivenessState::Late => ClientEvent::Late,
                });
            }
            Event::ErrorReport { fault } => {
                count(&self.shared.counts.error_reports);
                self.shared.error_report(fault);
            }
            Event::Unreadable { error } => {
                count(&self.shared.counts.unreadable);
                self.shared.error(ErrorCode::MessageProcessing, &chain(&error));
            }
            Event::Violation { code, error } => {
                let message = error.map_or_else(
                    || "the server broke the protocol".to_owned(),
                    |error| chain(&error),
                );
                self.shared.error(code, &message);
            }
            _ => {}
        }
    }

    fn poll(&mut self, connection: &Arc<Connection>, cx: &mut Context<'_>) -> Vec<SessionMessage> {
        let Some(solving) = &mut self.solving else { return Vec::new() };
        let answer = match catch_unwind(AssertUnwindSafe(|| solving.poll_unpin(cx))) {
            Ok(Poll::Pending) => return Vec::new(),
            Ok(Poll::Ready(answer)) => answer.map_err(ConnectError::Credentials),
            Err(_) => Err(panicked()),
        };
        self.solving = None;
        match answer {
            // Fails when the connection has ended meanwhile.
            Ok(answer) => drop(connection.session(|session, _| session.answer(answer))),
            Err(error) => self.give_up(connection, error),
        }
        Vec::new()
    }

    fn alive(&self) -> Option<ClientCore> {
        ClientCore::of(&self.shared)
    }

    fn max_handlers(&self) -> usize {
        self.shared.settings.handlers
    }

    fn config(&self) -> DriverConfig {
        let settings = &self.shared.settings;
        DriverConfig {
            limits: settings.limits,
            handled_bytes: settings.handled_bytes(),
            close_timeout: settings.close_timeout,
        }
    }

    fn duplicates(&self) -> Option<Duplicates> {
        Some(self.shared.duplicates.clone())
    }

    fn slow(&mut self, _connection: &Arc<Connection>) {
        self.shared.emit(ClientEvent::Slow);
    }

    fn panicked(&mut self, connection: &Arc<Connection>, text: &str) {
        let name = connection.wire.info.name();
        self.shared.panicked(name.into(), format!("the protocol `{name}` panicked{text}"));
    }

    fn failed(&mut self, _connection: &Arc<Connection>, error: ws::Error) {
        if self.welcomed.is_some() {
            self.fail(ConnectError::Socket(error));
        } else if let ws::Error::Protocol(error) = error {
            self.shared.error(ErrorCode::ConnectionError, &error.to_string());
        }
    }

    fn tasks(&self) -> Tasks {
        self.shared.tasks.clone()
    }

    fn heartbeat(&self, _connection: &Connection) -> Option<(Heartbeat, f64)> {
        // One client needs no jitter.
        self.shared.settings.heartbeat.map(|heartbeat| (heartbeat, 0.0))
    }

    fn lost(&mut self, close: &Close) {
        (self.solving, self.renewing) = (None, None);
        self.fail(ConnectError::Refused(close.clone()));
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(close.clone());
        }
    }

    fn departed(&mut self, connection: &Arc<Connection>, close: &Close) {
        (self.solving, self.renewing) = (None, None);
        self.fail(ConnectError::Refused(close.clone()));
        if self.ready {
            self.shared.ended(connection, close);
        }
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(close.clone());
        }
    }
}

fn panicked() -> ConnectError {
    ConnectError::Credentials("the solver panicked".into())
}
