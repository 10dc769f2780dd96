//! [`HttpStream`]: the upgraded connection.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::handshake::{HandshakeError, Negotiated};
use crate::ws::{Config, Role, WebSocket};

/// An upgraded connection of HTTP/1.1, or stream of HTTP/2.
#[derive(Debug)]
pub struct HttpStream(TokioIo<Upgraded>);

impl HttpStream {
    /// The connection of hyper, to be downcast or used otherwise.
    #[must_use]
    pub fn into_inner(self) -> Upgraded {
        self.0.into_inner()
    }

    /// Waits until the response is sent, at most for `within`.
    ///
    /// Not cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Io`] when the response could not be sent, and [`HandshakeError::Timeout`].
    pub async fn open(upgrading: OnUpgrade, within: Duration) -> Result<Self, HandshakeError> {
        match timeout(within, upgrading).await {
            Ok(Ok(io)) => Ok(Self(TokioIo::new(io))),
            Ok(Err(error)) => Err(io::Error::other(error).into()),
            Err(_) => Err(HandshakeError::Timeout),
        }
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// The future of a WebSocket, ready once the response is sent: see
/// [`WebSocketUpgrade::accept`](super::WebSocketUpgrade::accept).
///
/// It fails with [`HandshakeError::Io`] if the response could not be sent, and with [`HandshakeError::Timeout`] after
/// [`Config::handshake_timeout`] from its first poll. Dropping it drops the connection: do so if you send another response,
/// since hyper hands the connection over after any response.
#[must_use = "futures do nothing unless polled"]
pub struct Upgrading(BoxFuture<'static, Result<WebSocket<HttpStream>, HandshakeError>>);

impl Upgrading {
    pub(super) fn new(upgrading: OnUpgrade, config: Config, negotiated: Negotiated) -> Self {
        Self(Box::pin(async move {
            let io = HttpStream::open(upgrading, config.handshake_timeout).await?;
            let mut socket = WebSocket::new(io, Role::Server, config);
            socket.set_negotiated(negotiated);
            Ok(socket)
        }))
    }
}

impl Future for Upgrading {
    type Output = Result<WebSocket<HttpStream>, HandshakeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Upgrading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrading").finish_non_exhaustive()
    }
}
