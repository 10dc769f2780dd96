//! [`FramedChannel`]: a byte stream as a [`Channel`].
//!
//! ```text
//!         close(), an error, or the peer's end              both directions have ended,
//!                                                           or the close timeout is over
//!   Open ────────────────────────────────────────► Closing ─────────────────────────────► Closed
//!                                                  what is queued is written, then the end;
//!                                                  what arrives is discarded
//! ```

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;
use wse_proto::session::Close;
use wse_proto::{CodecError, MessageKind};
use wse_transport::ws;

use super::channel::Channel;
use super::queue::Queued;
use crate::framed::{Framing, FramingError};

/// The bytes of a new read buffer. Idle connections have none.
const READ: usize = 8 * 1024;

/// A read buffer with less space than this grows.
const LEAST_READ: usize = 1024;

/// The queued bytes from which on a sender waits.
const WRITE: usize = 64 * 1024;

/// Reads before other tasks get their turn.
const BUDGET: usize = 32;

/// The messages of a connection over a byte stream, each with its length before it or followed by a line end.
///
/// The peer's end between two messages is a close without a code, which is reported as 1005. Any other end is an error.
pub(crate) struct FramedChannel<T> {
    io: T,
    framing: Framing,
    read: BytesMut,
    write: BytesMut,
    phase: Phase,
    /// The peer has ended, or cannot be read any more.
    read_ended: bool,
    write_ended: bool,
    received: bool,
    written: bool,
    /// A message that cannot be framed. It ends the connection, since the peer may wait for it.
    unsendable: Option<CodecError>,
    /// The driver does not know of `unsendable` yet.
    wake: bool,
    close_timeout: Duration,
    /// Boxed: only used while the connection closes.
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Closed,
}

impl<T: AsyncRead + AsyncWrite + Unpin> FramedChannel<T> {
    pub(crate) fn new(
        io: T,
        kind: MessageKind,
        max_message: usize,
        close_timeout: Duration,
    ) -> Self {
        Self {
            io,
            framing: Framing::new(kind, max_message),
            read: BytesMut::new(),
            write: BytesMut::new(),
            phase: Phase::Open,
            read_ended: false,
            write_ended: false,
            received: false,
            written: false,
            unsendable: None,
            wake: false,
            close_timeout,
            timer: None,
        }
    }

    /// Receives a message, or `None` at the peer's end. Pending also after some reads without a whole message.
    fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<ws::Message>, ws::Error>> {
        if let Some(error) = self.unsendable.take() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error).into()));
        }
        for _ in 0..BUDGET {
            let decoded = match self.read_ended {
                false => self.framing.decode(&mut self.read),
                true => self.framing.decode_eof(&mut self.read),
            };
            match decoded.map_err(receive_error)? {
                // The driver looks at the bytes alone.
                Some(message) => return Poll::Ready(Ok(Some(ws::Message::Binary(message)))),
                None if self.read_ended => return Poll::Ready(Ok(None)),
                None => ready!(self.poll_read(cx))?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.read.capacity() - self.read.len() < LEAST_READ {
            self.read.reserve(READ);
        }
        let read = pin!(self.io.read_buf(&mut self.read)).poll(cx);
        match &read {
            Poll::Pending if self.read.is_empty() => self.read = BytesMut::new(),
            Poll::Pending => {}
            Poll::Ready(Ok(1..)) => self.received = true,
            Poll::Ready(Ok(0) | Err(_)) => self.read_ended = true,
        }
        read.map_ok(|_| ())
    }

    /// Ends both directions. Without reading what the peer still sends, TCP may discard what was written.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.close_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.write_ended {
            self.write_ended = match self.poll_write(cx) {
                Poll::Ready(Ok(())) => Pin::new(&mut self.io).poll_shutdown(cx).is_ready(),
                Poll::Ready(Err(_)) => true,
                Poll::Pending => false,
            };
        }
        for _ in 0..BUDGET {
            self.read.clear();
            if self.read_ended {
                return if self.write_ended { Poll::Ready(()) } else { Poll::Pending };
            }
            if self.poll_read(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.write.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.write))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.write.advance(len),
            }
            self.written = true;
        }
        self.write = BytesMut::new();
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Channel for FramedChannel<T> {
    const FRAMED: bool = true;

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ws::Message, ws::Error>>> {
        if self.phase == Phase::Open {
            let message = ready!(self.poll_message(cx)).transpose();
            if !matches!(message, Some(Ok(_))) {
                self.phase = Phase::Closing;
            }
            return Poll::Ready(Some(message.unwrap_or(Ok(ws::Message::Close(None)))));
        }
        if self.phase == Phase::Closing {
            ready!(self.poll_closing(cx));
            self.phase = Phase::Closed;
        }
        Poll::Ready(None)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws::Error>> {
        if self.write.len() < WRITE {
            return Poll::Ready(Ok(()));
        }
        match self.poll_write(cx)? {
            Poll::Pending if self.write.len() >= WRITE => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn start_send(&mut self, message: Queued) -> Result<(), ws::Error> {
        let appended = match message.message() {
            ws::Message::Text(text) => self.framing.append(&mut self.write, text.as_bytes()),
            ws::Message::Binary(bytes) => self.framing.append(&mut self.write, bytes),
            // Sessions over a byte stream send none.
            ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Close(_) => Ok(()),
        };
        if let Err(error) = appended {
            self.unsendable = Some(error);
            self.wake = true;
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws::Error>> {
        if std::mem::take(&mut self.wake) {
            // The error is reported by the next `poll_receive`. A silent peer causes none.
            cx.waker().wake_by_ref();
        }
        if self.write_ended {
            return Poll::Ready(Ok(()));
        }
        self.poll_write(cx).map_err(ws::Error::from)
    }

    fn close(&mut self, _: &Close) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn queued(&self) -> usize {
        self.write.len()
    }

    fn set_limits(&mut self, limits: ws::Limits) {
        self.framing.set_max_message(limits.max_message);
    }

    fn take_write_progress(&mut self) -> bool {
        std::mem::take(&mut self.written)
    }

    fn take_read_progress(&mut self) -> bool {
        std::mem::take(&mut self.received)
    }

    fn reading_paused(&mut self, _: Duration) {}
}

/// The limits have the same names and codes as those of a WebSocket.
fn receive_error(error: FramingError) -> ws::Error {
    match error {
        FramingError::TooLong { declared, limit } => {
            ws::ProtocolError::MessageTooBig { declared, limit }.into()
        }
        FramingError::Truncated => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
    }
}
