//! [`Router`]: which handler a message goes to. The one place where payload types are known: they are
//! erased when a handler is registered.

mod handler;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Context;

use bytes::Bytes;
use futures::future::BoxFuture;
use wse_proto::{CodecError, Decode, Encode, ErrorCode, Fault, Protocol, Stamp, Text};

use crate::connection::{Link, Running, Tasks};
pub use handler::Outcome;

type Handling = BoxFuture<'static, Result<(), Fault>>;
type MessageHandler<P, C> =
    dyn Fn(C, &Arc<Link<P>>, &Bytes) -> Result<Handling, CodecError> + Send + Sync;
type ProcedureHandler<P, C> =
    dyn Fn(C, &Arc<Link<P>>, &Stamp, &Bytes) -> Result<Handling, CodecError> + Send + Sync;
type UnhandledHandler<C> = dyn Fn(C, Unhandled) -> Handling + Send + Sync;

/// A message that no handler is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unhandled {
    /// Its name.
    pub name: Text,
    /// Its payload, encoded in the connection's format.
    pub payload: Bytes,
}

/// The handlers of an endpoint. `C` is what they get as their connection.
pub(crate) struct Router<P: Protocol, C> {
    messages: RwLock<HashMap<Text, Arc<MessageHandler<P, C>>>>,
    procedures: RwLock<HashMap<Text, Arc<ProcedureHandler<P, C>>>>,
    unhandled: RwLock<Option<Arc<UnhandledHandler<C>>>>,
}

/// What a message or a call failed with, for the endpoint's error events.
pub(crate) struct Failed {
    pub(crate) code: ErrorCode,
    pub(crate) name: Text,
    pub(crate) fault: Fault,
}

/// What a handler runs with.
pub(crate) struct Scope<'a, P: Protocol, C, F> {
    pub(crate) link: &'a Arc<Link<P>>,
    pub(crate) connection: C,
    pub(crate) running: &'a Running,
    pub(crate) tasks: &'a Tasks,
    pub(crate) failed: F,
}

impl<P: Protocol, C> Default for Router<P, C> {
    fn default() -> Self {
        Self {
            messages: RwLock::default(),
            procedures: RwLock::default(),
            unhandled: RwLock::default(),
        }
    }
}

impl<P: Protocol, C: Send + 'static> Router<P, C> {
    pub(crate) fn on<T, F, Fut>(&self, name: Text, handler: F)
    where
        F: Fn(C, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
        P::Format: Decode<T>,
    {
        let erased = move |connection: C, link: &Arc<Link<P>>, payload: &Bytes| {
            let future = handler(connection, link.decode(payload)?);
            Ok(Box::pin(async move { future.await.into_result() }) as Handling)
        };
        insert(&self.messages, name, Arc::new(erased));
    }

    pub(crate) fn procedure<T, R, F, Fut>(&self, name: Text, handler: F)
    where
        F: Fn(C, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        let erased = move |connection: C, link: &Arc<Link<P>>, stamp: &Stamp, payload: &Bytes| {
            let future = handler(connection, link.decode(payload)?);
            let link = Arc::clone(link);
            let stamp = stamp.clone();
            Ok(Box::pin(async move {
                let result = future.await?;
                link.reply(stamp, &result)?;
                Ok(())
            }) as Handling)
        };
        insert(&self.procedures, name, Arc::new(erased));
    }

    pub(crate) fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(C, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let erased = move |connection: C, message: Unhandled| {
            let future = handler(connection, message);
            Box::pin(async move { future.await.into_result() }) as Handling
        };
        *self.unhandled.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(erased));
    }

    /// Drops all handlers, with what they hold.
    pub(crate) fn clear(&self) {
        self.messages.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.procedures.write().unwrap_or_else(PoisonError::into_inner).clear();
        *self.unhandled.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn remove_message(&self, name: &str) -> bool {
        remove(&self.messages, name)
    }

    pub(crate) fn remove_procedure(&self, name: &str) -> bool {
        remove(&self.procedures, name)
    }

    /// Hands a message to its handler.
    pub(crate) fn message(
        &self,
        scope: Scope<'_, P, C, impl FnOnce(Failed) + Send + 'static>,
        name: Text,
        payload: Bytes,
        cx: &mut Context<'_>,
    ) {
        let Scope { link, connection, running, tasks, failed } = scope;
        let started = match find(&self.messages, &name) {
            Some(handler) => start(|| handler(connection, link, &payload)),
            None => {
                let unhandled = self.unhandled.read().unwrap_or_else(PoisonError::into_inner);
                match unhandled.clone() {
                    Some(handler) => {
                        drop(unhandled);
                        let message = Unhandled { name: name.clone(), payload };
                        start(|| Ok(handler(connection, message)))
                    }
                    None => {
                        tracing::debug!(%name, "no handler for this message");
                        return;
                    }
                }
            }
        };
        match started {
            Ok(future) => running.run(tasks, link, future, cx, move |_, outcome| {
                if let Err(fault) = outcome.unwrap_or_else(|| Err(panicked())) {
                    failed(Failed { code: fault.code.clone(), name, fault });
                }
            }),
            // Also when the peer's application meant another type, its connection is none the worse for it.
            Err((code, fault)) => failed(Failed { code, name, fault: *fault }),
        }
    }

    /// Hands a call to its procedure; every call is answered.
    pub(crate) fn call(
        &self,
        scope: Scope<'_, P, C, impl FnOnce(Failed) + Send + 'static>,
        name: Text,
        stamp: Stamp,
        payload: Bytes,
        cx: &mut Context<'_>,
    ) {
        let Scope { link, connection, running, tasks, failed } = scope;
        let Some(handler) = find(&self.procedures, &name) else {
            link.fault(stamp, &Fault::new(ErrorCode::NotRegistered));
            return;
        };
        let refuse = |link: &Link<P>, stamp, name, fault: Fault| {
            link.fault(stamp, &fault);
            failed(Failed { code: ErrorCode::Failed, name, fault });
        };
        match start(|| handler(connection, link, &stamp, &payload)) {
            Ok(future) => running.run(tasks, link, future, cx, move |link, outcome| {
                if let Err(fault) = outcome.unwrap_or_else(|| Err(panicked())) {
                    refuse(link, stamp, name, fault);
                }
            }),
            Err((_, fault)) => refuse(link, stamp, name, *fault),
        }
    }
}

impl<P: Protocol, C> fmt::Debug for Router<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("messages", &keys(&self.messages))
            .field("procedures", &keys(&self.procedures))
            .finish_non_exhaustive()
    }
}

/// Decodes the payload and calls the handler; without a future there is a code and a fault instead.
/// Either may panic, like the future that comes of it: the task of the connection must not end with it.
fn start(
    handler: impl FnOnce() -> Result<Handling, CodecError>,
) -> Result<Handling, (ErrorCode, Box<Fault>)> {
    match catch_unwind(AssertUnwindSafe(handler)) {
        Ok(started) => {
            started.map_err(|error| (ErrorCode::MessageProcessing, Box::new(undecodable(&error))))
        }
        Err(_) => Err((ErrorCode::Failed, Box::new(panicked()))),
    }
}

/// What the peer may know of a handler that panicked.
fn panicked() -> Fault {
    Fault::failed("the handler panicked")
}

fn undecodable(error: &CodecError) -> Fault {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        message.push_str(": ");
        message.push_str(&error.to_string());
        source = error.source();
    }
    Fault::failed(message)
}

type Handlers<H> = RwLock<HashMap<Text, Arc<H>>>;

fn insert<H: ?Sized>(handlers: &Handlers<H>, name: Text, handler: Arc<H>) {
    handlers.write().unwrap_or_else(PoisonError::into_inner).insert(name, handler);
}

fn remove<H: ?Sized>(handlers: &Handlers<H>, name: &str) -> bool {
    handlers.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
}

fn find<H: ?Sized>(handlers: &Handlers<H>, name: &str) -> Option<Arc<H>> {
    handlers.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
}

fn keys<H: ?Sized>(handlers: &Handlers<H>) -> Vec<Text> {
    handlers.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
}
