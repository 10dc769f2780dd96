//! [`Router`]: which handler a message goes to. The one place where payload types are known: they are
//! erased when a handler is registered.

mod call;
mod handler;
mod running;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Context;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use rustc_hash::FxBuildHasher;
use wse_proto::{
    CodecError, Decode, Encode, ErrorCode, Fault, Head, Protocol, ReceiptOf, Stamp, Text,
};

use crate::connection::{Class, Link, Tasks, pack};
use crate::ws;
pub use call::Call;
use call::Running;
pub use handler::Outcome;
use running::{Ended, Ran};

type Handling<R> = BoxFuture<'static, Ended<R>>;
type MessageHandler<P, C> = dyn Fn(C, &Link<P>, &Bytes) -> Started<Handling<()>> + Send + Sync;
/// What comes of it is the reply.
type ProcedureHandler<P, C> =
    dyn Fn(C, &Arc<Link<P>>, &Incoming, &Bytes) -> Started<Answering<P>> + Send + Sync;
type UnhandledHandler<C> = dyn Fn(C, Unhandled) -> Handling<()> + Send + Sync;

/// A call to be answered.
pub(crate) struct Incoming {
    pub(crate) stamp: Stamp,
    /// For how long the caller waits, in milliseconds.
    pub(crate) timeout: Option<NonZeroU32>,
}

/// A procedure that has begun.
struct Answering<P: Protocol> {
    reply: Handling<ws::Message>,
    /// Not of the plain ones.
    running: Option<Box<Running<P>>>,
}

/// A handler that was called, or why it was not.
type Started<S> = Result<S, Box<NotStarted>>;

struct NotStarted {
    code: ErrorCode,
    fault: Fault,
}

/// By name. Strangers choose only what is looked up, never what is in it: any hash will do.
type ByName<H> = HashMap<Text, Arc<H>, FxBuildHasher>;

/// A message that no handler is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unhandled {
    /// Its name.
    pub name: Text,
    /// Its payload, encoded in the connection's format.
    pub payload: Bytes,
}

/// The handlers of an endpoint. `C` is what they get as their connection. Every message looks here, from all
/// threads, and hardly anybody changes it: each change makes a new table, and readers take no lock.
pub(crate) struct Router<P: Protocol, C>(ArcSwap<Handlers<P, C>>);

struct Handlers<P: Protocol, C> {
    messages: ByName<MessageHandler<P, C>>,
    procedures: ByName<ProcedureHandler<P, C>>,
    unhandled: Option<Arc<UnhandledHandler<C>>>,
}

/// What a message or a call failed with, for the endpoint's error events.
pub(crate) struct Failed {
    pub(crate) code: ErrorCode,
    pub(crate) name: Text,
    pub(crate) fault: Fault,
}

/// Whom to tell.
pub(crate) trait Report: Clone + Send + 'static {
    fn failed(&self, failed: Failed);
}

/// The handlers of an endpoint, and what one runs with.
pub(crate) struct Scope<'a, P: Protocol, C, R> {
    pub(crate) router: &'a Router<P, C>,
    pub(crate) link: &'a Arc<Link<P>>,
    pub(crate) connection: C,
    pub(crate) tasks: &'a Tasks,
    pub(crate) report: &'a R,
}

impl<P: Protocol, C> Default for Handlers<P, C> {
    fn default() -> Self {
        Self { messages: HashMap::default(), procedures: HashMap::default(), unhandled: None }
    }
}

impl<P: Protocol, C> Clone for Handlers<P, C> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            procedures: self.procedures.clone(),
            unhandled: self.unhandled.clone(),
        }
    }
}

impl<P: Protocol, C> Default for Router<P, C> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<P: Protocol, C: Send + 'static> Router<P, C> {
    pub(crate) fn on<T, F, Fut>(&self, name: Text, handler: F)
    where
        F: Fn(C, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
        P::Format: Decode<T>,
    {
        let erased = move |connection: C, link: &Link<P>, payload: &Bytes| {
            let future = handler(connection, link.decode(payload).map_err(undecodable)?);
            Ok(Box::pin(async move { future.await.into_result().map_err(Box::new) })
                as Handling<()>)
        };
        let erased: Arc<MessageHandler<P, C>> = Arc::new(erased);
        self.change(|handlers| handlers.messages.insert(name.clone(), Arc::clone(&erased)));
    }

    pub(crate) fn procedure<T, R, F, Fut>(&self, name: Text, handler: F)
    where
        F: Fn(C, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        let erased = move |connection: C, link: &Arc<Link<P>>, call: &Incoming, payload: &Bytes| {
            let future = handler(connection, link.decode(payload).map_err(undecodable)?);
            let protocol = link.protocol().clone();
            let stamp = call.stamp.clone();
            let reply = async move {
                let result = future.await.map_err(Box::new)?;
                reply(&protocol, stamp, false, &result)
            };
            Ok(Answering { reply: Box::pin(reply), running: None })
        };
        self.insert_procedure(name, Arc::new(erased));
    }

    pub(crate) fn procedure_with<T, R, F, Fut>(&self, name: Text, handler: F)
    where
        F: Fn(C, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        let erased = move |connection: C, link: &Arc<Link<P>>, call: &Incoming, payload: &Bytes| {
            let payload = link.decode(payload).map_err(undecodable)?;
            let deadline = call.timeout.and_then(|millis| link.deadline(millis));
            let running = Running::new(link, &call.stamp);
            let asked = Arc::clone(&running.asked);
            let future = handler(connection, Call::new(payload, deadline, Arc::clone(&asked)));
            let protocol = link.protocol().clone();
            let stamp = call.stamp.clone();
            let reply = async move {
                let result = future.await.map_err(Box::new)?;
                reply(&protocol, stamp, asked.wants_receipt(), &result)
            };
            Ok(Answering { reply: Box::pin(reply), running: Some(Box::new(running)) })
        };
        self.insert_procedure(name, Arc::new(erased));
    }

    fn insert_procedure(&self, name: Text, procedure: Arc<ProcedureHandler<P, C>>) {
        self.change(|handlers| handlers.procedures.insert(name.clone(), Arc::clone(&procedure)));
    }

    pub(crate) fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(C, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let erased = move |connection: C, message: Unhandled| {
            let future = handler(connection, message);
            Box::pin(async move { future.await.into_result().map_err(Box::new) }) as Handling<()>
        };
        let erased: Arc<UnhandledHandler<C>> = Arc::new(erased);
        self.change(|handlers| handlers.unhandled = Some(Arc::clone(&erased)));
    }

    /// Drops all handlers, with what they hold.
    pub(crate) fn clear(&self) {
        self.0.store(Arc::default());
    }

    pub(crate) fn remove_message(&self, name: &str) -> bool {
        self.change(|handlers| handlers.messages.remove(name)).is_some()
    }

    pub(crate) fn remove_procedure(&self, name: &str) -> bool {
        self.change(|handlers| handlers.procedures.remove(name)).is_some()
    }

    /// Replaces the table by a changed copy; again if another thread was quicker.
    fn change<R>(&self, change: impl Fn(&mut Handlers<P, C>) -> R) -> R {
        let mut result = None;
        self.0.rcu(|old| {
            let mut handlers = Handlers::clone(old);
            result = Some(change(&mut handlers));
            handlers
        });
        result.expect("changed at least once")
    }
}

impl<P: Protocol, C: Send + 'static, R: Report> Scope<'_, P, C, R> {
    /// Hands a message to its handler.
    pub(crate) fn message(self, name: Text, payload: Bytes, cx: &mut Context<'_>) {
        let Self { router, link, connection, tasks, report } = self;
        let handlers = router.0.load();
        let started = if let Some(handler) = handlers.messages.get(&name) {
            start(|| handler(connection, link, &payload))
        } else if let Some(handler) = &handlers.unhandled {
            let message = Unhandled { name: name.clone(), payload };
            start(|| Ok(handler(connection, message)))
        } else {
            tracing::debug!(%name, "no handler for this message");
            return;
        };
        drop(handlers);
        let fail = |report: &R, name, fault: Box<Fault>| {
            report.failed(Failed { code: fault.code.clone(), name, fault: *fault });
        };
        match started {
            Ok(future) => match running::poll(future, cx) {
                Ran::Ended(Ok(())) => {}
                Ran::Ended(Err(fault)) => fail(report, name, fault),
                Ran::Waits(future) => {
                    let report = report.clone();
                    running::spawn(tasks, link, future, move |_, outcome| {
                        if let Err(fault) = outcome {
                            fail(&report, name, fault);
                        }
                    });
                }
            },
            // Also when the peer's application meant another type, its connection is none the worse for it.
            Err(why) => report.failed(Failed { code: why.code, name, fault: why.fault }),
        }
    }

    /// Hands a call to its procedure; every call is answered, unless its caller does not wait any more.
    pub(crate) fn call(self, name: Text, call: Incoming, payload: Bytes, cx: &mut Context<'_>) {
        let Self { router, link, connection, tasks, report } = self;
        let handlers = router.0.load();
        let Some(handler) = handlers.procedures.get(&name) else {
            link.fault(call.stamp, &Fault::new(ErrorCode::NotRegistered), false);
            return;
        };
        let started = start(|| handler(connection, link, &call, &payload));
        drop(handlers);
        let stamp = call.stamp;
        match started {
            Ok(Answering { reply, running }) => match running::poll(reply, cx) {
                Ran::Ended(outcome) => answer(link, report, name, stamp, running, outcome),
                Ran::Waits(future) => {
                    let report = report.clone();
                    running::spawn(tasks, link, future, move |link, outcome| {
                        answer(link, &report, name, stamp, running, outcome);
                    });
                }
            },
            Err(why) => answer(link, report, name, stamp, None, Err(Box::new(why.fault))),
        }
    }
}

/// Packs a reply.
fn reply<P: Protocol, R>(
    protocol: &P,
    stamp: Stamp,
    receipt: bool,
    result: &R,
) -> Ended<ws::Message>
where
    P::Format: Encode<R>,
{
    let head = Head::Reply { stamp, receipt };
    pack::message(protocol, &head, result).map_err(|error| Box::new(error.into()))
}

/// Sends what came of a call. An answer to a connection that has ended goes nowhere.
fn answer<P: Protocol, R: Report>(
    link: &Arc<Link<P>>,
    report: &R,
    name: Text,
    stamp: Stamp,
    running: Option<Box<Running<P>>>,
    outcome: Ended<ws::Message>,
) {
    let mut receipt = false;
    if let Some(running) = running {
        let asked = &running.asked;
        if asked.token.is_cancelled() {
            return;
        }
        receipt = asked.wants_receipt();
        asked.expect(|timeout| link.expect(ReceiptOf::Answer, stamp.clone(), Some(timeout)));
    }
    match outcome {
        Ok(reply) => drop(link.push(Class::Answer, reply)),
        Err(fault) => {
            link.fault(stamp, &fault, receipt);
            report.failed(Failed { code: ErrorCode::Failed, name, fault: *fault });
        }
    }
}

impl<P: Protocol, C> fmt::Debug for Router<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers = self.0.load();
        f.debug_struct("Router")
            .field("messages", &handlers.messages.keys())
            .field("procedures", &handlers.procedures.keys())
            .finish_non_exhaustive()
    }
}

/// Decodes the payload and calls the handler. Either may panic, like the future that comes of it: the task of the
/// connection must not end with it.
fn start<S>(handler: impl FnOnce() -> Started<S>) -> Started<S> {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|_| {
        Err(Box::new(NotStarted { code: ErrorCode::Failed, fault: *running::panicked() }))
    })
}

#[cold]
fn undecodable(error: CodecError) -> Box<NotStarted> {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        message.push_str(": ");
        message.push_str(&error.to_string());
        source = error.source();
    }
    let fault = Fault::new(ErrorCode::InvalidPayload).message(message);
    Box::new(NotStarted { code: ErrorCode::MessageProcessing, fault })
}
