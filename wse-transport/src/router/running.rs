//! Where handlers run: first in place, and in a task of their own when they have to wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use wse_proto::{Fault, Protocol};

use crate::connection::{Link, Tasks};

/// How far a handler came when it was polled for the first time.
pub(super) enum Ran<R> {
    Ended(Ended<R>),
    Waits(BoxFuture<'static, Ended<R>>),
}

/// What came of a handler. Faults are rare, and large.
pub(super) type Ended<R> = Result<R, Box<Fault>>;

/// Polls a handler at once, so that handlers start in the order of their messages.
pub(super) fn poll<R>(mut handler: BoxFuture<'static, Ended<R>>, cx: &mut Context<'_>) -> Ran<R> {
    match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
        Ok(Poll::Ready(outcome)) => Ran::Ended(outcome),
        Ok(Poll::Pending) => Ran::Waits(handler),
        Err(_) => Ran::Ended(Err(panicked())),
    }
}

/// Goes on with one that has to wait, so that a slow one holds up nobody.
pub(super) fn spawn<P: Protocol, R: Send + 'static>(
    tasks: &Tasks,
    link: &Arc<Link<P>>,
    handler: BoxFuture<'static, Ended<R>>,
    done: impl FnOnce(&Arc<Link<P>>, Ended<R>) + Send + 'static,
) {
    let running = Running::new(Arc::clone(link));
    let end = link.handlers_end();
    tasks.spawn(async move {
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let outcome = match end {
            None => Some(handler.await),
            Some(end) => end.run_until_cancelled_owned(handler).await,
        };
        let link = Arc::clone(&running.0);
        drop(running);
        if let Some(outcome) = outcome {
            done(&link, outcome.unwrap_or_else(|_| Err(panicked())));
        }
    });
}

/// What the peer may know of a handler that panicked.
pub(super) fn panicked() -> Box<Fault> {
    Box::new(Fault::failed("the handler panicked"))
}

/// A handler that waits for something; it is counted until it ends or is cancelled.
struct Running<P: Protocol>(Arc<Link<P>>);

impl<P: Protocol> Running<P> {
    fn new(link: Arc<Link<P>>) -> Self {
        link.handlers.fetch_add(1, Ordering::AcqRel);
        Self(link)
    }
}

impl<P: Protocol> Drop for Running<P> {
    fn drop(&mut self) {
        self.0.handlers.fetch_sub(1, Ordering::AcqRel);
        // There may be room for the next one.
        self.0.wake();
    }
}
