//! The task of one connection: the only place where its socket, its session and its side meet.

mod reading;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use wse_proto::Protocol;
use wse_proto::session::{Close, Event};

use self::reading::Read;
use super::link::Link;
use super::queue::{Queue, Queued, size};
use super::side::Side;
use super::state::Outlook;
use crate::router::Incoming;
use crate::ws::{self, CloseCode, CloseFrame, WebSocket};

/// Messages handled, or rounds gone without one, before other tasks get their turn.
const BUDGET: usize = 64;

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
            Event::Message { name, payload } => self.handle_message(name, payload, cx),
            Event::Call { name, stamp, timeout, payload } => {
                self.handle_call(name, Incoming { stamp, timeout }, payload, cx);
            }
            event => self.side.event(&self.link, event),
        }
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
        *bytes += size(&message);
        match message {
            Queued::Own(message) => socket.as_mut().start_send(message)?,
            Queued::Shared(prepared) => socket.start_send_prepared(&prepared)?,
        }
    }
    Ok(())
}
