//! An open connection frame by frame, without transport, clock or randomness: it answers pings, checks the order of what
//! is sent, and does the closing handshake. [`Connection`](super::connection::Connection) runs it over a transport, and
//! [`Driver`](crate::driver::Driver) over bytes of the caller.

use std::time::Duration;

use bytes::Bytes;

use super::closing::{Closing, ClosingEvent};
use super::control_rate::{ControlBudget, ControlRate};
use super::message::{Assembler, Message};
use crate::frame::{CloseFrame, Frame, MisuseError, Opcode, ProtocolError, Role};

#[derive(Debug)]
pub(crate) struct Engine {
    closing: Closing,
    role: Role,
    assembler: Assembler,
    budget: ControlBudget,
    /// The peer's violation, to be reported once our close frame is written.
    failure: Option<ProtocolError>,
    failed: bool,
    /// Our close frame, to be queued next.
    close: Option<Frame>,
    /// The answer to the latest ping, while bytes wait to be written (RFC 6455 §5.5.3 allows to answer only that one): a
    /// peer that never reads costs one pong.
    pong: Option<Bytes>,
    /// Whether a fragmented message is being sent.
    sending: bool,
    /// Whether a message is being received whose first fragments were returned as frames.
    receiving: bool,
}

impl Engine {
    pub(crate) fn new(role: Role, rate: Option<ControlRate>) -> Self {
        Self {
            closing: Closing::Open,
            role,
            assembler: Assembler::default(),
            budget: ControlBudget::new(rate),
            failure: None,
            failed: false,
            close: None,
            pong: None,
            sending: false,
            receiving: false,
        }
    }

    pub(crate) const fn closing(&self) -> Closing {
        self.closing
    }

    /// Advances the closing handshake; [`control`](Self::control) then returns our close frame.
    pub(crate) fn advance(&mut self, event: ClosingEvent, frame: Option<CloseFrame>) {
        let (next, send) = self.closing.on(event, self.role);
        self.closing = next;
        if send {
            self.pong = None;
            self.close = Some(Message::Close(frame).into_frame());
        }
    }

    /// The peer violated the protocol.
    pub(crate) fn fail(&mut self, error: ProtocolError) {
        // After our own close frame, a violation only ends the wait for the peer's.
        if self.closing.is_open() {
            tracing::debug!(%error, "websocket failed");
            self.failure = Some(error);
            self.failed = true;
        }
        self.advance(ClosingEvent::Violation, Some(error.into()));
    }

    /// Whether a violation by the peer ended the connection.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) const fn take_failure(&mut self) -> Option<ProtocolError> {
        self.failure.take()
    }

    /// Receives a frame, and returns the message that it completes. `now` is called for control frames only.
    pub(crate) fn receive(
        &mut self,
        frame: Frame,
        now: impl FnOnce() -> Duration,
    ) -> Result<Option<Message>, ProtocolError> {
        if !self.admit(&frame, now)? {
            return Ok(None);
        }
        if self.receiving && frame.opcode == Opcode::Continuation {
            // The rest of a message whose reader of frames was dropped.
            self.receiving = !frame.fin;
            return Ok(None);
        }
        let message = self.assembler.push(frame)?;
        match &message {
            Some(Message::Ping(payload)) => self.pong = Some(payload.clone()),
            Some(Message::Close(frame)) => self.peer_close(frame.clone()),
            _ => {}
        }
        Ok(message)
    }

    /// Receives a frame for a caller that reads frames, and returns it if it is for the caller.
    pub(crate) fn receive_frame(
        &mut self,
        mut frame: Frame,
        now: impl FnOnce() -> Duration,
    ) -> Result<Option<Frame>, ProtocolError> {
        if !self.admit(&frame, now)? {
            return Ok(None);
        }
        match frame.opcode {
            Opcode::Ping => self.pong = Some(frame.payload.clone()),
            Opcode::Close => {
                let close = CloseFrame::parse(&frame.payload)?;
                self.peer_close(close);
            }
            Opcode::Pong => {}
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                if let Some((opcode, mut bytes)) = self.assembler.take_partial() {
                    // The caller has not seen the beginning of the message.
                    bytes.extend_from_slice(&frame.payload);
                    frame = Frame { opcode, payload: bytes.freeze(), ..frame };
                }
                self.receiving = !frame.fin;
            }
        }
        Ok(Some(frame))
    }

    fn admit(
        &mut self,
        frame: &Frame,
        now: impl FnOnce() -> Duration,
    ) -> Result<bool, ProtocolError> {
        let pong = frame.opcode == Opcode::Pong;
        if (pong || frame.opcode == Opcode::Ping) && !self.budget.take(pong, now) {
            return Err(ProtocolError::ControlFlood);
        }
        Ok(self.closing.is_open() || frame.opcode == Opcode::Close)
    }

    /// Nothing was read for this long.
    pub(crate) fn reading_paused(&mut self, time: Duration) {
        self.budget.reading_paused(time);
    }

    fn peer_close(&mut self, frame: Option<CloseFrame>) {
        // RFC 6455 §5.5.1: the answer typically echoes the status code.
        self.advance(ClosingEvent::PeerClose, frame);
    }

    /// Whether a data message may be sent as one frame.
    #[inline]
    pub(crate) const fn may_send_data(&self) -> bool {
        self.closing.is_open() && !self.sending
    }

    /// The frame to queue for a message; `None` for a close frame, which [`control`](Self::control) returns.
    pub(crate) fn send(&mut self, message: Message) -> Result<Option<Frame>, MisuseError> {
        match message {
            _ if !self.closing.is_open() => Err(MisuseError::Closed),
            Message::Close(frame) => {
                self.advance(ClosingEvent::Close, frame);
                Ok(None)
            }
            Message::Text(_) | Message::Binary(_) if self.sending => Err(MisuseError::Unfinished),
            Message::Ping(payload) => {
                self.budget.pinged();
                Ok(Some(Frame::new(Opcode::Ping, payload)))
            }
            message => Ok(Some(message.into_frame())),
        }
    }

    /// As [`send`](Self::send), for a frame, which must be in order.
    pub(crate) fn send_frame(&mut self, frame: Frame) -> Result<Option<Frame>, MisuseError> {
        match frame.opcode {
            _ if !self.closing.is_open() => Err(MisuseError::Closed),
            Opcode::Close => {
                let close =
                    CloseFrame::parse(&frame.payload).map_err(|_| MisuseError::CloseMalformed)?;
                self.advance(ClosingEvent::Close, close);
                Ok(None)
            }
            Opcode::Ping => {
                self.budget.pinged();
                Ok(Some(frame))
            }
            Opcode::Pong => Ok(Some(frame)),
            Opcode::Continuation if !self.sending => Err(MisuseError::NothingToContinue),
            Opcode::Text | Opcode::Binary if self.sending => Err(MisuseError::Unfinished),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.sending = !frame.fin;
                Ok(Some(frame))
            }
        }
    }

    /// The next frame that the engine sends by itself: the close frame, and the pong once all else is `written`.
    pub(crate) fn control(&mut self, written: bool) -> Option<Frame> {
        if let Some(close) = self.close.take() {
            return Some(close);
        }
        if !written {
            return None;
        }
        self.pong.take().map(|payload| Frame::new(Opcode::Pong, payload))
    }

    /// Whether [`control`](Self::control) has a frame, now or once all is written.
    pub(crate) const fn has_control(&self) -> bool {
        self.close.is_some() || self.pong.is_some()
    }

    /// The transport accepts nothing more.
    pub(crate) fn forget_control(&mut self) {
        self.close = None;
        self.pong = None;
    }

    /// Whether to shut the write side of the transport down once all is written.
    pub(crate) const fn shuts_down(&self) -> bool {
        self.closing.shuts_down(self.role)
    }
}
