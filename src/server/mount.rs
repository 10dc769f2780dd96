//! [`Listener`]: several servers on one port, by path.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::JoinSet;
use wse_proto::Negotiate;
use wse_transport::dial::NetStream;
use wse_transport::handshake::{HeadLimits, Rejection, write_rejection};

use super::core::ServerCore;
use super::handle::Server;
use super::listen::{Acceptor, NewTransport, accept_all, read_head};
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
    mounts: Mounts,
}

type Mounts = Vec<(String, Arc<ServerCore>)>;

impl Listener {
    /// Listens on `addr`. With port 0 the system chooses a free port.
    ///
    /// # Errors
    ///
    /// The error of the system when the address cannot be used.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        Ok(Self { listener, acceptor: Acceptor::default(), mounts: Vec::new() })
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
        self.mounts.push((path.into(), Arc::clone(&server.inner)));
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
        let Self { listener, acceptor, mounts } = self;
        let mounts = Arc::new(mounts);
        let mut arriving = JoinSet::new();
        accept_all(listener, |io, peer| {
            while arriving.try_join_next().is_some() {}
            arriving.spawn(route(Arc::clone(&mounts), acceptor.clone().open(io), peer));
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
    io: impl Future<Output = Option<NewTransport<NetStream>>>,
    peer: SocketAddr,
) {
    let clock = Clock::start();
    let limits = HeadLimits::default();
    let reading = tokio::time::timeout(HANDSHAKE_TIMEOUT, read_head(io, &limits));
    let Ok(Some((mut io, request, leftover))) = reading.await else { return };
    match mounts.iter().find(|(path, _)| path == request.uri().path()) {
        Some((_, server)) => {
            let opening = Arc::clone(server).open(io, request, leftover, Some(peer), clock);
            server.tasks.spawn_connection(opening);
        }
        None => {
            let rejection = Rejection::new(StatusCode::NOT_FOUND, "no server at this path");
            let _ =
                tokio::time::timeout(HANDSHAKE_TIMEOUT, write_rejection(&mut io, &rejection)).await;
        }
    }
}
