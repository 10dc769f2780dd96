//! [`Listener`]: several servers on one port, by path.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::JoinSet;
use wse_proto::Negotiate;
use wse_transport::dial::NetStream;
use wse_transport::handshake::{HeadLimits, Rejection};

use super::acceptor::{Acceptor, NewTransport, NoRequest, arrive};
use super::core::ServerCore;
use super::handle::Server;
use super::listen::accept_all;
use super::refused::{Refused, RefusedAt};
use crate::connection::Clock;

/// The time for the HTTP request to arrive, TLS included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A TCP port that several servers share by path, each with its own protocol, users and events.
///
/// ```no_run
/// # async fn example<A, B>(chat: wse::Server<A>, game: wse::Server<B>) -> std::io::Result<()>
/// # where A: wse::Negotiate, B: wse::Negotiate {
/// use wse::Listener;
/// let listener = Listener::bind("127.0.0.1:4200").await?.mount("/chat", &chat).mount("/game", &game);
/// tokio::spawn(listener.run());
/// # Ok(()) }
/// ```
#[must_use = "a listener does nothing until `run`"]
pub struct Listener {
    listener: TcpListener,
    acceptor: Acceptor,
    routes: Routes,
}

type OnRefused = dyn Fn(&Refused) + Send + Sync;

/// The servers by path, and what is called for connections that reach none of them.
#[derive(Default)]
struct Routes {
    mounts: Vec<(String, Arc<ServerCore>)>,
    on_refused: Option<Box<OnRefused>>,
}

impl Routes {
    /// Reports a connection that has reached no server.
    fn refused(&self, refused: &Refused) {
        refused.log();
        if let Some(callback) = &self.on_refused
            && catch_unwind(AssertUnwindSafe(|| callback(refused))).is_err()
        {
            tracing::error!("`on_refused` of a listener panicked");
        }
    }
}

impl Listener {
    /// Listens on `addr`. With port 0 the system chooses a free port.
    ///
    /// # Errors
    ///
    /// The error of the system when the address cannot be used.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        Ok(Self { listener, acceptor: Acceptor::default(), routes: Routes::default() })
    }

    /// Uses TLS for all connections, for `wss://` clients. The TLS handshake is part of the 10 s in
    /// which the request must arrive.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: wse_transport::tls::ServerTls) -> Self {
        self.acceptor.tls = Some(tls);
        self
    }

    /// Passes connections whose request has exactly this path to `server`. A query is not part of
    /// the path.
    pub fn mount<P: Negotiate>(mut self, path: impl Into<String>, server: &Server<P>) -> Self {
        self.routes.mounts.push((path.into(), Arc::clone(&server.inner)));
        self
    }

    /// Calls `callback` at each connection that is turned away before it reaches a server: the TLS handshake failed, no
    /// valid request arrived in time, or no server is mounted at its path. The servers report all others. A second
    /// callback replaces the first.
    pub fn on_refused(mut self, callback: impl Fn(&Refused) + Send + Sync + 'static) -> Self {
        self.routes.on_refused = Some(Box::new(callback));
        self
    }

    /// Returns the address that the listener uses.
    ///
    /// # Errors
    ///
    /// The error of the system when it does not know the address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until the future is dropped. A path without a server is answered with
    /// 404. Accepted connections belong to their servers and outlive the listener.
    pub async fn run(self) {
        let Self { listener, acceptor, routes } = self;
        let routes = Arc::new(routes);
        let mut arriving = JoinSet::new();
        accept_all(listener, |io, peer| {
            while arriving.try_join_next().is_some() {}
            arriving.spawn(route(Arc::clone(&routes), acceptor.clone().open(io), peer));
        })
        .await;
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.routes.mounts.iter().map(|(path, _)| path).collect();
        f.debug_struct("Listener").field("paths", &paths).finish_non_exhaustive()
    }
}

async fn route(
    routes: Arc<Routes>,
    io: impl Future<Output = Result<NewTransport<NetStream>, NoRequest<NetStream>>>,
    peer: SocketAddr,
) {
    let clock = Clock::start();
    let limits = HeadLimits::default();
    let report = |refused| routes.refused(&refused);
    let (io, request, leftover) = match arrive(io, &limits, clock, HANDSHAKE_TIMEOUT).await {
        Ok(arrived) => arrived,
        Err(why) => {
            let left = HANDSHAKE_TIMEOUT.saturating_sub(clock.now());
            return why.refuse(Some(peer), left, report).await;
        }
    };
    match routes.mounts.iter().find(|(path, _)| path == request.uri().path()) {
        Some((_, server)) => {
            let opening = Arc::clone(server).open(io, request, leftover, Some(peer), clock);
            server.tasks.spawn_connection(opening);
        }
        None => {
            let rejection = Rejection::new(StatusCode::NOT_FOUND, "no server at this path");
            let why = NoRequest::Rejected(RefusedAt::Upgrade, io, rejection);
            why.refuse(Some(peer), HANDSHAKE_TIMEOUT, report).await;
        }
    }
}
