//! [`Listener`]: several servers on one port, by path.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{Request, StatusCode};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::JoinSet;
use wse_proto::Protocol;

use super::Server;
use super::listen::{Arrived, Door, accept_all, read_head};
use crate::connection::Clock;
use crate::handshake::{HeadLimits, Rejection, write_rejection};
use crate::ws::NetStream;

/// How long the HTTP request may take to arrive.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// One port that several servers share by path, each with its own protocol, users and events.
///
/// ```no_run
/// # async fn example<A, B>(chat: wse_transport::Server<A>, game: wse_transport::Server<B>) -> std::io::Result<()>
/// # where A: wse_proto::Protocol, B: wse_proto::Protocol {
/// use wse_transport::Listener;
/// let listener = Listener::bind("127.0.0.1:4200").await?.mount("/chat", &chat).mount("/game", &game);
/// tokio::spawn(listener.run());
/// # Ok(()) }
/// ```
#[must_use = "a listener does nothing until `run`"]
pub struct Listener {
    listener: TcpListener,
    door: Door,
    mounts: Mounts,
}

type Mounts = Vec<(String, Arc<dyn Mounted>)>;

impl Listener {
    /// Listens on `addr`; port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        Ok(Self { listener, door: Door::default(), mounts: Vec::new() })
    }

    /// Speaks TLS with everybody, for `wss://` clients. It counts into the 10 s that a request may take
    /// to arrive.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::ServerTls) -> Self {
        self.door.tls = Some(tls);
        self
    }

    /// Gives `server` the connections whose request has exactly this path; a query is not part of it.
    pub fn mount<P: Protocol>(mut self, path: impl Into<String>, server: &Server<P>) -> Self {
        self.mounts.push((path.into(), Arc::new(server.clone())));
        self
    }

    /// The address listened on.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until it is dropped; those it accepted live on in their servers. A path that
    /// nothing is mounted at is answered with 404.
    pub async fn run(self) {
        let Self { listener, door, mounts } = self;
        let mounts = Arc::new(mounts);
        let mut arriving = JoinSet::new();
        accept_all(listener, |io, peer| {
            while arriving.try_join_next().is_some() {}
            arriving.spawn(route(Arc::clone(&mounts), door.clone().open(io), peer));
        })
        .await;
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.mounts.iter().map(|(path, _)| path).collect();
        f.debug_struct("Listener").field("paths", &paths).finish_non_exhaustive()
    }
}

async fn route(
    mounts: Arc<Mounts>,
    io: impl Future<Output = Option<Arrived<NetStream>>>,
    peer: SocketAddr,
) {
    let clock = Clock::start();
    let limits = HeadLimits::default();
    let reading = tokio::time::timeout(HANDSHAKE, read_head(io, &limits));
    let Ok(Some((mut io, request, leftover))) = reading.await else { return };
    match mounts.iter().find(|(path, _)| path == request.uri().path()) {
        Some((_, server)) => server.take(io, request, leftover, peer, clock),
        None => {
            let rejection = Rejection::new(StatusCode::NOT_FOUND, "nothing is mounted here");
            let _ = tokio::time::timeout(HANDSHAKE, write_rejection(&mut io, &rejection)).await;
        }
    }
}

/// A server of any protocol.
trait Mounted: Send + Sync {
    fn take(
        &self,
        io: NetStream,
        request: Request<()>,
        rest: BytesMut,
        peer: SocketAddr,
        clock: Clock,
    );
}

impl<P: Protocol> Mounted for Server<P> {
    fn take(
        &self,
        io: NetStream,
        request: Request<()>,
        rest: BytesMut,
        peer: SocketAddr,
        clock: Clock,
    ) {
        let opening = self.clone().open(io, request, rest, Some(peer), clock);
        self.inner.tasks.spawn_connection(opening);
    }
}
