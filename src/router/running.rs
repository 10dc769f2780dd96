//! Runs handlers: first in the connection's task, then in a task of their own when they have to
//! wait.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use super::output::BoxError;
use crate::connection::{Connection, RunningHandler, Tasks};

/// What a handler returned.
pub(super) type HandlerResult<R> = Result<R, BoxError>;

/// Polls a handler at once, so that handlers start in the order of their messages. A panic is its error.
pub(super) fn poll<R>(
    poll: impl FnOnce(&mut Context<'_>) -> Poll<HandlerResult<R>>,
    cx: &mut Context<'_>,
) -> Poll<HandlerResult<R>> {
    catch_unwind(AssertUnwindSafe(|| poll(cx))).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
}

/// Polls a handler to its end. A panic is its error.
pub(super) async fn catch_panic<R>(
    mut handler: impl FnMut(&mut Context<'_>) -> Poll<HandlerResult<R>>,
) -> HandlerResult<R> {
    poll_fn(|cx| poll(&mut handler, cx)).await
}

/// What a handler that has to wait is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Message,
    /// It runs to its end, even where others are dropped: its sender has a receipt.
    Reliable,
    Procedure,
}

/// What a handler that has to wait counts for.
pub(super) struct Load {
    pub(super) kind: Kind,
    /// The bytes of the payload that it was given.
    pub(super) payload: usize,
    /// For a procedure: the bytes that its answer is expected to have.
    pub(super) answer: usize,
}

/// Continues a handler in a task of its own, so that a slow one does not delay others.
pub(super) fn spawn<F, Fut>(tasks: &Tasks, connection: &Arc<Connection>, load: Load, handler: F)
where
    F: FnOnce(Arc<Connection>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let answer = matches!(load.kind, Kind::Procedure).then_some(load.answer);
    let running = RunningHandler::new(Arc::clone(connection), load.payload, answer);
    let end = match load.kind {
        Kind::Reliable => None,
        Kind::Message | Kind::Procedure => connection.handlers_end(),
    };
    let handler = handler(Arc::clone(connection));
    let counted = async move {
        let _running = running;
        match end {
            None => handler.await,
            Some(end) => drop(end.run_until_cancelled_owned(handler).await),
        }
    };
    match load.kind {
        Kind::Reliable => tasks.spawn_to_end(counted),
        Kind::Message | Kind::Procedure => tasks.spawn(counted),
    }
}

/// Drops a handler that has ended. A panic in its `Drop` must not end the task of the connection. It is returned as an
/// error.
#[inline(always)]
pub(super) fn drop_caught<T>(handler: T) -> HandlerResult<()> {
    catch_unwind(AssertUnwindSafe(|| drop(handler)))
        .map_err(|_| "the handler panicked while it was dropped".into())
}

/// The error of a handler that panicked.
pub(super) fn panicked() -> BoxError {
    "the handler panicked".into()
}
