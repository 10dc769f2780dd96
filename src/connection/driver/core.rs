//! [`Core`]: a connection with its side, and what it does with messages and events.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::{Close, Event, FastEvent};
use wse_proto::{
    CloseReason, CodecError, Envelope, Head, MessageKind, Outcome, Packed, SessionMessage, Utf8,
};

use super::held::{Held, Received};
use crate::connection::shared::Connection;
use crate::connection::side::{Incoming, Side};

/// What a connection has with or without a channel.
#[repr(C)]
pub(super) struct Core<S: Side> {
    pub(super) connection: Arc<Connection>,
    /// Whether the session was ready at the last look.
    pub(super) ready: bool,
    /// Whether the side knows that the connection has ended.
    pub(super) departed: bool,
    /// When this poll began. It is used as the time of everything that arrives during the poll.
    pub(super) now: Duration,
    /// What was read and is not handled yet.
    pub(super) held: Option<Box<Held>>,
    pub(super) side: S,
}

impl<S: Side> Core<S> {
    pub(super) fn message(&mut self, bytes: Bytes, text: bool, cx: &mut Context<'_>) {
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
            None => self.handle(self.connection.wire.open_envelope(envelope), false, cx),
        }
    }

    #[cold]
    fn unpacked_when_busy(&mut self, envelope: Envelope, cx: &mut Context<'_>) {
        self.deliver(self.connection.wire.open_envelope(envelope), cx);
    }

    /// Handles a message, unless it would start a handler and has to wait for that.
    pub(super) fn deliver(
        &mut self,
        message: Result<SessionMessage, CodecError>,
        cx: &mut Context<'_>,
    ) {
        match message {
            Ok(message)
                if matches!(message.head, Head::Message { .. } | Head::Call { .. })
                    && self.must_wait() =>
            {
                self.hold(message);
            }
            message => self.handle(message, false, cx),
        }
    }

    /// Handles a message by the session, and then its events. `held` says whether it was held back.
    pub(super) fn handle(
        &mut self,
        message: Result<SessionMessage, CodecError>,
        held: bool,
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
        self.connection.deliver(self.now, message, held);
        while let Some(event) = self.connection.next_event() {
            self.event(event, reliable, cx);
        }
    }

    pub(super) fn has_deferred(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.deferred.is_some())
    }

    pub(super) fn take_deferred(&mut self) -> Option<Received> {
        let held = self.held.as_mut()?;
        let deferred = held.deferred.take();
        if held.is_empty() {
            self.held = None;
        }
        deferred
    }

    /// Handles all events of the session.
    pub(super) fn events(&mut self, cx: &mut Context<'_>) {
        while let Some(event) = self.connection.next_event() {
            self.event(event, false, cx);
        }
    }

    /// Handles an event. `reliable` says whether it is of a message that the peer sends until it has a receipt.
    fn event(&mut self, event: Event, reliable: bool, cx: &mut Context<'_>) {
        match event {
            Event::Cancelled { stamp } => self.cancelled(&stamp),
            Event::Resumed { outcome: Outcome::None(_) } => {
                if let Some(held) = &mut self.held {
                    held.drop_calls();
                }
                self.side.event(&self.connection, event);
            }
            Event::Message { name, payload } => {
                self.side.message(&self.connection, name, payload, reliable, cx)
            }
            Event::Call { name, stamp, timeout, payload } => {
                self.side.call(&self.connection, name, Incoming { stamp, timeout }, payload, cx);
            }
            event => self.side.event(&self.connection, event),
        }
    }

    /// Takes note that the channel has ended, or is closed by this side. Unless the session outlives it, the side is told.
    pub(super) fn close(&mut self, close: &Close, cx: &mut Context<'_>) {
        if !self.departed && !self.connection.is_closing() {
            self.connection.lose(close);
        }
        if !self.connection.is_suspended() {
            return self.depart(close);
        }
        self.events(cx);
        if self.connection.is_suspended() {
            return self.side.lost(close);
        }
        // The side has ended it, maybe with another close.
        let ended = self.connection.closing();
        self.depart(ended.as_ref().unwrap_or(close));
    }

    /// Tells the side that the connection has ended. Later calls do nothing.
    pub(super) fn depart(&mut self, close: &Close) {
        if !std::mem::replace(&mut self.departed, true) {
            self.side.departed(&self.connection, close);
            self.connection.release();
        }
    }
}

impl<S: Side> Drop for Core<S> {
    /// When the task is cancelled, pending calls and receipts fail.
    fn drop(&mut self) {
        self.connection.gone();
        self.connection.release();
        self.connection.forget_driver();
    }
}
