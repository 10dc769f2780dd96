//! From bytes to events.

use std::time::Duration;

use super::event::DriverEvent;
use super::machine::Driver;
use super::opening::Opening;
use crate::frame::{CloseCode, Error, Frame, ProtocolError};
use crate::handshake::HandshakeError;
use crate::ws::{Closing, ClosingEvent, Message};

impl Driver {
    /// The next event; `None` until more bytes are fed or written, or the deadline is reached. [`DriverEvent::Close`] is the
    /// last event.
    pub fn next_event(&mut self, now: Duration) -> Option<DriverEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            self.watch(now);
            let going = match self.opening {
                Opening::Open => self.receive_frame(now),
                _ => self.step_opening(),
            };
            if !going && self.events.is_empty() {
                return None;
            }
        }
    }

    /// When to call [`next_event`](Self::next_event) at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Sets the deadline when a handshake has begun, and ends one that exceeds it.
    fn watch(&mut self, now: Duration) {
        let config = &self.options.config;
        let bound = match self.opening {
            Opening::Open => match self.engine.closing() {
                Closing::Open | Closing::Ended => None,
                _ => Some(config.close_timeout),
            },
            Opening::Over { lingers } => {
                Some(config.close_timeout).filter(|_| lingers && !self.ended)
            }
            Opening::Idle { .. } => None,
            _ => Some(config.handshake_timeout),
        };
        let Some(bound) = bound else {
            self.deadline = None;
            return;
        };
        let deadline = *self.deadline.get_or_insert_with(|| now.saturating_add(bound));
        if now < deadline {
            return;
        }
        self.deadline = None;
        match self.opening {
            Opening::Open => self.engine.advance(ClosingEvent::Timeout, None),
            Opening::Over { .. } => self.ended = true,
            _ => self.fail_opening(HandshakeError::Timeout),
        }
    }

    /// Decodes one frame, or advances the closing handshake; returns whether there may be more to do.
    fn receive_frame(&mut self, now: Duration) -> bool {
        match self.engine.closing() {
            Closing::Open | Closing::CloseSent => match self.framing.decode(&mut self.input) {
                Ok(Some(frame)) => {
                    match self.engine.receive(frame, || now) {
                        Ok(message) => self.announce(message, now),
                        Err(error) => self.fail(error),
                    }
                    true
                }
                Ok(None) if self.ended => {
                    self.engine.advance(ClosingEvent::Eof, None);
                    true
                }
                Ok(None) => false,
                Err(Error::Protocol(error)) => {
                    self.fail(error);
                    true
                }
                Err(Error::Misuse(_) | Error::Io(_)) => false,
            },
            Closing::Answering | Closing::Failed => {
                self.input.clear();
                if !self.output.is_empty() && !self.ended {
                    return false;
                }
                self.engine.advance(ClosingEvent::Flushed, None);
                true
            }
            Closing::Draining => {
                self.input.clear();
                if self.ended {
                    self.engine.advance(ClosingEvent::Eof, None);
                }
                self.announce_close()
            }
            Closing::Ended => {
                self.input.clear();
                self.announce_close()
            }
        }
    }

    fn announce(&mut self, message: Option<Message>, now: Duration) {
        let event = match message {
            None => return,
            Some(Message::Ping(payload)) => DriverEvent::Ping(payload),
            Some(Message::Pong(payload)) => {
                let latency = self.pings.answered(&payload, now);
                DriverEvent::Pong { payload, latency }
            }
            Some(Message::Close(frame)) => {
                self.close = Some(frame.unwrap_or_else(|| CloseCode::NO_STATUS.into()));
                self.control();
                return;
            }
            Some(message) => DriverEvent::Message(message),
        };
        self.control();
        self.events.push_back(event);
    }

    /// Reports the end, once.
    pub(super) fn announce_close(&mut self) -> bool {
        match self.close.take() {
            Some(frame) => {
                self.events.push_back(DriverEvent::Close(frame));
                true
            }
            None => false,
        }
    }

    fn fail(&mut self, error: ProtocolError) {
        self.engine.fail(error);
        self.control();
        if let Some(error) = self.engine.take_failure() {
            self.close = Some(error.close_code().into());
            self.events.push_back(DriverEvent::Error(error.into()));
        }
    }

    /// Queues the frames that the engine sends by itself.
    pub(super) fn control(&mut self) {
        if let Some(frame) = self.engine.control(self.output.is_empty()) {
            self.put(frame);
        }
    }

    pub(super) fn put(&mut self, frame: Frame) {
        self.framing.encode(frame, &mut self.output);
    }
}
