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

    /// Spawns a connection: what opens it, and what then runs it to its end. Only the former can be cancelled
    /// here; the latter is its server's to end. What the opening takes is given back when the connection is
    /// open: most of its life it only waits.
    pub(crate) fn spawn_connection<O, R>(&self, opening: O)
    where
        O: Future<Output = Option<R>> + Send + 'static,
        R: Future<Output = ()> + Send + Unpin + 'static,
    {
        self.tracker.spawn(self.in_steps(opening));
    }

    /// As [`spawn_connection`](Self::spawn_connection), in a task of the caller's.
    pub(crate) async fn run_connection<O, R>(&self, opening: O)
    where
        O: Future<Output = Option<R>> + Send,
        R: Future<Output = ()> + Send + Unpin,
    {
        self.tracker.track_future(self.in_steps(opening)).await;
    }

    fn in_steps<O, R>(&self, opening: O) -> impl Future<Output = ()> + Send + use<O, R>
    where
        O: Future<Output = Option<R>> + Send,
        R: Future<Output = ()> + Send + Unpin,
    {
        let cancel = self.own_cancel();
        let opening = Box::pin(async move { cancel.run_until_cancelled(opening).await.flatten() });
        async move {
            let opened = opening.await;
            if let Some(running) = opened {
                running.await;
            }
        }
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
