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
use super::resume::{Credentials, Resume};
use super::retry::reconnects;
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
/// server.handle_message(now, SessionMessage::hi(Hi::new("me", "")));
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
    /// Whether this is the server's side.
    pub(super) server: bool,
    /// Server: whether clients may resume their sessions.
    pub(super) offers_resume: bool,
    /// Whether the client has said something about resume.
    pub(super) announced: bool,
    pub(super) max_receipts: usize,
    pub(super) calls: Calls,
    pub(super) receipts: Option<Box<Receipts>>,
    pub(super) duplicates: Option<Duplicates>,
    pub(super) heartbeat: Option<HeartbeatState>,
    /// Present when messages are counted, since the session can be resumed.
    pub(super) resume: Option<Box<Resume>>,
    /// Server: when the credentials of the client expire.
    pub(super) credentials: Option<Box<Credentials>>,
    pub(super) events: VecDeque<Event>,
    pub(super) outputs: VecDeque<Output>,
}

impl Session {
    pub(super) fn new(phase: Phase, protocol: ProtocolInfo, limits: SessionLimits) -> Self {
        Self {
            greeting: protocol.has_greeting(),
            capabilities: protocol.can(),
            peer_receipts: true,
            server: matches!(phase, Phase::Server(_)),
            offers_resume: false,
            announced: false,
            max_receipts: limits.receipts,
            calls: Calls::new(limits.calls),
            receipts: None,
            duplicates: None,
            heartbeat: None,
            resume: None,
            credentials: None,
            phase,
            events: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Recognises repetitions of reliable messages by this window, which sessions of the same peer share. Default: a
    /// window of its own.
    pub fn share_duplicates(&mut self, duplicates: Duplicates) {
        self.duplicates = Some(duplicates);
    }

    /// Whether messages and calls may be sent. While the session is suspended they may, and wait for the next socket.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`] before the first welcome and after the end.
    pub fn check_ready(&self) -> Result<(), UsageError> {
        match self.phase {
            Phase::Ready | Phase::Suspended => Ok(()),
            _ if self.is_resuming() => Ok(()),
            _ => Err(UsageError::NotReady),
        }
    }

    /// Whether the peer gives receipts: the protocol has them, and a client that greeted has said so
    /// ([`Head::HiWithReceipts`](crate::Head::HiWithReceipts)). A client that has not may take a message that wants a
    /// receipt for a call, because it has a stamp. The session does not check this itself.
    pub fn peer_gives_receipts(&self) -> bool {
        self.capabilities.has_receipts() && self.peer_receipts
    }

    /// Whether this is the server's side.
    pub const fn is_server(&self) -> bool {
        self.server
    }

    /// Whether the session has ended. It handles and sends nothing any more.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Takes note that the connection has ended, or that the peer closes it. Pending calls and receipts fail. Outputs that
    /// were not polled are discarded.
    ///
    /// A session that can be resumed is suspended instead, if its client comes back after such an end: codes 1005, 1006,
    /// 1011 to 1014 and 4000. Calls and receipts stay pending then. See [`is_suspended`](Self::is_suspended).
    pub fn handle_closed(&mut self, close: &Close) {
        if !self.suspend(close) {
            self.end_session(close);
        }
    }

    /// Closes the connection, after the outputs that are queued. Pending calls fail, and what arrives from now on is
    /// dropped. Does nothing when the session has ended.
    ///
    /// A session that can be resumed is suspended instead, if its client comes back after such a close: see
    /// [`handle_closed`](Self::handle_closed).
    ///
    /// Code and reason are not checked. The driver has to take care that 1005 and 1006 cannot be sent, and that a close
    /// frame holds 123 bytes of reason (RFC 6455 §5.5, §7.4.1).
    pub fn close(&mut self, close: Close) {
        if self.is_closed() || self.is_suspended() && reconnects(close.code) {
            return;
        }
        if self.is_suspended() || !self.suspend(&close) {
            self.end(&close);
        }
        push(&mut self.outputs, Output::Close(close));
    }

    /// As [`close`](Self::close), but ends the session whatever the code: it is not resumed.
    pub fn close_for_good(&mut self, close: Close) {
        if !self.is_closed() {
            self.end(&close);
            push(&mut self.outputs, Output::Close(close));
        }
    }

    /// The next output. While a session is suspended, there are only counted messages, and [`Output::Close`], which ends the
    /// last socket if there is one. At a client, counted messages wait until the session is resumed.
    #[inline]
    pub fn poll_output(&mut self) -> Option<Output> {
        match self.phase {
            Phase::Ready => pop(&mut self.outputs),
            _ => self.poll_output_apart(),
        }
    }

    fn poll_output_apart(&mut self) -> Option<Output> {
        let waits = !self.server && (self.is_suspended() || self.is_resuming());
        match self.outputs.front() {
            Some(Output::Send(message)) if waits && message.head.is_counted() => {
                // Only `Close` can be behind them.
                let close = self.outputs.iter().position(|it| !matches!(it, Output::Send(_)))?;
                self.outputs.remove(close)
            }
            _ => pop(&mut self.outputs),
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }

    pub(super) fn end(&mut self, close: &Close) {
        self.phase = Phase::Closed;
        for (of, stamp) in
            self.receipts.take().map(|mut it| it.end_others(|_| false)).unwrap_or_default()
        {
            let outcome = Err(ReceiptFailure::Closed(close.clone()));
            push(&mut self.events, Event::ReceiptEnded { of, stamp, outcome });
        }
        for call in self.calls.drain() {
            let outcome = Err(CallFailure::Disconnected(close.clone()));
            push(&mut self.events, Event::CallEnded { call, outcome });
        }
    }

    #[inline]
    pub(super) fn send(&mut self, message: SessionMessage) {
        match message.head.is_counted() || matches!(self.phase, Phase::Ready) {
            // A message that is not counted belongs to a socket.
            false if self.is_suspended() => {}
            // Before what waits until the session is resumed.
            false if self.is_resuming() => self.outputs.push_front(Output::Send(message)),
            _ => push(&mut self.outputs, Output::Send(message)),
        }
    }

    pub(super) fn violation(&mut self, code: ErrorCode, error: Option<CodecError>) {
        if !self.is_closed() {
            push(&mut self.events, Event::Violation { code, error });
            self.close(Close::normal(CloseReason::ProtocolError));
        }
    }
}
