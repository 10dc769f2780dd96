//! What the handles of a server and its connections share.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Request;
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wse_proto::session::{Close, Heartbeat, SessionLimits};
use wse_proto::{CloseReason, Protocol};

use super::conn::Conn;
use super::events::{ServerError, ServerEvent};
use super::identify::Identify;
use super::roster::Roster;
use super::windows::Windows;
use crate::connection::{Counts, SendQueue, Tasks};
use crate::handshake::{HeadLimits, OriginPolicy, TrustedProxies};
use crate::router::Router;
use crate::ws::{self, compression};

/// Events that a slow reader may fall behind.
const EVENTS: usize = 1024;

/// What finds the identity in a request, and encodes it.
pub(super) type FindIdentity<P> =
    dyn Fn(&Request<()>, &<P as Protocol>::Format) -> Option<Bytes> + Send + Sync;

pub(super) type Callback<P> = Arc<dyn Fn(&ServerEvent<P>) + Send + Sync>;

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) connections_per_user: usize,
    pub(super) auth_timeout: Option<Duration>,
    pub(super) handshake_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) call_timeout: Option<Duration>,
    pub(super) session: SessionLimits,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) cancel_handlers: bool,
    pub(super) handlers: usize,
    pub(super) stranger_message: usize,
    pub(super) limits: ws::Limits,
    pub(super) control_rate: Option<ws::ControlRate>,
    pub(super) queue: SendQueue,
    pub(super) origin: OriginPolicy,
    pub(super) proxies: TrustedProxies,
    pub(super) head: HeadLimits,
    pub(super) deflate: compression::Wanted,
    pub(super) extensions: Vec<Arc<dyn ws::Extension>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_per_user: 1,
            auth_timeout: Some(Duration::from_secs(10)),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            call_timeout: Some(Duration::from_secs(20)),
            session: SessionLimits::default(),
            heartbeat: Some(Heartbeat::default()),
            cancel_handlers: false,
            handlers: 1024,
            stranger_message: 16 * 1024,
            limits: ws::Limits::default(),
            control_rate: ws::Config::default().control_rate,
            queue: SendQueue::default(),
            origin: OriginPolicy::default(),
            proxies: TrustedProxies::default(),
            head: HeadLimits::default(),
            deflate: None,
            extensions: Vec::new(),
        }
    }
}

pub(super) struct Inner<P: Protocol> {
    pub(super) protocol: P,
    pub(super) config: Config,
    pub(super) identify: Option<Arc<Identify<P>>>,
    pub(super) identity: Option<Arc<FindIdentity<P>>>,
    pub(super) counts: Arc<Counts>,
    pub(super) windows: Windows,
    pub(super) router: Router<P, Conn<P>>,
    pub(super) events: broadcast::Sender<ServerEvent<P>>,
    pub(super) tasks: Tasks,
    pub(super) stop: CancellationToken,
    /// Everything has ended.
    pub(super) ended: CancellationToken,
    /// What connections are closed with when the server stops.
    farewell: OnceLock<Close>,
    callbacks: ArcSwap<Vec<Callback<P>>>,
    pub(super) roster: Roster<P>,
    /// With the scheme of their URLs.
    addrs: Mutex<Vec<(SocketAddr, &'static str)>>,
    last_id: AtomicU64,
    /// For messages to several connections at once.
    /// Whether somebody looks after the heartbeats.
    ticking: AtomicBool,
}

impl<P: Protocol> Inner<P> {
    pub(super) fn new(
        protocol: P,
        config: Config,
        identify: Option<Arc<Identify<P>>>,
        identity: Option<Arc<FindIdentity<P>>>,
        router: Router<P, Conn<P>>,
        callbacks: Vec<Callback<P>>,
    ) -> Self {
        Self {
            protocol,
            roster: Roster::new(config.connections_per_user),
            config,
            identify,
            identity,
            counts: Arc::default(),
            windows: Windows::default(),
            ticking: AtomicBool::new(false),
            router,
            events: broadcast::Sender::new(EVENTS),
            tasks: Tasks::default(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            farewell: OnceLock::new(),
            callbacks: ArcSwap::from_pointee(callbacks),
            addrs: Mutex::default(),
            last_id: AtomicU64::new(0),
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// One task looks after the heartbeats of all connections, so that none needs a timer of its own.
    pub(super) fn keep_time(self: &Arc<Self>, heartbeat: &Heartbeat) {
        if self.ticking.swap(true, Ordering::Relaxed) {
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
                    server.roster.tick(now);
                }
            };
            server.stop.run_until_cancelled(ticking).await;
        });
    }

    /// Begins to stop: nobody is accepted any more, and every connection is closed like this.
    pub(super) fn stop(&self, close: Close) {
        let _ = self.farewell.set(close);
        // First: a connection that opens meanwhile sees it, or is in the roster.
        self.stop.cancel();
        self.roster.close(&self.farewell());
    }

    /// Ends what has not ended by itself.
    pub(super) fn cancel(&self) {
        self.tasks.cancel();
        self.roster.abort();
    }

    pub(super) fn farewell(&self) -> Close {
        let default = || Close::new(1001, CloseReason::ByServer);
        self.farewell.get().cloned().unwrap_or_else(default)
    }

    /// Nothing will happen any more: event streams end, and handlers are dropped with what they hold,
    /// which may be the server itself.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.router.clear();
        self.callbacks.store(Arc::default());
    }

    pub(super) fn add_callback(&self, callback: Callback<P>) {
        self.callbacks.rcu(|old| {
            let mut callbacks = Vec::clone(old);
            callbacks.push(Arc::clone(&callback));
            callbacks
        });
    }

    pub(super) fn add_addr(&self, addr: SocketAddr, scheme: &'static str) {
        lock(&self.addrs).push((addr, scheme));
    }

    pub(super) fn local_addrs(&self) -> Vec<(SocketAddr, &'static str)> {
        lock(&self.addrs).clone()
    }

    /// A connection is let in: its user's oldest ones make room.
    pub(super) fn join(&self, conn: &Conn<P>) {
        let _in_order = self.roster.in_order(conn.user());
        let mut users = self.roster.users_with(conn.user());
        let joined = users.join(conn.user().clone(), conn.id(), conn.clone());
        drop(users);
        for evicted in joined.evicted {
            let close = Close::normal(CloseReason::ClientsConcurrency);
            evicted.close(close.clone());
            if evicted.depart() {
                self.emit(ServerEvent::Disconnected(evicted, close));
            }
        }
        if joined.first {
            self.emit(ServerEvent::Joined(conn.clone()));
        }
        self.emit(ServerEvent::Connected(conn.clone()));
    }

    /// A connection ends. One that was evicted has left already.
    pub(super) fn depart(&self, conn: &Conn<P>, close: &Close) {
        let _in_order = self.roster.in_order(conn.user());
        if conn.depart() {
            let last = self.roster.users_with(conn.user()).leave(conn.user(), conn.id());
            self.emit(ServerEvent::Disconnected(conn.clone(), close.clone()));
            if last == Some(true) {
                self.emit(ServerEvent::Left(conn.user().clone(), close.clone()));
            }
        }
    }

    pub(super) fn emit(&self, event: ServerEvent<P>) {
        let callbacks = self.callbacks.load_full();
        for callback in callbacks.iter() {
            if catch_unwind(AssertUnwindSafe(|| callback(&event))).is_err() {
                tracing::error!(?event, "an event callback panicked");
            }
        }
        if let ServerEvent::Error(error) = &event {
            let ServerError { conn, code, name, message } = error;
            tracing::debug!(?conn, %code, name = name.as_deref(), message, "error event");
        }
        // An error only says that nobody listens.
        let _ = self.events.send(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
