//! [`Scope`]: passes a message or call to its handler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use wse_proto::session::Tracked;
use wse_proto::{ErrorCode, Fault, ReceiptOf, Stamp, Text, excerpt};
use wse_transport::ws;

use super::call::RunningCall;
use super::failure::{Failure, HandlerFailure};
use super::namespace;
use super::output::BoxError;
use super::replying::ReplyTo;
use super::running::{self, Kind, Load};
use super::started::{NotStarted, StartResult, StartedCall};
use super::table::{Handlers, Router, Unhandled};
use crate::chain::chain;
use crate::connection::{Class, Connection, Incoming, OwnClose, Tasks, payload_size};

/// Receives the failures of an endpoint's handlers.
pub(crate) trait Report: Clone + Send + 'static {
    fn failed(&self, failure: Failure);
}

/// The handlers of an endpoint, and what one runs with.
pub(crate) struct Scope<'a, C, R> {
    pub(crate) router: &'a Router<C>,
    pub(crate) connection: &'a Arc<Connection>,
    /// What the handlers get as their connection.
    pub(crate) handle: C,
    pub(crate) tasks: &'a Tasks,
    pub(crate) report: &'a R,
    /// Whether the peer gets the text of an error.
    pub(crate) expose: bool,
}
impl<C: Send + 'static, R: Report> Scope<'_, C, R> {
    /// Passes a message to its handler.
    pub(crate) fn message(self, name: Text, payload: Bytes, reliable: bool, cx: &mut Context<'_>) {
        let Self { router, connection, handle, tasks, report, expose } = self;
        let bytes = payload.len();
        let handlers = router.0.load();
        let started = if let Some(handler) = handlers.messages.get(name.as_bytes()) {
            start(|| handler(handle, connection, &payload))
        } else if connection.wire.info.has_one_namespace()
            && let Some((_, procedure)) = handlers.procedures.get_key_value(name.as_bytes())
        {
            let call = namespace::unanswered();
            start(|| procedure(handle, connection, &call, &payload))
                .map(|started| namespace::as_handler(connection, call, started))
        } else if let Some(handler) = &handlers.unhandled {
            hint(&handlers, connection, &name);
            let message = Unhandled { name: name.clone(), payload };
            start(|| Result::Ok(handler(handle, message)))
        } else {
            hint(&handlers, connection, &name);
            tracing::debug!(name = %excerpt(&name), "no handler for this message");
            return;
        };
        drop(handlers);
        match started {
            Result::Ok(mut future) => match running::poll(|cx| future.as_mut().poll(cx), cx) {
                Poll::Ready(Result::Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    report.failed(HandlerFailure::new(name, error, expose).for_message())
                }
                Poll::Pending => {
                    let report = report.clone();
                    let kind = if reliable { Kind::Reliable } else { Kind::Message };
                    running::spawn(
                        tasks,
                        connection,
                        Load { kind, payload: bytes, answer: 0 },
                        async move |_: Arc<Connection>| {
                            let outcome = running::catch_panic(|cx| future.as_mut().poll(cx));
                            if let Err(error) = outcome.await {
                                report
                                    .failed(HandlerFailure::new(name, error, expose).for_message());
                            }
                        },
                    );
                }
            },
            // The connection stays open: only this payload has the wrong type.
            Err(why) => report.failed(not_started(name, why, expose).failure),
        }
    }

    /// Passes a call to its procedure. Every call is answered, unless the caller has cancelled it.
    pub(crate) fn call(self, name: Text, call: Incoming, payload: Bytes, cx: &mut Context<'_>) {
        let Self { router, connection, handle, tasks, report, expose } = self;
        let handlers = router.0.load();
        let started = if let Some(handler) = handlers.procedures.get(name.as_bytes()) {
            start(|| handler(handle, connection, &call, &payload))
        } else if connection.wire.info.has_one_namespace()
            && let Some((_, handler)) = handlers.messages.get_key_value(name.as_bytes())
        {
            start(|| namespace::as_procedure(handler(handle, connection, &payload)))
        } else {
            connection.fault(call.stamp, Fault::new(ErrorCode::NotRegistered), false);
            return;
        };
        drop(handlers);
        let stamp = call.stamp;
        // By a pattern that moves all, so that nothing is left to drop.
        let StartedCall { mut reply, running } = match started {
            Result::Ok(started) => started,
            Err(why) => {
                let failed = not_started(name, why, expose).for_call();
                return fail(connection, report, stamp, failed, false);
            }
        };
        let to = ReplyTo { connection, stamp: &stamp, running: running.as_deref() };
        let mut closes = false;
        let polled = running::poll(
            |cx| connection.poll_procedure(&mut closes, || reply.as_mut().poll_reply(to, cx)),
            cx,
        );
        match polled {
            Poll::Ready(outcome) => {
                if let Err(error) = running::drop_caught(reply) {
                    report.failed(HandlerFailure::new(name.clone(), error, expose).failure);
                }
                let outcome = outcome.map_err(|error| (name, error));
                answer(connection, report, stamp, running, outcome, expose);
                if closes {
                    connection.answered_own();
                }
            }
            Poll::Pending => {
                let report = report.clone();
                let size = router.answer_size(&name);
                let session = connection.session_number();
                let mut own = OwnClose { connection: Arc::clone(connection), closes };
                running::spawn(
                    tasks,
                    connection,
                    Load { kind: Kind::Procedure, payload: payload.len(), answer: size.expected() },
                    async move |connection: Arc<Connection>| {
                        let outcome = running::catch_panic(|cx| {
                            let running = running.as_deref();
                            let to = ReplyTo { connection: &connection, stamp: &stamp, running };
                            connection.poll_procedure(&mut own.closes, || {
                                reply.as_mut().poll_reply(to, cx)
                            })
                        });
                        let outcome = outcome.await;
                        if let Err(error) = running::drop_caught(reply) {
                            let failed = HandlerFailure::new(name.clone(), error, expose);
                            report.failed(failed.failure);
                        }
                        if let Result::Ok(reply) = &outcome {
                            size.record(payload_size(reply));
                        }
                        let outcome = outcome.map_err(|error| (name, error));
                        if connection.session_number() == session {
                            answer(&connection, &report, stamp, running, outcome, expose);
                        }
                        drop(own);
                    },
                );
            }
        }
    }
}
/// Warns once for each connection about a message for a procedure: the peer seems to count its calls from 0.
#[cold]
fn hint<C>(handlers: &Handlers<C>, connection: &Connection, name: &Text) {
    if handlers.procedures.contains_key(name.as_bytes())
        && !connection.hinted.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(
            %name,
            "the peer sent a message to a procedure, which was ignored; if it is a call, its stamp is missing: 0 and an \
             empty text are no stamps, so stamps have to count from 1"
        );
    }
}
/// Sends the result of a call. An answer to a connection that has ended is dropped.
fn answer<R: Report>(
    connection: &Arc<Connection>,
    report: &R,
    stamp: Stamp,
    running: Option<Box<RunningCall>>,
    outcome: Result<ws::Message, (Text, BoxError)>,
    expose: bool,
) {
    let mut receipt = false;
    if let Some(running) = running {
        let state = &running.state;
        if state.token.is_cancelled() {
            return;
        }
        receipt = state.pack_request() && connection.gives_receipts();
        state.expect(|timeout| connection.expect(ReceiptOf::Answer, stamp.clone(), Some(timeout)));
    }
    match outcome {
        Result::Ok(reply) => {
            let tracked = || receipt.then(|| Tracked::Receipt(ReceiptOf::Answer, stamp));
            drop(connection.push_tracked(Class::Answer, reply, tracked));
        }
        Err((name, error)) => {
            fail(connection, report, stamp, HandlerFailure::new(name, error, expose), receipt);
        }
    }
}

fn fail<R: Report>(
    connection: &Connection,
    report: &R,
    stamp: Stamp,
    failed: HandlerFailure,
    receipt: bool,
) {
    connection.fault(stamp, failed.fault, receipt);
    report.failed(failed.failure);
}
/// Decodes the payload and calls the handler. Both may panic, like the future that the handler
/// returns. The panic is caught, since it must not end the task of the connection.
fn start<S>(handler: impl FnOnce() -> StartResult<S>) -> StartResult<S> {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or(Err(NotStarted::Panicked))
}

#[cold]
fn not_started(name: Text, why: NotStarted, expose: bool) -> HandlerFailure {
    match why {
        NotStarted::Payload(error) => {
            let fault = Fault::new(ErrorCode::InvalidPayload).message(chain(&*error));
            HandlerFailure::exposed(ErrorCode::MessageProcessing, name, fault)
        }
        NotStarted::Panicked => HandlerFailure::new(name, running::panicked(), expose),
    }
}
