//! [`ClientBuilder`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wse_proto::session::{Backoff, Heartbeat, SessionLimits};
use wse_proto::{Decode, Encode, Fault, Protocol, Text};

use super::Client;
use super::connector::{Connector, TcpConnector};
use super::credentials::{Credentials, solver};
use super::error::ConnectError;
use super::shared::{Settings, Shared, Target};
use crate::connection::SendQueue;
use crate::proxy::Proxies;
use crate::router::{Call, Outcome, Router, Unhandled};
use crate::ws;

/// A [`Client`] to be.
#[must_use = "a builder does nothing until `connect` or `build`"]
pub struct ClientBuilder<P: Protocol> {
    settings: Settings<P>,
    router: Router<P, Client<P>>,
    target: Target<P>,
}

impl<P: Protocol> ClientBuilder<P> {
    pub(super) fn new(protocol: P, url: String) -> Self {
        Self {
            settings: Settings {
                protocol,
                headers: Vec::new(),
                connector: Arc::new(TcpConnector),
                dial: ws::Dial::default(),
                solver: None,
                reconnect: None,
                connect_timeout: Duration::from_secs(10),
                close_timeout: Duration::from_secs(10),
                call_timeout: Some(Duration::from_secs(20)),
                session: SessionLimits::default(),
                heartbeat: Some(Heartbeat::default()),
                cancel_handlers: false,
                handlers: 1024,
                limits: ws::Limits::default(),
                deflate: None,
                extensions: Vec::new(),
                queue: SendQueue::default(),
                offline_queue: 0,
            },
            router: Router::default(),
            target: Target { url, credentials: Credentials::NONE },
        }
    }

    /// Who the client is: any value that the server's `identify` expects, but not null. One that has
    /// nothing to say, such as with a cookie, sends an empty text.
    pub fn identity<I: Send + Sync + 'static>(mut self, identity: I) -> Self
    where
        P::Format: Encode<I>,
    {
        self.target.credentials.set_identity(identity);
        self
    }

    /// What else it tells about itself. Default: an empty map.
    pub fn meta<M: Send + Sync + 'static>(mut self, meta: M) -> Self
    where
        P::Format: Encode<M>,
    {
        self.target.credentials.set_meta(meta);
        self
    }

    /// Asks for identity and meta anew at each connection, such as for a token that expires. Instead
    /// of [`identity`](Self::identity) and [`meta`](Self::meta).
    pub fn credentials<I, M, F, Fut>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(I, M), Fault>> + Send + 'static,
        P::Format: Encode<I> + Encode<M>,
        I: Send,
        M: Send,
    {
        self.target.credentials = Credentials::asked(ask);
        self
    }

    /// Solves the server's challenges. Without it a challenge fails the connection.
    ///
    /// ```
    /// # fn example<P: wse_proto::Protocol<Format: wse_proto::Decode<String> + wse_proto::Encode<String>>>(
    /// #     builder: wse_transport::ClientBuilder<P>) -> wse_transport::ClientBuilder<P> {
    /// use wse_transport::auth::hmac_answer;
    /// builder.solver(|quest: String| async move { Ok(hmac_answer(b"secret", "ann", &quest)) })
    /// # }
    /// ```
    pub fn solver<Q, A, F, Fut>(mut self, solve: F) -> Self
    where
        F: Fn(Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Fault>> + Send + 'static,
        P::Format: Decode<Q> + Encode<A>,
        A: Send,
    {
        self.settings.solver = Some(solver(solve));
        self
    }

    /// Connects again when the connection is lost: after close codes 1005, 1006, 1011 to 1014 and 4000, and
    /// after attempts whose failure may pass. Default: no.
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.settings.reconnect = Some(backoff);
        self
    }

    /// As [`Client::on`].
    pub fn on<T, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Client<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
        P::Format: Decode<T>,
    {
        self.router.on(name.into(), handler);
        self
    }

    /// As [`Client::procedure`].
    pub fn procedure<T, R, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Client<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.router.procedure(name.into(), handler);
        self
    }

    /// As [`Client::procedure_with`].
    pub fn procedure_with<T, R, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Client<P>, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
        R: Send,
        P::Format: Decode<T> + Encode<R>,
    {
        self.router.procedure_with(name.into(), handler);
        self
    }

    /// As [`Client::unhandled`].
    pub fn unhandled<F, Fut>(self, handler: F) -> Self
    where
        F: Fn(Client<P>, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.router.unhandled(handler);
        self
    }

    /// How long one attempt may take, from the first packet to the welcome, TLS included. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long the closing handshake may take, with what is queued before it. Default: 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings.close_timeout = timeout;
        self
    }

    /// How long calls wait for their answers; `None` for as long as the connection lasts. Default: 20 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.call_timeout = timeout.into();
        self
    }

    /// Calls that may wait for answers. Default: 1,024.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.settings.session.calls = calls;
        self
    }

    /// Receipts that may be waited for. Default: 1,024.
    pub fn max_receipts(mut self, receipts: usize) -> Self {
        self.settings.session.receipts = receipts;
        self
    }

    /// How the server is known to be there; `None` never asks. When it is not heard any more the connection is
    /// lost: close code 1006, reason `wse.heartbeat-timeout`. Default: [`Heartbeat::default`], a ping each 2 s or
    /// ten round trips, and an end after 10 s or fifty.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.settings.heartbeat = heartbeat.into();
        self
    }

    /// Whether handlers that still run when the connection ends are dropped where they wait. Default: they run to
    /// their end.
    pub fn cancel_handlers(mut self, cancel: bool) -> Self {
        self.settings.cancel_handlers = cancel;
        self
    }

    /// Handlers that may be under way; past it the connection is not read. Default: 1,024.
    pub fn max_handlers(mut self, handlers: usize) -> Self {
        self.settings.handlers = handlers.max(1);
        self
    }

    /// Limits on what the server may send. Default: [`ws::Limits::default`], messages of 1 MiB.
    pub fn limits(mut self, limits: ws::Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Offers compression on these terms; the server may decline. Default: no offer. Read
    /// [`ws::Deflate`] before secrets are sent.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: ws::Deflate) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// Offers an extension, after those added before; the server may decline. Default: none. One whose
    /// name or parameters cannot be offered fails the connecting.
    pub fn extension(mut self, extension: Arc<dyn ws::Extension>) -> Self {
        self.settings.extensions.push(extension);
        self
    }

    /// What may wait to be sent. Default: 1 MiB or 1,024 messages.
    pub fn send_queue(mut self, queue: SendQueue) -> Self {
        self.settings.queue = queue;
        self
    }

    /// Keeps up to so many messages that are sent while there is no connection, and sends them
    /// right behind the next welcome. Calls are never kept. Default: 0, such a send is an error.
    pub fn offline_queue(mut self, messages: usize) -> Self {
        self.settings.offline_queue = messages;
        self
    }

    /// Adds a header field to the HTTP request. A field that belongs to the handshake itself fails the connect.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers.push((name.into(), value.into()));
        self
    }

    /// How to get a transport. Default: [`TcpConnector`]. Proxies are spoken to over it, and so is TLS for
    /// `wss://` URLs.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.settings.connector = Arc::new(connector);
        self
    }

    /// Connects through proxies: one [`Proxy`](crate::proxy::Proxy) for all servers, or
    /// [`Proxies`](crate::proxy::Proxies). Default: none, and the environment is not read.
    pub fn proxy(mut self, proxies: impl Into<Proxies>) -> Self {
        self.settings.dial.proxies = proxies.into();
        self
    }

    /// How long the connector may take, and then, with a proxy, TLS with it and its consent. All of it counts
    /// as time of [`connect_timeout`](Self::connect_timeout), too. Default: 5 s.
    pub fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.settings.dial.timeout = timeout;
        self
    }

    /// How many redirects to follow: see [`ws::Dial::redirects`]. Default: none. The greeting, and with it the
    /// identity, goes to where they lead: allow them only for servers that you trust that far.
    pub fn redirects(mut self, most: u8) -> Self {
        self.settings.dial.redirects = most;
        self
    }

    /// Whom to trust, and who the client is, when the URL is a `wss://` one. Default: trust what the
    /// system trusts, or what Mozilla trusts where the system names nobody.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::ClientTls) -> Self {
        self.settings.dial.tls = Some(tls);
        self
    }

    /// A client that is not connected yet.
    pub fn build(self) -> Client<P> {
        Client::new(Shared::new(self.settings, self.router, self.target))
    }

    /// Builds the client, connects it and waits for the welcome.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as for [`Client::connect`].
    pub async fn connect(self) -> Result<Client<P>, ConnectError> {
        let client = self.build();
        client.connect().await?;
        Ok(client)
    }
}

impl<P: Protocol> fmt::Debug for ClientBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("protocol", &self.settings.protocol.name())
            .field("url", &self.target.url)
            .finish_non_exhaustive()
    }
}
