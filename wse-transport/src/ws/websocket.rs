//! The WebSocket that applications hold.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    agreed::Agreed,
    byte_stream::ByteStream,
    close::CloseFrame,
    closing::{Closing, ClosingEvent},
    codec::Role,
    config::Config,
    error::Error,
    extension::AgreedExtensions,
    frames::Frames,
    limits::Limits,
    message::Message,
    prepared::PreparedMessage,
    stream::Link,
    wakers::{Half, Wakers},
};

/// A WebSocket over any transport, after the opening handshake: a [`Stream`] and a [`Sink`] of
/// [`Message`]s.
///
/// # Reading
///
/// - Pings are answered here and yielded too. While the transport is blocked, only the latest one
///   is remembered.
/// - The peer's close frame is yielded once, as [`Message::Close`], and answered here. The stream
///   then flushes, as a server shuts TCP down, and ends with `None`.
/// - TCP that ends without a close frame is just `None`, also within a message: the code to report
///   is [`ABNORMAL`](super::CloseCode::ABNORMAL). A transport error is yielded once before it.
/// - A violation is answered with its
///   [`close_code`](super::ProtocolError::close_code), yielded once as [`Error::Protocol`], and
///   followed by `None`. The error comes when the close frame is written, or the close timeout
///   over. Poll to the end: what the peer still sends has to be read for it to get that frame.
///
/// `next()` is cancel safe: dropping its future loses no message.
///
/// # Writing
///
/// `feed` queues, `send` queues and flushes, `flush` writes what is queued. Feeding many messages
/// and flushing once costs one write. With more than [`Config::write_buffer`] bytes queued,
/// `poll_ready` waits for the transport. `feed`, `send` and `flush` are cancel safe in so far as a
/// message is queued whole or not at all; one that is queued stays so.
///
/// Sending alone does not read: two peers that both send more than their buffers hold and never
/// read wait for each other forever. Poll both halves, from one task or from two (`split`).
///
/// # Memory
///
/// While nothing is under way a connection has no buffers: they belong to the thread. A payload that you
/// keep keeps the buffer that it was read into, of 128 KiB or more: copy what you store. A payload of more
/// than 4 KiB is not copied when it is sent: it is held until it is written.
///
/// # Closing
///
/// [`close`](Self::close) begins the closing handshake, and so does sending [`Message::Close`];
/// reading to `None` completes it. `SinkExt::close(&mut socket)` does both, with code 1000,
/// discarding what still comes but the peer's close frame, which the stream then yields. However
/// it began, the handshake ends after [`Config::close_timeout`], which is measured from the first
/// poll after its beginning. Dropping the WebSocket drops the transport.
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
    pub(super) link: Link<T>,
    wakers: Wakers,
    /// The peer's close frame that `poll_close` came across.
    pub(super) parked: Option<Message>,
}

/// What a [`WebSocket`] was made of, see [`WebSocket::into_parts`].
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
    /// A WebSocket over `io`, on which the opening handshake is done.
    pub fn new(io: T, role: Role, config: Config) -> Self {
        Self::with_leftover(io, BytesMut::new(), role, config)
    }

    /// The same, with bytes that were read behind the head of the handshake: they are the first
    /// frames.
    pub fn with_leftover(io: T, leftover: BytesMut, role: Role, config: Config) -> Self {
        Self { link: Link::new(io, leftover, role, config), wakers: Wakers::new(), parked: None }
    }

    /// Begins the closing handshake: queues a close frame, after which nothing more can be sent
    /// and whatever arrives but the peer's close frame is discarded. `None` sends no code, and so
    /// does a code that is not [sendable](super::CloseCode::is_sendable).
    ///
    /// It does nothing when a handshake is under way or over. Read until `None` to carry it out.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        self.link.advance(ClosingEvent::Close, frame);
        // A task that reads must learn that there is something to write, and a deadline.
        self.wakers.wake();
    }

    /// Queues a message that goes to other connections too, once there is room, as `feed` does; flush it. With
    /// compression, the work is done once for all connections that compress alike.
    ///
    /// Cancel safe in so far as the message is queued whole or not at all.
    ///
    /// # Errors
    ///
    /// As for `feed`.
    pub async fn feed_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        self.start_send_prepared(message)
    }

    /// The same in the manner of [`Sink::start_send`], after `poll_ready`.
    ///
    /// # Errors
    ///
    /// As for [`Sink::start_send`].
    pub fn start_send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.start(|link| link.start_send_prepared(message))
    }

    /// The connection frame by frame, to stream messages of any length in little memory, both ways.
    pub fn frames(&mut self) -> Frames<'_, T> {
        Frames::new(self)
    }

    /// The connection as a stream of bytes.
    pub fn into_bytes(self) -> ByteStream<T> {
        ByteStream::new(self)
    }

    /// How far the closing handshake has come.
    pub fn closing(&self) -> Closing {
        self.link.closing()
    }

    /// Bytes that are queued and not yet written to the transport.
    pub fn queued(&self) -> usize {
        self.link.out.len()
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.link.codec.limits()
    }

    /// Changes the limits, from the next frame on: a server raises them once it knows its peer.
    pub fn set_limits(&mut self, limits: Limits) {
        self.link.codec.set_limits(limits);
    }

    /// Whether the transport took bytes since this was last asked.
    pub(crate) fn take_sent(&mut self) -> bool {
        self.link.out.take_took()
    }

    /// Whether bytes came since this was last asked.
    pub(crate) fn take_received(&mut self) -> bool {
        std::mem::take(&mut self.link.received)
    }

    /// Nothing was read for so long: pings and pongs that came meanwhile are no flood.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.link.waited(time);
    }

    /// Sets up what the opening handshake has agreed upon.
    pub(crate) fn agree(&mut self, agreed: Agreed) {
        agreed.apply(&mut self.link.codec);
    }

    /// Lets extensions see the frames from now on, as agreed upon in an opening handshake that was done
    /// elsewhere: to be called before anything is sent or received.
    pub fn set_extensions(&mut self, extensions: AgreedExtensions) {
        self.link.codec.set_extensions(extensions);
    }

    /// Compresses and inflates from now on, as agreed upon in an opening handshake that was done
    /// elsewhere: to be called before anything is sent or received.
    #[cfg(feature = "deflate")]
    pub fn set_deflate(&mut self, deflate: super::Deflate, agreed: super::DeflateAgreement) {
        self.link.codec.set_deflate(deflate, agreed);
    }

    /// Whether messages are compressed that are queued from now on, if compression was agreed
    /// upon. Turn it off around a message with a secret, or with what is compressed already.
    /// Default: yes.
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, enabled: bool) {
        self.link.codec.compress(enabled);
    }

    /// The transport, for its addresses or options.
    pub fn get_ref(&self) -> &T {
        &self.link.io
    }

    /// Takes the WebSocket apart. Of a message that has partly arrived, the part is lost.
    pub fn into_parts(self) -> Parts<T> {
        let Link { io, read, out, .. } = self.link;
        Parts { io, read_buf: read, write_buf: out.into_bytes() }
    }

    /// Polls the link with a waker for both halves, and wakes both if the handshake moved on.
    pub(super) fn poll<R>(
        &mut self,
        half: Half,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Link<T>, &mut Context<'_>) -> R,
    ) -> R {
        let before = self.link.closing();
        let waker = self.wakers.register(half, cx.waker());
        let result = poll(&mut self.link, &mut Context::from_waker(waker));
        if self.link.closing() != before {
            self.wakers.wake();
        }
        result
    }

    /// Queues something, and wakes both halves if the handshake moved on.
    pub(super) fn start<R>(&mut self, start: impl FnOnce(&mut Link<T>) -> R) -> R {
        let before = self.link.closing();
        let result = start(&mut self.link);
        if self.link.closing() != before {
            self.wakers.wake();
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
        if let Some(message) = this.link.next_whole() {
            return Poll::Ready(Some(Ok(message)));
        }
        this.poll(Half::Stream, cx, Link::poll_message)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<T> {
    type Error = Error;

    /// Fails with [`UsageError::Closed`](super::UsageError::Closed) once the closing handshake
    /// began.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        if this.link.is_ready() {
            return Poll::Ready(Ok(()));
        }
        this.poll(Half::Sink, cx, Link::poll_ready)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let this = self.get_mut();
        if this.link.send_short(&message) {
            return Ok(());
        }
        this.start(|link| link.start_send(message))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll(Half::Sink, cx, Link::poll_flush)
    }

    /// Carries the closing handshake out to the end.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        while let Some(message) = ready!(this.poll(Half::Sink, cx, Link::poll_close))? {
            this.parked = Some(message);
        }
        Poll::Ready(Ok(()))
    }
}
