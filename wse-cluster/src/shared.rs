//! [`Shared`]: what the handles of a node and its task share.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wse::Close;
use wse::cluster::Admitted;

use crate::node::{ClusterEvent, Machine};

/// The number of events that a slow reader may fall behind.
const EVENTS: usize = 1024;

/// What the handles of a node and its task share, once it has started.
pub(crate) struct Shared {
    start: Instant,
    machine: Mutex<Machine>,
    /// Notified when the machine may have something to do.
    pub(crate) changed: Notify,
    /// The connections that wait for a place.
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Admitted, Close>>>>,
    events: broadcast::Sender<ClusterEvent>,
    pub(crate) stopping: CancellationToken,
    pub(crate) ended: CancellationToken,
}

impl Shared {
    pub(crate) fn new(machine: Machine, events: broadcast::Sender<ClusterEvent>) -> Self {
        Self {
            start: Instant::now(),
            machine: Mutex::new(machine),
            changed: Notify::new(),
            waiting: Mutex::default(),
            events,
            stopping: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    pub(crate) fn events() -> broadcast::Sender<ClusterEvent> {
        broadcast::Sender::new(EVENTS)
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) async fn sleep_until(&self, at: Option<Duration>) {
        match at.and_then(|at| self.start.checked_add(at)) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Locks and returns the machine. For work that calls no application code.
    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }

    /// Changes the machine, and wakes the task.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Machine, Duration) -> T) -> T {
        let now = self.now();
        let result = change(&mut self.machine(), now);
        self.changed.notify_one();
        result
    }

    /// Adds a connection that waits for a place.
    pub(crate) fn wait(&self, conn_id: u64) -> oneshot::Receiver<Result<Admitted, Close>> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(conn_id, sender);
        receiver
    }

    /// Forgets a connection that waits no longer.
    pub(crate) fn forget(&self, conn_id: u64) {
        lock(&self.waiting).remove(&conn_id);
    }

    /// Answers a connection that waits. If it does no longer, its place was given back already.
    pub(crate) fn admitted(&self, conn_id: u64, result: Result<Admitted, Close>) {
        let waiting = lock(&self.waiting).remove(&conn_id);
        // Fails when its future was dropped.
        let _ = waiting.map(|waiting| waiting.send(result));
    }

    pub(crate) fn emit(&self, event: ClusterEvent) {
        event.log();
        // An error means only that there is no stream.
        let _ = self.events.send(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of an error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
