//! The struct [`Session`], how it ends, and what it returns. Other files add methods to it, by topic.

use std::collections::VecDeque;

use super::calls::{CallFailure, Calls};
use super::close::Close;
use super::duplicates::Duplicates;
use super::event::{Event, Output};
use super::heartbeat::HeartbeatState;
use super::limits::SessionLimits;
use super::phase::Phase;
use super::queue::{pop, push};
use super::receipts::{ReceiptFailure, Receipts};
use crate::{
    Capabilities, CloseReason, CodecError, ErrorCode, ProtocolInfo, SessionMessage, UsageError,
};

/// One side of one connection: greeting, authentication, calls, receipts, heartbeat and end.
///
/// ```
/// use std::time::Duration;
/// use wse_proto::session::{Event, Output, Session, SessionLimits};
/// use wse_proto::{Hi, ProtocolInfo, SessionMessage};
///
/// let now = Duration::ZERO;
/// let mut server = Session::server(ProtocolInfo::text("example"), None, SessionLimits::default());
/// server.handle_message(now, SessionMessage::hi(Hi { identity: "me".into(), meta: "".into() }));
/// let Some(Event::Greeted { hi }) = server.poll_event() else { panic!() };
/// assert_eq!(hi.identity, "me");
/// server.accept(now, "welcome".into()).unwrap();
/// assert!(matches!(server.poll_output(), Some(Output::Send(_))));
/// assert!(server.check_ready().is_ok());
/// ```
#[derive(Debug)]
pub struct Session {
    pub(super) phase: Phase,
    pub(super) greeting: bool,
    pub(super) capabilities: Capabilities,
    /// Whether the peer gives receipts, if the protocol has them.
    pub(super) peer_receipts: bool,
    pub(super) max_receipts: usize,
    pub(super) calls: Calls,
    pub(super) receipts: Option<Box<Receipts>>,
    pub(super) duplicates: Option<Duplicates>,
    pub(super) heartbeat: Option<HeartbeatState>,
    pub(super) events: VecDeque<Event>,
    pub(super) outputs: VecDeque<Output>,
}

impl Session {
    pub(super) fn new(phase: Phase, protocol: ProtocolInfo, limits: SessionLimits) -> Self {
        Self {
            phase,
            greeting: protocol.has_greeting(),
            capabilities: protocol.can(),
            peer_receipts: true,
            max_receipts: limits.receipts,
            calls: Calls::new(limits.calls),
            receipts: None,
            duplicates: None,
            heartbeat: None,
            events: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Recognises repetitions of reliable messages by this window, which sessions of the same peer share. Default: a
    /// window of its own.
    pub fn share_duplicates(&mut self, duplicates: Duplicates) {
        self.duplicates = Some(duplicates);
    }

    /// Whether messages and calls may be sent.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`] before the welcome and after the end.
    pub fn check_ready(&self) -> Result<(), UsageError> {
        match self.phase {
            Phase::Ready => Ok(()),
            _ => Err(UsageError::NotReady),
        }
    }

    /// Whether the peer gives receipts: the protocol has them, and a client that greeted has said so
    /// ([`Head::HiWithReceipts`](crate::Head::HiWithReceipts)). A client that has not may take a message that wants a
    /// receipt for a call, because it has a stamp. The session does not check this itself.
    pub fn peer_gives_receipts(&self) -> bool {
        self.capabilities.has_receipts() && self.peer_receipts
    }

    /// Whether the session has ended. It handles and sends nothing any more.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Takes note that the connection has ended, or that the peer closes it. Pending calls and receipts fail. Outputs that
    /// were not polled are discarded.
    pub fn handle_closed(&mut self, close: &Close) {
        self.end(close);
        self.outputs.clear();
    }

    /// Closes the connection, after the outputs that are queued. Pending calls fail, and what arrives from now on is
    /// dropped. Does nothing when the session has ended.
    ///
    /// Code and reason are not checked. The driver has to take care that 1005 and 1006 cannot be sent, and that a close
    /// frame holds 123 bytes of reason (RFC 6455 §5.5, §7.4.1).
    pub fn close(&mut self, close: Close) {
        if !self.is_closed() {
            self.end(&close);
            push(&mut self.outputs, Output::Close(close));
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        pop(&mut self.outputs)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }

    pub(super) fn end(&mut self, close: &Close) {
        self.phase = Phase::Closed;
        for (of, stamp) in self.receipts.take().map(|it| it.into_keys()).unwrap_or_default() {
            let outcome = Err(ReceiptFailure::Closed(close.clone()));
            push(&mut self.events, Event::ReceiptEnded { of, stamp, outcome });
        }
        for call in self.calls.drain() {
            let outcome = Err(CallFailure::Disconnected(close.clone()));
            push(&mut self.events, Event::CallEnded { call, outcome });
        }
    }

    pub(super) fn send(&mut self, message: SessionMessage) {
        push(&mut self.outputs, Output::Send(message));
    }

    pub(super) fn violation(&mut self, code: ErrorCode, error: Option<CodecError>) {
        if !self.is_closed() {
            push(&mut self.events, Event::Violation { code, error });
            self.close(Close::normal(CloseReason::ProtocolError));
        }
    }
}
