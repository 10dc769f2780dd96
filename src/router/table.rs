//! [`Router`]: the handlers of an endpoint, by name. Payload types are known only here: they are erased when a handler is
//! registered.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use wse_proto::{Decode, Encode, Protocol, Text};

use super::answer_size::AnswerSize;
use super::call::{Call, RunningCall};
use super::output::{HandlerError, HandlerOutput};
use super::replying::Replying;
use super::started::{HandlerFuture, NotStarted, StartResult, StartedCall};
use crate::connection::{Connection, Incoming};

pub(super) type MessageHandler<C> =
    dyn Fn(C, &Connection, &Bytes) -> StartResult<HandlerFuture<()>> + Send + Sync;
/// Its future returns the packed reply.
pub(super) type ProcedureHandler<C> =
    dyn Fn(C, &Arc<Connection>, &Incoming, &Bytes) -> StartResult<StartedCall> + Send + Sync;
pub(super) type UnhandledHandler<C> = dyn Fn(C, Unhandled) -> HandlerFuture<()> + Send + Sync;

/// Handlers by name. A peer chooses only which name is looked up, never which is stored, so the
/// hash needs no protection against collisions.
///
/// Only the hot path uses `get`. With a second caller it is not inlined there, which costs 23 instructions a call.
pub(super) type ByName<H> = HashMap<Name, Arc<H>, FxBuildHasher>;

/// The name of a handler. It is hashed as bytes: as `str`, a [`Text`] is checked first.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name(Text);

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
pub(crate) struct Router<C>(pub(super) ArcSwap<Handlers<C>>);

pub(super) struct Handlers<C> {
    pub(super) messages: ByName<MessageHandler<C>>,
    pub(super) procedures: ByName<ProcedureHandler<C>>,
    answer_sizes: ByName<AnswerSize>,
    pub(super) unhandled: Option<Arc<UnhandledHandler<C>>>,
}
impl<C> Default for Handlers<C> {
    fn default() -> Self {
        Self {
            messages: HashMap::default(),
            procedures: HashMap::default(),
            answer_sizes: HashMap::default(),
            unhandled: None,
        }
    }
}

impl<C> Clone for Handlers<C> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            procedures: self.procedures.clone(),
            answer_sizes: self.answer_sizes.clone(),
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
        Fut: Future<Output: HandlerOutput> + Send + 'static,
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
            handlers.answer_sizes.insert(Name(name.clone()), Arc::default());
            handlers.procedures.insert(Name(name.clone()), Arc::clone(&procedure))
        });
    }

    pub(crate) fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(C, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
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
        self.change(|handlers| {
            handlers.answer_sizes.remove(name.as_bytes());
            handlers.procedures.remove(name.as_bytes())
        })
        .is_some()
    }

    /// How large the answers of a procedure are.
    pub(super) fn answer_size(&self, name: &Text) -> Arc<AnswerSize> {
        self.0.load().answer_sizes.get(name.as_bytes()).cloned().unwrap_or_default()
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
/// Decodes the payload as the handler's type.
fn payload_of<P: Protocol, T>(connection: &Connection, payload: &Bytes) -> StartResult<T>
where
    P::Format: Decode<T>,
{
    connection.decode::<P, T>(payload).map_err(|error| NotStarted::Payload(Box::new(error)))
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
