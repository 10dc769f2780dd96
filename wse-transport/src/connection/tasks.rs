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

    /// Spawns what opens a connection, then what runs it to its end, a task each: most of its life a connection
    /// only waits, and has no use for what the opening took. Only the opening can be cancelled here; the other
    /// is its server's to end.
    pub(crate) fn spawn_connection<O, R>(&self, opening: O)
    where
        O: Future<Output = Option<R>> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let tracker = self.tracker.clone();
        let cancel = self.own_cancel();
        self.tracker.spawn(async move {
            if let Some(Some(running)) = cancel.run_until_cancelled(opening).await {
                tracker.spawn(running);
            }
        });
    }

    /// Opens a connection and runs it to its end in a task of the caller's.
    pub(crate) async fn run_connection<O, R>(&self, opening: O)
    where
        O: Future<Output = Option<R>> + Send,
        R: Future<Output = ()> + Send,
    {
        let cancel = self.own_cancel();
        let opening =
            Box::pin(
                async move { cancel.run_until_cancelled(opening).await.flatten().map(Box::pin) },
            );
        let connection = async move {
            let opened = opening.await;
            if let Some(running) = opened {
                running.await;
            }
        };
        self.tracker.track_future(connection).await;
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
