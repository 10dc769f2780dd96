//! The codec and the engine over a transport: the only file of this module with a clock.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::buffers::{SIZE, drop_own, lend, take_back};
use super::closing::{Closing, ClosingEvent};
use super::codec::Codec;
use super::config::Config;
use super::engine::Engine;
use super::message::Message;
use super::outgoing::{COPY, Outgoing};
use super::prepared::PreparedMessage;
use crate::frame::{
    CloseCode, CloseFrame, Error, Frame, MisuseError, Opcode, ProtocolError, Role, Utf8Bytes,
};
use crate::random;

/// Both directions of one connection; [`WebSocket`](super::WebSocket) is its public interface.
///
/// Every poll function must be given a waker that wakes the tasks of all of them.
#[derive(Debug)]
pub(super) struct Connection<T> {
    pub(super) io: T,
    pub(super) codec: Codec,
    pub(super) read: BytesMut,
    /// Whether `read` was made for a long frame, and does not belong to the thread.
    own: bool,
    pub(super) out: Outgoing,
    /// With more bytes than this queued, sending waits for the transport.
    boundary: usize,
    engine: Engine,
    close_timeout: Duration,
    /// The start of the engine's clock.
    epoch: Instant,
    /// The deadline of the closing handshake; set by the first poll after it began.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether a frame that the caller does not know of waits to be flushed.
    urgent: bool,
    /// Whether bytes arrived since the last call of `take_read_progress`.
    pub(super) received: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    pub(super) fn new(io: T, leftover: BytesMut, role: Role, config: Config) -> Self {
        let codec = match role {
            Role::Server => Codec::server(config.limits),
            Role::Client => Codec::client(config.limits, random::mask),
        };
        let out = Outgoing::new(io.is_write_vectored());
        Self {
            io,
            codec,
            read: leftover,
            own: false,
            out,
            boundary: config.write_buffer,
            engine: Engine::new(role, config.control_rate),
            close_timeout: config.close_timeout,
            epoch: Instant::now(),
            deadline: None,
            urgent: false,
            received: false,
        }
    }

    pub(super) const fn closing(&self) -> Closing {
        self.engine.closing()
    }

    pub(super) fn reading_paused(&mut self, time: Duration) {
        self.engine.reading_paused(time);
    }

    /// Advances the closing handshake, and queues our close frame if it is due.
    pub(super) fn advance(&mut self, event: ClosingEvent, frame: Option<CloseFrame>) {
        self.engine.advance(event, frame);
        self.queue_control(false);
    }

    fn fail(&mut self, error: ProtocolError) {
        self.engine.fail(error);
        self.queue_control(false);
    }

    /// Queues the frames that the engine sends by itself.
    fn queue_control(&mut self, written: bool) {
        if let Some(frame) = self.engine.control(written) {
            // Fails only when an extension has made the frame too long.
            if self.start_frame(frame.clone()).is_err() {
                let _ = self.start_frame(frame.curtailed());
            }
            self.urgent = true;
        }
    }

    /// The next message, if it has arrived as one whole frame and nothing else is to be done.
    #[inline]
    pub(super) fn next_whole(&mut self) -> Option<Message> {
        if !self.closing().is_open() || self.urgent || self.engine.has_control() {
            return None;
        }
        let (opcode, payload) = self.codec.next_whole(&mut self.read)?;
        Some(match opcode {
            Opcode::Text => Message::Text(Utf8Bytes::from_checked(payload.freeze())),
            _ => Message::Binary(payload.freeze()),
        })
    }

    /// Queues a short message that is sent unchanged, as most are; returns whether it was one.
    #[inline]
    pub(super) fn send_short(&mut self, message: &Message) -> bool {
        let (opcode, payload) = match message {
            Message::Text(text) => (Opcode::Text, text.as_bytes()),
            Message::Binary(payload) => (Opcode::Binary, payload),
            _ => return false,
        };
        let usual =
            payload.len() <= COPY && self.engine.may_send_data() && self.codec.sends_as_it_is();
        if usual {
            let header = self.codec.header(opcode, payload.len());
            self.out.push_copy(header, payload);
        }
        usual
    }

    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        self.poll_receive(cx, |engine, frame, epoch| engine.receive(frame, || epoch.elapsed()))
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Error>>> {
        self.poll_receive(cx, |engine, frame, epoch| {
            engine.receive_frame(frame, || epoch.elapsed())
        })
    }

    /// Reads frames until `receive` returns something, and does the closing handshake.
    fn poll_receive<M>(
        &mut self,
        cx: &mut Context<'_>,
        receive: impl Fn(&mut Engine, Frame, Instant) -> Result<Option<M>, ProtocolError>,
    ) -> Poll<Option<Result<M, Error>>> {
        loop {
            if self.poll_deadline(cx).is_ready() {
                self.advance(ClosingEvent::Timeout, None);
            }
            match self.closing() {
                Closing::Open | Closing::CloseSent => {
                    self.write_urgent(cx);
                    match ready!(self.poll_read(cx)) {
                        Some(Ok(frame)) => match receive(&mut self.engine, frame, self.epoch) {
                            Ok(None) => {}
                            Ok(Some(message)) => {
                                self.queue_control(false);
                                // At once: the caller may poll late.
                                self.write_urgent(cx);
                                return Poll::Ready(Some(Ok(message)));
                            }
                            Err(error) => self.fail(error),
                        },
                        Some(Err(Error::Protocol(error))) => self.fail(error),
                        Some(Err(error)) => {
                            let was_open = self.closing().is_open();
                            self.advance(ClosingEvent::Eof, None);
                            if was_open {
                                return Poll::Ready(Some(Err(error)));
                            }
                        }
                        None => self.advance(ClosingEvent::Eof, None),
                    }
                }
                Closing::Answering | Closing::Failed => {
                    // Bytes that cannot be written any more count as written.
                    let _ = ready!(self.poll_finish(cx));
                    self.advance(ClosingEvent::Flushed, None);
                    if let Some(error) = self.engine.take_failure() {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
                Closing::Draining => {
                    ready!(self.poll_discard(cx));
                    self.advance(ClosingEvent::Eof, None);
                }
                Closing::Ended => {
                    return Poll::Ready(self.engine.take_failure().map(|error| Err(error.into())));
                }
            }
        }
    }

    /// Reads the next frame. While there is none, the connection keeps only the bytes that have arrived.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Error>>> {
        loop {
            if let Some(frame) = self.codec.next_frame(&mut self.read).transpose() {
                return Poll::Ready(Some(frame));
            }
            match self.codec.missing(&self.read).unwrap_or_default() {
                // A buffer of its own, so that the frame does not have to be moved.
                missing if missing > SIZE / 2 => {
                    let before = self.read.capacity();
                    self.codec.reserve(&mut self.read);
                    self.own |= self.read.capacity() != before;
                }
                missing => {
                    drop_own(&mut self.read, &mut self.own);
                    lend(&mut self.read, missing);
                }
            }
            match pin!(self.io.read_buf(&mut self.read)).poll(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => self.received = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Pending => {
                    drop_own(&mut self.read, &mut self.own);
                    take_back(&mut self.read);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Whether a message can be queued without polling the transport.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.closing().is_open() && self.out.len() < self.boundary
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.closing().is_open() {
            return Poll::Ready(Err(MisuseError::Closed.into()));
        }
        if self.out.len() >= self.boundary {
            return self.poll_write(cx);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn start_send(&mut self, message: Message) -> Result<(), Error> {
        let frame = self.engine.send(message)?;
        self.queue(frame)
    }

    pub(super) fn start_send_prepared(&mut self, prepared: &PreparedMessage) -> Result<(), Error> {
        if self.send_short(prepared.message()) {
            return Ok(());
        }
        let Some(frame) = self.engine.send(prepared.message().clone())? else {
            return self.queue(None);
        };
        let (header, payload) = self.codec.prepare_shared(frame, prepared.compressed())?;
        self.out.push(header, payload);
        Ok(())
    }

    pub(super) fn start_send_frame(&mut self, frame: Frame) -> Result<(), Error> {
        let frame = self.engine.send_frame(frame)?;
        self.queue(frame)
    }

    fn queue(&mut self, frame: Option<Frame>) -> Result<(), Error> {
        match frame {
            Some(frame) => self.start_frame(frame),
            None => {
                self.queue_control(false);
                Ok(())
            }
        }
    }

    fn start_frame(&mut self, frame: Frame) -> Result<(), Error> {
        let (header, payload) = self.codec.prepare(frame)?;
        self.out.push(header, payload);
        Ok(())
    }

    /// Flushes for a caller, within the deadline of the closing handshake.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.poll_deadline(cx).is_ready() {
            self.advance(ClosingEvent::Timeout, None);
        }
        if self.closing() == Closing::Ended && self.out.len() > 0 {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe).into()));
        }
        self.poll_write(cx)
    }

    /// Writes all queued bytes, and then the pong that waited for them.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            ready!(self.out.poll_flush(&mut self.io, cx))?;
            self.urgent = false;
            if !self.engine.has_control() {
                return Poll::Ready(Ok(()));
            }
            self.queue_control(true);
        }
    }

    /// Writes the frames that the engine sends by itself, as far as possible, for a caller that reads. A failure shows when
    /// the caller writes, or when TCP ends.
    fn write_urgent(&mut self, cx: &mut Context<'_>) {
        if !self.urgent && !self.engine.has_control() {
            return;
        }
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            tracing::debug!(%error, "cannot write a control frame");
            self.urgent = false;
            self.engine.forget_control();
        }
    }

    /// Closes, and reads until the end; returns the peer's close frame if it arrived.
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        self.advance(ClosingEvent::Close, Some(CloseCode::NORMAL.into()));
        match ready!(self.poll_message(cx)) {
            Some(message) => Poll::Ready(message.map(Some)),
            None => Poll::Ready(Ok(None)),
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_write(cx))?;
        if self.engine.shuts_down() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and discards until TCP ends.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        for _ in 0..16 {
            let mut buf = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        // A peer that sends without pause must not starve other tasks or the deadline.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.closing(), Closing::Open | Closing::Ended) {
            return Poll::Pending;
        }
        let timeout = self.close_timeout;
        self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::{SinkExt, StreamExt};

    use crate::ws::{Config, Message, Role, WebSocket};

    #[tokio::test]
    async fn an_idle_connection_has_no_buffers_whatever_went_through_it() {
        let (one, other) = tokio::io::duplex(1 << 20);
        let mut client = WebSocket::new(one, Role::Client, Config::default());
        let mut server = WebSocket::new(other, Role::Server, Config::default());
        for len in [0, 10, 5_000, 100_000] {
            client.send(Message::binary(vec![7; len])).await.unwrap();
            let message = server.next().await.unwrap().unwrap();
            assert_eq!(message, Message::binary(vec![7; len]));
            server.send(message).await.unwrap();
            client.next().await.unwrap().unwrap();
            for socket in [&mut client, &mut server] {
                assert!(futures::poll!(socket.next()).is_pending());
                assert_eq!(socket.connection.read.capacity(), 0, "read, after {len}");
                assert_eq!(socket.connection.out.capacity(), 0, "write, after {len}");
            }
        }
    }

    #[tokio::test]
    async fn a_long_message_is_freed_with_its_last_holder() {
        let (one, other) = tokio::io::duplex(1 << 22);
        let mut client = WebSocket::new(one, Role::Client, Config::default());
        let mut server = WebSocket::new(other, Role::Server, Config::default());
        // The second message has its place before it arrives.
        for _ in 0..2 {
            client.send(Message::binary(vec![7; 1 << 20])).await.unwrap();
            let Message::Binary(payload) = server.next().await.unwrap().unwrap() else { panic!() };
            assert!(futures::poll!(server.next()).is_pending());
            assert!(payload.is_unique(), "neither connection nor thread holds it");
        }
    }
}
