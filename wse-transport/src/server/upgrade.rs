//! Mounting inside a hyper 1 server, and so inside axum 0.8 and others that stand on hyper.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use wse_proto::Protocol;

use super::Server;
use crate::connection::Clock;
use crate::handshake::Upgrade;

impl<P: Protocol> Server<P> {
    /// Answers an upgrade request of a hyper 1 or axum 0.8 server and takes the connection over: 101,
    /// or the status that says why not. Return the response from the handler; the path is the caller's matter.
    ///
    /// ```no_run
    /// # fn example<P: wse_proto::Protocol>(server: wse_transport::Server<P>,
    /// #     request: http::Request<hyper::body::Incoming>) -> http::Response<bytes::Bytes> {
    /// server.upgrade(request, None)
    /// # }
    /// ```
    ///
    /// The connection ends with [`Server::shutdown`] of this server, not with that of hyper's.
    pub fn upgrade<B, R>(&self, request: Request<B>, peer_addr: Option<SocketAddr>) -> Response<R>
    where
        R: From<Bytes>,
    {
        let clock = Clock::start();
        let mut request = request.map(drop);
        match self.inner.answer(&request, peer_addr, Upgrade::from_request) {
            Ok((response, answered)) => {
                // Takes only hyper's own extension: those of middleware stay for `identify`.
                let upgrading = hyper::upgrade::on(&mut request);
                let server = self.clone();
                self.inner.tasks.spawn(async move {
                    let timeout = server.inner.config.handshake_timeout;
                    match tokio::time::timeout(timeout, upgrading).await {
                        Ok(Ok(io)) => {
                            let io = TokioIo::new(io);
                            let rest = BytesMut::new();
                            server.inner.run(io, rest, answered, request, clock).await;
                        }
                        Ok(Err(error)) => tracing::debug!(%error, "the upgrade failed"),
                        Err(_) => tracing::debug!("the upgrade took too long"),
                    }
                });
                response.map(|()| Bytes::new().into())
            }
            Err(rejection) => rejection.to_response().map(R::from),
        }
    }
}
