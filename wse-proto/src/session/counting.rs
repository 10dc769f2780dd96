//! Counted messages: what was sent, what has arrived, and what the peer says of it.

use std::time::Duration;

use bytes::Bytes;

use super::calls::CallFailure;
use super::close::Close;
use super::deadlines::nanos;
use super::event::Event;
use super::machine::Session;
use super::phase::Phase;
use super::queue::push;
use super::receipts::ReceiptFailure;
use super::resume::Tracked;
use crate::{Body, ErrorCode, Head, ReceiptOf, SessionMessage};

impl Session {
    /// Whether messages are counted, because the session can be resumed.
    #[inline]
    pub fn is_counting(&self) -> bool {
        self.resume.is_some()
    }

    /// Gives the next number to a counted message ([`Head::is_counted`]) that leaves the send queue. Call this in the order
    /// in which the messages are written, and not for [`Output::Replay`](super::Output::Replay). While the session is
    /// suspended, a server takes its messages from the queue at once; a client leaves them there.
    ///
    /// `message` is the packed message, which is kept until the peer has processed it. `tracked` says which call or receipt
    /// waits for it. Does nothing when the session cannot be resumed.
    ///
    /// Returns true when this session is suspended and the rings of all sessions take too much memory: then call
    /// [`Sessions::relieve`](super::Sessions::relieve). A session with a socket empties its own ring in this case, and returns
    /// false.
    #[inline(always)]
    pub fn sent(&mut self, message: Bytes, tracked: Option<Tracked>) -> bool {
        let Some(resume) = &mut self.resume else { return false };
        let grows = resume.ring.push(message);
        if tracked.is_none() && !grows { false } else { self.after_sent(tracked) }
    }

    #[cold]
    fn after_sent(&mut self, tracked: Option<Tracked>) -> bool {
        let Some(resume) = &mut self.resume else { return false };
        if let Some(tracked) = tracked {
            resume.track(tracked);
            let (calls, receipts) = (&self.calls, &self.receipts);
            let pending = calls.len() + receipts.as_ref().map_or(0, |it| it.len());
            // Only a peer that does not acknowledge gets here.
            resume.limit_tracked(2 * pending + 64, |tracked| match tracked {
                Tracked::Call(call) => calls.is_pending(*call),
                Tracked::Receipt(of, stamp) => {
                    receipts.as_ref().is_some_and(|it| it.is_pending(&(*of, stamp.clone())))
                }
            });
        }
        if !self.server {
            return false;
        }
        resume.ring.shrink();
        if !resume.ring.budget().is_exceeded() {
            return false;
        }
        let suspended = matches!(self.phase, Phase::Suspended);
        if !suspended {
            resume.ring.empty();
        }
        suspended
    }

    /// Client: whether a message of this size may be sent. A client keeps all messages that are not acknowledged, so it must
    /// not send more than it may keep. The send queue counts as full until this is true again.
    #[inline]
    pub fn has_space(&self, len: usize) -> bool {
        self.server || self.resume.as_ref().is_none_or(|resume| resume.ring.has_space(len))
    }

    /// Drops the messages that are kept, to free memory. If the connection is lost now, some of them are lost too.
    ///
    /// For a server. A client must not lose messages.
    pub fn empty_ring(&mut self) {
        if let Some(resume) = &mut self.resume {
            resume.ring.empty();
        }
    }

    /// How many bytes of messages are kept until the peer has processed them.
    pub fn unacknowledged(&self) -> usize {
        self.resume.as_ref().map_or(0, |resume| resume.ring.bytes())
    }

    /// How many of the messages sent have calls or receipts that may wait for them. This is limited, also if the peer never
    /// says what it has processed.
    pub fn tracked(&self) -> usize {
        self.resume.as_ref().map_or(0, |resume| resume.tracked())
    }

    /// Counts a message that has arrived and that the caller holds back, for example until a handler has ended. Later,
    /// [`handle_held`](Self::handle_held) takes it. Messages may be handled in another order than they were counted in.
    pub fn count_held(&mut self, now: Duration, head: &Head) {
        if matches!(self.phase, Phase::Ready) {
            self.arrived(now, head);
        }
    }

    /// As [`handle_message`](Self::handle_message), for a message that was counted by [`count_held`](Self::count_held). It is
    /// handled while the session is suspended too.
    pub fn handle_held(&mut self, now: Duration, message: SessionMessage) {
        if matches!(self.phase, Phase::Ready | Phase::Suspended) || self.is_resuming() {
            self.handle_ready(now, message);
        }
    }

    /// A message has arrived over the socket of this session.
    #[inline]
    pub(super) fn arrived(&mut self, now: Duration, head: &Head) {
        if self.resume.is_some() {
            self.count_arrived(now, head.is_counted());
        }
    }

    pub(super) fn count_arrived(&mut self, now: Duration, counted: bool) {
        let Some(resume) = &mut self.resume else { return };
        resume.confirm_token();
        if counted && resume.count(nanos(now)) {
            self.tell_seen();
        }
    }

    /// Tells the peer how many messages have been processed.
    pub(super) fn tell_seen(&mut self) {
        if let Some(resume) = &mut self.resume {
            let seen = resume.tell();
            self.send(SessionMessage { head: Head::Seen, body: Body::Seen(seen) });
        }
    }

    /// Takes the peer's `seen`.
    pub(super) fn handle_seen(&mut self, body: &Body) {
        let Some(resume) = &mut self.resume else { return };
        match *body {
            Body::Seen(seen) if seen <= resume.ring.sent() => {
                if seen > resume.ring.acknowledged() {
                    self.acknowledge(seen);
                }
            }
            _ => self.violation(ErrorCode::ProtocolViolation, None),
        }
    }

    /// The peer has processed so many messages. What was processed has arrived, so its receipt is settled.
    pub(super) fn acknowledge(&mut self, seen: u64) {
        let Some(resume) = &mut self.resume else { return };
        resume.ring.acknowledge(seen);
        while let Some(tracked) = self.resume.as_mut().and_then(|it| it.take_tracked(seen)) {
            match tracked {
                Tracked::Call(call) => self.end_receipt(ReceiptOf::Call, call.stamp(), Ok(())),
                Tracked::Receipt(of, stamp) => self.end_receipt(of, stamp, Ok(())),
            };
        }
    }

    /// The messages up to this number are lost. What waits for them ends.
    pub(super) fn lose(&mut self, last: u64, close: &Close) {
        let closed = || Err(ReceiptFailure::Closed(close.clone()));
        while let Some(tracked) = self.resume.as_mut().and_then(|it| it.take_tracked(last)) {
            match tracked {
                Tracked::Call(call) => {
                    self.end_receipt(ReceiptOf::Call, call.stamp(), closed());
                    if self.calls.take(call) {
                        let outcome = Err(CallFailure::Disconnected(close.clone()));
                        push(&mut self.events, Event::CallEnded { call, outcome });
                    }
                }
                Tracked::Receipt(of, stamp) => drop(self.end_receipt(of, stamp, closed())),
            }
        }
    }
}
