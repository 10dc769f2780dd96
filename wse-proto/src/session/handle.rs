//! Messages that arrive, in any phase.

use std::time::Duration;

use super::event::{Dropped, Event, FastEvent};
use super::machine::Session;
use super::phase::Phase;
use super::queue::push;
use crate::{Body, CodecError, CodecErrorKind, ErrorCode, Fault, Head, SessionMessage, Unread};

impl Session {
    /// Takes a message from the peer. A message that the state does not allow closes the connection with 1000
    /// `wse.protocol-error`.
    pub fn handle_message(&mut self, now: Duration, message: SessionMessage) {
        self.handle_life(now);
        match self.phase {
            Phase::Server(_) => self.server_greeting(message),
            Phase::Client(_) => self.client_greeting(message),
            Phase::Ready => {
                self.arrived(now, &message.head);
                self.handle_ready(now, message);
            }
            Phase::Suspended | Phase::Closed => {}
        }
    }

    /// A fast path of [`handle_message`](Self::handle_message) and [`poll_event`](Self::poll_event) for the common
    /// messages, whose head alone says what they mean.
    ///
    /// Returns `None` for other messages: give them to [`open_envelope`](crate::open_envelope) and `handle_message`. These
    /// are all messages before the session is ready, messages of the session itself, those that ask for a receipt,
    /// replies while a receipt is pending, and all messages while events wait to be polled. In a session that counts, also
    /// messages at which something is due.
    #[must_use = "the application has to handle the event"]
    pub fn handle_message_fast(&mut self, head: &Head) -> Option<FastEvent> {
        if !matches!(self.phase, Phase::Ready) || !self.events.is_empty() {
            return None;
        }
        if self.resume.as_ref().is_some_and(|resume| !resume.has_spare()) {
            return None;
        }
        let event = match head {
            Head::Message { receipt: None, .. } | Head::Call { receipt: false, .. } => {
                FastEvent::Application
            }
            Head::Reply { stamp, receipt: false } if self.receipts.is_none() => {
                let unknown = FastEvent::Dropped(Dropped::Answer);
                self.calls.answered(stamp).map_or(unknown, FastEvent::CallEnded)
            }
            _ => return None,
        };
        if let Some(resume) = &mut self.resume {
            resume.count_spare();
        }
        Some(event)
    }

    /// Takes note that a message could not be read. The peer gets an error report if the protocol has them
    /// ([`Capabilities::error_reports`](crate::Capabilities::error_reports)). Otherwise the connection is closed with 1000
    /// `wse.protocol-error`.
    ///
    /// With error reports, an error that says what the message was ([`CodecError::unread`]) has another effect: a call is
    /// answered with a fault, and an answer ends its call and is not answered itself.
    pub fn handle_undecodable(&mut self, error: CodecError) {
        let code = match error.kind() {
            CodecErrorKind::Shape => ErrorCode::ProtocolViolation,
            CodecErrorKind::Limit if self.capabilities.has_error_reports() => {
                ErrorCode::ProtocolViolation
            }
            _ => ErrorCode::MessageProcessing,
        };
        if !self.capabilities.has_error_reports() {
            self.violation(code, Some(error));
        } else if !self.is_closed() {
            if matches!(self.phase, Phase::Ready) {
                // Its sender has counted it. When it arrived is not known here, so the sender is told soon.
                self.count_arrived(Duration::ZERO, true);
            }
            let fault = Fault::new(code).message(error.to_string());
            match error.unread() {
                Some(Unread::Call(stamp)) => {
                    self.send(SessionMessage::fault(stamp.clone(), fault));
                }
                Some(Unread::Answer(stamp)) => {
                    if let Some(stamp) = stamp {
                        self.unreadable_answer(stamp.clone(), &error);
                    }
                }
                None => {
                    self.send(SessionMessage { head: Head::ErrorReport, body: Body::Fault(fault) });
                }
            }
            push(&mut self.events, Event::Unreadable { error });
        }
    }
}
