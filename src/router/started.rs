//! Handlers that were called.

use std::pin::Pin;

use futures::future::BoxFuture;
use wse_proto::CodecError;

use super::call::RunningCall;
use super::replying::Reply;
use super::running::HandlerResult;

pub(super) type HandlerFuture<R> = BoxFuture<'static, HandlerResult<R>>;

/// A procedure that has started.
pub(super) struct StartedCall {
    pub(super) reply: Pin<Box<dyn Reply>>,
    /// Set for procedures that take a [`Call`](super::Call).
    pub(super) running: Option<Box<RunningCall>>,
}

/// A handler that was called, or why it was not.
pub(super) type StartResult<S> = Result<S, NotStarted>;

pub(super) enum NotStarted {
    /// The payload is not of the handler's type.
    Payload(Box<CodecError>),
    Panicked,
}
