//! What a driver is told to send.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Driver,
    drafts::{self, Draft},
    opening::Opening,
};
use crate::ws::{
    close::{CloseCode, CloseFrame},
    closing::ClosingEvent,
    error::UsageError,
    frame::MAX_CONTROL,
    message::Message,
    text::Text,
};

impl Driver {
    /// Sends a text message. See [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn text(&mut self, text: impl Into<Text>) -> Result<(), UsageError> {
        self.send(Message::Text(text.into()))
    }

    /// Sends a binary message. See [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn binary(&mut self, bytes: impl Into<Bytes>) -> Result<(), UsageError> {
        self.send(Message::Binary(bytes.into()))
    }

    /// Sends a ping, and measures how long its pong takes. Of more than 16 that are not answered, the
    /// earliest are forgotten.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn ping(&mut self, payload: impl Into<Bytes>, now: Duration) -> Result<(), UsageError> {
        let payload = payload.into();
        self.send(Message::Ping(payload.clone()))?;
        self.pings.sent(payload, now);
        Ok(())
    }

    /// Begins the closing handshake: `None` sends no code. Before the opening handshake is done it
    /// ends the connection at once. Of the drafts, hixie-76 sends neither code nor reason; hixie-75 has no
    /// closing handshake: once all is written, the end is told of with
    /// [`NO_STATUS`](CloseCode::NO_STATUS), and is that of the transport.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        if let Opening::Open = self.opening {
            let event = if self.framing.has_closing_handshake() {
                ClosingEvent::Close
            } else {
                if self.engine.closing().is_open() {
                    self.close = Some(CloseCode::NO_STATUS.into());
                }
                // As after one, no answer is waited for, and what still comes is thrown away.
                ClosingEvent::Violation
            };
            self.engine.advance(event, frame);
            self.control();
        } else if !self.is_over() {
            self.opening = Opening::Over { lingers: false };
        }
    }

    /// Queues a message; before the connection is open, until it is.
    ///
    /// # Errors
    ///
    /// [`UsageError::Closed`] once the closing handshake began, [`UsageError::ControlTooLong`], and
    /// [`UsageError::Unsupported`] for what the draft that is spoken cannot carry: hixie-75 and hixie-76
    /// have nothing but text. On a server that allows drafts, [`UsageError::NotReady`] for anything but text
    /// before [`DriverEvent::Connect`](super::DriverEvent::Connect) tells which version it will be.
    pub fn send(&mut self, message: Message) -> Result<(), UsageError> {
        match (&message, &self.opening) {
            (_, Opening::Over { .. }) => return Err(UsageError::Closed),
            (Message::Text(_) | Message::Close(_), _) => {}
            _ if self.draft.is_some_and(Draft::is_text_only) => {
                return Err(UsageError::Unsupported);
            }
            (_, Opening::Request(_)) if drafts::allowed(&self.options) => {
                return Err(UsageError::NotReady);
            }
            (Message::Ping(payload) | Message::Pong(payload), _) if payload.len() > MAX_CONTROL => {
                return Err(UsageError::ControlTooLong);
            }
            _ => {}
        }
        if let Message::Close(frame) = message {
            self.close(frame);
        } else if let Some(frame) = self.engine.send(message)? {
            if let Opening::Open = self.opening {
                self.put(frame);
            } else {
                self.queue.push(frame);
            }
        }
        Ok(())
    }

    /// Whether messages are compressed that are sent from now on, if compression was agreed upon.
    /// Default: yes.
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, enabled: bool) {
        self.framing.compress(enabled);
    }
}
