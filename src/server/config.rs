//! [`Config`]: what a server was built with.

use std::sync::Arc;
use std::time::Duration;

use wse_proto::session::{Heartbeat, ResumeLimits, SessionLimits};
use wse_transport::handshake::{HeadLimits, OriginPolicy, TrustedProxies};
use wse_transport::ws;

use super::cluster::ClusterLink;
use super::duplicates::DuplicateWindows;
use crate::connection::{SendQueue, default_handled_bytes};

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
    pub(super) windows: DuplicateWindows,
    /// What is kept for clients that resume their sessions; `None` if they may not.
    pub(super) resume: Option<ResumeLimits>,
    pub(super) handlers: usize,
    pub(super) max_rooms: usize,
    /// In bytes.
    pub(super) max_room_name: usize,
    /// Whether there are events of connections that join and leave rooms.
    pub(super) room_events: bool,
    pub(super) handled_bytes: Option<usize>,
    pub(super) expose_errors: bool,
    pub(super) unauthenticated_message: usize,
    pub(super) limits: ws::Limits,
    pub(super) control_rate: Option<ws::ControlRate>,
    pub(super) queue: SendQueue,
    pub(super) origin: OriginPolicy,
    pub(super) proxies: TrustedProxies,
    pub(super) head: HeadLimits,
    pub(super) deflate: Option<ws::Deflate>,
    pub(super) extensions: Vec<Arc<dyn ws::Extension>>,
    /// What joins the server with others, if it is one of several.
    pub(super) cluster: Option<Arc<dyn ClusterLink>>,
}

impl Config {
    /// The most bytes of payloads that are handled or wait for that, per connection.
    pub(super) fn handled_bytes(&self) -> usize {
        self.handled_bytes.unwrap_or(default_handled_bytes(&self.limits))
    }

    /// The limits before a connection is authenticated.
    pub(super) fn unauthenticated(&self) -> ws::Limits {
        self.limits.max_message(self.limits.max_message.min(self.unauthenticated_message))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_per_user: 1,
            resume: None,
            auth_timeout: Some(Duration::from_secs(10)),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            call_timeout: Some(Duration::from_secs(20)),
            session: SessionLimits::default(),
            heartbeat: Some(Heartbeat::default()),
            cancel_handlers: false,
            windows: DuplicateWindows::default(),
            handlers: 1024,
            max_rooms: 64,
            max_room_name: 128,
            room_events: false,
            handled_bytes: None,
            expose_errors: false,
            unauthenticated_message: 16 * 1024,
            limits: ws::Limits::default(),
            control_rate: ws::Config::default().control_rate,
            queue: SendQueue::default(),
            origin: OriginPolicy::default(),
            proxies: TrustedProxies::default(),
            head: HeadLimits::default(),
            deflate: None,
            extensions: Vec::new(),
            cluster: None,
        }
    }
}
