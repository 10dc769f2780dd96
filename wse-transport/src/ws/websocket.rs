//! [`WebSocket`].

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::closing::{Closing, ClosingEvent};
use super::config::Config;
use super::connection::Connection;
use super::limits::Limits;
use super::message::Message;
use super::prepared::PreparedMessage;
use super::shared_waker::{Half, SharedWaker};
use crate::deflate::{Deflate, DeflateAgreement};
use crate::extension::AgreedExtensions;
use crate::frame::{CloseFrame, Error, Role};
use crate::negotiated::Negotiated;

/// A WebSocket over any transport, after the opening handshake: a [`Stream`] and a [`Sink`] of [`Message`]s.
///
/// # Reading
///
/// - Pings are answered, and also yielded. While the transport is blocked, only the latest ping is answered.
/// - The peer's close frame is answered, and yielded once as [`Message::Close`]. Then the stream flushes, on a server
///   shuts TCP down, and ends with `None`.
/// - If TCP ends without a close frame, the stream ends with `None`, also within a message; the code to report is
///   [`ABNORMAL`](super::CloseCode::ABNORMAL). A transport error is yielded once before.
/// - A violation by the peer closes with its [`close_code`](super::ProtocolError::close_code). It is yielded once as
///   [`Error::Protocol`], when the close frame is written or the close timeout is over, and `None` follows. Poll to the
///   end: the peer gets the close frame only if the bytes that it still sends are read.
///
/// `next()` is cancel safe: dropping its future loses no message.
///
/// # Writing
///
/// `feed` queues a message, `send` queues and flushes, `flush` writes the queue. Feeding many messages and flushing once
/// costs one write. With more than [`Config::write_buffer`] bytes queued, `poll_ready` waits for the transport.
///
/// `feed`, `send` and `flush` are cancel safe: a message is queued whole or not at all, and stays queued.
///
/// Sending does not read. Two peers that both send more than their buffers hold, and never read, wait for each other
/// without end: poll both halves, from one task or from two (`split`).
///
/// # Memory
///
/// An idle connection has no buffers: they belong to the thread. A received payload keeps its read buffer, of 128 KiB or
/// more, alive: copy payloads that you store. A sent payload of more than 4 KiB is not copied, but held until it is
/// written.
///
/// # Closing
///
/// [`close`](Self::close) begins the closing handshake, as does sending [`Message::Close`]; reading to `None` completes
/// it. `SinkExt::close(&mut socket)` does both with code 1000. It discards messages that still arrive, except for the
/// peer's close frame, which the stream then yields. The handshake ends after [`Config::close_timeout`] at the latest,
/// which is measured from the first poll after its beginning. Dropping the WebSocket drops the transport.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), wse_transport::ws::Error> {
/// use futures::{SinkExt, StreamExt};
/// use wse_transport::ws::{CloseCode, Config, Message, Role, WebSocket};
///
/// let (one, other) = tokio::io::duplex(1024);
/// let mut client = WebSocket::new(one, Role::Client, Config::default());
/// let mut server = WebSocket::new(other, Role::Server, Config::default());
///
/// client.send(Message::text("hello")).await?;
/// assert_eq!(server.next().await.transpose()?, Some(Message::text("hello")));
///
/// client.close(Some(CloseCode::GOING_AWAY.into()));
/// let (closed, seen) = futures::join!(SinkExt::close(&mut client), server.collect::<Vec<_>>());
/// closed?;
/// assert!(matches!(&seen[..], [Ok(Message::Close(Some(frame)))] if frame.code.0 == 1001));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebSocket<T> {
    pub(super) connection: Connection<T>,
    waker: SharedWaker,
    /// The peer's close frame, if `poll_close` received it.
    pub(super) parked: Option<Message>,
}

/// The parts of a [`WebSocket`]; see [`WebSocket::into_parts`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts<T> {
    /// The transport.
    pub io: T,
    /// Bytes that were read and not yet decoded.
    pub read_buf: BytesMut,
    /// Bytes that were queued and not yet written.
    pub write_buf: BytesMut,
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Creates a WebSocket over `io`, on which the opening handshake is done.
    #[must_use]
    pub fn new(io: T, role: Role, config: Config) -> Self {
        Self::with_leftover(io, BytesMut::new(), role, config)
    }

    /// As [`new`](Self::new), with bytes that were read behind the head of the handshake: the first frames.
    #[must_use]
    pub fn with_leftover(io: T, leftover: BytesMut, role: Role, config: Config) -> Self {
        Self {
            connection: Connection::new(io, leftover, role, config),
            waker: SharedWaker::new(),
            parked: None,
        }
    }

    /// Begins the closing handshake: queues a close frame. Nothing more can be sent after it, and data that arrives is
    /// discarded. `None` sends no code, as does a code that is not [sendable](super::CloseCode::is_sendable).
    ///
    /// It has no effect if the handshake has begun already. Read until `None` to complete it.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        self.connection.advance(ClosingEvent::Close, frame);
        // A task that reads must learn that there is something to write, and a deadline.
        self.waker.wake();
    }

    /// Waits until the queue has space, as `feed` does, and queues a message that goes to other connections too. Flush it.
    /// With compression, the message is compressed once for all connections with equal settings.
    ///
    /// Cancel safe: the message is queued whole or not at all.
    ///
    /// # Errors
    ///
    /// As for `feed`.
    pub async fn feed_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        self.start_send_prepared(message)
    }

    /// As [`feed_prepared`](Self::feed_prepared), after `poll_ready`, in the manner of [`Sink::start_send`].
    ///
    /// # Errors
    ///
    /// As for [`Sink::start_send`].
    pub fn start_send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.start(|connection| connection.start_send_prepared(message))
    }

    /// The state of the closing handshake.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.connection.closing()
    }

    /// The number of bytes that are queued and not yet written to the transport.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.connection.out.len()
    }

    /// The limits on what is received.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.connection.codec.limits()
    }

    /// Changes the limits, from the next frame on: a server can raise them once it knows its peer.
    pub fn set_limits(&mut self, limits: Limits) {
        self.connection.codec.set_limits(limits);
    }

    /// Whether the transport accepted bytes since the last call: to detect a peer that does not read.
    pub fn take_write_progress(&mut self) -> bool {
        self.connection.out.take_progress()
    }

    /// Whether bytes arrived since the last call, of whole messages or not: to detect a silent peer.
    pub fn take_read_progress(&mut self) -> bool {
        std::mem::take(&mut self.connection.received)
    }

    /// Tells that the caller has not polled the stream for this long. Pings and pongs that queued up meanwhile then do not
    /// exceed [`Config::control_rate`].
    pub fn reading_paused(&mut self, time: Duration) {
        self.connection.reading_paused(time);
    }

    /// Applies the compression and the extensions that the opening handshake agreed on. Call it before
    /// anything is sent or received.
    pub fn set_negotiated(&mut self, negotiated: Negotiated) {
        self.connection.codec.set_negotiated(negotiated);
    }

    /// Lets extensions see the frames from now on, as the opening handshake agreed on. Call it before anything is sent or
    /// received.
    pub fn set_extensions(&mut self, extensions: AgreedExtensions) {
        self.connection.codec.set_extensions(extensions);
    }

    /// Compresses and inflates from now on, as the opening handshake agreed on. Call it before anything is sent or received.
    /// Feature `deflate`.
    pub fn set_deflate(&mut self, deflate: Deflate, agreed: DeflateAgreement) {
        self.connection.codec.set_deflate(deflate, agreed);
    }

    /// Sets whether messages that are queued from now on are compressed, if compression was agreed on. Turn it off for
    /// messages that contain a secret, or are compressed already. Default: yes.
    pub fn compress(&mut self, enabled: bool) {
        self.connection.codec.compress(enabled);
    }

    /// The transport, for its addresses or options.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.connection.io
    }

    /// Takes the WebSocket apart. A message that has arrived partly is lost.
    pub fn into_parts(self) -> Parts<T> {
        let Connection { io, read, out, .. } = self.connection;
        Parts { io, read_buf: read, write_buf: out.into_bytes() }
    }

    /// Polls the connection with a waker for both halves, and wakes both if the closing handshake advanced.
    pub(super) fn poll<R>(
        &mut self,
        half: Half,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Connection<T>, &mut Context<'_>) -> R,
    ) -> R {
        let before = self.connection.closing();
        let waker = self.waker.register(half, cx.waker());
        let result = poll(&mut self.connection, &mut Context::from_waker(waker));
        if self.connection.closing() != before {
            self.waker.wake();
        }
        result
    }

    /// Queues something, and wakes both halves if the closing handshake advanced.
    pub(super) fn start<R>(&mut self, start: impl FnOnce(&mut Connection<T>) -> R) -> R {
        let before = self.connection.closing();
        let result = start(&mut self.connection);
        if self.connection.closing() != before {
            self.waker.wake();
        }
        result
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<T> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(message) = this.parked.take() {
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(message) = this.connection.next_whole() {
            return Poll::Ready(Some(Ok(message)));
        }
        this.poll(Half::Stream, cx, Connection::poll_message)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<T> {
    type Error = Error;

    /// Fails with [`MisuseError::Closed`](super::MisuseError::Closed) once the closing handshake began.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        if this.connection.is_ready() {
            return Poll::Ready(Ok(()));
        }
        this.poll(Half::Sink, cx, Connection::poll_ready)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let this = self.get_mut();
        if this.connection.send_short(&message) {
            return Ok(());
        }
        this.start(|connection| connection.start_send(message))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll(Half::Sink, cx, Connection::poll_flush)
    }

    /// Does the closing handshake to its end.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        while let Some(message) = ready!(this.poll(Half::Sink, cx, Connection::poll_close))? {
            this.parked = Some(message);
        }
        Poll::Ready(Ok(()))
    }
}
