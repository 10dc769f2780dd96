//! Where handlers run: first in place, and in a task of their own when they have to wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use wse_proto::{Fault, Protocol};

use crate::connection::{Link, Tasks};

/// The handlers of one connection that wait for something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<AtomicUsize>);

/// How far a handler came when it was polled for the first time.
pub(super) enum Ran<R> {
    Ended(Result<R, Fault>),
    Waits(BoxFuture<'static, Result<R, Fault>>),
}

impl Running {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Polls a handler at once, so that handlers start in the order of their messages.
    pub(super) fn run<R>(
        &self,
        mut handler: BoxFuture<'static, Result<R, Fault>>,
        cx: &mut Context<'_>,
    ) -> Ran<R> {
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(Poll::Ready(outcome)) => Ran::Ended(outcome),
            Ok(Poll::Pending) => Ran::Waits(handler),
            Err(_) => Ran::Ended(Err(panicked())),
        }
    }

    /// Goes on with one that has to wait, so that a slow one holds up nobody.
    pub(super) fn spawn<P: Protocol, R: Send + 'static>(
        &self,
        tasks: &Tasks,
        link: &Arc<Link<P>>,
        handler: BoxFuture<'static, Result<R, Fault>>,
        done: impl FnOnce(&Link<P>, Result<R, Fault>) + Send + 'static,
    ) {
        self.0.fetch_add(1, Ordering::AcqRel);
        let count = Count(Arc::clone(&self.0));
        let link = Arc::clone(link);
        tasks.spawn(async move {
            let outcome = AssertUnwindSafe(handler).catch_unwind().await;
            drop(count);
            // There may be room for the next one.
            link.wake();
            done(&link, outcome.unwrap_or_else(|_| Err(panicked())));
        });
    }
}

/// What the peer may know of a handler that panicked.
pub(super) fn panicked() -> Fault {
    Fault::failed("the handler panicked")
}

/// Counts down also when the task is cancelled.
struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
