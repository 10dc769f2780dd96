//! [`WebSocketUpgrade`].

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use super::check::{check, take_upgrade};
use super::stream::{HttpStream, Upgrading};
use crate::handshake::{
    Forwarded, OriginPolicy, Rejection, TrustedProxies, Upgrade, conceal_credentials,
};
use crate::head::concealed;
use crate::ws::{Config, Extension, WebSocket};

/// A request for a WebSocket that is not answered yet. To refuse, drop it and send another response.
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
/// `R` is the body of the response, which is empty, or the text of a rejection. With the feature `axum`,
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
    /// Checks a request of a hyper 1 server, of HTTP/1.1 (RFC 6455 §4.2.1) or, with the feature `http2`, of HTTP/2 (RFC 8441
    /// §5).
    ///
    /// # Errors
    ///
    /// A [`Rejection`], as [`Upgrade::from_request`] and [`Upgrade::from_connect`] return it; 500 for a request whose
    /// extensions lack hyper's `OnUpgrade`.
    pub fn new<B>(request: Request<B>) -> Result<Self, Rejection> {
        let upgrade = check(&request)?;
        let mut request = request.map(drop);
        conceal_credentials(request.headers_mut());
        let upgrading =
            take_upgrade(request.extensions_mut()).map_err(|no| no.over(request.version()))?;
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

    /// Sets the supported subprotocols. The first one that the client offers is selected. A client that offers others only is
    /// rejected with 400; one that offers none is not. Default: no subprotocol is selected.
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.protocols = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The subprotocol that will be selected, according to [`protocols`](Self::protocols).
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        let spoken = self.protocols.as_deref()?;
        self.offered().iter().find(|name| spoken.contains(name)).map(String::as_str)
    }

    /// Sets the configuration of the WebSocket. Its `handshake_timeout` limits the wait until the response is sent; its
    /// `deflate` is agreed to if a client offers compression. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Agrees to an extension if a client offers it; those added earlier are preferred. Default: none.
    pub fn extension(mut self, extension: Arc<dyn Extension>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Sets which web pages may connect; others get 403. Default: [`OriginPolicy::SameHost`].
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// Adds a header field to the response. A field that belongs to the handshake itself is a mistake of the caller, and makes
    /// the response a 500.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(&name, concealed(&name, value));
        self
    }

    /// Trusts these proxies: [`forwarded`](Self::forwarded) then tells the client's address, and the policy of origins
    /// compares with the host that the client asked for. `peer` is the address of the other end of the socket. Default:
    /// header fields of proxies are ignored.
    pub fn trusted_proxies(mut self, peer: SocketAddr, proxies: &TrustedProxies) -> Self {
        self.forwarded = proxies.forwarded(Some(peer), self.request.headers());
        self
    }

    /// Where the request comes from, according to [`trusted_proxies`](Self::trusted_proxies).
    #[must_use]
    pub fn forwarded(&self) -> &Forwarded {
        &self.forwarded
    }

    /// Returns the response to send, and a future of the WebSocket.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] to send instead: 403 for an origin, and 400 if there is no common subprotocol, or an extension is
    /// malformed.
    pub fn accept(self) -> Result<(Response<R>, Upgrading), Rejection> {
        let version = self.request.version();
        self.decide().map_err(|no| no.over(version))
    }

    /// Returns the response to send, and runs `handler` with the WebSocket in a task; or returns a rejection. If the client
    /// leaves before the response is sent, `handler` does not run, and `tracing` gets a debug event.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
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
                        Err(error) => tracing::debug!(%error, "upgrade failed"),
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
        let deflate = self.config.deflate;
        let negotiated = self.upgrade.negotiate(&self.request, deflate, &self.extensions)?;
        let response = self.upgrade.response(selected.as_deref(), &self.headers);
        let response = response.map_err(|error| {
            tracing::error!(%error, "cannot answer a websocket request");
            Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "this server cannot answer")
        })?;
        let upgrading = Upgrading::new(self.upgrading, self.config, negotiated);
        Ok((response.map(|()| Bytes::new().into()), upgrading))
    }
}

impl<R> fmt::Debug for WebSocketUpgrade<R> {
    /// Omits the header fields and the query, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("version", &self.request.version())
            .field("path", &self.request.uri().path())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn no_common_subprotocol(spoken: &[String]) -> Rejection {
    let names = spoken.join(", ");
    let body = format!("no common subprotocol in Sec-WebSocket-Protocol; spoken here: {names}");
    Rejection::new(StatusCode::BAD_REQUEST, body)
}
