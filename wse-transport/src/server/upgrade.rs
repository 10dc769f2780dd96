//! Mounting inside a hyper 1 server, and so inside axum 0.8 and others that stand on hyper.

use std::net::SocketAddr;

use http::{Request, Response};
use hyper_util::rt::TokioIo;
use wse_proto::Protocol;

use super::Server;
use crate::connection::Clock;

impl<P: Protocol> Server<P> {
    /// Answers an upgrade request of a hyper 1 or axum 0.8 server and takes the connection over: 101,
    /// or the status that says why not. Return the response from the handler; the path is the caller's matter.
    ///
    /// ```no_run
    /// # fn example<P: wse_proto::Protocol>(server: wse_transport::Server<P>,
    /// #     request: http::Request<hyper::body::Incoming>) -> http::Response<String> {
    /// server.upgrade(request, None)
    /// # }
    /// ```
    ///
    /// The connection ends with [`Server::shutdown`] of this server, not with that of hyper's.
    pub fn upgrade<B, R>(&self, request: Request<B>, peer_addr: Option<SocketAddr>) -> Response<R>
    where
        B: Send + 'static,
        R: From<String>,
    {
        let clock = Clock::start();
        match self.inner.answer(&request) {
            Ok((response, answered)) => {
                let mut request = request;
                // Takes only hyper's own extension: those of middleware stay for `identify`.
                let upgrading = hyper::upgrade::on(&mut request);
                let request = request.map(|_| ());
                let server = self.clone();
                self.inner.tasks.spawn(async move {
                    let timeout = server.inner.config.handshake_timeout;
                    match tokio::time::timeout(timeout, upgrading).await {
                        Ok(Ok(io)) => {
                            let io = TokioIo::new(io);
                            let rest = bytes::BytesMut::new();
                            server.inner.run(io, rest, answered, request, peer_addr, clock).await;
                        }
                        Ok(Err(error)) => tracing::debug!(%error, "the upgrade failed"),
                        Err(_) => tracing::debug!("the upgrade took too long"),
                    }
                });
                response.map(|()| String::new().into())
            }
            Err(rejection) => rejection.to_response().map(R::from),
        }
    }
}
