//! The pieces over a transport: the one file of this module with a clock and randomness.

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

use super::{
    buffers::{SIZE, drop_own, lend, take_back},
    close::{CloseCode, CloseFrame},
    closing::{Closing, ClosingEvent},
    codec::{Codec, Role},
    config::Config,
    engine::Engine,
    error::{Error, ProtocolError, UsageError},
    frame::Frame,
    message::Message,
    opcode::Opcode,
    outgoing::{COPY, Outgoing},
    prepared::PreparedMessage,
    text::Text,
};

/// Both directions of one connection; [`WebSocket`](super::WebSocket) is its public face.
///
/// Every poll function must be given a waker that wakes whoever polls any other of them.
#[derive(Debug)]
pub(super) struct Link<T> {
    pub(super) io: T,
    pub(super) codec: Codec,
    pub(super) read: BytesMut,
    /// Whether `read` was made for a long frame, and is not the thread's.
    own: bool,
    pub(super) out: Outgoing,
    /// With so many bytes queued, sending waits for the transport.
    boundary: usize,
    engine: Engine,
    close_timeout: Duration,
    /// What the time of the engine is counted from.
    epoch: Instant,
    /// When the closing handshake is given up; set by the first poll after it began.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether a frame of ours, which the caller does not know of, waits to be flushed.
    urgent: bool,
    /// Whether bytes came since somebody asked.
    pub(super) received: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Link<T> {
    pub(super) fn new(io: T, leftover: BytesMut, role: Role, config: Config) -> Self {
        let codec = match role {
            Role::Server => Codec::server(config.limits),
            Role::Client => Codec::client(config.limits, random_mask),
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

    pub(super) fn waited(&mut self, time: Duration) {
        self.engine.waited(time);
    }

    /// Moves the closing handshake on, and queues our close frame if it is time.
    pub(super) fn advance(&mut self, event: ClosingEvent, frame: Option<CloseFrame>) {
        self.engine.advance(event, frame);
        self.queue_control(false);
    }

    fn fail(&mut self, error: ProtocolError) {
        self.engine.fail(error);
        self.queue_control(false);
    }

    /// Queues what the engine has to send by itself.
    fn queue_control(&mut self, written: bool) {
        if let Some(frame) = self.engine.control(written) {
            // Fails only when an extension has made the frame too long.
            if self.start_frame(frame.clone()).is_err() {
                let _ = self.start_frame(frame.curtailed());
            }
            self.urgent = true;
        }
    }

    /// The next message, if it is there and needs no more than to be given out.
    #[inline]
    pub(super) fn next_whole(&mut self) -> Option<Message> {
        if !self.closing().is_open() || self.urgent || self.engine.has_control() {
            return None;
        }
        let (opcode, payload) = self.codec.next_whole(&mut self.read)?;
        Some(match opcode {
            Opcode::Text => Message::Text(Text::from_checked(payload.freeze())),
            _ => Message::Binary(payload.freeze()),
        })
    }

    /// Queues a short message that goes out as it is, as nearly all do; whether it was one.
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

    /// Reads frames until `receive` makes something of them, and carries the closing handshake out.
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
                                // At once, and not when the caller polls next, which may be late.
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
                    // What cannot be written any more is as good as written.
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

    /// The next frame. While there is none, the connection has no more of a read buffer than has arrived.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Error>>> {
        loop {
            if let Some(frame) = self.codec.next_frame(&mut self.read).transpose() {
                return Poll::Ready(Some(frame));
            }
            match self.codec.missing(&self.read).unwrap_or_default() {
                // A buffer of its own, so that it does not have to be moved.
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

    /// Whether a message can be queued without a look at the transport.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.closing().is_open() && self.out.len() < self.boundary
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.closing().is_open() {
            return Poll::Ready(Err(UsageError::Closed.into()));
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

    /// Flushes for a caller, who must not wait for longer than the closing handshake may take.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.poll_deadline(cx).is_ready() {
            self.advance(ClosingEvent::Timeout, None);
        }
        if self.closing() == Closing::Ended && self.out.len() > 0 {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe).into()));
        }
        self.poll_write(cx)
    }

    /// Writes all that is queued, and then the pong that waited for it.
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

    /// Writes what is ours to send, as far as it goes, for a caller who is reading. A failure shows
    /// when he writes, or when TCP ends.
    fn write_urgent(&mut self, cx: &mut Context<'_>) {
        if !self.urgent && !self.engine.has_control() {
            return;
        }
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            tracing::debug!(%error, "a control frame could not be written");
            self.urgent = false;
            self.engine.forget_control();
        }
    }

    /// Closes, and reads until the end; returns the peer's close frame if it came.
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

    /// Reads until TCP ends, without looking.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        for _ in 0..16 {
            let mut buf = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        // A peer that always has more must neither starve the others nor the deadline.
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

/// A masking key (RFC 6455 §5.3: it needs to be unpredictable).
pub(super) fn random_mask() -> [u8; 4] {
    rand::random()
}

/// A `Sec-WebSocket-Key` (RFC 6455 §4.1: selected randomly for each connection).
pub(super) fn random_key() -> [u8; 16] {
    rand::random()
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
                assert_eq!(socket.link.read.capacity(), 0, "read, after {len}");
                assert_eq!(socket.link.out.capacity(), 0, "write, after {len}");
            }
        }
    }

    #[tokio::test]
    async fn a_long_message_is_freed_with_its_last_holder() {
        let (one, other) = tokio::io::duplex(1 << 22);
        let mut client = WebSocket::new(one, Role::Client, Config::default());
        let mut server = WebSocket::new(other, Role::Server, Config::default());
        // The second one has its place before it arrives.
        for _ in 0..2 {
            client.send(Message::binary(vec![7; 1 << 20])).await.unwrap();
            let Message::Binary(payload) = server.next().await.unwrap().unwrap() else { panic!() };
            assert!(futures::poll!(server.next()).is_pending());
            assert!(payload.is_unique(), "neither connection nor thread holds it");
        }
    }
}
