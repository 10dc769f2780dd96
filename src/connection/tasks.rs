//! The tasks of an endpoint.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of an endpoint. A shutdown waits for them, and cancels those that do not end in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    /// Spawns a task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.own_cancel();
        self.tracker.spawn(async move {
            cancel.run_until_cancelled(task).await;
        });
    }

    /// Spawns a task that runs to its end. A shutdown waits for it as for others, but does not cancel it: it runs on by
    /// itself.
    pub(crate) fn spawn_to_end(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.own_cancel();
        let mut task = Box::pin(task);
        self.tracker.spawn(async move {
            if cancel.run_until_cancelled(&mut task).await.is_none() {
                tokio::spawn(task);
            }
        });
    }

    /// Spawns a task that opens a connection, and then a second one that runs it to its end. The second does not keep the
    /// memory of the first. [`cancel`](Self::cancel) only ends the first; the server ends the second.
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

    /// Opens a connection and runs it to its end in the caller's task.
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

    /// A token for one task. Each poll locks it; one token for all tasks would be a lock that they contend for.
    fn own_cancel(&self) -> CancellationToken {
        self.cancel.child_token()
    }

    /// Waits until all tasks have ended. No task may be spawned meanwhile.
    pub(crate) async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Cancels the tasks that still run.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }
}
