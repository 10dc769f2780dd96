//! [`NetStream`]: what a connection runs over. And TCP, with everything a name may stand for.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};

use super::race::{interleave, race};

/// What [`connect`](super::connect) opens: TCP, or TLS over TCP, or either of them through a proxy,
/// to which there may be TLS of its own. In place of TCP there may be a transport `T` of your own.
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

/// A way through a proxy: to it, and with what it has sent behind its consent.
#[derive(Debug)]
pub(crate) struct Tunnel<T> {
    ahead: BytesMut,
    io: NetStream<T>,
}

impl<T> Tunnel<T> {
    pub(crate) const fn new(io: NetStream<T>, ahead: BytesMut) -> Self {
        Self { ahead, io }
    }
}

impl NetStream {
    /// The socket, for its addresses and options. Through a proxy, it is connected to that.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl<T> NetStream<T> {
    /// What it all runs over.
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

    /// TLS with the other peer, for what both agreed on and for its certificates; `None` without. TLS
    /// with a proxy does not count.
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

/// Does the same with whichever stream it is.
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
            // Not kept for as long as the connection lasts.
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

/// Opens a TCP connection without delay for small writes, to whichever address answers first.
pub(crate) async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = race(interleave(resolve(host, port).await?), TcpStream::connect).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// All addresses of a name, in the order that the system prefers; at least one.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}
