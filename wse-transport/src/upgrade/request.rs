//! [`WebSocketUpgrade`].

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use super::{HttpStream, Upgrading, check, take};
use crate::handshake::{Forwarded, OriginPolicy, Rejection, TrustedProxies, Upgrade};
use crate::ws::{Agreed, Config, Extension, WebSocket, compression};

/// A request that asks for a WebSocket, before it is answered. Drop it and answer anything else to
/// refuse.
///
/// ```no_run
/// use bytes::Bytes;
/// use futures::StreamExt;
/// use http::{Request, Response};
/// use wse_transport::upgrade::WebSocketUpgrade;
///
/// fn serve(request: Request<hyper::body::Incoming>) -> Response<Bytes> {
///     match WebSocketUpgrade::new(request) {
///         Ok(upgrade) => upgrade.protocols(["echo"]).on_upgrade(|mut socket| async move {
///             while let Some(Ok(message)) = socket.next().await {
///                 println!("{message:?}");
///             }
///         }),
///         Err(rejection) => rejection.to_response(),
///     }
/// }
/// ```
///
/// `R` is the body of the response, which is empty, or an explanation. With the feature `axum`,
/// `upgrade::axum::WebSocketUpgrade` is an extractor.
#[must_use = "a request wants an answer: `on_upgrade` or `accept`"]
pub struct WebSocketUpgrade<R = Bytes> {
    upgrade: Upgrade,
    request: Request<()>,
    upgrading: OnUpgrade,
    config: Config,
    extensions: Vec<Arc<dyn Extension>>,
    protocols: Option<Vec<String>>,
    headers: HeaderMap,
    origins: OriginPolicy,
    forwarded: Forwarded,
    body: PhantomData<fn() -> R>,
}

impl<R: From<Bytes>> WebSocketUpgrade<R> {
    /// Checks a request of a hyper 1 server, of HTTP/1.1 (RFC 6455 §4.2.1) or, with the feature
    /// `http2`, of HTTP/2 (RFC 8441 §5).
    ///
    /// # Errors
    ///
    /// A [`Rejection`], as of [`Upgrade::from_request`] and [`Upgrade::from_connect`]; 500 for a request
    /// without hyper's `OnUpgrade` among its extensions.
    pub fn new<B>(request: Request<B>) -> Result<Self, Rejection> {
        let upgrade = check(&request)?;
        let mut request = request.map(drop);
        let upgrading = take(request.extensions_mut()).map_err(|no| no.over(request.version()))?;
        Ok(Self {
            upgrade,
            request,
            upgrading,
            config: Config::default(),
            extensions: Vec::new(),
            protocols: None,
            headers: HeaderMap::new(),
            origins: OriginPolicy::default(),
            forwarded: Forwarded::default(),
            body: PhantomData,
        })
    }

    /// The request, with its extensions.
    #[must_use]
    pub fn request(&self) -> &Request<()> {
        &self.request
    }

    /// The subprotocols that the client offers, best first.
    #[must_use]
    pub fn offered(&self) -> &[String] {
        self.upgrade.subprotocols()
    }

    /// Sets what is spoken here. Of these the one is selected that the client offers first; a client
    /// whose offers have none of them is refused with 400, one that offers nothing is not. Default: none
    /// is selected, whatever is offered.
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.protocols = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The subprotocol that will be selected, of those that [`protocols`](Self::protocols) named.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        let spoken = self.protocols.as_deref()?;
        self.offered().iter().find(|name| spoken.contains(name)).map(String::as_str)
    }

    /// Sets how the WebSocket behaves. Its `handshake_timeout` bounds the wait until the response is
    /// sent, its `deflate` is agreed to when a client offers compression. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Agrees to an extension when a client offers it; those added before are preferred. Default: none.
    pub fn extension(mut self, extension: Arc<dyn Extension>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Sets which browser pages may connect; others get 403. Default: [`OriginPolicy::SameHost`].
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// Adds a header field to the answer. Those that belong to the handshake itself are the caller's
    /// mistake, and make it a 500.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Believes proxies that are listed: then [`forwarded`](Self::forwarded) tells who the client is, and
    /// the policy of origins compares with the host that it asked for. `peer` is the address of the
    /// socket's other end. Default: headers of proxies are ignored.
    pub fn trusted_proxies(mut self, peer: SocketAddr, proxies: &TrustedProxies) -> Self {
        self.forwarded = proxies.forwarded(Some(peer), self.request.headers());
        self
    }

    /// Where the request comes from, by [`trusted_proxies`](Self::trusted_proxies).
    #[must_use]
    pub fn forwarded(&self) -> &Forwarded {
        &self.forwarded
    }

    /// The response to send, and the WebSocket that comes of it.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] to send instead: 403 for an origin, 400 for no common subprotocol and for a
    /// malformed extension.
    pub fn accept(self) -> Result<(Response<R>, Upgrading), Rejection> {
        let version = self.request.version();
        self.decide().map_err(|no| no.over(version))
    }

    /// Answers, and runs `handler` with the WebSocket in a task of its own; or answers why not. An
    /// upgrade that fails after that is a debug event of `tracing`: the client has gone.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn on_upgrade<F, Fut>(self, handler: F) -> Response<R>
    where
        F: FnOnce(WebSocket<HttpStream>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        match self.accept() {
            Ok((response, upgrading)) => {
                tokio::spawn(async move {
                    match upgrading.await {
                        Ok(socket) => handler(socket).await,
                        Err(error) => tracing::debug!(%error, "the upgrade failed"),
                    }
                });
                response
            }
            Err(rejection) => rejection.to_response().map(R::from),
        }
    }

    fn decide(mut self) -> Result<(Response<R>, Upgrading), Rejection> {
        self.origins.check_forwarded(&self.request, &self.forwarded)?;
        let selected = self.protocol().map(str::to_owned);
        if let (Some(spoken), None, false) = (&self.protocols, &selected, self.offered().is_empty())
        {
            return Err(no_common_subprotocol(spoken));
        }
        let wanted = compression::wanted(&self.config);
        let agreed = Agreed::by_server(&mut self.upgrade, &self.request, wanted, &self.extensions)?;
        let response = self.upgrade.response(selected.as_deref(), &self.headers);
        let response = response.map_err(|error| {
            tracing::error!(%error, "no answer to a websocket request");
            Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "this server cannot answer")
        })?;
        let upgrading = Upgrading::new(self.upgrading, self.config, agreed);
        Ok((response.map(|()| Bytes::new().into()), upgrading))
    }
}

impl<R> fmt::Debug for WebSocketUpgrade<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("request", &self.request)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn no_common_subprotocol(spoken: &[String]) -> Rejection {
    let names = spoken.join(", ");
    let body = format!("no common subprotocol in Sec-WebSocket-Protocol; spoken here: {names}");
    Rejection::new(StatusCode::BAD_REQUEST, body)
}
