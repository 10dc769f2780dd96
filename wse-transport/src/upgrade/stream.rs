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
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::handshake::{HandshakeError, Negotiated};
use crate::ws::{Config, Role, WebSocket};

/// How long the peer may take to end its side, after this side has ended in order.
const PATIENCE: Duration = Duration::from_secs(5);

/// An upgraded connection of HTTP/1.1, or stream of HTTP/2.
///
/// Dropped after [`shutdown`](tokio::io::AsyncWriteExt::shutdown), it waits up to 5 s in a task for the peer to end its
/// side: otherwise HTTP/2 would reset a stream that has ended in order.
#[derive(Debug)]
pub struct HttpStream {
    /// `None` once it is taken out.
    io: Option<TokioIo<Upgraded>>,
    /// Whether this side has ended.
    shut_down: bool,
    /// Whether the peer's side has ended, or failed.
    read_out: bool,
}

impl HttpStream {
    const fn new(io: TokioIo<Upgraded>) -> Self {
        Self { io: Some(io), shut_down: false, read_out: false }
    }

    /// The connection of hyper, to be downcast or used otherwise.
    #[must_use]
    pub fn into_inner(mut self) -> Upgraded {
        self.io.take().expect("it is taken out once").into_inner()
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
            Ok(Ok(io)) => Ok(Self::new(TokioIo::new(io))),
            Ok(Err(error)) => Err(io::Error::other(error).into()),
            Err(_) => Err(HandshakeError::Timeout),
        }
    }

    fn poll_io<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut TokioIo<Upgraded>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.io {
            Some(io) => poll(Pin::new(io)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = this.poll_io(|io| io.poll_read(cx, buf));
        if let Poll::Ready(read) = &read {
            this.read_out |= read.is_err() || (buf.filled().len() == before && buf.remaining() > 0);
        }
        read
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_io(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_io(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_io(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut_down = this.poll_io(|io| io.poll_shutdown(cx));
        this.shut_down |= matches!(shut_down, Poll::Ready(Ok(())));
        shut_down
    }
}

impl Drop for HttpStream {
    fn drop(&mut self) {
        if !self.shut_down || self.read_out {
            return;
        }
        // Without a runtime, the end of the process is near.
        if let (Some(mut io), Ok(runtime)) = (self.io.take(), Handle::try_current()) {
            runtime.spawn(async move {
                let _ = timeout(PATIENCE, tokio::io::copy(&mut io, &mut tokio::io::sink())).await;
            });
        }
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
