//! Reading of a [`Driver`]: from messages to the session and the side.

use std::task::{Context, Poll};

use bytes::Bytes;
use wse_proto::session::{Close, FastEvent};
use wse_proto::{
    CloseReason, CodecError, Envelope, Head, MessageKind, Packed, SessionMessage, Utf8,
};
use wse_transport::ws::{self, CloseFrame};

use super::held::Received;
use super::state::{Closing, Driver, Read};
use crate::connection::channel::Channel;
use crate::connection::side::{Incoming, Side};

/// From how many bytes on a message is large: handling it takes as long as some sixty small ones.
const LARGE: usize = 64 * 1024;

impl<C, S> Driver<C, S>
where
    C: Channel,
    S: Side + Unpin,
{
    /// Continues what comes before the welcome. With a protocol without a greeting, the decision about the peer begins before
    /// anything was received. The full limits apply once the session is ready.
    pub(super) fn poll_greeting(&mut self, cx: &mut Context<'_>) {
        let held = self.side.poll(&self.connection, cx);
        self.events(cx);
        for message in held {
            self.deliver(Ok(message), cx);
        }
        if self.connection.is_ready() {
            self.ready = true;
            self.channel.set_limits(self.side.config().limits);
        }
    }

    /// Whether reading is paused. It is not while the connection ends, since the end must be read.
    pub(super) fn is_paused(&self) -> bool {
        let pauses =
            self.connection.holds_reading() || self.is_undecided() || self.is_over_budget();
        pauses && self.closing == Closing::No && !self.broken && self.channel.is_open()
    }

    /// Whether a peer waits for the decision without having greeted. With a protocol without a greeting, it cannot know that
    /// it is not accepted yet, and may send any amount. Nothing is read from it.
    fn is_undecided(&self) -> bool {
        !self.ready && !self.connection.wire.info.has_greeting()
    }

    /// Reads one message. While reading is paused, one more message is read and deferred, so that the end of the connection
    /// is seen if nothing else comes before it.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let paused = self.is_paused();
        if paused && (self.is_undecided() || self.has_deferred()) {
            self.paused_since.get_or_insert(self.now);
            return Read::Paused;
        }
        if (self.held.is_some() || self.paused_since.is_some()) && self.resume(cx) {
            return Read::Message;
        }
        match self.channel.poll_receive(cx) {
            Poll::Pending if self.broken => return Read::End,
            Poll::Pending => return Read::Nothing,
            Poll::Ready(None) => return Read::End,
            Poll::Ready(Some(Ok(message))) => match message {
                ws::Message::Text(text) => return self.data(text.into_bytes(), true, paused, cx),
                ws::Message::Binary(bytes) => return self.data(bytes, false, paused, cx),
                ws::Message::Ping(_) => {}
                ws::Message::Pong(payload) => self.connection.pong(self.now, &payload),
                ws::Message::Close(frame) => {
                    if C::FRAMED
                        && let Some(lent) = self.write(cx)
                    {
                        // A peer may end its own direction and still read the answers to what it has sent.
                        self.connection.return_lent(lent);
                    }
                    self.closing = Closing::Handshake;
                    self.handle_all_held(cx);
                    self.depart(&closed_by(frame));
                }
            },
            Poll::Ready(Some(Err(error))) => {
                self.closing = Closing::Handshake;
                self.handle_all_held(cx);
                self.side.failed(&self.connection, error);
                self.depart(&Close::VANISHED);
            }
        }
        Read::Message
    }

    /// Resumes reading. Returns whether there was a deferred message, which is handled now.
    #[cold]
    fn resume(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(deferred) = self.take_deferred() {
            self.message(deferred.bytes, deferred.text, cx);
            return true;
        }
        if let Some(since) = self.paused_since.take() {
            self.channel.reading_paused(self.now.saturating_sub(since));
            self.connection.session(|session, _| session.handle_unread());
        }
        false
    }

    /// Handles a data message, or defers it while reading is paused. `text` says whether the channel has checked that it is
    /// UTF-8.
    #[inline(always)]
    fn data(&mut self, bytes: Bytes, text: bool, paused: bool, cx: &mut Context<'_>) -> Read {
        let large = bytes.len() >= LARGE;
        if paused {
            self.held.get_or_insert_default().deferred = Some(Received { bytes, text });
        } else {
            self.message(bytes, text, cx);
        }
        if large { Read::LargeMessage } else { Read::Message }
    }

    fn message(&mut self, bytes: Bytes, text: bool, cx: &mut Context<'_>) {
        if self.broken {
            // No answer could be written.
            return;
        }
        let wire = &self.connection.wire;
        let message = match (wire.info.kind(), text) {
            (MessageKind::Text, true) => Packed::Text(Utf8::assume_checked(&bytes)),
            (kind, _) => match Packed::of(kind, &bytes) {
                Ok(message) => message,
                Err(error) => return self.deliver(Err(error), cx),
            },
        };
        match wire.open_batch(message) {
            None => match wire.unpack(message) {
                Ok(envelope) => {
                    // The payload shares the buffer. With this reference dropped, it may be the only one.
                    drop(bytes);
                    self.unpacked(envelope, cx);
                }
                Err(error) => self.deliver(Err(error), cx),
            },
            Some(messages) => {
                for message in messages {
                    self.deliver(message, cx);
                }
            }
        }
    }

    /// Passes a message to the application on the fast path if its head allows it, or else to the session.
    fn unpacked(&mut self, mut envelope: Envelope, cx: &mut Context<'_>) {
        if self.must_wait() {
            return self.unpacked_when_busy(envelope, cx);
        }
        match self.connection.handle_message_fast(&envelope.head, &mut envelope.payload) {
            Some(FastEvent::Application) => match envelope.head {
                Head::Message { name, .. } => {
                    self.side.message(&self.connection, name, envelope.payload, false, cx);
                }
                Head::Call { name, stamp, timeout, .. } => {
                    let call = Incoming { stamp, timeout };
                    self.side.call(&self.connection, name, call, envelope.payload, cx);
                }
                _ => {}
            },
            Some(_) => {}
            None => self.handle(self.connection.wire.open_envelope(envelope), cx),
        }
    }

    #[cold]
    fn unpacked_when_busy(&mut self, envelope: Envelope, cx: &mut Context<'_>) {
        self.deliver(self.connection.wire.open_envelope(envelope), cx);
    }

    /// Handles a message, unless it would start a handler and has to wait for that.
    fn deliver(&mut self, message: Result<SessionMessage, CodecError>, cx: &mut Context<'_>) {
        match message {
            Ok(message)
                if matches!(message.head, Head::Message { .. } | Head::Call { .. })
                    && self.must_wait() =>
            {
                self.hold(message);
            }
            message => self.handle(message, cx),
        }
    }

    /// Handles a message by the session, and then its events.
    pub(super) fn handle(
        &mut self,
        message: Result<SessionMessage, CodecError>,
        cx: &mut Context<'_>,
    ) {
        let reliable =
            matches!(&message, Ok(it) if matches!(it.head, Head::Message { reliable: true, .. }));
        if reliable && let Some(duplicates) = self.side.duplicates() {
            self.connection.session(|session, _| session.share_duplicates(duplicates));
        }
        // Until the handler has started: a message that gets a receipt reaches it.
        let alive = self.side.alive();
        if alive.is_none() {
            self.connection.close(Close::normal(CloseReason::ByClient));
        }
        self.connection.deliver(self.now, message);
        while let Some(event) = self.connection.next_event() {
            self.event(event, reliable, cx);
        }
    }

    fn has_deferred(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.deferred.is_some())
    }

    fn take_deferred(&mut self) -> Option<Received> {
        let held = self.held.as_mut()?;
        let deferred = held.deferred.take();
        if held.is_empty() {
            self.held = None;
        }
        deferred
    }
}

fn closed_by(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close::new(frame.code.into(), frame.reason.as_str()),
        None => Close::new(1005, ""),
    }
}
