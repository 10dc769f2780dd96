//! The handlers of a [`Server`].

use std::future::Future;

use wse_proto::{Decode, Encode, Negotiate, Text};

use super::conn::Conn;
use super::handle::Server;
use crate::router::{Call, HandlerError, HandlerOutput, Unhandled};

impl<P: Negotiate> Server<P> {
    /// Sets the handler of the messages with this name. It replaces an earlier one.
    ///
    /// Handlers of one connection start in the order of its messages. A handler that awaits does
    /// not block the next one. When the payload is not a `T`, or the handler returns an error, the
    /// server emits an error event and the connection stays open.
    pub fn on<T, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
        P::Format: Decode<T>,
    {
        let handler = move |core, payload: T| handler(Conn::of(core), payload);
        self.inner.router.on::<P::Protocol, T, _, _>(name.into(), handler);
    }

    /// Removes the handler of the messages with this name. Returns whether there was one.
    pub fn off(&self, name: &str) -> bool {
        self.inner.router.remove_message(name)
    }

    /// Sets the procedure that clients can call by this name. It replaces an earlier one.
    ///
    /// The caller gets the result. It also gets an error that is a [`Fault`](crate::Fault), or the
    /// fault in a [`CallError`](crate::CallError) that another peer answered with, without its
    /// details, which are in the format of that peer's connection. For any other
    /// error, and for a panic, it gets a generic failure with a correlation id. The text stays in
    /// the error event and in the log, which have the same id. A payload that is not a `T` is
    /// answered with [`ErrorCode::InvalidPayload`](crate::ErrorCode::InvalidPayload).
    ///
    /// Each failure is also an error event with the code
    /// [`ErrorCode::Failed`](crate::ErrorCode::Failed).
    pub fn procedure<T, R, E, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, payload: T| handler(Conn::of(core), payload);
        self.inner.router.procedure::<P::Protocol, T, R, E, _, _>(name.into(), handler);
    }

    /// Sets a procedure as [`procedure`](Self::procedure) does. Its handler gets a [`Call`]: the
    /// payload, the time that the caller still waits, whether the caller has cancelled, and a
    /// receipt of the answer.
    pub fn procedure_with<T, R, E, F, Fut>(&self, name: impl Into<Text>, handler: F)
    where
        F: Fn(Conn<P>, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, call: Call<T>| handler(Conn::of(core), call);
        self.inner.router.procedure_with::<P::Protocol, T, R, E, _, _>(name.into(), handler);
    }

    /// Removes the procedure with this name. Returns whether there was one.
    pub fn remove_procedure(&self, name: &str) -> bool {
        self.inner.router.remove_procedure(name)
    }

    /// Sets the handler of the messages that have no handler of their own. By default they are
    /// dropped.
    pub fn unhandled<F, Fut>(&self, handler: F)
    where
        F: Fn(Conn<P>, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        self.inner.router.unhandled(move |core, message| handler(Conn::of(core), message));
    }
}
