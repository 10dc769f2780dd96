//! Mounting inside a hyper 1 server, and so inside axum 0.8 and others that stand on hyper.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use wse_proto::Protocol;

use super::Server;
use crate::connection::Clock;
use crate::handshake::Rejection;
use crate::upgrade::{HttpStream, check, take};

impl<P: Protocol> Server<P> {
    /// Answers an upgrade request of a hyper 1 or axum 0.8 server and takes the connection over: 101,
    /// or 200 over HTTP/2 (feature `http2`), or the status that says why not. Return the response from
    /// the handler; the path is the caller's matter.
    ///
    /// ```no_run
    /// # fn example<P: wse_proto::Protocol>(server: wse_transport::Server<P>,
    /// #     request: http::Request<hyper::body::Incoming>) -> http::Response<bytes::Bytes> {
    /// server.upgrade(request, None)
    /// # }
    /// ```
    ///
    /// The connection ends with [`Server::shutdown`] of this server, not with that of hyper's. What else
    /// an HTTP server is to see to, `TCP_NODELAY` and HTTP/2, says [`upgrade`](crate::upgrade).
    pub fn upgrade<B, R>(&self, request: Request<B>, peer_addr: Option<SocketAddr>) -> Response<R>
    where
        R: From<Bytes>,
    {
        let version = request.version();
        match self.take_over(request.map(drop), peer_addr) {
            Ok(response) => response.map(|()| Bytes::new().into()),
            Err(rejection) => rejection.over(version).to_response().map(R::from),
        }
    }

    fn take_over(
        &self,
        mut request: Request<()>,
        peer_addr: Option<SocketAddr>,
    ) -> Result<Response<()>, Rejection> {
        let clock = Clock::start();
        let (response, answered) = self.inner.answer(&request, peer_addr, check)?;
        let upgrading = take(request.extensions_mut())?;
        let server = self.clone();
        self.inner.tasks.spawn_connection(async move {
            let timeout = server.inner.config.handshake_timeout;
            match HttpStream::open(upgrading, timeout).await {
                Ok(io) => Some(server.inner.run(io, BytesMut::new(), answered, request, clock)),
                Err(error) => {
                    tracing::debug!(%error, "the upgrade failed");
                    None
                }
            }
        });
        Ok(response)
    }
}
