//! [`Shared`]: the state that the handles of a client, its manager and its connections share; and
//! [`ClientCore`], which is what a handle holds of it.

use std::collections::VecDeque;
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
use wse_proto::{Encode, ErrorCode, Fault, Head, Protocol, Text, excerpt};
use wse_transport::dial::Dial;
use wse_transport::ws;

use super::command::Command;
use super::connector::Connector;
use super::credentials::{Solver, Target};
use super::error::ConnectError;
use super::place::{AskHeaders, Headers};
use super::status::{ClientEvent, Status};
use crate::callback::{Callback, call_all, call_others};
use crate::connection::{
    Attempt, Choice, Class, Connection, Counters, GaveUp, ReceiptError, Reliable, SendError,
    SendQueue, Tasks, Wire, default_handled_bytes, reliably,
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
    pub(super) offline_queue: usize,
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
    /// Messages that were sent without a connection, with the variant that they are packed for.
    pub(super) offline_queue: VecDeque<(usize, ws::Message)>,
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
            offline_queue: VecDeque::new(),
            last: None,
            on_ready_thread: None,
            welcome: Bytes::new(),
            last_close: None,
            comes_back: false,
            next_attempt: None,
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

    pub(super) fn send<P: Protocol, T: ?Sized>(
        &self,
        name: Text,
        payload: &T,
    ) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        if self.settings.offline_queue == 0 {
            return self.connection().ok_or(SendError::NotReady)?.send::<P, T>(name, payload);
        }
        let head = Head::message(name);
        loop {
            // Without the lock, since the encoding of the payload may call the client.
            let last = self.state().last.clone();
            let wire = last.as_ref().map_or(&self.first, |last| &last.wire);
            let message = wire.message::<P, T>(&head, payload)?;
            if let Some(sent) = self.send_or_keep(wire.variant, message) {
                return sent;
            }
        }
    }

    /// Sends a message, or adds it to the offline queue. Returns `None` when the protocol has
    /// changed since the message was packed.
    fn send_or_keep(&self, variant: usize, message: ws::Message) -> Option<Result<(), SendError>> {
        let mut ended: Option<Arc<Connection>> = None;
        loop {
            let mut state = self.state();
            if state.last.as_ref().map_or(&self.first, |last| &last.wire).variant != variant {
                return None;
            }
            // Once others may use a connection, it has the offline queue, and no message overtakes that.
            let this = std::thread::current().id();
            let open = state.on_ready_thread.is_none_or(|thread| thread == this);
            let connection = state.connection.as_ref().filter(|_| open);
            let connection =
                connection.filter(|it| !ended.as_ref().is_some_and(|old| Arc::ptr_eq(it, old)));
            let Some(connection) = connection.cloned() else {
                if state.offline_queue.len() >= self.settings.offline_queue {
                    return Some(Err(SendError::QueueFull));
                }
                state.offline_queue.push_back((variant, message));
                return Some(Ok(()));
            };
            // Without the lock, since the waker of a sender that waits may use the client.
            drop(state);
            match connection.push(Class::Message, message.clone()) {
                Err(SendError::NotReady) => ended = Some(connection),
                sent => return Some(sent),
            }
        }
    }

    pub(super) async fn send_reliable<P: Protocol, T: ?Sized>(
        &self,
        options: Reliable,
        name: Text,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        let name = &name;
        reliably(options, |stamp| async move {
            let Some(connection) = self.next_connection().await else { return Attempt::Hopeless };
            // A session that keeps the message until it is processed sends it again by itself.
            let timeout = (!connection.is_counting()).then_some(options.receipt_timeout);
            let error =
                match connection.send_under::<P, T>(stamp, true, name.clone(), payload, timeout) {
                    Ok(expected) => match expected.await {
                        Ok(()) => return Attempt::Delivered,
                        Err(error) => return Attempt::Failed { sent: true, error },
                    },
                    Err(error) => error,
                };
            if let ReceiptError::QueueFull = error {
                connection.writable().await;
            }
            Attempt::Failed { sent: false, error }
        })
        .await
    }

    /// Waits for a connection that is ready. Returns `None` when the client does not try to
    /// connect.
    async fn next_connection(&self) -> Option<Arc<Connection>> {
        let mut status = self.status.subscribe();
        loop {
            // Before the check, so that no later change is missed.
            let now = *status.borrow_and_update();
            if let Some(connection) = self.connection().filter(|connection| connection.is_ready()) {
                return Some(connection);
            }
            if matches!(now, Status::Idle | Status::Offline) {
                return None;
            }
            status.changed().await.ok()?;
        }
    }

    /// Counts a connection as open until the guard is dropped.
    pub(super) fn count_connection(self: &Arc<Self>) -> ConnectionCount {
        self.open_connections.send_modify(|count| *count += 1);
        ConnectionCount(Arc::clone(self))
    }

    /// Waits until a message can be sent or kept.
    pub(super) async fn writable(&self) {
        let mut status = self.status.subscribe();
        loop {
            if let Some(connection) = self.connection().filter(|connection| connection.is_ready()) {
                return connection.writable().await;
            }
            let most = self.settings.offline_queue;
            let full = most > 0 && self.state().offline_queue.len() >= most;
            if !full || status.changed().await.is_err() {
                return;
            }
        }
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
