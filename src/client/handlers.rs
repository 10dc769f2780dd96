//! The handlers of a [`Client`].

use std::future::Future;

use wse_proto::{Decode, Encode, Negotiate, Text};

use super::handle::Client;
use crate::router::{Call, HandlerError, HandlerOutput, Unhandled};

impl<P: Negotiate> Client<P> {
    /// Sets the handler of the messages with this name. It replaces an earlier one.
    ///
    /// Handlers start in the order of the messages. A handler that awaits does not block the next
    /// one. A payload that is not a `T`, and an error that the handler returns, are
    /// [`ClientEvent::Error`](crate::ClientEvent::Error)s.
    pub fn on<T, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Self, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
        P::Format: Decode<T>,
    {
        let handler = move |core, payload: T| handler(Self::of(core), payload);
        self.shared().router.on::<P::Protocol, T, _, _>(name.into(), handler);
    }

    /// Removes the handler of the messages with this name. Returns whether there was one.
    pub fn off(&self, name: &str) -> bool {
        self.shared().router.remove_message(name)
    }

    /// Sets the procedure that the server can call by this name. It replaces an earlier one.
    /// Results and errors are answered as described at
    /// [`Server::procedure`](crate::Server::procedure).
    pub fn procedure<T, R, E, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Self, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, payload: T| handler(Self::of(core), payload);
        self.shared().router.procedure::<P::Protocol, T, R, E, _, _>(name.into(), handler);
    }

    /// Sets a procedure as [`procedure`](Self::procedure) does. Its handler gets a [`Call`]: the
    /// payload, the time that the server still waits, whether it has cancelled, and a receipt of
    /// the answer.
    pub fn procedure_with<T, R, E, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Self, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, call: Call<T>| handler(Self::of(core), call);
        self.shared().router.procedure_with::<P::Protocol, T, R, E, _, _>(name.into(), handler);
    }

    /// Removes the procedure with this name. Returns whether there was one.
    pub fn remove_procedure(&self, name: &str) -> bool {
        self.shared().router.remove_procedure(name)
    }

    /// Sets the handler of the messages that have no handler of their own. By default they are
    /// dropped.
    pub fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(Self, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        self.shared().router.unhandled(move |core, message| handler(Self::of(core), message));
    }
}
