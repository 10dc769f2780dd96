//! [`ServerBuilder`].

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::ToSocketAddrs;
use wse_proto::session::{Close, Heartbeat};
use wse_proto::{Decode, Encode, Fault, Protocol, Text};

use super::Server;
use super::conn::Conn;
use super::events::{ServerError, ServerEvent};
use super::identify::{Accept, Hello, Identify, Refuse, Stranger, erase};
use super::identity::IdentityFrom;
use super::inner::{Callback, Config, FindIdentity, Inner};
use crate::connection::SendQueue;
use crate::handshake::{HeadLimits, OriginPolicy, TrustedProxies};
use crate::router::{Call, Outcome, Router, Unhandled};
use crate::ws;

/// A [`Server`] to be.
#[must_use = "a builder does nothing until `bind` or `build`"]
pub struct ServerBuilder<P: Protocol> {
    protocol: P,
    config: Config,
    identify: Option<Arc<Identify<P>>>,
    identity: Option<Arc<FindIdentity<P>>>,
    router: Router<P, Conn<P>>,
    callbacks: Vec<Callback<P>>,
}

impl<P: Protocol> ServerBuilder<P> {
    pub(super) fn new(protocol: P) -> Self {
        Self {
            protocol,
            config: Config::default(),
            identify: None,
            identity: None,
            router: Router::default(),
            callbacks: Vec::new(),
        }
    }

    /// Decides who a stranger is: accept it as a user, or refuse it. It may take its time, up to the
    /// [`auth_timeout`](Self::auth_timeout), and ask: [`Stranger::challenge`]. When the client goes meanwhile, or breaks the
    /// protocol, the decision is dropped where it waits and nobody joins. (A client whose protocol has no greeting is
    /// not read before the decision: that it has gone is seen behind it.)
    ///
    /// Without it everybody is refused. A greeting that is not of the types asked for is refused. A
    /// panic is an error event and closes the connection with 1011.
    pub fn identify<I, M, W, F, Fut>(mut self, identify: F) -> Self
    where
        F: Fn(Stranger<P>, Hello<I, M>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Accept<W>, Refuse>> + Send + 'static,
        P::Format: Decode<I> + Decode<M> + Encode<W>,
        M: 'static,
        W: Send,
    {
        self.identify = Some(erase(identify));
        self
    }

    /// Where the identity is of clients whose protocol has no greeting: a text, which
    /// [`identify`](Self::identify) gets as it gets that of any other client. The places are looked at in turn.
    /// Default: nowhere; such clients have none, and `identify` can look at
    /// [`Stranger::request`](crate::Stranger::request).
    ///
    /// ```
    /// # use wse_proto::{Encode, Protocol};
    /// # fn example<P: Protocol<Format: Encode<String>>>(builder: wse_transport::ServerBuilder<P>)
    /// #     -> wse_transport::ServerBuilder<P> {
    /// use wse_transport::IdentityFrom;
    /// builder.identity_from([IdentityFrom::bearer(), IdentityFrom::cookie("session")])
    /// # }
    /// ```
    pub fn identity_from(mut self, places: impl Into<Vec<IdentityFrom>>) -> Self
    where
        P::Format: Encode<String>,
    {
        let places = places.into();
        self.identity = Some(Arc::new(move |request, format| {
            let identity = places.iter().find_map(|place| place.find(request))?;
            let mut out = BytesMut::new();
            format.encode(&identity, &mut out).ok()?;
            Some(out.freeze())
        }));
        self
    }

    /// As [`Server::on`].
    pub fn on<T, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
        P::Format: Decode<T>,
    {
        self.router.on(name.into(), handler);
        self
    }

    /// As [`Server::procedure`].
    pub fn procedure<T, R, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.router.procedure(name.into(), handler);
        self
    }

    /// As [`Server::procedure_with`].
    pub fn procedure_with<T, R, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Conn<P>, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.router.procedure_with(name.into(), handler);
        self
    }

    /// As [`Server::unhandled`].
    pub fn unhandled<F, Fut>(self, handler: F) -> Self
    where
        F: Fn(Conn<P>, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.router.unhandled(handler);
        self
    }

    /// As [`Server::on_event`].
    pub fn on_event(mut self, callback: impl Fn(&ServerEvent<P>) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Arc::new(callback));
        self
    }

    /// At a user's first connection, right behind its welcome.
    pub fn joined(self, callback: impl Fn(&Conn<P>) + Send + Sync + 'static) -> Self {
        self.on_event(move |event| {
            if let ServerEvent::Joined(conn) = event {
                callback(conn);
            }
        })
    }

    /// At each connection that is let in.
    pub fn connected(self, callback: impl Fn(&Conn<P>) + Send + Sync + 'static) -> Self {
        self.on_event(move |event| {
            if let ServerEvent::Connected(conn) = event {
                callback(conn);
            }
        })
    }

    /// At the end of each connection that was let in.
    pub fn disconnected(self, callback: impl Fn(&Conn<P>, &Close) + Send + Sync + 'static) -> Self {
        self.on_event(move |event| {
            if let ServerEvent::Disconnected(conn, close) = event {
                callback(conn, close);
            }
        })
    }

    /// At the end of a user's last connection.
    pub fn left(self, callback: impl Fn(&str, &Close) + Send + Sync + 'static) -> Self {
        self.on_event(move |event| {
            if let ServerEvent::Left(user, close) = event {
                callback(user, close);
            }
        })
    }

    /// When something goes wrong.
    pub fn error(self, callback: impl Fn(&ServerError<P>) + Send + Sync + 'static) -> Self {
        self.on_event(move |event| {
            if let ServerEvent::Error(error) = event {
                callback(error);
            }
        })
    }

    /// Connections a user may have, at least 1; one more closes the oldest with 1000
    /// `wse.clients-concurrency`. Default: 1.
    pub fn connections_per_user(mut self, connections: usize) -> Self {
        self.config.connections_per_user = connections;
        self
    }

    /// How long a connection may take from its first byte to its welcome; past it, 1000
    /// `wse.not-authorized`. `None` for no limit. Default: 10 s.
    pub fn auth_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.auth_timeout = timeout.into();
        self
    }

    /// How long the HTTP part of it may take, TLS included; past it, the socket is dropped. Default: 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.handshake_timeout = timeout;
        self
    }

    /// Limits on the HTTP request, past which it is answered with 414 or 431. Default: 8 KiB a line, 128
    /// headers, 32 KiB in all.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.config.head = limits;
        self
    }

    /// How long the closing handshake may take, with what is queued before it; past it the socket is
    /// dropped. Default: 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// How long calls to clients wait for their answers; `None` for as long as the connection
    /// lasts. Default: 20 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.call_timeout = timeout.into();
        self
    }

    /// Calls that may wait for answers, per connection. Default: 1,024.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.config.session.calls = calls;
        self
    }

    /// Receipts that may be waited for, per connection. Default: 1,024.
    pub fn max_receipts(mut self, receipts: usize) -> Self {
        self.config.session.receipts = receipts;
        self
    }

    /// How clients are known to be there; `None` never asks. One that is not heard any more is dropped: close code
    /// 1006, reason `wse.heartbeat-timeout`. Default: [`Heartbeat::default`], a ping each 2 s or ten round trips,
    /// and an end after 10 s or fifty. One clock asks for all connections: it is late by half a second at most.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.config.heartbeat = heartbeat.into();
        self
    }

    /// Whether handlers that still run when their connection ends are dropped where they wait. Default: they run
    /// to their end.
    pub fn cancel_handlers(mut self, cancel: bool) -> Self {
        self.config.cancel_handlers = cancel;
        self
    }

    /// Handlers that may be under way, per connection; past it one message is read ahead, and no more. A peer that has
    /// said more than that is not taken for dead meanwhile. Default: 1,024.
    pub fn max_handlers(mut self, handlers: usize) -> Self {
        self.config.handlers = handlers.max(1);
        self
    }

    /// Limits on what clients may send once they are let in. Default: [`ws::Limits::default`],
    /// messages of 1 MiB.
    pub fn limits(mut self, limits: ws::Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Agrees to compression when a client offers it, and on these terms. Limits hold for what is
    /// inflated. Default: no compression. Read [`ws::Deflate`] before secrets are sent.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: ws::Deflate) -> Self {
        self.config.deflate = Some(deflate);
        self
    }

    /// Agrees to an extension when a client offers it; those added before are preferred. Default: none.
    pub fn extension(mut self, extension: Arc<dyn ws::Extension>) -> Self {
        self.config.extensions.push(extension);
        self
    }

    /// The largest message of a stranger, in bytes. Default: 16 KiB.
    pub fn max_stranger_message(mut self, bytes: usize) -> Self {
        self.config.stranger_message = bytes;
        self
    }

    /// How many pings and pongs a client may send; past it, 1008. `None` for no limit. Default: 60
    /// at once, 20 a second.
    pub fn control_rate(mut self, rate: impl Into<Option<ws::ControlRate>>) -> Self {
        self.config.control_rate = rate.into();
        self
    }

    /// What may wait to be sent to a client, and what happens to one that reads too slowly. Default:
    /// 1 MiB or 1,024 messages, and 1013 after 10 s.
    pub fn send_queue(mut self, queue: SendQueue) -> Self {
        self.config.queue = queue;
        self
    }

    /// Which browser pages may connect. Default: [`OriginPolicy::SameHost`].
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.config.origin = policy;
        self
    }

    /// Believes these proxies when they say where a request comes from, in `Forwarded` (RFC 7239) or in
    /// `X-Forwarded-For` and its like: [`Conn::peer_addr`] is that of the client then, and the policy of
    /// origins compares with the host that the client asked for. [`Forwarded`](crate::handshake::Forwarded),
    /// among the extensions of [`Conn::request`], has all of it. Default: nobody is believed.
    ///
    /// ```
    /// # fn example<P: wse_proto::Protocol>(builder: wse_transport::ServerBuilder<P>)
    /// #     -> Result<wse_transport::ServerBuilder<P>, wse_transport::handshake::ParseNetError> {
    /// use std::net::{IpAddr, Ipv4Addr};
    /// use wse_transport::handshake::ProxyNet;
    ///
    /// let nets: [ProxyNet; 2] = [Ipv4Addr::LOCALHOST.into(), "10.0.0.0/8".parse()?];
    /// Ok(builder.trusted_proxies(nets))
    /// # }
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl Into<TrustedProxies>) -> Self {
        self.config.proxies = proxies.into();
        self
    }

    /// A server that listens nowhere yet: [`Server::listen`], [`Server::accept`] and
    /// [`Listener`](crate::Listener) give it connections.
    pub fn build(self) -> Server<P> {
        let Self { protocol, config, identify, identity, router, callbacks } = self;
        let inner = Inner::new(protocol, config, identify, identity, router, callbacks);
        Server { inner: Arc::new(inner) }
    }

    /// Builds the server and listens on `addr`; port 0 takes any free one, [`Server::url`] tells which.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn bind(self, addr: impl ToSocketAddrs) -> io::Result<Server<P>> {
        let server = self.build();
        server.listen(addr).await?;
        Ok(server)
    }

    /// As [`bind`](Self::bind), for `wss://` clients: [`Server::listen_tls`].
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    #[cfg(feature = "tls")]
    pub async fn bind_tls(
        self,
        addr: impl ToSocketAddrs,
        tls: crate::tls::ServerTls,
    ) -> io::Result<Server<P>> {
        let server = self.build();
        server.listen_tls(addr, tls).await?;
        Ok(server)
    }
}

impl<P: Protocol> fmt::Debug for ServerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("protocol", &self.protocol.name())
            .field("config", &self.config)
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}
