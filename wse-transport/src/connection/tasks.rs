//! The tasks of an endpoint.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
