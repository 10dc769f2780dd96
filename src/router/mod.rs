//! [`Router`]: chooses the handler of a message. Payload types are known only here: they are erased
//! when a handler is registered.

mod call;
mod failure;
mod namespace;
mod outcome;
mod replying;
mod running;
mod started;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use wse_proto::{Decode, Encode, ErrorCode, Fault, Protocol, ReceiptOf, Stamp, Text, excerpt};
use wse_transport::ws;

use crate::chain::chain;
use crate::connection::{Class, Connection, Incoming, OwnClose, Tasks};
pub use call::Call;
use call::RunningCall;
pub(crate) use failure::Failure;
use failure::HandlerFailure;
pub use outcome::{BoxError, HandlerError, Ok, Outcome};
use replying::{ReplyTo, Replying};
use running::Kind;
use started::{HandlerFuture, NotStarted, StartResult, StartedCall};

type MessageHandler<C> =
    dyn Fn(C, &Connection, &Bytes) -> StartResult<HandlerFuture<()>> + Send + Sync;
/// Its future returns the packed reply.
type ProcedureHandler<C> =
    dyn Fn(C, &Arc<Connection>, &Incoming, &Bytes) -> StartResult<StartedCall> + Send + Sync;
type UnhandledHandler<C> = dyn Fn(C, Unhandled) -> HandlerFuture<()> + Send + Sync;

/// Handlers by name. A peer chooses only which name is looked up, never which is stored, so the
/// hash needs no protection against collisions.
///
/// Only the hot path uses `get`. With a second caller it is not inlined there, which costs 23 instructions a call.
type ByName<H> = HashMap<Name, Arc<H>, FxBuildHasher>;

/// The name of a handler. It is hashed as bytes: as `str`, a [`Text`] is checked first.
#[derive(Clone, PartialEq, Eq)]
struct Name(Text);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A message without a handler of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unhandled {
    /// The name of the message.
    pub name: Text,
    /// The payload, encoded in the connection's format.
    pub payload: Bytes,
}

/// The handlers of an endpoint. `C` is the type that they get as their connection. All threads look
/// up every message here, and changes are rare: each change makes a new table, and readers take no
/// lock.
pub(crate) struct Router<C>(ArcSwap<Handlers<C>>);

struct Handlers<C> {
    messages: ByName<MessageHandler<C>>,
    procedures: ByName<ProcedureHandler<C>>,
    unhandled: Option<Arc<UnhandledHandler<C>>>,
}

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

impl<C> Default for Handlers<C> {
    fn default() -> Self {
        Self { messages: HashMap::default(), procedures: HashMap::default(), unhandled: None }
    }
}

impl<C> Clone for Handlers<C> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            procedures: self.procedures.clone(),
            unhandled: self.unhandled.clone(),
        }
    }
}

impl<C> Default for Router<C> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<C: Send + 'static> Router<C> {
    pub(crate) fn on<P, T, F, Fut>(&self, name: Text, handler: F)
    where
        P: Protocol<Format: Decode<T>>,
        F: Fn(C, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let erased = move |handle: C, connection: &Connection, payload: &Bytes| {
            let future = handler(handle, payload_of::<P, T>(connection, payload)?);
            Result::Ok(Box::pin(async move { future.await.into_result() }) as HandlerFuture<()>)
        };
        self.insert_message(name, Arc::new(erased));
    }

    pub(crate) fn procedure<P, T, R, E, F, Fut>(&self, name: Text, handler: F)
    where
        P: Protocol<Format: Decode<T> + Encode<R>>,
        F: Fn(C, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
    {
        let erased =
            move |handle: C, connection: &Arc<Connection>, _: &Incoming, payload: &Bytes| {
                let future = handler(handle, payload_of::<P, T>(connection, payload)?);
                let reply = Box::pin(Replying::<P, R, E, Fut>::new(future));
                Result::Ok(StartedCall { reply, running: None })
            };
        self.insert_procedure(name, Arc::new(erased));
    }

    pub(crate) fn procedure_with<P, T, R, E, F, Fut>(&self, name: Text, handler: F)
    where
        P: Protocol<Format: Decode<T> + Encode<R>>,
        F: Fn(C, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
    {
        let erased =
            move |handle: C, connection: &Arc<Connection>, call: &Incoming, payload: &Bytes| {
                let payload = payload_of::<P, T>(connection, payload)?;
                let (call, running) = RunningCall::begin(connection, call, payload);
                let reply = Box::pin(Replying::<P, R, E, Fut>::new(handler(handle, call)));
                Result::Ok(StartedCall { reply, running: Some(running) })
            };
        self.insert_procedure(name, Arc::new(erased));
    }

    fn insert_message(&self, name: Text, handler: Arc<MessageHandler<C>>) {
        self.change(|handlers| handlers.messages.insert(Name(name.clone()), Arc::clone(&handler)));
    }

    fn insert_procedure(&self, name: Text, procedure: Arc<ProcedureHandler<C>>) {
        self.change(|handlers| {
            handlers.procedures.insert(Name(name.clone()), Arc::clone(&procedure))
        });
    }

    pub(crate) fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(C, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let erased = move |handle: C, message: Unhandled| {
            let future = handler(handle, message);
            Box::pin(async move { future.await.into_result() }) as HandlerFuture<()>
        };
        let erased: Arc<UnhandledHandler<C>> = Arc::new(erased);
        self.change(|handlers| handlers.unhandled = Some(Arc::clone(&erased)));
    }

    /// Drops all handlers and what they hold.
    pub(crate) fn clear(&self) {
        self.0.store(Arc::default());
    }

    pub(crate) fn remove_message(&self, name: &str) -> bool {
        self.change(|handlers| handlers.messages.remove(name.as_bytes())).is_some()
    }

    pub(crate) fn remove_procedure(&self, name: &str) -> bool {
        self.change(|handlers| handlers.procedures.remove(name.as_bytes())).is_some()
    }

    /// Replaces the table by a changed copy. Repeats this if another thread was faster.
    fn change<R>(&self, change: impl Fn(&mut Handlers<C>) -> R) -> R {
        let mut result = None;
        self.0.rcu(|old| {
            let mut handlers = Handlers::clone(old);
            result = Some(change(&mut handlers));
            handlers
        });
        result.expect("changed at least once")
    }
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
                        kind,
                        bytes,
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
        match started {
            Result::Ok(StartedCall { mut reply, running }) => {
                let to = ReplyTo { connection, stamp: &stamp, running: running.as_deref() };
                let mut closes = false;
                let polled = running::poll(
                    |cx| {
                        connection.poll_procedure(&mut closes, || reply.as_mut().poll_reply(to, cx))
                    },
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
                        let mut own = OwnClose { connection: Arc::clone(connection), closes };
                        running::spawn(
                            tasks,
                            connection,
                            Kind::Procedure,
                            payload.len(),
                            async move |connection: Arc<Connection>| {
                                let outcome = running::catch_panic(|cx| {
                                    let running = running.as_deref();
                                    let to =
                                        ReplyTo { connection: &connection, stamp: &stamp, running };
                                    connection.poll_procedure(&mut own.closes, || {
                                        reply.as_mut().poll_reply(to, cx)
                                    })
                                });
                                let outcome = outcome.await;
                                if let Err(error) = running::drop_caught(reply) {
                                    let failed = HandlerFailure::new(name.clone(), error, expose);
                                    report.failed(failed.failure);
                                }
                                let outcome = outcome.map_err(|error| (name, error));
                                answer(&connection, &report, stamp, running, outcome, expose);
                                drop(own);
                            },
                        );
                    }
                }
            }
            Err(why) => {
                let failed = not_started(name, why, expose).for_call();
                fail(connection, report, stamp, failed, false);
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

/// Decodes the payload as the handler's type.
fn payload_of<P: Protocol, T>(connection: &Connection, payload: &Bytes) -> StartResult<T>
where
    P::Format: Decode<T>,
{
    connection.decode::<P, T>(payload).map_err(|error| NotStarted::Payload(Box::new(error)))
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
        Result::Ok(reply) => drop(connection.push(Class::Answer, reply)),
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

impl<C> fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers = self.0.load();
        f.debug_struct("Router")
            .field("messages", &handlers.messages.keys())
            .field("procedures", &handlers.procedures.keys())
            .finish_non_exhaustive()
    }
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
