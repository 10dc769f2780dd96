//! [`NetStream`]: the socket under a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// TCP, or TLS over TCP: what [`connect`](super::connect) opens.
#[derive(Debug)]
pub struct NetStream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::TlsStream<TcpStream>>),
}

impl NetStream {
    /// The socket, for its addresses and options.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Kind::Tcp(io) => io,
            #[cfg(feature = "tls")]
            Kind::Tls(io) => io.get_ref().0,
        }
    }

    /// The TLS connection, for what the peers agreed on and for their certificates; `None` without TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&crate::tls::TlsStream<TcpStream>> {
        match &self.0 {
            Kind::Tcp(_) => None,
            Kind::Tls(io) => Some(io),
        }
    }
}

impl From<TcpStream> for NetStream {
    fn from(io: TcpStream) -> Self {
        Self(Kind::Tcp(io))
    }
}

#[cfg(feature = "tls")]
impl From<crate::tls::TlsStream<TcpStream>> for NetStream {
    fn from(io: crate::tls::TlsStream<TcpStream>) -> Self {
        Self(Kind::Tls(Box::new(io)))
    }
}

/// Calls a poll function of whichever stream it is.
macro_rules! delegate {
    ($self:ident, $trait:ident::$function:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().0 {
            Kind::Tcp(io) => $trait::$function(Pin::new(io), $($argument),*),
            #[cfg(feature = "tls")]
            Kind::Tls(io) => $trait::$function(Pin::new(io), $($argument),*),
        }
    };
}

impl AsyncRead for NetStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, AsyncRead::poll_read(cx, buf))
    }
}

impl AsyncWrite for NetStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, AsyncWrite::poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, AsyncWrite::poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(io) => io.is_write_vectored(),
            #[cfg(feature = "tls")]
            Kind::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncWrite::poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncWrite::poll_shutdown(cx))
    }
}

/// Opens a TCP connection without delay for small writes.
pub(crate) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
