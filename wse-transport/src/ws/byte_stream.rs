//! [`ByteStream`]: bytes in binary messages.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;
use super::message::Message;
use super::shared_waker::Half;
use super::websocket::WebSocket;
use crate::frame::{CloseCode, CloseFrame, Error, Opcode};

/// The most bytes in one message.
const MAX_WRITE: usize = 64 * 1024;

/// A [`WebSocket`] as a stream of bytes, for protocols that need one, such as a tunnel: see
/// [`WebSocket::into_bytes`]. The bytes travel in binary messages; the boundaries of messages have no meaning.
///
/// # Reading
///
/// Frames of any length are read as they arrive. Set [`Limits::unlimited`](super::Limits::unlimited), since no message
/// is assembled; with extensions, which need whole frames, set a limit on frames.
///
/// The stream ends when the peer has closed. A text message is an error of kind `InvalidData`, and closes with 1003.
/// TCP that ends without a close frame is an error of kind `UnexpectedEof`.
///
/// # Writing
///
/// Each write becomes a message of up to 64 KiB. It is sent when the stream is flushed, when much is queued, or when a
/// read has to wait. `shutdown` closes with code 1000 and does not wait for the peer: read to the end to do so. Data
/// that the peer still sends is lost, since RFC 6455 has no half-closed connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use wse_transport::ws::{Config, Role, WebSocket};
///
/// let (one, other) = tokio::io::duplex(1024);
/// let mut client = WebSocket::new(one, Role::Client, Config::default()).into_bytes();
/// let mut server = WebSocket::new(other, Role::Server, Config::default()).into_bytes();
///
/// client.write_all(b"some bytes").await?;
/// client.shutdown().await?;
/// let mut all = String::new();
/// server.read_to_string(&mut all).await?;
/// assert_eq!(all, "some bytes");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ByteStream<T> {
    socket: WebSocket<T>,
    /// Bytes that have arrived and were not read.
    rest: Bytes,
    /// Whether the peer's close frame has arrived.
    closed: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Turns the connection into a stream of bytes.
    pub fn into_bytes(self) -> ByteStream<T> {
        ByteStream::new(self)
    }
}

impl<T> ByteStream<T> {
    fn new(mut socket: WebSocket<T>) -> Self {
        socket.connection.codec.set_streaming(true);
        let closed = socket.parked.take().is_some();
        Self { socket, rest: Bytes::new(), closed }
    }

    /// Returns the WebSocket. Bytes that have arrived and were not read are lost.
    #[must_use]
    pub fn into_inner(mut self) -> WebSocket<T> {
        self.socket.connection.codec.set_streaming(false);
        self.socket
    }

    /// The WebSocket inside.
    #[must_use]
    pub const fn get_ref(&self) -> &WebSocket<T> {
        &self.socket
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for ByteStream<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            let polled = this.socket.poll(Half::Stream, cx, Connection::poll_frame);
            if polled.is_pending() && this.socket.queued() > 0 {
                // A caller that waits for an answer expects that its request is sent. A failure shows when it writes, or when
                // TCP ends.
                let _ = this.socket.poll(Half::Stream, cx, Connection::poll_flush);
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.opcode {
                    Opcode::Binary | Opcode::Continuation => this.rest = frame.payload,
                    Opcode::Text => {
                        let reason = "text in a stream of bytes";
                        this.socket.close(Some(CloseFrame::new(CloseCode::UNSUPPORTED, reason)));
                        return Poll::Ready(Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "peer sent text into a stream of bytes",
                        )));
                    }
                    Opcode::Close => this.closed = true,
                    Opcode::Ping | Opcode::Pong => {}
                },
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None if this.closed => break,
                None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        Poll::Ready(Ok(&this.rest))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        self.get_mut().rest.advance(bytes);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = ready!(self.as_mut().poll_fill_buf(cx))?;
        let here = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..here]);
        self.consume(here);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let socket = &mut self.get_mut().socket;
        ready!(socket.poll(Half::Sink, cx, Connection::poll_ready)).map_err(io_error)?;
        let here = &bytes[..bytes.len().min(MAX_WRITE)];
        let message = Message::Binary(Bytes::copy_from_slice(here));
        socket.start(|connection| connection.start_send(message)).map_err(io_error)?;
        Poll::Ready(Ok(here.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll(Half::Sink, cx, Connection::poll_flush).map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.get_mut().socket;
        socket.close(Some(CloseCode::NORMAL.into()));
        socket.poll(Half::Sink, cx, Connection::poll_flush).map_err(io_error)
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::Protocol(error) => io::Error::new(io::ErrorKind::InvalidData, error),
        Error::Misuse(error) => io::Error::new(io::ErrorKind::BrokenPipe, error),
    }
}
