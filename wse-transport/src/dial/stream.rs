//! [`NetStream`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The connection that [`connect`](crate::connect) opens: TCP, or TLS over TCP, direct or through a proxy, which may
/// itself be reached over TLS. `T` is the transport in place of TCP.
#[derive(Debug)]
pub struct NetStream<T = TcpStream>(Kind<T>);

#[derive(Debug)]
enum Kind<T> {
    Plain(T),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::TlsStream<T>>),
    Tunnel(Box<Tunnel<T>>),
    #[cfg(feature = "tls")]
    TlsTunnel(Box<crate::tls::TlsStream<Tunnel<T>>>),
}

/// A tunnel through a proxy: the connection to the proxy, and the bytes received behind its answer.
#[derive(Debug)]
pub(crate) struct Tunnel<T> {
    ahead: BytesMut,
    io: NetStream<T>,
}

impl<T> Tunnel<T> {
    pub(super) const fn new(io: NetStream<T>, ahead: BytesMut) -> Self {
        Self { ahead, io }
    }
}

impl NetStream {
    /// The socket, for its addresses and options. With a proxy, the socket is connected to it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl<T> NetStream<T> {
    /// The innermost transport.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        match &self.0 {
            Kind::Plain(io) => io,
            #[cfg(feature = "tls")]
            Kind::Tls(io) => io.get_ref().0,
            Kind::Tunnel(tunnel) => tunnel.io.get_ref(),
            #[cfg(feature = "tls")]
            Kind::TlsTunnel(io) => io.get_ref().0.io.get_ref(),
        }
    }

    /// The state of TLS with the server, for its certificates and what was agreed on; `None` without TLS. TLS with a
    /// proxy does not count. Feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&crate::tls::rustls::CommonState> {
        fn state<T>(io: &crate::tls::TlsStream<T>) -> &crate::tls::rustls::CommonState {
            io.get_ref().1
        }
        match &self.0 {
            Kind::Plain(_) | Kind::Tunnel(_) => None,
            Kind::Tls(io) => Some(state(io)),
            Kind::TlsTunnel(io) => Some(state(io)),
        }
    }
}

impl<T> From<T> for NetStream<T> {
    fn from(io: T) -> Self {
        Self(Kind::Plain(io))
    }
}

impl<T> From<Tunnel<T>> for NetStream<T> {
    fn from(tunnel: Tunnel<T>) -> Self {
        Self(Kind::Tunnel(Box::new(tunnel)))
    }
}

#[cfg(feature = "tls")]
impl<T> From<crate::tls::TlsStream<T>> for NetStream<T> {
    fn from(io: crate::tls::TlsStream<T>) -> Self {
        Self(Kind::Tls(Box::new(io)))
    }
}

#[cfg(feature = "tls")]
impl<T> From<crate::tls::TlsStream<Tunnel<T>>> for NetStream<T> {
    fn from(io: crate::tls::TlsStream<Tunnel<T>>) -> Self {
        Self(Kind::TlsTunnel(Box::new(io)))
    }
}

/// Runs an expression on the stream, of any kind.
macro_rules! each {
    ($kind:expr, $io:ident => $done:expr) => {
        match $kind {
            Kind::Plain($io) => $done,
            #[cfg(feature = "tls")]
            Kind::Tls($io) => $done,
            Kind::Tunnel($io) => $done,
            #[cfg(feature = "tls")]
            Kind::TlsTunnel($io) => $done,
        }
    };
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for NetStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().0, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for NetStream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.get_mut().0, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.get_mut().0, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.0, io => io.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().0, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().0, io => Pin::new(io).poll_shutdown(cx))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let part = this.ahead.len().min(buf.remaining());
        buf.put_slice(&this.ahead[..part]);
        this.ahead.advance(part);
        if this.ahead.is_empty() {
            // The memory is not kept for the life of the connection.
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
