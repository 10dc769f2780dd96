//! From a listening socket to connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use wse_proto::Protocol;
use wse_proto::session::Session;

use super::Server;
use super::host::Host;
use super::inner::Inner;
use crate::connection::{Clock, DriverConfig, Link, drive};
use crate::handshake::{
    HandshakeError, Rejection, Upgrade, read_request, write_rejection, write_response,
};
use crate::ws::{self, Role, WebSocket};

/// How long accepting rests when the system has no more file descriptors.
const REST: Duration = Duration::from_millis(50);

impl<P: Protocol> Server<P> {
    /// Listens on `addr`, also on several ones after each other; the address taken.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn listen(&self, addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        self.inner.add_addr(addr);
        let server = self.clone();
        self.inner.tasks.spawn(async move {
            let stop = server.inner.stop.clone();
            stop.run_until_cancelled(accept_all(listener, |io, peer| {
                server.inner.tasks.spawn(server.clone().serve_new(io, Some(peer)));
            }))
            .await;
        });
        Ok(addr)
    }

    /// Serves one connection that begins with an HTTP upgrade, over any transport, to its end. Any path is
    /// accepted. The transport's own options, such as `TCP_NODELAY`, are the caller's.
    ///
    /// [`Server::shutdown`] ends it too, and waits for it. Not cancel safe: dropping the future drops the
    /// connection.
    pub async fn accept<T>(self, io: T, peer_addr: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let tasks = self.inner.tasks.clone();
        tasks.run(self.serve_new(io, peer_addr)).await;
    }

    async fn serve_new<T>(self, mut io: T, peer_addr: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let clock = Clock::start();
        let head = self.inner.config.head;
        let timeout = self.inner.config.handshake_timeout;
        let reading = read_head(&mut io, &head, timeout);
        // Who has not even asked yet is not waited for.
        let Some(Some((request, leftover))) = self.inner.stop.run_until_cancelled(reading).await
        else {
            return;
        };
        self.serve(io, request, leftover, peer_addr, clock).await;
    }

    /// Serves one connection in a task of the server's.
    pub(crate) fn spawn_accept<T>(&self, io: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.inner.tasks.spawn(self.clone().serve_new(io, None));
    }

    /// Serves a connection whose request is read.
    pub(super) async fn serve<T>(
        self,
        mut io: T,
        request: Request<()>,
        leftover: BytesMut,
        peer_addr: Option<SocketAddr>,
        clock: Clock,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let timeout = self.inner.config.handshake_timeout;
        let answered = tokio::time::timeout(timeout, async {
            match self.inner.answer(&request) {
                Ok((response, protocol)) => {
                    write_response(&mut io, &response).await.ok().map(|()| protocol)
                }
                Err(rejection) => {
                    let _ = write_rejection(&mut io, &rejection).await;
                    None
                }
            }
        });
        if let Ok(Some(protocol)) = answered.await {
            self.inner.run(io, leftover, protocol, request, peer_addr, clock).await;
        }
    }
}

impl<P: Protocol> Inner<P> {
    /// The answer to an upgrade request: 101 and the protocol chosen, or why not.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Result<(Response<()>, P), Rejection> {
        if self.stop.is_cancelled() {
            return Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down"));
        }
        let upgrade = Upgrade::from_request(request)?;
        self.config.origin.check(request)?;
        let offered: Vec<&str> = upgrade.subprotocols().iter().map(String::as_str).collect();
        let protocol = self.protocol.select(&offered).ok_or_else(|| {
            let names = self.protocol.subprotocols().join(", ");
            Rejection::new(
                StatusCode::BAD_REQUEST,
                format!("no common subprotocol in Sec-WebSocket-Protocol; spoken here: {names}"),
            )
        })?;
        let selected = Some(protocol.name()).filter(|name| !name.is_empty());
        let response = upgrade
            .response(selected, &HeaderMap::new())
            .map_err(|error| Rejection::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok((response, protocol))
    }

    /// Runs an upgraded connection to its end.
    pub(super) async fn run<T>(
        self: &Arc<Self>,
        io: T,
        leftover: BytesMut,
        protocol: P,
        request: Request<()>,
        peer_addr: Option<SocketAddr>,
        clock: Clock,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let config = &self.config;
        let stranger =
            config.limits.max_message(config.limits.max_message.min(config.stranger_message));
        let socket_config = ws::Config::default()
            .limits(stranger)
            .control_rate(config.control_rate)
            .close_timeout(config.close_timeout);
        let socket = WebSocket::with_leftover(io, leftover, Role::Server, socket_config);
        let session = Session::server(protocol.has_greeting(), config.auth_timeout, config.session);
        let link = Link::new(protocol, session, config.queue, clock);
        let host = Host::new(Arc::clone(self), request, peer_addr);
        let driver = DriverConfig { limits: config.limits, close_timeout: config.close_timeout };
        drive(socket, link, host, driver).await;
    }
}

/// Accepts connections for ever.
pub(super) async fn accept_all(listener: TcpListener, mut each: impl FnMut(TcpStream, SocketAddr)) {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => {
                // Small messages must not wait for acknowledgements of earlier ones.
                let _ = io.set_nodelay(true);
                each(io, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Reads the request; answers one that is none.
pub(super) async fn read_head<T>(
    io: &mut T,
    limits: &crate::handshake::HeadLimits,
    timeout: Duration,
) -> Option<(Request<()>, BytesMut)>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let read = tokio::time::timeout(timeout, async {
        match read_request(io, limits).await {
            Ok(read) => Some(read),
            Err(HandshakeError::Rejected(rejection)) => {
                let _ = write_rejection(io, &rejection).await;
                None
            }
            Err(error) => {
                tracing::debug!(%error, "no request");
                None
            }
        }
    });
    read.await.ok().flatten()
}
