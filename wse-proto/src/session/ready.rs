//! How either side handles a message once the session is ready.

use std::time::Duration;

use bytes::Bytes;

use super::calls::CallFailure;
use super::deadlines::nanos;
use super::event::{Dropped, Event};
use super::machine::Session;
use super::queue::push;
use super::receipts::ReceiptFailure;
use crate::{Body, CodecError, ErrorCode, Head, ReceiptOf, SessionMessage, Stamp};

impl Session {
    pub(super) fn handle_ready(&mut self, now: Duration, message: SessionMessage) {
        match (message.head, message.body) {
            (Head::Message { name, receipt, reliable }, Body::Raw(payload)) => {
                let new = match &receipt {
                    Some(stamp) if reliable => {
                        self.duplicates.get_or_insert_default().is_new(stamp)
                    }
                    _ => true,
                };
                self.give_receipt(ReceiptOf::Message, receipt);
                push(
                    &mut self.events,
                    match new {
                        true => Event::Message { name, payload },
                        false => Event::Dropped(Dropped::Duplicate),
                    },
                );
            }
            (Head::Call { name, stamp, receipt, timeout }, Body::Raw(payload)) => {
                self.give_receipt(ReceiptOf::Call, receipt.then(|| stamp.clone()));
                push(&mut self.events, Event::Call { name, stamp, timeout, payload });
            }
            (Head::Reply { stamp, receipt }, Body::Raw(payload)) => {
                self.answered(stamp, receipt, Ok(payload));
            }
            (Head::Fault { stamp, receipt }, Body::Fault(fault)) => {
                self.answered(stamp, receipt, Err(CallFailure::Fault(fault)));
            }
            (Head::Receipt { stamp, of }, _) => self.received(of, stamp),
            (Head::Cancel { stamp }, _) => push(&mut self.events, Event::Cancelled { stamp }),
            (Head::Ping, Body::Raw(payload)) => self.send(SessionMessage::raw(Head::Pong, payload)),
            (Head::Pong, Body::Serial(serial)) => self.pong(now, serial),
            (Head::Pong, _) => self.dropped(Dropped::Pong),
            (Head::Seen, body) if self.resume.is_some() => self.handle_seen(&body),
            (head @ (Head::Drain | Head::Expires | Head::Renew | Head::Renewed), body)
                if self.announced =>
            {
                self.handle_expiry(SessionMessage { head, body });
            }
            (Head::Session, _) if self.resume.is_some() => {
                self.violation(ErrorCode::ProtocolViolation, None);
            }
            (
                Head::Session
                | Head::Seen
                | Head::Drain
                | Head::Expires
                | Head::Renew
                | Head::Renewed,
                _,
            ) => self.dropped(Dropped::Resume),
            (Head::ErrorReport, Body::Fault(fault)) => {
                push(&mut self.events, Event::ErrorReport { fault });
            }
            _ => self.violation(ErrorCode::ProtocolViolation, None),
        }
    }

    /// Sends a receipt, if the peer asked for one. Called before the message itself is handled.
    fn give_receipt(&mut self, of: ReceiptOf, stamp: Option<Stamp>) {
        if let Some(stamp) = stamp.filter(|_| self.capabilities.has_receipts()) {
            self.send(SessionMessage::raw(Head::Receipt { stamp, of }, Bytes::new()));
        }
    }

    fn answered(&mut self, stamp: Stamp, receipt: bool, outcome: Result<Bytes, CallFailure>) {
        // A receipt comes before the answer: one that is still missing will not come.
        if let Some(call) = self.calls.answered(&stamp) {
            self.give_receipt(ReceiptOf::Answer, receipt.then(|| stamp.clone()));
            self.end_receipt(ReceiptOf::Call, stamp, Err(ReceiptFailure::Unsupported));
            push(&mut self.events, Event::CallEnded { call, outcome });
        } else if !self.end_receipt(ReceiptOf::Message, stamp, Err(ReceiptFailure::Unsupported)) {
            self.dropped(Dropped::Answer);
        }
    }

    /// Ends the call whose answer cannot be read, if it is pending.
    pub(super) fn unreadable_answer(&mut self, stamp: Stamp, error: &CodecError) {
        if let Some(call) = self.calls.answered(&stamp) {
            self.end_receipt(ReceiptOf::Call, stamp, Err(ReceiptFailure::Unsupported));
            let outcome = Err(CallFailure::Unreadable(error.to_string()));
            push(&mut self.events, Event::CallEnded { call, outcome });
        }
    }

    /// A peer may not distinguish messages from calls in its receipts. Stamps are unique among both.
    fn received(&mut self, of: ReceiptOf, stamp: Stamp) {
        let known = match of {
            ReceiptOf::Answer => self.end_receipt(of, stamp, Ok(())),
            ReceiptOf::Message | ReceiptOf::Call => {
                self.end_receipt(ReceiptOf::Call, stamp.clone(), Ok(()))
                    || self.end_receipt(ReceiptOf::Message, stamp, Ok(()))
            }
        };
        if !known {
            self.dropped(Dropped::Receipt);
        }
    }

    pub(super) fn pong(&mut self, now: Duration, serial: u64) {
        let expected = match &mut self.heartbeat {
            Some(heartbeat) => heartbeat.pong(nanos(now), serial),
            None => false,
        };
        if !expected {
            self.dropped(Dropped::Pong);
        }
    }

    pub(super) fn dropped(&mut self, what: Dropped) {
        push(&mut self.events, Event::Dropped(what));
    }
}
