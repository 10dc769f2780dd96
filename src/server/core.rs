//! [`ServerCore`]: the state that the handles of a server and its connections share; [`ConnCore`]: one of these
//! connections; [`CoreEvent`]: what happens to them. None of it depends on the protocol.

use std::any::Any;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Extensions, Request};
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wse_proto::session::{Close, Heartbeat};
use wse_proto::{CloseReason, ErrorCode, Hi, Text, excerpt};

use super::cluster::ClusterLink;
use super::config::Config;
use super::identify::Identify;
use super::refused::{Refused, RefusedAt};
use super::registry::Registry;
use super::request::CompactRequest;
use super::rooms::{Memberships, Rooms};
use super::sessions::Resumption;
use super::verdict::Verdict;
use crate::callback::{Callback, Panicked, call_all, call_others};
use crate::connection::{Choice, Connection, Counters, Resumed, Tasks, Waits, Wire, count};
use crate::router::{Failure, Router};

/// The number of events that a slow reader may fall behind.
const EVENTS: usize = 1024;

/// The same for events of connections that were never accepted. Any peer can cause these, and a reader takes them only
/// when there are no others.
const UNACCEPTED_EVENTS: usize = 64;

/// Finds the identity in a request and encodes it.
pub(super) type FindIdentity = dyn Fn(&Request<()>, &Wire) -> Option<Bytes> + Send + Sync;

pub(super) struct ServerCore {
    pub(super) protocol: Box<dyn Choice>,
    /// The first protocol, for broadcasts where it is the only one.
    pub(super) wire: Wire,
    /// All protocols, if the server is one of several.
    pub(super) wires: Vec<Wire>,
    app: Extensions,
    pub(super) config: Config,
    pub(super) identify: Option<Arc<Identify>>,
    pub(super) identity: Option<Arc<FindIdentity>>,
    pub(super) counts: Arc<Counters>,
    pub(super) router: Router<ConnCore>,
    pub(super) events: broadcast::Sender<CoreEvent>,
    /// The events of connections that were never accepted.
    pub(super) unaccepted: broadcast::Sender<CoreEvent>,
    pub(super) tasks: Tasks,
    pub(super) stop: CancellationToken,
    /// Cancelled when the server stops, or only stops listening.
    pub(super) listening: CancellationToken,
    /// Cancelled when all connections and handlers have ended.
    pub(super) ended: CancellationToken,
    /// Whether the server drains.
    pub(super) draining: AtomicBool,
    /// What connections are closed with when the server stops.
    shutdown_close: OnceLock<Close>,
    pub(super) verdict: Verdict,
    callbacks: ArcSwap<Vec<Callback<CoreEvent>>>,
    pub(super) registry: Registry<ConnCore, CoreEvent>,
    pub(super) rooms: Rooms<ConnCore>,
    /// What joins this server with others, if it is one of several.
    pub(super) cluster: Option<Arc<dyn ClusterLink>>,
    /// Connections that have lost their places in the cluster before they were their users'.
    evicted_early: Mutex<HashSet<u64>>,
    /// Sessions that outlive their sockets, if clients may resume them.
    pub(super) resumption: Option<Resumption<ConnCore>>,
    /// The addresses, with the scheme of their URLs.
    addrs: Mutex<Vec<(SocketAddr, &'static str)>>,
    last_id: AtomicU64,
    /// Whether the task that sends heartbeats runs.
    heartbeat_task_started: AtomicBool,
    /// Whether the task that ends suspended sessions runs.
    resumption_task_started: AtomicBool,
}

impl ServerCore {
    pub(super) fn new(
        protocol: Box<dyn Choice>,
        config: Config,
        identify: Option<Arc<Identify>>,
        identity: Option<Arc<FindIdentity>>,
        router: Router<ConnCore>,
        callbacks: Vec<Callback<CoreEvent>>,
        app: Extensions,
    ) -> Self {
        let cluster = config.cluster.clone();
        let stop = CancellationToken::new();
        Self {
            wire: protocol.first(),
            wires: cluster.as_ref().map(|_| protocol.all()).unwrap_or_default(),
            protocol,
            app,
            registry: Registry::new(config.connections_per_user),
            rooms: Rooms::new(cluster.clone()),
            cluster,
            evicted_early: Mutex::default(),
            resumption: config.resume.map(Resumption::new),
            config,
            identify,
            identity,
            counts: Arc::default(),
            heartbeat_task_started: AtomicBool::new(false),
            resumption_task_started: AtomicBool::new(false),
            router,
            events: broadcast::Sender::new(EVENTS),
            unaccepted: broadcast::Sender::new(UNACCEPTED_EVENTS),
            tasks: Tasks::default(),
            listening: stop.child_token(),
            stop,
            ended: CancellationToken::new(),
            draining: AtomicBool::new(false),
            shutdown_close: OnceLock::new(),
            verdict: Verdict::default(),
            callbacks: ArcSwap::from_pointee(callbacks),
            addrs: Mutex::default(),
            last_id: AtomicU64::new(0),
        }
    }

    /// The connections that are to be evicted once they are their users'.
    pub(super) fn evicted_early(&self) -> MutexGuard<'_, HashSet<u64>> {
        lock(&self.evicted_early)
    }

    /// Returns the application state of this type.
    pub(super) fn app<A: Any + Send + Sync>(&self) -> Option<&A> {
        self.app.get::<Arc<A>>().map(|app| &**app)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Starts the one task that checks the heartbeats of all connections, so that no connection
    /// needs a timer.
    pub(super) fn start_heartbeat_task(self: &Arc<Self>, heartbeat: &Heartbeat) {
        if self.heartbeat_task_started.swap(true, Ordering::Relaxed) {
            return;
        }
        let least = heartbeat.min_interval.min(heartbeat.min_timeout);
        let tick = (least / 4).clamp(Duration::from_millis(5), Duration::from_millis(500));
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(tick);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let ticking = async {
                loop {
                    let now = ticks.tick().await;
                    server.registry.tick(now);
                }
            };
            server.stop.run_until_cancelled(ticking).await;
        });
    }

    /// Whether the task that ends suspended sessions is still to be started. True once.
    pub(super) fn start_once(&self) -> bool {
        !self.resumption_task_started.swap(true, Ordering::Relaxed)
    }

    /// Begins the shutdown: rejects new connections, and closes all others once the calls that they handle are answered, at
    /// most `grace` from now.
    pub(super) fn stop(&self, close: Close, grace: Duration) {
        let _ = self.shutdown_close.set(close);
        // Before the registry: a connection that opens meanwhile sees the token, or is in the registry.
        self.stop.cancel();
        self.registry.finish(&self.shutdown_close(), grace);
        self.stop_suspended();
    }

    /// Cancels the handlers and connections that have not ended.
    pub(super) fn cancel(&self) {
        self.tasks.cancel();
        self.registry.abort();
    }

    /// Returns what connections are closed with when the server stops.
    pub(super) fn shutdown_close(&self) -> Close {
        let default = || Close::new(1001, CloseReason::ByServer);
        self.shutdown_close.get().cloned().unwrap_or_else(default)
    }

    /// Ends the event streams, and drops the handlers with what they hold, which may be the server
    /// itself.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.router.clear();
        self.callbacks.store(Arc::default());
    }

    pub(super) fn add_callback(&self, callback: Callback<CoreEvent>) {
        self.callbacks.rcu(|old| {
            let mut callbacks = Vec::clone(old);
            callbacks.push(callback.clone());
            callbacks
        });
    }

    pub(super) fn add_addr(&self, addr: SocketAddr, scheme: &'static str) {
        lock(&self.addrs).push((addr, scheme));
    }

    pub(super) fn local_addrs(&self) -> Vec<(SocketAddr, &'static str)> {
        lock(&self.addrs).clone()
    }

    pub(super) fn emit(&self, event: CoreEvent) {
        let callbacks = self.callbacks.load_full();
        let panicked = call_all(&callbacks, &event);
        let conn = event.conn().filter(|_| !panicked.is_empty()).cloned();
        self.send(event);
        for panicked in panicked {
            let event = CoreEvent::Error(CoreErrorEvent::of_callback(conn.clone(), &panicked));
            call_others(&callbacks, &panicked, &event);
            self.send(event);
        }
    }

    /// Sends an event to the streams.
    fn send(&self, event: CoreEvent) {
        if let CoreEvent::Error(CoreErrorEvent { conn, code, name, message, .. }) = &event {
            tracing::debug!(?conn, %code, name = name.as_deref(), message, "error event");
        }
        let stream = if event.is_of_accepted() { &self.events } else { &self.unaccepted };
        // An error means only that there is no stream.
        let _ = stream.send(event);
    }

    /// Reports a connection that is turned away: in the log, in the counts, and as an event.
    pub(super) fn refused(&self, refused: Refused) {
        refused.log();
        let counts = &self.counts;
        count(match refused.stage {
            RefusedAt::Tls => &counts.refused_tls,
            RefusedAt::Request => &counts.refused_requests,
            RefusedAt::Upgrade => &counts.refused_upgrades,
            RefusedAt::Greeting => &counts.refused_greetings,
            RefusedAt::Identify => &counts.refused_identities,
        });
        self.emit(CoreEvent::Refused(Arc::new(refused)));
    }
}

/// A connection of any protocol: the state behind a [`Conn`](super::Conn).
#[derive(Clone)]
pub(crate) struct ConnCore(pub(super) Arc<ConnInner>);

pub(super) struct ConnInner {
    pub(super) id: u64,
    pub(super) user: Text,
    /// Identity and meta of the last greeting. Copied, so that an idle connection does not hold the buffer that it was read
    /// into.
    hi: Mutex<[Box<[u8]>; 2]>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) request: CompactRequest,
    pub(super) state: Extensions,
    pub(super) server: Arc<ServerCore>,
    pub(super) connection: Arc<Connection>,
    pub(super) memberships: Memberships<ConnCore>,
    departed: AtomicBool,
}

/// The fields of a connection, known once its user is.
pub(super) struct Parts {
    pub(super) id: u64,
    pub(super) user: Text,
    pub(super) hi: Hi,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) request: CompactRequest,
    pub(super) state: Extensions,
    pub(super) server: Arc<ServerCore>,
    pub(super) connection: Arc<Connection>,
}

impl ConnCore {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { id, user, hi, peer_addr, request, state, server, connection } = parts;
        let hi = Mutex::new(copied(&hi));
        let (memberships, departed) = (Memberships::default(), AtomicBool::new(false));
        Self(Arc::new(ConnInner {
            id,
            user,
            hi,
            peer_addr,
            request,
            state,
            server,
            connection,
            memberships,
            departed,
        }))
    }

    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    pub(super) fn user(&self) -> &Text {
        &self.0.user
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0.connection
    }

    /// What the client has greeted with last.
    pub(super) fn hi(&self) -> Hi {
        let [identity, meta] = &*lock(&self.0.hi);
        Hi::new(Bytes::copy_from_slice(identity), Bytes::copy_from_slice(meta))
    }

    /// The client has greeted again.
    pub(super) fn set_hi(&self, hi: &Hi) {
        let old = std::mem::replace(&mut *lock(&self.0.hi), copied(hi));
        drop(old);
    }

    /// Whether both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Closes at once.
    pub(super) fn close_now(&self, close: Close) {
        self.0.connection.close(close);
    }

    /// Closes at once; in a procedure of this connection, after its answer.
    pub(super) fn close(&self, close: Close) {
        let grace = self.0.server.config.close_timeout;
        if !self.0.connection.close_after_own_answer(&close, grace) {
            self.0.connection.close(close);
        }
    }

    /// Closes once the calls that are being handled are answered.
    pub(super) fn close_after_answers(&self, close: Close) {
        self.0.connection.finish(close, self.0.server.config.close_timeout, Waits::Answers);
    }

    /// Passes an event to the server's callbacks and streams.
    pub(super) fn emit(&self, event: CoreEvent) {
        self.0.server.emit(event);
    }

    /// Whether the connection has ended.
    pub(super) fn is_departed(&self) -> bool {
        self.0.departed.load(Ordering::Acquire)
    }

    /// Marks the connection as ended. Returns whether this was the first time.
    pub(super) fn depart(&self) -> bool {
        !self.0.departed.swap(true, Ordering::AcqRel)
    }
}

impl fmt::Debug for ConnCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("id", &self.0.id)
            .field("user", &self.0.user)
            .finish_non_exhaustive()
    }
}

/// A [`ServerEvent`](super::ServerEvent) of any protocol.
#[derive(Clone, Debug)]
pub(super) enum CoreEvent {
    Joined(ConnCore),
    Connected(ConnCore),
    Disconnected(ConnCore, Close),
    Entered(ConnCore, Text),
    Exited(ConnCore, Text),
    Left(Text, Close),
    Suspended(ConnCore, Close),
    Resumed(ConnCore, Resumed),
    Late(ConnCore),
    Live(ConnCore),
    Slow(ConnCore),
    Undelivered(Arc<CoreUndelivered>),
    Refused(Arc<Refused>),
    Error(CoreErrorEvent),
}

impl CoreEvent {
    /// The connection that the event is about, unless it was never accepted or there is no single one.
    fn conn(&self) -> Option<&ConnCore> {
        match self {
            Self::Joined(conn) | Self::Connected(conn) | Self::Disconnected(conn, _) => Some(conn),
            Self::Suspended(conn, _) | Self::Resumed(conn, _) => Some(conn),
            Self::Entered(conn, _) | Self::Exited(conn, _) => Some(conn),
            Self::Late(conn) | Self::Live(conn) | Self::Slow(conn) => Some(conn),
            Self::Error(error) => error.conn.as_ref(),
            Self::Left(..) | Self::Undelivered(_) | Self::Refused(_) => None,
        }
    }

    /// Whether the event is of a connection that was accepted.
    fn is_of_accepted(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Error(error) => error.conn.is_some(),
            _ => true,
        }
    }
}

/// An [`Undelivered`](super::Undelivered) of any protocol.
pub(super) struct CoreUndelivered {
    pub(super) user: Text,
    pub(super) name: Text,
    /// In the format of the first protocol.
    pub(super) payload: Bytes,
    pub(super) server: Arc<ServerCore>,
}

impl fmt::Debug for CoreUndelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, name, .. } = self;
        write!(f, "Undelivered({user:?}, {name:?})")
    }
}

/// An [`ErrorEvent`](super::ErrorEvent) of any protocol.
#[derive(Clone, Debug)]
pub(super) struct CoreErrorEvent {
    pub(super) conn: Option<ConnCore>,
    pub(super) code: ErrorCode,
    pub(super) name: Option<Text>,
    pub(super) message: String,
    pub(super) id: Option<Text>,
    pub(super) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CoreErrorEvent {
    /// Makes an error that no handler returned. The message may be what a peer wrote.
    pub(super) fn new(conn: Option<ConnCore>, code: ErrorCode, message: &str) -> Self {
        let message = excerpt(message).to_string();
        Self { conn, code, name: None, message, id: None, source: None }
    }

    /// Makes the error of a handler or of `identify`.
    pub(super) fn of_failure(conn: Option<ConnCore>, failure: Failure) -> Self {
        let Failure { code, name, message, id, source } = failure;
        Self { conn, code, name: Some(name), message, id, source }
    }

    /// Makes the error of an event callback that has panicked.
    fn of_callback(conn: Option<ConnCore>, panicked: &Panicked) -> Self {
        let name = Some(panicked.hook.into());
        Self { name, ..Self::new(conn, ErrorCode::Failed, &panicked.message) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Identity and meta.
fn copied(hi: &Hi) -> [Box<[u8]>; 2] {
    [&hi.identity, &hi.meta].map(|it| it[..].into())
}
