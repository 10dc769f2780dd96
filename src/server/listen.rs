//! From a listening socket to connections.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use wse_proto::session::Session;
use wse_proto::{MessageKind, Negotiate};
use wse_transport::accept_tcp;
use wse_transport::dial::NetStream;
use wse_transport::handshake::{
    Forwarded, Negotiated, Rejection, Upgrade, write_rejection, write_response,
};
#[cfg(feature = "tls")]
use wse_transport::tls::ServerTls;
use wse_transport::ws::{self, Role, WebSocket};

#[cfg(feature = "tls")]
use super::acceptor::tls_handshake;
use super::acceptor::{Acceptor, NewTransport, NoRequest, arrive};
use super::core::ServerCore;
use super::handle::Server;
use super::refused::{Refused, RefusedAt, RefusedWith};
use super::side::ServerSide;
use crate::connection::{
    Channel, Clock, Connection, ConnectionOptions, FramedChannel, Wire, drive,
};
use crate::transport::Transport;

impl<P: Negotiate> Server<P> {
    /// Listens on `addr`, and returns the address that was bound. May be called for several addresses.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound; [`io::ErrorKind::NotConnected`] after [`Server::shutdown`], and
    /// after [`Drain::close_listeners`](crate::Drain::close_listeners).
    pub async fn listen(&self, addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        self.inner.listen(TcpListener::bind(addr).await?, Acceptor::default())
    }

    /// As [`listen`](Self::listen), for `wss://` clients. The
    /// [`handshake_timeout`](super::ServerBuilder::handshake_timeout) includes the TLS handshake.
    ///
    /// # Errors
    ///
    /// As for [`listen`](Self::listen).
    #[cfg(feature = "tls")]
    pub async fn listen_tls(
        &self,
        addr: impl ToSocketAddrs,
        tls: ServerTls,
    ) -> io::Result<SocketAddr> {
        self.inner.listen(TcpListener::bind(addr).await?, Acceptor { tls: Some(tls) })
    }

    /// Listens on a socket that is open already, and returns its address: one that the process was given, such as by systemd or
    /// by the process that it replaces. See [`Drain::close_listeners`](crate::Drain::close_listeners).
    ///
    /// # Errors
    ///
    /// When the socket cannot be used, and outside a tokio runtime; [`io::ErrorKind::NotConnected`] after [`Server::shutdown`], and
    /// after [`Drain::close_listeners`](crate::Drain::close_listeners).
    pub fn listen_on(&self, listener: std::net::TcpListener) -> io::Result<SocketAddr> {
        self.inner.listen(opened(listener)?, Acceptor::default())
    }

    /// As [`listen_on`](Self::listen_on), for `wss://` clients.
    ///
    /// # Errors
    ///
    /// As for [`listen_on`](Self::listen_on).
    #[cfg(feature = "tls")]
    pub fn listen_tls_on(
        &self,
        listener: std::net::TcpListener,
        tls: ServerTls,
    ) -> io::Result<SocketAddr> {
        self.inner.listen(opened(listener)?, Acceptor { tls: Some(tls) })
    }

    /// Serves one connection that begins with an HTTP upgrade, over any transport, to its end. Accepts any path. The
    /// caller sets the options of the transport, such as `TCP_NODELAY`.
    ///
    /// [`Server::shutdown`] closes the connection and waits for it. Not cancel safe: dropping the future drops the
    /// connection.
    pub async fn accept<T>(self, io: T, peer_addr: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let tasks = self.inner.tasks.clone();
        let opening = self.inner.open_new(ready(Ok((io, Extensions::new()))), peer_addr);
        tasks.run_connection(opening).await;
    }

    /// As [`accept`](Self::accept), over TLS. The [`handshake_timeout`](super::ServerBuilder::handshake_timeout)
    /// includes the TLS handshake. `identify` sees the client's certificates if `tls` asks for them:
    /// [`PeerCertificates`](wse_transport::tls::PeerCertificates).
    #[cfg(feature = "tls")]
    pub async fn accept_tls<T>(self, tls: &ServerTls, io: T, peer_addr: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let tasks = self.inner.tasks.clone();
        let opening = self.inner.open_new(Box::pin(tls_handshake(tls, io)), peer_addr);
        tasks.run_connection(opening).await;
    }

    /// Serves one connection over a byte stream, such as a TCP or Unix socket, to its end: messages with their length
    /// before them for a binary protocol, and lines for a text protocol, without HTTP and WebSocket. The frames are
    /// those of [`ProtocolCodec`](crate::ProtocolCodec), which shows them; a client that speaks them is
    /// [`ClientBuilder::framed`](crate::ClientBuilder::framed).
    ///
    /// Everything else is as over a WebSocket: greeting and challenge, calls both ways, receipts, limits, queues and
    /// [`Server::shutdown`], which closes the connection and waits for it. These differ:
    ///
    /// - The protocol is the first one of the server, since there is no subprotocol to select another.
    /// - `identify` sees the request `GET /` without header fields. A protocol without a greeting finds no identity in
    ///   it.
    /// - The peer gets no close code. It sees the end of the stream, also when it is refused. The end of the peer's
    ///   stream is code 1005 between two messages, and 1006 within one or after an error.
    /// - There are no WebSocket pings. The [`heartbeat`](super::ServerBuilder::heartbeat) uses the pings of the
    ///   protocol; a protocol without them has no heartbeat. A silent peer then stays connected until TCP gives up.
    /// - A text message that has a line break cannot be sent: [`SendError::Encode`](crate::SendError::Encode).
    ///
    /// The caller sets the options of the transport, such as `TCP_NODELAY`. Not cancel safe: dropping the future drops
    /// the connection.
    ///
    /// ```no_run
    /// # async fn example<P: wse::Negotiate>(server: wse::Server<P>) -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:4201").await?;
    /// loop {
    ///     let (io, addr) = wse_transport::accept_tcp(&listener).await;
    ///     tokio::spawn(server.clone().serve_framed(io, Some(addr)));
    /// }
    /// # }
    /// ```
    pub async fn serve_framed<T>(self, io: T, peer_addr: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let tasks = self.inner.tasks.clone();
        let config = &self.inner.config;
        let wire = self.inner.protocol.first();
        let most = config.unauthenticated().max_message;
        let channel = FramedChannel::new(io, wire.info.kind(), most, config.close_timeout);
        let clock = Clock::start();
        let running = self.inner.serve(channel, wire, Request::new(()), peer_addr, clock);
        tasks.run_connection(ready(Some(running))).await;
    }

    /// Serves one connection over any transport in a task of the server.
    pub(crate) fn spawn_accept(&self, io: Box<dyn Transport>) {
        self.inner.spawn_accept(io);
    }
}

/// What an upgrade request was answered with.
pub(super) struct AcceptedUpgrade {
    wire: Wire,
    negotiated: Negotiated,
    forwarded: Forwarded,
}

impl AcceptedUpgrade {
    /// The address of the client.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        self.forwarded.addr
    }
}

impl ServerCore {
    /// Accepts connections in a task of the server. Returns the address that is bound.
    fn listen(
        self: &Arc<Self>,
        listener: TcpListener,
        acceptor: Acceptor,
    ) -> io::Result<SocketAddr> {
        if self.listening.is_cancelled() {
            let why = "the server is shut down, or has closed its listeners: build another one";
            return Err(io::Error::new(io::ErrorKind::NotConnected, why));
        }
        let addr = listener.local_addr()?;
        self.add_addr(addr, acceptor.scheme());
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let listening = server.listening.clone();
            listening
                .run_until_cancelled(accept_all(listener, |io, peer| {
                    let io = acceptor.clone().open(io);
                    let opening = Arc::clone(&server).open_new(io, Some(peer));
                    server.tasks.spawn_connection(opening);
                }))
                .await;
        });
        Ok(addr)
    }

    /// Opens a connection once `transport` is ready. Returns the future that runs it to its end.
    async fn open_new<T>(
        self: Arc<Self>,
        transport: impl Future<Output = Result<NewTransport<T>, NoRequest<T>>> + Send,
        peer_addr: Option<SocketAddr>,
    ) -> Option<impl Future<Output = ()> + Send>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let clock = Clock::start();
        let head = self.config.head;
        let within = self.config.handshake_timeout;
        let arriving = arrive(transport, &head, clock, within);
        // A shutdown does not wait for a client that has not sent its request.
        match self.stop.run_until_cancelled(arriving).await? {
            Ok((io, request, leftover)) => self.open(io, request, leftover, peer_addr, clock).await,
            Err(why) => {
                let left = within.saturating_sub(clock.now());
                why.refuse(peer_addr, left, |refused| self.refused(refused)).await;
                None
            }
        }
    }

    /// Serves one connection over any transport in a task of the server.
    fn spawn_accept(self: &Arc<Self>, io: Box<dyn Transport>) {
        let io = NetStream::from(io);
        let opening = Arc::clone(self).open_new(ready(Ok((io, Extensions::new()))), None);
        self.tasks.spawn_connection(opening);
    }

    /// Answers a request. Returns the future that runs the connection to its end.
    pub(super) async fn open<T>(
        self: Arc<Self>,
        mut io: T,
        request: Request<()>,
        leftover: BytesMut,
        peer_addr: Option<SocketAddr>,
        clock: Clock,
    ) -> Option<impl Future<Output = ()> + Send + use<T>>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // The request and the answer share one deadline.
        let within = self.config.handshake_timeout;
        let left = within.saturating_sub(clock.now());
        match self.answer(&request, peer_addr, Upgrade::from_request) {
            Ok((response, answered)) => {
                match tokio::time::timeout(left, write_response(&mut io, &response)).await {
                    Ok(written) => written.ok()?,
                    Err(_) => {
                        let cause = format!("the client did not take the response in {within:?}");
                        let peer_addr = answered.peer_addr();
                        let (stage, with) = (RefusedAt::Upgrade, RefusedWith::Dropped);
                        self.refused(Refused::new(peer_addr, stage, with, &cause));
                        return None;
                    }
                }
                Some(self.run(io, leftover, answered, request, clock))
            }
            Err(rejection) => {
                let _ = tokio::time::timeout(left, write_rejection(&mut io, &rejection)).await;
                None
            }
        }
    }

    /// The answer to an upgrade request: 101 and what was negotiated, or a rejection, which is reported. `check` checks
    /// the request.
    pub(super) fn answer(
        &self,
        request: &Request<()>,
        peer_addr: Option<SocketAddr>,
        check: impl FnOnce(&Request<()>) -> Result<Upgrade, Rejection>,
    ) -> Result<(Response<()>, AcceptedUpgrade), Rejection> {
        self.decide(request, peer_addr, check)
            .inspect_err(|rejection| self.rejected(request, peer_addr, rejection))
    }

    /// Reports a request that is answered with a rejection.
    pub(super) fn rejected(
        &self,
        request: &Request<()>,
        peer_addr: Option<SocketAddr>,
        rejection: &Rejection,
    ) {
        let peer_addr = self.config.proxies.forwarded(peer_addr, request.headers()).addr;
        self.refused(Refused::rejected(peer_addr, RefusedAt::Upgrade, rejection));
    }

    fn decide(
        &self,
        request: &Request<()>,
        peer_addr: Option<SocketAddr>,
        check: impl FnOnce(&Request<()>) -> Result<Upgrade, Rejection>,
    ) -> Result<(Response<()>, AcceptedUpgrade), Rejection> {
        if self.stop.is_cancelled() {
            return Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down"));
        }
        if self.is_draining() {
            return Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "draining"));
        }
        let mut upgrade = check(request)?;
        let forwarded = self.config.proxies.forwarded(peer_addr, request.headers());
        self.config.origin.check_forwarded(request, &forwarded)?;
        let offered: Vec<&str> = upgrade.subprotocols().iter().map(String::as_str).collect();
        let wire = self.protocol.select(&offered).ok_or_else(|| {
            let names = self.protocol.subprotocols().join(", ");
            Rejection::new(
                StatusCode::BAD_REQUEST,
                format!("no common subprotocol in Sec-WebSocket-Protocol; supported: {names}"),
            )
        })?;
        let selected = wire.info.subprotocol();
        let (deflate, extensions) = (self.config.deflate, &self.config.extensions);
        let negotiated = upgrade.negotiate(request, deflate, extensions)?;
        let response = upgrade
            .response(selected, &HeaderMap::new())
            .map_err(|error| Rejection::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok((response, AcceptedUpgrade { wire, negotiated, forwarded }))
    }

    /// Serves an upgraded connection to its end.
    pub(super) fn run<T>(
        self: &Arc<Self>,
        io: T,
        leftover: BytesMut,
        AcceptedUpgrade { wire, negotiated, forwarded }: AcceptedUpgrade,
        mut request: Request<()>,
        clock: Clock,
    ) -> impl Future<Output = ()> + Send + use<T>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let config = &self.config;
        let socket_config = ws::Config::default()
            .limits(config.unauthenticated())
            .control_rate(config.control_rate)
            .close_timeout(config.close_timeout);
        let mut socket = WebSocket::with_leftover(io, leftover, Role::Server, socket_config);
        socket.set_negotiated(negotiated);
        let peer_addr = forwarded.addr;
        if !config.proxies.is_empty() {
            request.extensions_mut().insert(forwarded);
        }
        self.serve(socket, wire, request, peer_addr, clock)
    }

    /// Runs a connection over a channel to its end.
    fn serve<C: Channel + Send>(
        self: &Arc<Self>,
        channel: C,
        wire: Wire,
        request: Request<()>,
        peer_addr: Option<SocketAddr>,
        clock: Clock,
    ) -> impl Future<Output = ()> + Send + use<C> {
        let config = &self.config;
        let info = wire.info;
        let mut session = Session::server(info, config.auth_timeout, config.session);
        if let Some(heartbeat) = &config.heartbeat {
            self.start_heartbeat_task(heartbeat);
        }
        let options = ConnectionOptions {
            ticked: true,
            cancels_handlers: config.cancel_handlers,
            lines: C::FRAMED && info.kind() == MessageKind::Text,
        };
        if self.resumption.is_some() {
            self.start_resumption_task();
            session = session.with_resume();
        }
        let counts = Arc::clone(&self.counts);
        let connection = Connection::new(wire, session, config.queue, clock, counts, options);
        let side = ServerSide::new(Arc::clone(self), &connection, request, peer_addr);
        drive(channel, connection, side)
    }
}

fn opened(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepts connections until the future is dropped.
pub(super) async fn accept_all(listener: TcpListener, mut each: impl FnMut(TcpStream, SocketAddr)) {
    loop {
        let (io, peer) = accept_tcp(&listener).await;
        each(io, peer);
    }
}
