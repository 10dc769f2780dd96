//! [`ClientBuilder`].

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use wse_proto::session::{Backoff, Close, Heartbeat, ResumeLimits, SessionLimits};
use wse_proto::{Decode, Encode, Negotiate, Text};
use wse_transport::dial::Dial;
use wse_transport::handshake::public_url;
use wse_transport::ws;

use super::connector::TcpConnector;
use super::credentials::{Credentials, Target, solver};
use super::error::ConnectError;
use super::handle::Client;
use super::open;
use super::place::Url;
use super::shared::{ClientCore, Settings, Shared};
use crate::connection::SendQueue;
use crate::router::{Call, HandlerError, HandlerOutput, Router, Unhandled};

/// Configures a [`Client`].
///
/// ```no_run
/// # async fn example() -> Result<(), wse::ConnectError> {
/// use std::time::Duration;
/// use wse::{Backoff, Client, JsonArray};
///
/// let client = Client::builder(JsonArray, "ws://127.0.0.1:4200")
///     .identity("ann".to_owned())
///     .reconnect(Backoff::default())
///     .offline_queue(100)
///     .call_timeout(Duration::from_secs(5))
///     .on("news", |_client, text: String| async move { println!("{text}") })
///     .on_ready(|client| {
///         let _ = client.send("subscribe", "news");
///     })
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until `connect` or `build`"]
pub struct ClientBuilder<P: Negotiate> {
    pub(super) settings: Settings,
    router: Router<ClientCore>,
    target: Target,
    protocol_type: PhantomData<fn() -> P>,
}

impl<P: Negotiate> Client<P> {
    /// Returns a builder for a client of the server at this `ws://` URL, or `wss://` with the
    /// feature `tls`.
    pub fn builder(protocol: P, url: impl Into<String>) -> ClientBuilder<P> {
        ClientBuilder::new(protocol, url.into())
    }
}

impl<P: Negotiate> ClientBuilder<P> {
    fn new(protocol: P, url: String) -> Self {
        Self {
            settings: Settings {
                protocol: Box::new(protocol),
                headers: Vec::new(),
                ask_headers: None,
                home: url.clone(),
                share_credentials: false,
                connector: Arc::new(TcpConnector),
                open: open::websocket,
                dial: Dial::default(),
                solver: None,
                reconnect: None,
                reconnect_when: None,
                retry_first: false,
                connect_timeout: Duration::from_secs(10),
                close_timeout: Duration::from_secs(10),
                call_timeout: Some(Duration::from_secs(20)),
                session: SessionLimits::default(),
                resume: kept(),
                heartbeat: Some(Heartbeat::default()),
                cancel_handlers: false,
                expose_errors: false,
                on_ready: None,
                callbacks: Vec::new(),
                handlers: 1024,
                handled_bytes: None,
                limits: ws::Limits::default(),
                deflate: None,
                extensions: Vec::new(),
                queue: SendQueue::default(),
                offline_queue: None,
            },
            router: Router::default(),
            target: Target { url: Url::Fixed(url), credentials: Credentials::NONE },
            protocol_type: PhantomData,
        }
    }

    /// Sets the identity: any value that the server's `identify` expects, except null. Default: none.
    /// Connecting then fails with [`ConnectError::NoIdentity`] if the protocol has a greeting. A client
    /// that the server knows by a cookie sets an empty text.
    pub fn identity<I: Send + Sync + 'static>(mut self, identity: I) -> Self
    where
        P::Format: Encode<I>,
    {
        self.target.credentials.set_identity::<P::Protocol, I>(identity);
        self
    }

    /// Sets other data for the server's `identify`. Default: an empty map.
    pub fn meta<M: Send + Sync + 'static>(mut self, meta: M) -> Self
    where
        P::Format: Encode<M>,
    {
        self.target.credentials.set_meta::<P::Protocol, M>(meta);
        self
    }

    /// Sets a function that provides the URL of each attempt, such as from a service that knows the servers. It replaces the
    /// URL of the builder, until [`Client::migrate`] sets another one. Default: none.
    ///
    /// An error that it returns, or a URL that is malformed, is a transient [`ConnectError::Provided`]. Its time counts as part
    /// of the [`connect_timeout`](Self::connect_timeout). Header fields with credentials go to the server that it names.
    ///
    /// ```
    /// # async fn nearest() -> Result<String, wse::BoxError> { Ok(String::new()) }
    /// # fn example<P: wse::Negotiate>(builder: wse::ClientBuilder<P>) -> wse::ClientBuilder<P> {
    /// builder.url_with(|| async { wse::Ok(format!("wss://{}/chat", nearest().await?)) })
    /// # }
    /// ```
    pub fn url_with<E, F, Fut>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: HandlerError,
    {
        self.target.url = Url::asked(ask);
        self
    }

    /// Sets a function that provides identity and meta at each connection, such as for a token that
    /// expires. It replaces [`identity`](Self::identity) and [`meta`](Self::meta). An error that it
    /// returns is a transient [`ConnectError::Credentials`].
    ///
    /// It must name the same user each time: what waits for the user is sent with the next credentials. To be another user, use
    /// [`Client::migrate_as`] or another client.
    ///
    /// It is also called when the server says that the credentials are about to expire: see
    /// [`ClientEvent::Expiring`](crate::ClientEvent::Expiring). The new ones are sent over the same connection. The function
    /// must return in the time that is left. An error, or no return in time, is then an error event with the name
    /// `credentials`.
    ///
    /// ```
    /// # async fn fresh_token() -> Result<String, wse::BoxError> { Ok(String::new()) }
    /// # fn example<P: wse::Negotiate<Format: wse::Encode<String> + wse::Encode<()>>>(builder: wse::ClientBuilder<P>)
    /// #     -> wse::ClientBuilder<P> {
    /// builder.credentials(|| async { wse::Ok((fresh_token().await?, ())) })
    /// # }
    /// ```
    pub fn credentials<I, M, E, F, Fut>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(I, M), E>> + Send + 'static,
        P::Format: Encode<I> + Encode<M>,
        I: Send,
        M: Send,
        E: HandlerError,
    {
        self.target.credentials = Credentials::asked::<P::Protocol, I, M, E, _, _>(ask);
        self
    }

    /// Sets the function that answers the server's challenges. Without it a challenge fails the
    /// connection with [`ConnectError::NoSolver`].
    ///
    /// ```
    /// # fn example<P: wse::Negotiate<Format: wse::Decode<String> + wse::Encode<String>>>(
    /// #     builder: wse::ClientBuilder<P>) -> wse::ClientBuilder<P> {
    /// use wse::auth::hmac_answer;
    /// builder.solver(|question: String| async move { wse::Ok(hmac_answer(b"secret", "ann", &question)) })
    /// # }
    /// ```
    pub fn solver<Q, A, E, F, Fut>(mut self, solve: F) -> Self
    where
        F: Fn(Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, E>> + Send + 'static,
        P::Format: Decode<Q> + Encode<A>,
        A: Send,
        E: HandlerError,
    {
        self.settings.solver = Some(solver::<P::Protocol, Q, A, E, _, _>(solve));
        self
    }

    /// Reconnects when the connection is lost: after close codes 1005, 1006, 1011 to 1014 and 4000,
    /// and after attempts whose failure [is transient](ConnectError::is_transient). Default: off.
    ///
    /// - After 4001 `wse.credentials-expired` it connects again if a function provides its
    ///   [`credentials`](Self::credentials). Otherwise the application has to log in again.
    /// - The waits grow with each attempt, until a connection lasts longer than the wait before it.
    /// - After [`Backoff::attempts`] attempts in a row that failed, or whose connection did not last, the
    ///   client gives up. Default: never.
    /// - A refusal with 429 or 503 and `Retry-After` is heeded, up to an hour or [`Backoff::cap`].
    /// - Each retry is a [`ClientEvent::Retrying`](crate::ClientEvent::Retrying) and a `warn` of `tracing`.
    /// - The first connection is not retried, so that a wrong address is an error at once, unless
    ///   `attempts` or [`retry_first`](Self::retry_first) is set.
    /// - If the server lets clients resume their connections ([`ServerBuilder::resume`](crate::ServerBuilder::resume)), the
    ///   client does: calls go on, and what was sent meanwhile arrives. See [`ClientEvent::Resumed`](crate::ClientEvent::Resumed) and
    ///   [`resume_bytes`](Self::resume_bytes).
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.settings.reconnect = Some(backoff);
        self
    }

    /// Sets after which closes the client [reconnects](Self::reconnect), for servers with close codes of
    /// their own. It replaces the default, [`session::reconnects`](wse_proto::session::reconnects) and the rule for
    /// expired credentials, also for a server that closes before the welcome. A panic in it is a no.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate>(builder: wse::ClientBuilder<P>) -> wse::ClientBuilder<P> {
    /// use wse::{Backoff, session::reconnects};
    /// // A platform that restarts its servers with 1001.
    /// builder
    ///     .reconnect(Backoff::default())
    ///     .reconnect_when(|close| close.code == 1001 || reconnects(close.code))
    /// # }
    /// ```
    pub fn reconnect_when(mut self, when: impl Fn(&Close) -> bool + Send + Sync + 'static) -> Self {
        self.settings.reconnect_when = Some(Box::new(when));
        self
    }

    /// Sets whether [`connect`](Self::connect) retries as [`reconnect`](Self::reconnect) does before the
    /// first welcome, for as long as it takes. Default: false, unless [`Backoff::attempts`] is set: the
    /// first failure is returned.
    pub fn retry_first(mut self, retry: bool) -> Self {
        self.settings.retry_first = retry;
        self
    }

    /// Sets a message handler: see [`Client::on`].
    pub fn on<T, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Client<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
        P::Format: Decode<T>,
    {
        let handler = move |core, payload: T| handler(Client::of(core), payload);
        self.router.on::<P::Protocol, T, _, _>(name.into(), handler);
        self
    }

    /// Sets a procedure: see [`Client::procedure`].
    pub fn procedure<T, R, E, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Client<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, payload: T| handler(Client::of(core), payload);
        self.router.procedure::<P::Protocol, T, R, E, _, _>(name.into(), handler);
        self
    }

    /// Sets a procedure that gets a [`Call`]: see [`Client::procedure_with`].
    pub fn procedure_with<T, R, E, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Client<P>, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, call: Call<T>| handler(Client::of(core), call);
        self.router.procedure_with::<P::Protocol, T, R, E, _, _>(name.into(), handler);
        self
    }

    /// Sets the handler of all other messages: see [`Client::unhandled`].
    pub fn unhandled<F, Fut>(self, handler: F) -> Self
    where
        F: Fn(Client<P>, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        self.router.unhandled(move |core, message| handler(Client::of(core), message));
        self
    }

    /// Builds a client that is not connected yet.
    #[must_use = "a client closes when its last handle is dropped"]
    pub fn build(self) -> Client<P> {
        Client::of(ClientCore::new(Shared::new(self.settings, self.router, self.target)))
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

/// The defaults of [`ClientBuilder::resume_bytes`] and [`ClientBuilder::resume_messages`].
fn kept() -> ResumeLimits {
    ResumeLimits::default().ring_bytes(16 << 20).ring_messages(65_536)
}

impl<P: Negotiate> fmt::Debug for ClientBuilder<P> {
    /// Omits the login and the query of the URL, header fields, identity and meta.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("protocols", &self.settings.protocol.subprotocols())
            .field("url", &public_url(&self.settings.home))
            .finish_non_exhaustive()
    }
}
