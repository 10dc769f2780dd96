//! Connections from a hyper 1 server, and so from axum 0.8 and other frameworks on hyper.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use wse_proto::Negotiate;
use wse_transport::dial::NetStream;
use wse_transport::handshake::{HandshakeError, Rejection};
use wse_transport::upgrade::{HttpStream, check, take_upgrade};

use super::core::ServerCore;
use super::handle::Server;
use super::refused::{Refused, RefusedAt, RefusedWith};
use crate::connection::Clock;
use crate::transport::Transport;

impl<P: Negotiate> Server<P> {
    /// Answers the upgrade request of a hyper 1 or axum 0.8 server and serves the connection. The
    /// response is 101, or 200 over HTTP/2 (feature `http2`), or the status of a rejection: return
    /// it from the handler. Any path is accepted.
    ///
    /// ```no_run
    /// # fn example<P: wse::Negotiate>(server: wse::Server<P>,
    /// #     request: http::Request<hyper::body::Incoming>) -> http::Response<bytes::Bytes> {
    /// server.upgrade(request, None)
    /// # }
    /// ```
    ///
    /// [`Server::shutdown`] of this server ends the connection; that of hyper does not. The module
    /// [`upgrade`](crate::upgrade) describes what to configure in the HTTP server, such as
    /// `TCP_NODELAY` and HTTP/2.
    pub fn upgrade<B, R>(&self, request: Request<B>, peer_addr: Option<SocketAddr>) -> Response<R>
    where
        R: From<Bytes>,
    {
        let version = request.version();
        match self.inner.take_over(request.map(drop), peer_addr) {
            Ok(response) => response.map(|()| Bytes::new().into()),
            Err(rejection) => rejection.over(version).to_response().map(R::from),
        }
    }
}

impl ServerCore {
    fn take_over(
        self: &Arc<Self>,
        mut request: Request<()>,
        peer_addr: Option<SocketAddr>,
    ) -> Result<Response<()>, Rejection> {
        let clock = Clock::start();
        let (response, answered) = self.answer(&request, peer_addr, check)?;
        let upgrading = take_upgrade(request.extensions_mut())
            .inspect_err(|rejection| self.rejected(&request, peer_addr, rejection))?;
        let server = Arc::clone(self);
        self.tasks.spawn_connection(async move {
            let timeout = server.config.handshake_timeout;
            match HttpStream::open(upgrading, timeout).await {
                Ok(io) => {
                    let io: Box<dyn Transport> = Box::new(io);
                    let io = NetStream::from(io);
                    Some(server.run(io, BytesMut::new(), answered, request, clock))
                }
                Err(HandshakeError::Timeout) => {
                    let cause = format!("the client did not take the response in {timeout:?}");
                    let (stage, with) = (RefusedAt::Upgrade, RefusedWith::Dropped);
                    let peer_addr = answered.peer_addr();
                    server.refused(Refused::new(peer_addr, stage, with, &cause));
                    None
                }
                Err(error) => {
                    tracing::debug!(%error, "the upgrade failed");
                    None
                }
            }
        });
        Ok(response)
    }
}
