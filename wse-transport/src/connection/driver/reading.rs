//! What the driver reads, and where it goes.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use wse_proto::session::{Close, Passed};
use wse_proto::{CodecError, Envelope, Head, Message, Protocol, Text, open_bundle, open_envelope};

use super::{Closing, Driver};
use crate::connection::Side;
use crate::router::Incoming;
use crate::ws::{self, CloseFrame};

/// What one look at the socket gave.
pub(super) enum Read {
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
    /// Goes on with what comes before the welcome; without a greeting there is somebody to decide about before
    /// anything was said. A stranger's messages must be small; from the welcome on the full limits hold.
    pub(super) fn greet(&mut self, cx: &mut Context<'_>) {
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
    pub(super) fn holds_back(&self) -> bool {
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
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Read {
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
                Head::Message { name, .. } => self.handle_message(name, envelope.payload, cx),
                Head::Call { name, stamp, timeout, .. } => {
                    self.handle_call(name, Incoming { stamp, timeout }, envelope.payload, cx);
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

    pub(super) fn handle_message(&mut self, name: Text, payload: Bytes, cx: &mut Context<'_>) {
        if let Some(scope) = self.side.scope(&self.link) {
            scope.message(name, payload, cx);
        }
    }

    pub(super) fn handle_call(
        &mut self,
        name: Text,
        call: Incoming,
        payload: Bytes,
        cx: &mut Context<'_>,
    ) {
        if let Some(scope) = self.side.scope(&self.link) {
            scope.call(name, call, payload, cx);
        }
    }
}

fn closed_by(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close::new(frame.code.into(), frame.reason.as_str()),
        None => Close::new(1005, ""),
    }
}
