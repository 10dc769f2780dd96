//! [`Frames`]: messages fragment by fragment.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::shared_waker::Half;
use super::websocket::WebSocket;
use crate::frame::{Error, Frame};

/// A [`WebSocket`] frame by frame, for messages that should not be in memory as a whole: see [`WebSocket::frames`].
///
/// # Reading
///
/// Data frames are yielded in the pieces in which they arrive. The first piece of a message has the opcode of its kind,
/// the others [`Opcode::Continuation`](super::Opcode::Continuation), and the last has `fin`. A piece of text may end
/// within a character; the whole text is checked. Pings are answered and yielded, and a close frame ends the stream, as
/// with the WebSocket itself.
///
/// [`Limits::max_message`](super::Limits::max_message) applies to the whole message: raise it for longer ones. The
/// memory in use does not depend on it here.
///
/// # Writing
///
/// Frames are sent as they are, and must be in order; otherwise sending fails with a
/// [`MisuseError`](super::MisuseError) before anything is written. `feed` waits for the transport as the WebSocket does.
/// Fragments are not compressed.
///
/// # Dropping
///
/// If a message is partly received, the WebSocket skips the rest of it. If a message is partly sent, end it from here or
/// from another `Frames` before another message is sent.
///
/// `next()` is cancel safe: dropping its future loses no frame.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), wse_transport::ws::Error> {
/// use futures::{SinkExt, StreamExt};
/// use wse_transport::ws::{Config, Frame, Message, Opcode, Role, WebSocket};
///
/// let (one, other) = tokio::io::duplex(1024);
/// let mut client = WebSocket::new(one, Role::Client, Config::default());
/// let mut server = WebSocket::new(other, Role::Server, Config::default());
///
/// let mut frames = client.frames();
/// frames.send(Frame::fragment(Opcode::Binary, "a large ")).await?;
/// frames.send(Frame::new(Opcode::Continuation, "message")).await?;
/// let message = server.next().await.transpose()?;
/// assert_eq!(message, Some(Message::binary("a large message")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Frames<'a, T> {
    socket: &'a mut WebSocket<T>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Reads and writes frame by frame, to stream messages of any length in little memory.
    pub fn frames(&mut self) -> Frames<'_, T> {
        Frames::new(self)
    }
}

impl<'a, T> Frames<'a, T> {
    fn new(socket: &'a mut WebSocket<T>) -> Self {
        socket.connection.codec.set_streaming(true);
        Self { socket }
    }
}

impl<T> Drop for Frames<'_, T> {
    fn drop(&mut self) {
        self.socket.connection.codec.set_streaming(false);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for Frames<'_, T> {
    type Item = Result<Frame, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let socket = &mut *self.get_mut().socket;
        if let Some(message) = socket.parked.take() {
            return Poll::Ready(Some(Ok(message.into_frame())));
        }
        socket.poll(Half::Stream, cx, Connection::poll_frame)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for Frames<'_, T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.get_mut().socket).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Error> {
        self.get_mut().socket.start(|connection| connection.start_send_frame(frame))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.get_mut().socket).poll_flush(cx)
    }

    /// Does the closing handshake to its end.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.get_mut().socket).poll_close(cx)
    }
}
