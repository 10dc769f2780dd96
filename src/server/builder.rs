//! [`ServerBuilder`].

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::net::ToSocketAddrs;
use wse_proto::{Decode, Encode, Negotiate, Text};
#[cfg(feature = "tls")]
use wse_transport::tls::ServerTls;

use super::cluster::ClusterLink;
use super::config::Config;
use super::conn::Conn;
use super::core::{ConnCore, CoreEvent, FindIdentity, ServerCore};
use super::handle::Server;
use super::identify::{Accept, Hello, Identify, Unauthenticated, erase};
use super::identity::{IdentityFrom, find_first};
use super::node::ThisNode;
use crate::callback::Callback;
use crate::connection::Choice;
use crate::router::{Call, HandlerError, HandlerOutput, Router, Unhandled};

/// Configures a [`Server`].
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use wse::{Accept, Hello, JsonArray, Refuse, Server};
///
/// let server = Server::builder(JsonArray)
///     .connections_per_user(3)
///     .identify(|hello: Hello<String>| async move {
///         match hello.identity.as_str() {
///             "secret" => Ok(Accept::user("ann")),
///             _ => Err(Refuse::not_authorized()),
///         }
///     })
///     .procedure("greet", |conn, (): ()| async move { wse::Ok(format!("hi, {}", conn.user_id())) })
///     .bind("127.0.0.1:4200")
///     .await?;
/// # Ok(()) }
/// ```
///
/// The type parameter `I` records whether [`identify`](Self::identify) was called. A server without
/// it does not compile.
#[must_use = "a builder does nothing until `bind` or `build`"]
pub struct ServerBuilder<P: Negotiate, I = Identifies> {
    protocol: P,
    pub(super) config: Config,
    identify: Option<Arc<Identify>>,
    identity: Option<Arc<FindIdentity>>,
    router: Router<ConnCore>,
    pub(super) callbacks: Vec<Callback<CoreEvent>>,
    app: http::Extensions,
    identifies: PhantomData<I>,
}

/// Marks a [`ServerBuilder`] that has an `identify` function. Applications do not name this type.
#[derive(Clone, Copy, Debug)]
pub struct Identifies(());

/// Marks a [`ServerBuilder`] that has no `identify` function yet. Applications do not name this
/// type.
#[derive(Clone, Copy, Debug)]
pub struct IdentifiesNobody(());

/// Limits [`ServerBuilder::build`] to builders that have an `identify` function. Applications do
/// not implement this trait.
#[diagnostic::on_unimplemented(
    message = "the server has no `identify`",
    label = "call `.identify(…)` before this",
    note = "call `.identify(|hello: Hello<String>| ...)` on the builder: it decides which user a connection belongs to"
)]
pub trait CanBuild {}

impl CanBuild for Identifies {}

impl<P: Negotiate> Server<P> {
    /// Returns a builder for a server of this protocol. It needs at least
    /// [`identify`](ServerBuilder::identify).
    pub fn builder(protocol: P) -> ServerBuilder<P, IdentifiesNobody> {
        ServerBuilder::new(protocol)
    }
}

impl<P: Negotiate> ServerBuilder<P, IdentifiesNobody> {
    fn new(protocol: P) -> Self {
        Self {
            protocol,
            config: Config::default(),
            identify: None,
            identity: None,
            router: Router::default(),
            callbacks: Vec::new(),
            app: http::Extensions::new(),
            identifies: PhantomData,
        }
    }
}

impl<P: Negotiate, S> ServerBuilder<P, S> {
    /// Sets the function that decides which user a connection belongs to. It returns
    /// [`Accept::user`] or [`Refuse`](crate::Refuse).
    ///
    /// It has [`auth_timeout`](Self::auth_timeout) to decide, 10 s by default. When the client
    /// disconnects or breaks the protocol meanwhile, the future is dropped and no connection is
    /// added. (A client whose protocol has no greeting is not read before the decision, so the
    /// server sees its end only afterwards.)
    ///
    /// The `Refuse` may be the error itself or one of its [causes](std::error::Error::source). Any
    /// other error, and a panic, are failures of the server: the connection is closed with 1011 and
    /// a correlation id, and the error event has the same id and the causes. A greeting that is not
    /// of these types is refused.
    pub fn identify<I, M, W, E, F, Fut>(self, identify: F) -> ServerBuilder<P, Identifies>
    where
        F: Fn(Hello<I, M>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Accept<W>, E>> + Send + 'static,
        P::Format: Decode<I> + Decode<M> + Encode<W>,
        M: 'static,
        W: Send,
        E: HandlerError,
    {
        self.identify_with(move |_, hello| identify(hello))
    }

    /// Sets the function as [`identify`](Self::identify) does. It also gets the connection: its
    /// HTTP request, its address, and the means to ask a [`challenge`](Unauthenticated::challenge).
    ///
    /// ```
    /// # use wse::{Accept, Decode, Encode, Hello, Negotiate, Refuse, ServerBuilder};
    /// # fn example<P, S>(builder: ServerBuilder<P, S>) -> ServerBuilder<P>
    /// # where P: Negotiate<Format: Decode<String> + Encode<String> + Encode<()> + Decode<()>> {
    /// builder.identify_with(|conn, hello: Hello<String>| async move {
    ///     conn.challenge_hmac(&hello.identity, b"secret").await?;
    ///     Ok::<_, Refuse>(Accept::user(hello.identity))
    /// })
    /// # }
    /// ```
    pub fn identify_with<I, M, W, E, F, Fut>(self, identify: F) -> ServerBuilder<P, Identifies>
    where
        F: Fn(Unauthenticated<P>, Hello<I, M>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Accept<W>, E>> + Send + 'static,
        P::Format: Decode<I> + Decode<M> + Encode<W>,
        M: 'static,
        W: Send,
        E: HandlerError,
    {
        let Self { protocol, config, identity, router, callbacks, app, .. } = self;
        ServerBuilder {
            protocol,
            config,
            identify: Some(erase::<P, _, _, _, _, _, _>(identify)),
            identity,
            router,
            callbacks,
            app,
            identifies: PhantomData,
        }
    }

    /// Sets where the HTTP request carries the identity of a client whose protocol has no greeting.
    ///
    /// The first place that occurs in the request counts. The identity is a text, and
    /// [`identify`](Self::identify) gets it like that of any other client. When it is empty, or occurs
    /// more than once in that place, the client has no identity: its greeting then has an absent
    /// payload, which is not a text. By default such clients have no identity either, and
    /// `identify_with` can look at [`Unauthenticated::request`].
    ///
    /// ```
    /// # use wse::{Encode, Negotiate};
    /// # fn example<P: Negotiate<Format: Encode<String>>>(builder: wse::ServerBuilder<P>)
    /// #     -> wse::ServerBuilder<P> {
    /// use wse::IdentityFrom;
    /// builder.identity_from([IdentityFrom::bearer(), IdentityFrom::cookie("session")])
    /// # }
    /// ```
    pub fn identity_from(mut self, places: impl Into<Vec<IdentityFrom>>) -> Self
    where
        P::Format: Encode<String>,
    {
        let places = places.into();
        self.identity = Some(Arc::new(move |request, wire| {
            let identity = find_first(&places, request)?;
            wire.encode::<P::Protocol, String>(&identity).ok()
        }));
        self
    }

    /// Adds application state, one value per type. Handlers get it from [`Conn::app`].
    ///
    /// ```
    /// # fn example<P>(builder: wse::ServerBuilder<P>) -> wse::ServerBuilder<P>
    /// # where P: wse::Speaks<()> + wse::Speaks<usize> {
    /// struct Limits { members: usize }
    ///
    /// builder
    ///     .state(Limits { members: 50 })
    ///     .procedure("members", |conn, (): ()| async move { wse::Ok(conn.app::<Limits>().members) })
    /// # }
    /// ```
    pub fn state<A: Any + Send + Sync>(mut self, app: A) -> Self {
        self.app.insert(Arc::new(app));
        self
    }

    /// Makes the server one of several: a node of a cluster. The crate `wse-cluster` has the links, on Redis and NATS.
    ///
    /// Messages to all, to a user and to a room then go to the connections on all nodes, `connections_per_user` counts those on
    /// all nodes, and [`ServerEvent::Joined`](crate::ServerEvent) and `Left` come once for the whole cluster. `send_acked`,
    /// `send_reliable` and the lists of users, connections and members are still those of this node. [`build`](Self::build) then
    /// needs a tokio runtime, and panics without one. Default: none.
    pub fn cluster(mut self, link: impl Into<Arc<dyn ClusterLink>>) -> Self {
        self.config.cluster = Some(link.into());
        self
    }

    /// Sets a message handler: see [`Server::on`].
    pub fn on<T, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
        P::Format: Decode<T>,
    {
        let handler = move |core, payload: T| handler(Conn::of(core), payload);
        self.router.on::<P::Protocol, T, _, _>(name.into(), handler);
        self
    }

    /// Sets a procedure: see [`Server::procedure`].
    pub fn procedure<T, R, E, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Conn<P>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, payload: T| handler(Conn::of(core), payload);
        self.router.procedure::<P::Protocol, T, R, E, _, _>(name.into(), handler);
        self
    }

    /// Sets a procedure that gets a [`Call`]: see [`Server::procedure_with`].
    pub fn procedure_with<T, R, E, F, Fut>(self, name: impl Into<Text>, handler: F) -> Self
    where
        F: Fn(Conn<P>, Call<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: HandlerError + 'static,
        P::Format: Decode<T> + Encode<R>,
    {
        let handler = move |core, call: Call<T>| handler(Conn::of(core), call);
        self.router.procedure_with::<P::Protocol, T, R, E, _, _>(name.into(), handler);
        self
    }

    /// Sets the handler of all other messages: see [`Server::unhandled`].
    pub fn unhandled<F, Fut>(self, handler: F) -> Self
    where
        F: Fn(Conn<P>, Unhandled) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        self.router.unhandled(move |core, message| handler(Conn::of(core), message));
        self
    }

    /// Builds a server that does not listen yet. [`Server::listen`], [`Server::accept`] and
    /// [`Listener`](crate::Listener) give it connections.
    #[must_use = "a server without a listener has no connections"]
    pub fn build(self) -> Server<P>
    where
        S: CanBuild,
    {
        let Self { protocol, config, identify, identity, router, callbacks, app, .. } = self;
        let protocol: Box<dyn Choice> = Box::new(protocol);
        let inner = ServerCore::new(protocol, config, identify, identity, router, callbacks, app);
        let server = Server::of(Arc::new(inner));
        if let Some(cluster) = &server.inner.cluster {
            cluster.start(Box::new(ThisNode::new(&server.inner)));
        }
        server
    }

    /// Builds the server and listens on `addr`. With port 0 the system chooses a free port, and
    /// [`Server::url`] returns it.
    ///
    /// # Errors
    ///
    /// The error of the system when the address cannot be used.
    pub async fn bind(self, addr: impl ToSocketAddrs) -> io::Result<Server<P>>
    where
        S: CanBuild,
    {
        let server = self.build();
        server.listen(addr).await?;
        Ok(server)
    }

    /// Builds the server and listens on `addr` for `wss://` clients, as [`Server::listen_tls`]
    /// does.
    ///
    /// # Errors
    ///
    /// The error of the system when the address cannot be used.
    #[cfg(feature = "tls")]
    pub async fn bind_tls(self, addr: impl ToSocketAddrs, tls: ServerTls) -> io::Result<Server<P>>
    where
        S: CanBuild,
    {
        let server = self.build();
        server.listen_tls(addr, tls).await?;
        Ok(server)
    }
}

impl<P: Negotiate, S> fmt::Debug for ServerBuilder<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("protocol", &self.protocol.subprotocols())
            .field("config", &self.config)
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}
