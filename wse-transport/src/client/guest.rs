//! [`Guest`]: the client's side of one connection, from greeting to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use wse_proto::session::{Close, Duplicates, Event, LivenessState};
use wse_proto::{CloseReason, ErrorCode, Fault, Message, Protocol};

use super::Client;
use super::error::ConnectError;
use super::shared::Shared;
use super::status::ClientEvent;
use crate::connection::{DriverConfig, Link, Side, count};
use crate::router::{Failed, Report, Scope};
use crate::ws;

pub(super) struct Guest<P: Protocol> {
    shared: Arc<Shared<P>>,
    /// Waits for the welcome, or for why there is none.
    welcomed: Option<oneshot::Sender<Result<Bytes, ConnectError>>>,
    ready: bool,
    /// Waits for the end.
    ended: Option<oneshot::Sender<Close>>,
    solving: Option<BoxFuture<'static, Result<Bytes, Fault>>>,
}

impl<P: Protocol> Guest<P> {
    pub(super) fn new(
        shared: Arc<Shared<P>>,
        welcomed: oneshot::Sender<Result<Bytes, ConnectError>>,
        ended: oneshot::Sender<Close>,
    ) -> Self {
        Self { shared, welcomed: Some(welcomed), ready: false, ended: Some(ended), solving: None }
    }

    /// The greeting has failed through our own fault.
    fn give_up(&mut self, link: &Arc<Link<P>>, error: ConnectError) {
        self.fail(error);
        link.close(Close::normal(CloseReason::ByClient));
    }

    fn fail(&mut self, error: ConnectError) {
        if let Some(welcomed) = self.welcomed.take() {
            let _ = welcomed.send(Err(error));
        }
    }
}

impl<P: Protocol> Report for Arc<Shared<P>> {
    fn failed(&self, Failed { code, name, fault }: Failed) {
        self.error(code, Some(name), fault.to_string());
    }
}

impl<P: Protocol> Side<P> for Guest<P> {
    type Conn = Client<P>;
    type Report = Arc<Shared<P>>;

    fn scope<'a>(
        &'a self,
        link: &'a Arc<Link<P>>,
    ) -> Option<Scope<'a, P, Client<P>, Arc<Shared<P>>>> {
        let connection = Client::of(&self.shared)?;
        let Shared { router, tasks, .. } = &*self.shared;
        Some(Scope { router, link, connection, tasks, report: &self.shared })
    }

    fn event(&mut self, link: &Arc<Link<P>>, event: Event) {
        match event {
            Event::Challenged { quest } => match &self.shared.settings.solver {
                Some(solve) => {
                    let format = link.format().clone();
                    match catch_unwind(AssertUnwindSafe(|| solve(format, &quest))) {
                        Ok(solving) => self.solving = Some(solving),
                        Err(_) => self.give_up(link, panicked()),
                    }
                }
                None => self.give_up(link, ConnectError::NoSolver),
            },
            Event::Ready { welcome } => {
                // Before any message behind the welcome is handled: handlers may answer at once.
                self.ready = true;
                self.shared.ready(Arc::clone(link), welcome.clone());
                if let Some(welcomed) = self.welcomed.take() {
                    let _ = welcomed.send(Ok(welcome));
                }
            }
            Event::Liveness(state) => {
                let _ = self.shared.events.send(match state {
                    LivenessState::Live => ClientEvent::Live,
                    LivenessState::Late => ClientEvent::Late,
                });
            }
            Event::Complaint { fault } => {
                count(&self.shared.counts.complaints);
                let message = fault.message.unwrap_or_default();
                self.shared.error(ErrorCode::Complaint, None, message);
            }
            Event::Unreadable { error } => {
                count(&self.shared.counts.unreadable);
                self.shared.error(ErrorCode::MessageProcessing, None, error.to_string());
            }
            Event::Violation { code, error } => {
                let message = error.map_or_else(
                    || "the server sent what the protocol does not allow".to_owned(),
                    |error| error.to_string(),
                );
                self.shared.error(code, None, message);
            }
            _ => {}
        }
    }

    fn poll(&mut self, link: &Arc<Link<P>>, cx: &mut Context<'_>) -> Vec<Message> {
        let Some(solving) = &mut self.solving else { return Vec::new() };
        let answer = match catch_unwind(AssertUnwindSafe(|| solving.poll_unpin(cx))) {
            Ok(Poll::Pending) => return Vec::new(),
            Ok(Poll::Ready(answer)) => answer.map_err(ConnectError::Credentials),
            Err(_) => Err(panicked()),
        };
        self.solving = None;
        match answer {
            // The server may have gone meanwhile.
            Ok(answer) => drop(link.session(|session, _| session.answer(answer))),
            Err(error) => self.give_up(link, error),
        }
        Vec::new()
    }

    fn max_handlers(&self) -> usize {
        self.shared.settings.handlers
    }

    fn config(&self) -> DriverConfig {
        let settings = &self.shared.settings;
        DriverConfig { limits: settings.limits, close_timeout: settings.close_timeout }
    }

    fn duplicates(&self) -> Option<Duplicates> {
        Some(self.shared.duplicates.clone())
    }

    fn failed(&mut self, _link: &Arc<Link<P>>, error: ws::Error) {
        if self.welcomed.is_some() {
            self.fail(ConnectError::Socket(error));
        } else if let ws::Error::Protocol(error) = error {
            self.shared.error(ErrorCode::ConnectionError, None, error.to_string());
        }
    }

    fn departed(&mut self, _link: &Arc<Link<P>>, close: &Close) {
        self.solving = None;
        self.fail(ConnectError::Refused(close.clone()));
        if self.ready {
            self.shared.ended(close);
        }
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(close.clone());
        }
    }
}

fn panicked() -> ConnectError {
    ConnectError::Credentials(Fault::failed("the solver panicked"))
}
