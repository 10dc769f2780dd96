//! The task of one connection: the only place where its socket, its session and its side meet.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use wse_proto::session::{Close, Duplicates, Event, Passed};
use wse_proto::{CodecError, Envelope, Head, Message, Protocol, Text, open_bundle, open_envelope};

use super::link::Link;
use super::outbox::{self, Queue, Queued};
use super::state::Outlook;
use crate::router::Incoming;
use crate::ws::{self, CloseCode, CloseFrame, WebSocket};

/// Messages handled, or rounds gone without one, before other tasks get their turn.
const BUDGET: usize = 64;

/// What differs between the server's and the client's end of a connection.
pub(crate) trait Side<P: Protocol>: Send {
    /// A message for the application. Called in order with the other two, never while the link is locked.
    fn message(&mut self, link: &Arc<Link<P>>, name: Text, payload: Bytes, cx: &mut Context<'_>);
    /// A call for the application.
    fn call(
        &mut self,
        link: &Arc<Link<P>>,
        name: Text,
        call: Incoming,
        payload: Bytes,
        cx: &mut Context<'_>,
    );
    /// Something else happened.
    fn event(&mut self, link: &Arc<Link<P>>, event: Event);
    /// Goes on with what takes time before the welcome, such as a decision; what the session held meanwhile, to be handled now.
    fn poll(&mut self, link: &Arc<Link<P>>, cx: &mut Context<'_>) -> Vec<Message>;
    /// How many handlers may wait for something before no further message is read.
    fn max_handlers(&self) -> usize;
    /// How the connection is driven. Asked for where it is kept: a connection has no room for its own.
    fn config(&self) -> DriverConfig;
    /// What the peer's messages that may come again are known by, once it is known who it is.
    fn duplicates(&self) -> Option<Duplicates>;
    /// The WebSocket failed: the peer broke RFC 6455, or the network did.
    fn failed(&mut self, link: &Arc<Link<P>>, error: ws::Error);
    /// The connection has ended, or the closing handshake has begun. Called once.
    fn departed(&mut self, link: &Arc<Link<P>>, close: &Close);
}

/// How a connection is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverConfig {
    /// Limits from the moment the session is ready.
    pub(crate) limits: ws::Limits,
    /// How long the closing handshake may take, what is queued before it included.
    pub(crate) close_timeout: Duration,
}

/// Drives a connection to its end. No `async fn`, whose future would have room for its arguments twice.
pub(crate) fn drive<P, T, S>(
    socket: WebSocket<T>,
    link: Arc<Link<P>>,
    side: S,
) -> impl Future<Output = ()>
where
    P: Protocol,
    T: AsyncRead + AsyncWrite + Unpin,
    S: Side<P> + Unpin,
{
    let mut driver = Driver {
        socket,
        link,
        side,
        now: Duration::ZERO,
        heard: Duration::ZERO,
        kept: None,
        held_since: None,
        blocked: false,
        ready: false,
        departed: false,
        broken: false,
        closing: Closing::No,
        deadline: None,
        sleep: None,
    };
    poll_fn(move |cx| driver.poll(cx))
}

/// In this order: what every poll asks first lies at the start of its task.
#[repr(C)]
struct Driver<P: Protocol, T, S> {
    link: Arc<Link<P>>,
    ready: bool,
    departed: bool,
    /// Nothing can be written any more. What the peer said until then is still read: its close frame.
    broken: bool,
    closing: Closing,
    /// When a close of ours must be over, with all that is queued before it.
    deadline: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// When this poll began: near enough for what arrives meanwhile.
    now: Duration,
    /// When something came from the peer, or it took what it had kept waiting: a sign of life too.
    heard: Duration,
    /// A message that was read and has to wait.
    kept: Option<Box<Bytes>>,
    /// Since when nothing is read.
    held_since: Option<Duration>,
    /// Whether the socket kept bytes waiting at last.
    blocked: bool,
    side: S,
    socket: WebSocket<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// We close; what is queued goes first.
    Flushing,
    /// A close frame was sent or received; the WebSocket does the rest.
    Handshake,
}

/// What one look at the socket gave.
enum Read {
    Message,
    Nothing,
    /// It was not looked at: too much is under way, or waits to be written.
    HeldBack,
    End,
}

impl<P, T, S> Driver<P, T, S>
where
    P: Protocol,
    T: AsyncRead + AsyncWrite + Unpin,
    S: Side<P> + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.enter();
        self.now = self.link.clock.now();
        let mut budget = BUDGET;
        loop {
            self.events(cx);
            if !self.ready {
                self.greet(cx);
            }
            let mut read = self.read(cx);
            // Rounds count too: those who send from other threads could keep us here for ever.
            budget -= 1;
            // Before it is ready, every message may begin something that must be polled first.
            while self.ready && matches!(read, Read::Message) && budget > 0 {
                read = self.read(cx);
                budget -= 1;
            }
            if matches!(read, Read::Message) && budget > 0 {
                continue;
            }
            // Nothing can be heard of a peer that is not listened to.
            let deaf = matches!(read, Read::HeldBack);
            if self.socket.take_received() || deaf {
                self.heard = self.now;
            }
            if self.link.beat_due(self.now) {
                self.link.handle_timeout(self.heard);
            }
            self.events(cx);
            if let Read::End = read {
                self.depart(&Close::VANISHED);
                return Poll::Ready(());
            }
            let was_broken = self.broken;
            self.write(cx);
            let Outlook { closing, due, aborted } = self.link.outlook();
            if aborted {
                if let Some((close, _)) = closing {
                    self.depart(&close);
                }
                return Poll::Ready(());
            }
            if self.begin_close(closing, cx).is_ready() || self.timeouts(due, cx).is_ready() {
                return Poll::Ready(());
            }
            let rest = self.link.leave(cx);
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // The socket wakes us only after it was looked at.
            let read_on = matches!(read, Read::HeldBack) && !self.holds_back();
            if rest && !read_on && self.broken == was_broken {
                return Poll::Pending;
            }
        }
    }

    fn events(&mut self, cx: &mut Context<'_>) {
        while let Some(event) = self.link.next_event() {
            self.event(event, cx);
        }
    }

    fn event(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Cancelled { stamp } => self.link.cancelled(&stamp),
            Event::Message { name, payload } => self.side.message(&self.link, name, payload, cx),
            Event::Call { name, stamp, timeout, payload } => {
                self.side.call(&self.link, name, Incoming { stamp, timeout }, payload, cx);
            }
            event => self.side.event(&self.link, event),
        }
    }

    /// Goes on with what comes before the welcome; without a greeting there is somebody to decide about before
    /// anything was said. A stranger's messages must be small; from the welcome on the full limits hold.
    fn greet(&mut self, cx: &mut Context<'_>) {
        let held = self.side.poll(&self.link, cx);
        self.events(cx);
        for message in held {
            self.opened(Ok(message), cx);
        }
        if self.link.is_ready() {
            self.ready = true;
            self.socket.set_limits(self.side.config().limits);
        }
    }

    /// Whether the peer has to wait. Not when the end has begun: it must be seen.
    fn holds_back(&self) -> bool {
        let open = self.closing == Closing::No && !self.broken && self.socket.closing().is_open();
        let busy = self.link.handlers.load(Ordering::Acquire) >= self.side.max_handlers();
        open && (busy || self.link.holds_reading() || self.is_undecided())
    }

    /// Whether somebody without a greeting waits to be let in. They cannot know that they must wait, and may say as
    /// much as they like; while they are strangers, nothing of it is read.
    fn is_undecided(&self) -> bool {
        !self.ready && !self.link.protocol().has_greeting()
    }

    /// Takes one message. When the peer has to wait, one is still read, and kept: what ends the connection is seen
    /// then, and that the peer is there, unless there is more behind it.
    fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let waits = self.holds_back();
        if waits && (self.kept.is_some() || self.is_undecided()) {
            self.held_since.get_or_insert(self.now);
            return Read::HeldBack;
        }
        if (self.kept.is_some() || self.held_since.is_some()) && self.resume(cx) {
            return Read::Message;
        }
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Pending if self.broken => return Read::End,
            Poll::Pending => return Read::Nothing,
            Poll::Ready(None) => return Read::End,
            Poll::Ready(Some(Ok(message))) => match message {
                ws::Message::Text(text) => self.data(text.into_bytes(), waits, cx),
                ws::Message::Binary(bytes) => self.data(bytes, waits, cx),
                ws::Message::Ping(_) => {}
                ws::Message::Pong(payload) => self.link.pong(self.now, &payload),
                ws::Message::Close(frame) => {
                    self.closing = Closing::Handshake;
                    self.depart(&closed_by(frame));
                }
            },
            Poll::Ready(Some(Err(error))) => {
                self.closing = Closing::Handshake;
                self.side.failed(&self.link, error);
                self.depart(&Close::VANISHED);
            }
        }
        Read::Message
    }

    /// After the peer had to wait: whether there was a message that had to wait with it.
    #[cold]
    fn resume(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(kept) = self.kept.take() {
            self.message(*kept, cx);
            return true;
        }
        if let Some(since) = self.held_since.take() {
            self.socket.waited(self.now.saturating_sub(since));
            self.link.session(|session, _| session.handle_unread());
        }
        false
    }

    fn data(&mut self, bytes: Bytes, waits: bool, cx: &mut Context<'_>) {
        if waits {
            self.kept = Some(Box::new(bytes));
        } else {
            self.message(bytes, cx);
        }
    }

    fn message(&mut self, bytes: Bytes, cx: &mut Context<'_>) {
        if self.broken {
            // It could not be answered.
            return;
        }
        match open_bundle(self.link.protocol(), &bytes) {
            None => match self.link.protocol().unpack(bytes) {
                Ok(envelope) => self.unpacked(envelope, cx),
                Err(error) => self.opened(Err(error), cx),
            },
            Some(messages) => {
                for message in messages {
                    self.opened(message, cx);
                }
            }
        }
    }

    /// Most messages go straight to the application, from where they were unpacked to.
    fn unpacked(&mut self, mut envelope: Envelope, cx: &mut Context<'_>) {
        match self.link.pass(&envelope.head, &mut envelope.payload) {
            Some(Passed::Application) => match envelope.head {
                Head::Message { name, .. } => {
                    self.side.message(&self.link, name, envelope.payload, cx);
                }
                Head::Call { name, stamp, timeout, .. } => {
                    let call = Incoming { stamp, timeout };
                    self.side.call(&self.link, name, call, envelope.payload, cx);
                }
                _ => {}
            },
            Some(_) => {}
            None => self.opened(open_envelope(self.link.protocol(), envelope), cx),
        }
    }

    fn opened(&mut self, message: Result<Message, CodecError>, cx: &mut Context<'_>) {
        if let Ok(Message { head: Head::Message { reliable: true, .. }, .. }) = &message
            && let Some(duplicates) = self.side.duplicates()
        {
            self.link.session(|session, _| session.share_duplicates(duplicates));
        }
        self.link.deliver(self.now, message);
        self.events(cx);
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        if let Err(ws::Error::Io(error)) = self.try_write(cx)
            && !self.broken
        {
            tracing::debug!(%error, "nothing can be written any more");
            self.broken = true;
        }
        if self.broken {
            self.link.discard_outbox();
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Result<(), ws::Error> {
        let mut socket = Pin::new(&mut self.socket);
        let mut written = 0;
        if self.closing != Closing::Handshake && !self.broken {
            let mut queue = self.link.lend();
            if !queue.is_empty() {
                let outcome = send_all(socket.as_mut(), &mut queue, &mut written, cx);
                self.link.written(queue, written);
                outcome?;
            }
        }
        let _ = socket.as_mut().poll_flush(cx)?;
        // Where there was no room any more, the peer has read.
        if socket.take_sent() && self.blocked {
            self.heard = self.now;
        }
        self.blocked = socket.queued() > 0;
        Ok(())
    }

    /// Starts the closing handshake once what was queued before it is written.
    fn begin_close(&mut self, closing: Option<(Close, bool)>, cx: &mut Context<'_>) -> Poll<()> {
        let Some((close, flushed)) = closing else { return Poll::Pending };
        if self.closing == Closing::No {
            self.deadline =
                Some(self.link.clock.now().saturating_add(self.side.config().close_timeout));
            self.closing = Closing::Flushing;
            self.depart(&close);
        }
        if self.closing == Closing::Flushing && flushed {
            self.closing = Closing::Handshake;
            let frame = CloseFrame::new(CloseCode::from(close.code), close.reason.to_string());
            self.socket.close(Some(frame));
            // Its end must be noticed: go round once more.
            cx.waker().wake_by_ref();
        }
        self.expired()
    }

    fn expired(&self) -> Poll<()> {
        match self.deadline {
            Some(deadline) if deadline <= self.link.clock.now() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Does what is due and sees to being woken when the next thing is.
    fn timeouts(&mut self, mut due: Option<Duration>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            due = due.into_iter().chain(self.deadline).min();
            let Some(at) = due.and_then(|due| self.link.clock.at(due)) else {
                // Most connections wait for nothing but their peer, most of the time.
                self.sleep = None;
                return Poll::Pending;
            };
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    if sleep.deadline() != at {
                        sleep.as_mut().reset(at);
                    }
                    sleep
                }
                None => self.sleep.insert(Box::pin(tokio::time::sleep_until(at))),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.expired().is_ready() {
                return Poll::Ready(());
            }
            due = self.link.handle_timeout(self.heard);
        }
    }

    fn depart(&mut self, close: &Close) {
        if !std::mem::replace(&mut self.departed, true) {
            if !self.link.is_closing() {
                self.link.ended(close);
            }
            self.side.departed(&self.link, close);
            self.link.release();
        }
    }
}

impl<P: Protocol, T, S> Drop for Driver<P, T, S> {
    /// A task that is cancelled fails what waits for its connection.
    fn drop(&mut self) {
        self.link.ended(&Close::VANISHED);
        self.link.release();
        self.link.forget_driver();
    }
}

/// Hands messages to the socket as long as it takes them; counts their bytes.
fn send_all<T: AsyncRead + AsyncWrite + Unpin>(
    mut socket: Pin<&mut WebSocket<T>>,
    queue: &mut Queue,
    bytes: &mut usize,
    cx: &mut Context<'_>,
) -> Result<(), ws::Error> {
    while !queue.is_empty() && socket.as_mut().poll_ready(cx)?.is_ready() {
        let Some(message) = queue.pop() else { break };
        *bytes += outbox::size(&message);
        match message {
            Queued::Own(message) => socket.as_mut().start_send(message)?,
            Queued::Shared(prepared) => socket.start_send_prepared(&prepared)?,
        }
    }
    Ok(())
}

fn closed_by(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close::new(frame.code.into(), frame.reason.as_str()),
        None => Close::new(1005, ""),
    }
}
