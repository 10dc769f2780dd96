//! [`Shared`]: the state that the handles of a client, its manager and its connections share; and
//! [`ClientCore`], which is what a handle holds of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use wse_proto::session::{
    Backoff, Budget, Close, Duplicates, Heartbeat, ResumeLimits, SessionLimits,
};
use wse_proto::{ErrorCode, Fault, Text, excerpt};
use wse_transport::dial::Dial;
use wse_transport::ws;

use super::command::Command;
use super::connector::Connector;
use super::credentials::{Solver, Target};
use super::error::ConnectError;
use super::offline_queue::OfflineQueue;
use super::place::{AskHeaders, Headers};
use super::status::{ClientEvent, Status};
use crate::callback::{Callback, call_all, call_others};
use crate::connection::{
    Choice, Connection, Counters, SendQueue, Tasks, Wire, default_handled_bytes,
};
use crate::router::Router;

/// The number of events that a slow reader may fall behind.
const EVENTS: usize = 256;

/// One attempt, from the URL to the welcome. It has no deadline.
pub(super) type Open =
    for<'a> fn(&'a Arc<Shared>, &'a Target) -> BoxFuture<'a, Result<Welcomed, ConnectError>>;

pub(super) type ReconnectWhen = Box<dyn Fn(&Close) -> bool + Send + Sync>;

/// A connection that is ready, and the receiver of its end.
pub(super) struct Welcomed {
    pub(super) connection: Arc<Connection>,
    pub(super) ended: oneshot::Receiver<Close>,
}

/// The configuration of a client.
pub(super) struct Settings {
    pub(super) protocol: Box<dyn Choice>,
    pub(super) headers: Headers,
    pub(super) ask_headers: Option<AskHeaders>,
    /// The URL that `headers` were set for.
    pub(super) home: String,
    pub(super) share_credentials: bool,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) open: Open,
    pub(super) dial: Dial,
    pub(super) solver: Option<Solver>,
    pub(super) reconnect: Option<Backoff>,
    /// Which ends of a connection are followed by another one.
    ///
    /// `None` for the default.
    pub(super) reconnect_when: Option<ReconnectWhen>,
    pub(super) retry_first: bool,
    pub(super) connect_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) call_timeout: Option<Duration>,
    pub(super) session: SessionLimits,
    pub(super) resume: ResumeLimits,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) cancel_handlers: bool,
    pub(super) expose_errors: bool,
    pub(super) on_ready: Option<Box<dyn Fn(ClientCore) + Send + Sync>>,
    pub(super) callbacks: Vec<Callback<ClientEvent>>,
    pub(super) handlers: usize,
    pub(super) handled_bytes: Option<usize>,
    pub(super) limits: ws::Limits,
    pub(super) deflate: Option<ws::Deflate>,
    pub(super) extensions: Vec<Arc<dyn ws::Extension>>,
    pub(super) queue: SendQueue,
    /// `None` for the default: only messages with a rule are kept.
    pub(super) offline_queue: Option<usize>,
}

impl Settings {
    /// The most bytes of payloads that are handled or wait for that.
    pub(super) fn handled_bytes(&self) -> usize {
        self.handled_bytes.unwrap_or(default_handled_bytes(&self.limits))
    }
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    /// The first protocol, until a connection has chosen one.
    first: Wire,
    pub(super) router: Router<ClientCore>,
    pub(super) tasks: Tasks,
    pub(super) counts: Arc<Counters>,
    /// The reliable messages that the server has sent, over all connections.
    pub(super) duplicates: Duplicates,
    /// What the session keeps until the server has processed it.
    pub(super) budget: Arc<Budget>,
    pub(super) status: watch::Sender<Status>,
    /// The number of connections that are not over, those in their closing handshake included.
    pub(super) open_connections: watch::Sender<usize>,
    pub(super) events: broadcast::Sender<ClientEvent>,
    /// Ends the wait before the next attempt.
    pub(super) check_now: Notify,
    /// Cancelled when the application has dropped its last handle; and how handlers get theirs.
    pub(super) gone: OnceLock<(CancellationToken, Weak<DropGuard>)>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) target: Target,
    pub(super) status: Status,
    pub(super) commands: Option<mpsc::UnboundedSender<Command>>,
    pub(super) connection: Option<Arc<Connection>>,
    /// The connection, while it has no socket and waits for another one.
    pub(super) suspended: Option<Arc<Connection>>,
    pub(super) offline_queue: OfflineQueue,
    /// The last connection, for its protocol.
    pub(super) last: Option<Arc<Connection>>,
    /// The thread that runs `on_ready`. Meanwhile only this thread may send ahead of the offline
    /// queue.
    pub(super) on_ready_thread: Option<ThreadId>,
    pub(super) welcome: Bytes,
    pub(super) last_close: Option<Close>,
    /// Whether the client connects again after the last close.
    pub(super) comes_back: bool,
    /// When the client connects again, while it waits for that.
    pub(super) next_attempt: Option<Instant>,
    /// Whether `check_now` was called during this attempt.
    pub(super) check_asked: bool,
}

impl State {
    pub(super) fn is_current(&self, connection: &Arc<Connection>) -> bool {
        self.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection))
    }
}

impl Shared {
    pub(super) fn new(settings: Settings, router: Router<ClientCore>, target: Target) -> Self {
        let state = State {
            target,
            status: Status::Idle,
            commands: None,
            connection: None,
            suspended: None,
            offline_queue: OfflineQueue::new(settings.offline_queue, settings.queue.bytes),
            last: None,
            on_ready_thread: None,
            welcome: Bytes::new(),
            last_close: None,
            comes_back: false,
            next_attempt: None,
            check_asked: false,
        };
        Self {
            first: settings.protocol.first(),
            router,
            tasks: Tasks::default(),
            counts: Arc::default(),
            duplicates: Duplicates::default(),
            budget: Budget::new(settings.resume),
            settings,
            status: watch::Sender::new(Status::Idle),
            open_connections: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            check_now: Notify::new(),
            gone: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    /// Sends a command to the manager. Returns whether there is one.
    pub(super) fn command(&self, command: Command) -> bool {
        let commands = self.state().commands.clone();
        commands.is_some_and(|commands| commands.send(command).is_ok())
    }

    /// Counts a connection as open until the guard is dropped.
    pub(super) fn count_connection(self: &Arc<Self>) -> ConnectionCount {
        self.open_connections.send_modify(|count| *count += 1);
        ConnectionCount(Arc::clone(self))
    }

    /// Reports an error report of the server. Its text is whole in the source.
    pub(super) fn error_report(&self, fault: Fault) {
        let code = ErrorCode::ErrorReport;
        let message = excerpt(fault.message.as_deref().unwrap_or_default()).to_string();
        tracing::debug!(%code, message, "error event");
        let source = Some(Arc::new(fault) as _);
        self.emit(ClientEvent::Error { code, name: None, message, id: None, source });
    }

    /// Reports an error that no handler returned.
    pub(super) fn error(&self, code: ErrorCode, message: &str) {
        let message = excerpt(message).to_string();
        tracing::debug!(%code, message, "error event");
        self.emit(ClientEvent::Error { code, name: None, message, id: None, source: None });
    }

    /// Calls the callbacks, then sends the event to the streams. Must not be called under the lock,
    /// since a callback may use the client.
    pub(super) fn emit(&self, event: ClientEvent) {
        let callbacks = &self.settings.callbacks;
        let panicked = call_all(callbacks, &event);
        // An error means only that there is no stream.
        let _ = self.events.send(event);
        for panicked in panicked {
            let event = ClientEvent::failed(panicked.hook.into(), panicked.message.clone());
            call_others(callbacks, &panicked, &event);
            let _ = self.events.send(event);
        }
    }

    /// Reports application code that has panicked. `name` says which.
    pub(super) fn panicked(&self, name: Text, message: String) {
        tracing::error!(%name, message, "application code panicked");
        self.emit(ClientEvent::failed(name, message));
    }

    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.state().connection.clone()
    }

    /// Runs `run` with the protocol of the last connection.
    pub(super) fn with_wire<R>(&self, run: impl FnOnce(&Wire) -> R) -> R {
        let last = self.state().last.clone();
        run(last.as_ref().map_or(&self.first, |last| &last.wire))
    }

    /// The protocol of the last connection.
    pub(super) fn wire_of<'a>(&'a self, state: &'a State) -> &'a Wire {
        state.last.as_ref().map_or(&self.first, |last| &last.wire)
    }

    pub(super) fn welcome(&self) -> Bytes {
        self.state().welcome.clone()
    }

    pub(super) fn last_close(&self) -> Option<Close> {
        self.state().last_close.clone()
    }

    pub(super) fn status(&self) -> Status {
        self.state().status
    }

    pub(super) fn set_status(&self, status: Status) {
        self.state().status = status;
        self.publish_status();
    }

    /// Tells the readers of the status that it may have changed. Called without the lock, since their
    /// wakers may use the client.
    pub(super) fn publish_status(&self) {
        self.status.send_if_modified(|old| {
            // Read here, so that the last one to publish publishes the latest.
            let status = self.state().status;
            std::mem::replace(old, status) != status
        });
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state behind a [`Client`](super::Client), and a guard that closes the connection when the
/// application has dropped its last handle.
#[derive(Clone)]
pub(crate) struct ClientCore {
    pub(super) shared: Arc<Shared>,
    _alive: Arc<DropGuard>,
}

impl ClientCore {
    pub(super) fn new(shared: Shared) -> Self {
        let gone = CancellationToken::new();
        let alive = Arc::new(gone.clone().drop_guard());
        let _ = shared.gone.set((gone, Arc::downgrade(&alive)));
        Self { shared: Arc::new(shared), _alive: alive }
    }

    /// Returns the handle for handlers. `None` when the application has dropped all of its own.
    pub(super) fn of(shared: &Arc<Shared>) -> Option<Self> {
        let (_, alive) = shared.gone.get()?;
        Some(Self { shared: Arc::clone(shared), _alive: alive.upgrade()? })
    }
}

/// See [`Shared::count_connection`].
pub(super) struct ConnectionCount(Arc<Shared>);

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.open_connections.send_modify(|count| *count -= 1);
    }
}
