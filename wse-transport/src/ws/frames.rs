//! Messages fragment by fragment.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{error::Error, frame::Frame, stream::Link, wakers::Half, websocket::WebSocket};

/// A [`WebSocket`] frame by frame, for messages that should not, or cannot, be in memory at once: see
/// [`WebSocket::frames`].
///
/// # Reading
///
/// Data frames come in the pieces in which they arrive, whole or not: the first piece of a message has the
/// opcode of its kind, the others [`Opcode::Continuation`](super::Opcode::Continuation), and the last has
/// `fin`. A piece of text may end within a character; the whole has been checked when it has ended. Pings
/// are answered and yielded, and a close frame ends the stream, as with the WebSocket itself.
///
/// [`Limits::max_message`](super::Limits::max_message) holds for the message, and has to be raised for one
/// that is larger; memory does not depend on it here.
///
/// # Writing
///
/// Frames go out as they are given, and must be in order: what is not is refused with a
/// [`UsageError`](super::UsageError) before anything is written. `feed` waits for the transport as the
/// WebSocket does. Fragments are not compressed.
///
/// # Leaving
///
/// Dropped within a message that is being received, the rest of that message is passed over by the
/// WebSocket. A message being sent has to be ended, from here or from the next `Frames`, before
/// another one can be sent.
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

impl<'a, T> Frames<'a, T> {
    pub(super) fn new(socket: &'a mut WebSocket<T>) -> Self {
        socket.link.codec.set_streaming(true);
        Self { socket }
    }
}

impl<T> Drop for Frames<'_, T> {
    fn drop(&mut self) {
        self.socket.link.codec.set_streaming(false);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for Frames<'_, T> {
    type Item = Result<Frame, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let socket = &mut *self.get_mut().socket;
        if let Some(message) = socket.parked.take() {
            return Poll::Ready(Some(Ok(message.into_frame())));
        }
        socket.poll(Half::Stream, cx, Link::poll_frame)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for Frames<'_, T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.get_mut().socket).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<(), Error> {
        self.get_mut().socket.start(|link| link.start_send_frame(frame))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.get_mut().socket).poll_flush(cx)
    }

    /// Carries the closing handshake out to the end.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *self.get_mut().socket).poll_close(cx)
    }
}
