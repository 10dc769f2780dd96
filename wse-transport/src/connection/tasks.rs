//! Where handlers run: first in place, and in a task of their own when they have to wait.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wse_proto::Protocol;

use super::link::Link;

/// All tasks of an endpoint, so that its shutdown can wait for them and then cancel the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.own_cancel();
        self.tracker.spawn(async move {
            cancel.run_until_cancelled(task).await;
        });
    }

    /// Runs a task of the endpoint's in a task of the caller's.
    pub(crate) async fn run(&self, task: impl Future<Output = ()>) {
        self.tracker.track_future(self.own_cancel().run_until_cancelled(task)).await;
    }

    /// A token of the task's own: it is asked at each poll, and one for all would be a lock for all.
    fn own_cancel(&self) -> CancellationToken {
        self.cancel.child_token()
    }

    /// Waits until all tasks have ended; none may be spawned any more for this to come.
    pub(crate) async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Cancels those that still run.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// The handlers of one connection that wait for something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<AtomicUsize>);

impl Running {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Runs a handler: polled at once, so that handlers start in the order of their messages, and
    /// spawned if it has to wait, so that a slow one holds up nobody. `done` is told how it ended,
    /// `None` for a panic.
    pub(crate) fn run<P: Protocol, R: 'static>(
        &self,
        tasks: &Tasks,
        link: &Arc<Link<P>>,
        mut handler: BoxFuture<'static, R>,
        cx: &mut Context<'_>,
        done: impl FnOnce(&Link<P>, Option<R>) + Send + 'static,
    ) {
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(Poll::Ready(outcome)) => done(link, Some(outcome)),
            Err(_) => done(link, None),
            Ok(Poll::Pending) => {
                self.0.fetch_add(1, Ordering::AcqRel);
                let count = Count(Arc::clone(&self.0));
                let link = Arc::clone(link);
                tasks.spawn(async move {
                    let outcome = AssertUnwindSafe(handler).catch_unwind().await;
                    drop(count);
                    // There may be room for the next one.
                    link.wake();
                    done(&link, outcome.ok());
                });
            }
        }
    }
}

/// Counts down also when the task is cancelled.
struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
