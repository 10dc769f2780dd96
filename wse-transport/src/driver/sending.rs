//! From messages to bytes.

use std::time::Duration;

use bytes::Bytes;

use super::drafts;
use super::drafts::Draft;
use super::machine::Driver;
use super::opening::Opening;
use crate::frame::{CloseCode, CloseFrame, MAX_CONTROL, MisuseError, Utf8Bytes};
use crate::ws::{ClosingEvent, Message};

impl Driver {
    /// Sends a text message. See [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn text(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), MisuseError> {
        self.send(Message::Text(text.into()))
    }

    /// Sends a binary message. See [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn binary(&mut self, bytes: impl Into<Bytes>) -> Result<(), MisuseError> {
        self.send(Message::Binary(bytes.into()))
    }

    /// Sends a ping, and measures the time until its pong. Of more than 16 unanswered pings, the earliest are forgotten.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn ping(&mut self, payload: impl Into<Bytes>, now: Duration) -> Result<(), MisuseError> {
        let payload = payload.into();
        self.send(Message::Ping(payload.clone()))?;
        self.pings.sent(payload, now);
        Ok(())
    }

    /// Begins the closing handshake; `None` sends no code. Before the opening handshake is done, it ends the connection at
    /// once.
    ///
    /// Of the drafts, hixie-76 sends neither code nor reason, and hixie-75 has no closing handshake: once all is written, the
    /// end is reported with [`NO_STATUS`](CloseCode::NO_STATUS), and the transport can be closed.
    pub fn close(&mut self, frame: Option<CloseFrame>) {
        if let Opening::Open = self.opening {
            let event = if self.framing.has_closing_handshake() {
                ClosingEvent::Close
            } else {
                if self.engine.closing().is_open() {
                    self.close = Some(CloseCode::NO_STATUS.into());
                }
                // As after a closing handshake: no answer is awaited, and input is discarded.
                ClosingEvent::Violation
            };
            self.engine.advance(event, frame);
            self.control();
        } else if !self.is_over() {
            self.opening = Opening::Over { lingers: false };
        }
    }

    /// Queues a message. Before the connection is open, it waits until then.
    ///
    /// # Errors
    ///
    /// [`MisuseError::Closed`] once the closing handshake began; [`MisuseError::ControlTooLong`];
    /// [`MisuseError::Unsupported`] for a message that the draft in use cannot carry: hixie-75 and hixie-76 have text only. On
    /// a server that allows drafts, [`MisuseError::NotReady`] for anything but text before
    /// [`DriverEvent::Connect`](super::DriverEvent::Connect), when the version is not known yet.
    pub fn send(&mut self, message: Message) -> Result<(), MisuseError> {
        match (&message, &self.opening) {
            (_, Opening::Over { .. }) => return Err(MisuseError::Closed),
            (Message::Text(_) | Message::Close(_), _) => {}
            _ if self.draft.is_some_and(Draft::is_text_only) => {
                return Err(MisuseError::Unsupported);
            }
            (_, Opening::Request(_)) if drafts::allowed(&self.options) => {
                return Err(MisuseError::NotReady);
            }
            (Message::Ping(payload) | Message::Pong(payload), _) if payload.len() > MAX_CONTROL => {
                return Err(MisuseError::ControlTooLong);
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

    /// Sets whether messages that are sent from now on are compressed, if compression was agreed on. Default: yes.
    pub fn compress(&mut self, enabled: bool) {
        self.framing.compress(enabled);
    }
}
