//! From a listening socket to connections.

#[cfg(feature = "tls")]
use std::error::Error;
use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use wse_proto::session::Session;
use wse_proto::{Pings, Protocol};

use super::Server;
use super::host::Host;
use super::inner::Inner;
use crate::connection::{Clock, Link, Traits, drive};
use crate::handshake::{
    Forwarded, HandshakeError, HeadLimits, Rejection, Upgrade, read_request, write_rejection,
    write_response,
};
use crate::luck;
#[cfg(feature = "tls")]
use crate::tls::{PeerCertificates, ServerTls, TlsStream};
use crate::ws::{self, NetStream, Role, WebSocket};

/// How long accepting rests when the system has no more file descriptors.
const REST: Duration = Duration::from_millis(50);

impl<P: Protocol> Server<P> {
    /// Listens on `addr`, also on several ones after each other; the address taken.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn listen(&self, addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        self.listen_as(addr, Door::default()).await
    }

    /// As [`listen`](Self::listen), for `wss://` clients. The TLS handshake counts into the
    /// [`handshake_timeout`](super::ServerBuilder::handshake_timeout); a client that fails it harms nobody.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    #[cfg(feature = "tls")]
    pub async fn listen_tls(
        &self,
        addr: impl ToSocketAddrs,
        tls: ServerTls,
    ) -> io::Result<SocketAddr> {
        self.listen_as(addr, Door { tls: Some(tls) }).await
    }

    async fn listen_as(&self, addr: impl ToSocketAddrs, door: Door) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        self.inner.add_addr(addr, door.scheme());
        let server = self.clone();
        self.inner.tasks.spawn(async move {
            let stop = server.inner.stop.clone();
            stop.run_until_cancelled(accept_all(listener, |io, peer| {
                let io = door.clone().open(io);
                let opening = server.clone().open_new(io, Some(peer));
                server.inner.tasks.spawn_connection(opening);
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
        tasks.run_connection(self.open_new(ready(Some((io, Extensions::new()))), peer_addr)).await;
    }

    /// [`accept`](Self::accept) through TLS, which has the handshake's deadline too. `identify` sees the
    /// client's certificates, if `tls` asks for them: [`PeerCertificates`].
    #[cfg(feature = "tls")]
    pub async fn accept_tls<T>(self, tls: &ServerTls, io: T, peer_addr: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let tasks = self.inner.tasks.clone();
        tasks.run_connection(self.open_new(Box::pin(secured(tls, io)), peer_addr)).await;
    }

    /// Opens a connection whose transport is to be made first; returns what runs it to its end.
    async fn open_new<T>(
        self,
        transport: impl Future<Output = Option<Arrived<T>>> + Send,
        peer_addr: Option<SocketAddr>,
    ) -> Option<impl Future<Output = ()> + Send>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let clock = Clock::start();
        let head = self.inner.config.head;
        let timeout = self.inner.config.handshake_timeout;
        let reading = tokio::time::timeout(timeout, read_head(transport, &head));
        // Who has not even asked yet is not waited for.
        let read = self.inner.stop.run_until_cancelled(reading).await?.ok()?;
        let (io, request, leftover) = read?;
        self.open(io, request, leftover, peer_addr, clock).await
    }

    /// Serves one connection in a task of the server's.
    pub(crate) fn spawn_accept<T>(&self, io: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opening = self.clone().open_new(ready(Some((io, Extensions::new()))), None);
        self.inner.tasks.spawn_connection(opening);
    }

    /// Answers a request; returns what runs the connection to its end.
    pub(super) async fn open<T>(
        self,
        mut io: T,
        request: Request<()>,
        leftover: BytesMut,
        peer_addr: Option<SocketAddr>,
        clock: Clock,
    ) -> Option<impl Future<Output = ()> + Send + use<P, T>>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // What the answer may still take of the time that the request had too.
        let timeout = self.inner.config.handshake_timeout.saturating_sub(clock.now());
        let answered = tokio::time::timeout(timeout, async {
            match self.inner.answer(&request, peer_addr, Upgrade::from_request) {
                Ok((response, answered)) => {
                    write_response(&mut io, &response).await.ok().map(|()| answered)
                }
                Err(rejection) => {
                    let _ = write_rejection(&mut io, &rejection).await;
                    None
                }
            }
        });
        let answered = answered.await.ok().flatten()?;
        Some(self.inner.run(io, leftover, answered, request, clock))
    }
}

/// What an upgrade request is answered with.
pub(super) struct Answered<P> {
    protocol: P,
    agreed: ws::Agreed,
    forwarded: Forwarded,
}

impl<P: Protocol> Inner<P> {
    /// The answer to an upgrade request that passes `check`: 101 and what was chosen, or why not.
    pub(super) fn answer(
        &self,
        request: &Request<()>,
        peer_addr: Option<SocketAddr>,
        check: impl FnOnce(&Request<()>) -> Result<Upgrade, Rejection>,
    ) -> Result<(Response<()>, Answered<P>), Rejection> {
        if self.stop.is_cancelled() {
            return Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down"));
        }
        let mut upgrade = check(request)?;
        let forwarded = self.config.proxies.forwarded(peer_addr, request.headers());
        self.config.origin.check_forwarded(request, &forwarded)?;
        let offered: Vec<&str> = upgrade.subprotocols().iter().map(String::as_str).collect();
        let protocol = self.protocol.select(&offered).ok_or_else(|| {
            let names = self.protocol.subprotocols().join(", ");
            Rejection::new(
                StatusCode::BAD_REQUEST,
                format!("no common subprotocol in Sec-WebSocket-Protocol; spoken here: {names}"),
            )
        })?;
        let selected = Some(protocol.name()).filter(|name| !name.is_empty());
        let (deflate, extensions) = (self.config.deflate, &self.config.extensions);
        let agreed = ws::Agreed::by_server(&mut upgrade, request, deflate, extensions)?;
        let response = upgrade
            .response(selected, &HeaderMap::new())
            .map_err(|error| Rejection::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok((response, Answered { protocol, agreed, forwarded }))
    }

    /// Runs an upgraded connection to its end.
    pub(super) fn run<T>(
        self: &Arc<Self>,
        io: T,
        leftover: BytesMut,
        Answered { protocol, agreed, forwarded }: Answered<P>,
        mut request: Request<()>,
        clock: Clock,
    ) -> impl Future<Output = ()> + Send + use<P, T>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let config = &self.config;
        let stranger =
            config.limits.max_message(config.limits.max_message.min(config.stranger_message));
        let socket_config = ws::Config::default()
            .limits(stranger)
            .control_rate(config.control_rate)
            .close_timeout(config.close_timeout);
        let mut socket = WebSocket::with_leftover(io, leftover, Role::Server, socket_config);
        socket.agree(agreed);
        let mut session =
            Session::server(protocol.has_greeting(), config.auth_timeout, config.session)
                .with_abilities(protocol.abilities());
        if let Some(heartbeat) = config.heartbeat {
            self.keep_time(&heartbeat);
            let jitter = match protocol.abilities().pings {
                // The protocol's own pings are known to begin at once.
                Pings::Always => 0.0,
                _ => luck::unit(),
            };
            session = session.with_heartbeat(heartbeat, None, clock.now(), jitter);
        }
        let traits = Traits { ticked: true, cancels_handlers: config.cancel_handlers };
        let counts = Arc::clone(&self.counts);
        let link = Link::new(protocol, session, config.queue, clock, counts, traits);
        let peer_addr = forwarded.addr;
        if !config.proxies.is_empty() {
            request.extensions_mut().insert(forwarded);
        }
        let host = Host::new(Arc::clone(self), &link, request, peer_addr);
        drive(socket, link, host)
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

/// A transport, and what the request that comes through it is to know of it.
pub(super) type Arrived<T> = (T, Extensions);

/// Speaks TLS over a connection; `None` when that fails.
#[cfg(feature = "tls")]
async fn secured<T>(tls: &ServerTls, io: T) -> Option<Arrived<TlsStream<T>>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match tls.accept(io).await {
        Ok(io) => {
            let extensions = PeerCertificates::extensions(&io);
            Some((io, extensions))
        }
        Err(error) => {
            let source = error.source();
            tracing::debug!(%error, source, "no tls");
            None
        }
    }
}

/// How strangers come in: as they are, or through TLS.
#[derive(Clone, Default)]
pub(super) struct Door {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ServerTls>,
}

impl Door {
    /// The scheme of URLs that lead here.
    #[cfg(feature = "tls")]
    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "wss" } else { "ws" }
    }

    #[cfg(not(feature = "tls"))]
    fn scheme(&self) -> &'static str {
        "ws"
    }

    /// Makes a transport of a connection; `None` for one whose TLS fails.
    #[cfg(feature = "tls")]
    pub(super) async fn open(self, mut io: TcpStream) -> Option<Arrived<NetStream>> {
        let Some(tls) = self.tls else { return Some((io.into(), Extensions::new())) };
        // Records of TLS begin with a control character: this is HTTP, and can be answered.
        let mut first = [0];
        if io.peek(&mut first).await.ok()? == 1 && first[0].is_ascii_alphabetic() {
            let rejection =
                Rejection::new(StatusCode::BAD_REQUEST, "this port speaks TLS: use a wss URL");
            let _ = write_rejection(&mut io, &rejection).await;
            return None;
        }
        // Boxed, lest every connection keep room for it as long as it lives.
        let (io, extensions) = Box::pin(secured(&tls, io)).await?;
        Some((io.into(), extensions))
    }

    #[cfg(not(feature = "tls"))]
    pub(super) async fn open(self, io: TcpStream) -> Option<Arrived<NetStream>> {
        Some((io.into(), Extensions::new()))
    }
}

/// Reads the request from a transport to be; answers one that is none. It has no deadline.
pub(super) async fn read_head<T>(
    transport: impl Future<Output = Option<Arrived<T>>>,
    limits: &HeadLimits,
) -> Option<(T, Request<()>, BytesMut)>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (mut io, extensions) = transport.await?;
    match read_request(&mut io, limits).await {
        Ok((mut request, leftover)) => {
            request.extensions_mut().extend(extensions);
            Some((io, request, leftover))
        }
        Err(HandshakeError::Rejected(rejection)) => {
            let _ = write_rejection(&mut io, &rejection).await;
            None
        }
        Err(error) => {
            tracing::debug!(%error, "no request");
            None
        }
    }
}
