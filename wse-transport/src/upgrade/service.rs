//! [`UpgradeService`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, ready};
use http::{Request, Response};
use tower_service::Service;

use super::request::WebSocketUpgrade;
use crate::handshake::Upgrade;

type Answering = BoxFuture<'static, Response<Bytes>>;
type Handler = dyn Fn(Request<()>) -> Answering + Send + Sync;

/// A tower `Service` that upgrades requests for a WebSocket on one path, and passes all others to an inner service, also
/// those on its path that do not ask for a WebSocket. Feature `tower`.
///
/// Stack several for several paths. For a layer: `tower::layer::layer_fn(move |inner| UpgradeService::new(inner, "/echo",
/// handler))`.
///
/// ```no_run
/// # fn example<S>(inner: S) -> wse_transport::upgrade::UpgradeService<S> {
/// use futures::StreamExt;
/// use wse_transport::upgrade::{UpgradeService, WebSocketUpgrade};
///
/// UpgradeService::new(inner, "/echo", |upgrade: WebSocketUpgrade| async move {
///     upgrade.on_upgrade(|socket| async move {
///         let (sink, stream) = socket.split();
///         let _ = stream.forward(sink).await;
///     })
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct UpgradeService<S> {
    inner: S,
    path: Arc<str>,
    handler: Arc<Handler>,
}

impl<S> UpgradeService<S> {
    /// Answers requests on exactly `path`, a query aside, with `handler`. Malformed requests are answered before.
    pub fn new<F, Fut>(inner: S, path: impl Into<Arc<str>>, handler: F) -> Self
    where
        F: Fn(WebSocketUpgrade) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Bytes>> + Send + 'static,
    {
        Self::answering(inner, path, move |request| match WebSocketUpgrade::new(request) {
            Ok(upgrade) => Box::pin(handler(upgrade)),
            Err(rejection) => Box::pin(ready(rejection.to_response())),
        })
    }

    /// Answers requests on exactly `path`, a query aside, with a `handler` that gets them unchecked and without their body:
    /// for servers that check and answer requests themselves. Their extensions are kept, such as the address of the peer.
    pub fn unchecked<F, Fut>(inner: S, path: impl Into<Arc<str>>, handler: F) -> Self
    where
        F: Fn(Request<()>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Bytes>> + Send + 'static,
    {
        Self::answering(inner, path, move |request| Box::pin(handler(request)))
    }

    fn answering(
        inner: S,
        path: impl Into<Arc<str>>,
        handler: impl Fn(Request<()>) -> Answering + Send + Sync + 'static,
    ) -> Self {
        Self { inner, path: path.into(), handler: Arc::new(handler) }
    }
}

impl<S, B, R> Service<Request<B>> for UpgradeService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<BoxFuture<'static, Result<Response<R>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() == &*self.path && asks(&request) {
            let answering = (self.handler)(request.map(drop));
            Either::Left(answering.map(|response| Ok(response.map(R::from))).boxed())
        } else {
            Either::Right(self.inner.call(request))
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for UpgradeService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeService")
            .field("path", &self.path)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Whether a request asks for a WebSocket, correctly or not.
fn asks<B>(request: &Request<B>) -> bool {
    #[cfg(feature = "http2")]
    if request.version() >= http::Version::HTTP_2 {
        return super::check::connect_protocol(request)
            .is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    }
    Upgrade::is_asked(request)
}
