//! An open connection frame by frame, without transport, clock or randomness: what comes is answered, what
//! goes is put in order, and the closing handshake is kept. [`Link`](super::stream::Link) gives it a
//! transport, and [`Driver`](super::Driver) the bytes that a caller brings.

use std::time::Duration;

use bytes::Bytes;

use super::{
    close::CloseFrame,
    closing::{Closing, ClosingEvent},
    codec::Role,
    error::{ProtocolError, UsageError},
    flood::{ControlBudget, ControlRate},
    frame::Frame,
    message::{Assembler, Message},
    opcode::Opcode,
};

#[derive(Debug)]
pub(super) struct Engine {
    closing: Closing,
    role: Role,
    assembler: Assembler,
    budget: ControlBudget,
    /// What the peer did wrong, to be reported once its close frame is written.
    failure: Option<ProtocolError>,
    failed: bool,
    /// Our close frame, to be queued next.
    close: Option<Frame>,
    /// The answer to the latest ping, while there are bytes that are not written (RFC 6455 §5.5.3
    /// lets us answer only that one): a peer that never reads costs us one pong.
    pong: Option<Bytes>,
    /// Whether a fragmented message is being sent.
    sending: bool,
    /// Whether a message is under way whose first fragments were given out as frames.
    receiving: bool,
}

impl Engine {
    pub(super) fn new(role: Role, rate: Option<ControlRate>) -> Self {
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

    pub(super) const fn closing(&self) -> Closing {
        self.closing
    }

    /// Moves the closing handshake on; our close frame is then the next of [`control`](Self::control).
    pub(super) fn advance(&mut self, event: ClosingEvent, frame: Option<CloseFrame>) {
        let (next, send) = self.closing.on(event, self.role);
        self.closing = next;
        if send {
            self.pong = None;
            self.close = Some(Message::Close(frame).into_frame());
        }
    }

    /// The peer broke the protocol.
    pub(super) fn fail(&mut self, error: ProtocolError) {
        // After our own close frame the peer's mistakes only end the wait for theirs.
        if self.closing.is_open() {
            tracing::debug!(%error, "websocket failed");
            self.failure = Some(error);
            self.failed = true;
        }
        self.advance(ClosingEvent::Violation, Some(error.close_code().into()));
    }

    /// Whether it was the peer who broke the protocol that ended it.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) const fn take_failure(&mut self) -> Option<ProtocolError> {
        self.failure.take()
    }

    /// Takes in one frame; returns the message that it completes. `now` is asked for control frames only.
    pub(super) fn receive(
        &mut self,
        frame: Frame,
        now: impl FnOnce() -> Duration,
    ) -> Result<Option<Message>, ProtocolError> {
        if !self.admit(&frame, now)? {
            return Ok(None);
        }
        if self.receiving && frame.opcode == Opcode::Continuation {
            // The rest of a message whose reader of frames has left.
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

    /// Takes in one frame for a caller who wants frames, and returns it if it is for him.
    pub(super) fn receive_frame(
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
                    // Nobody has seen how the message began.
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

    /// Nothing was read for so long.
    pub(super) fn waited(&mut self, time: Duration) {
        self.budget.waited(time);
    }

    fn peer_close(&mut self, frame: Option<CloseFrame>) {
        // RFC 6455 §5.5.1: the answer typically echoes the status code.
        self.advance(ClosingEvent::PeerClose, frame);
    }

    /// Whether a data message may be sent as a frame.
    #[inline]
    pub(super) const fn may_send_data(&self) -> bool {
        self.closing.is_open() && !self.sending
    }

    /// The frame to queue for a message; `None` for a close frame, which comes with
    /// [`control`](Self::control).
    pub(super) fn send(&mut self, message: Message) -> Result<Option<Frame>, UsageError> {
        match message {
            _ if !self.closing.is_open() => Err(UsageError::Closed),
            Message::Close(frame) => {
                self.advance(ClosingEvent::Close, frame);
                Ok(None)
            }
            Message::Text(_) | Message::Binary(_) if self.sending => Err(UsageError::Unfinished),
            Message::Ping(payload) => {
                self.budget.pinged();
                Ok(Some(Frame::new(Opcode::Ping, payload)))
            }
            message => Ok(Some(message.into_frame())),
        }
    }

    /// The same for a frame, which must be in order.
    pub(super) fn send_frame(&mut self, frame: Frame) -> Result<Option<Frame>, UsageError> {
        match frame.opcode {
            _ if !self.closing.is_open() => Err(UsageError::Closed),
            Opcode::Close => {
                let close =
                    CloseFrame::parse(&frame.payload).map_err(|_| UsageError::CloseMalformed)?;
                self.advance(ClosingEvent::Close, close);
                Ok(None)
            }
            Opcode::Ping => {
                self.budget.pinged();
                Ok(Some(frame))
            }
            Opcode::Pong => Ok(Some(frame)),
            Opcode::Continuation if !self.sending => Err(UsageError::NothingToContinue),
            Opcode::Text | Opcode::Binary if self.sending => Err(UsageError::Unfinished),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.sending = !frame.fin;
                Ok(Some(frame))
            }
        }
    }

    /// The next frame that is ours to send: the close frame, and the pong once all else is `written`.
    pub(super) fn control(&mut self, written: bool) -> Option<Frame> {
        if let Some(close) = self.close.take() {
            return Some(close);
        }
        if !written {
            return None;
        }
        self.pong.take().map(|payload| Frame::new(Opcode::Pong, payload))
    }

    /// Whether [`control`](Self::control) has something, now or once all is written.
    pub(super) const fn has_control(&self) -> bool {
        self.close.is_some() || self.pong.is_some()
    }

    /// The transport takes nothing more.
    pub(super) fn forget_control(&mut self) {
        self.close = None;
        self.pong = None;
    }

    /// Whether the write side of the transport is to be shut down once all is written.
    pub(super) const fn shuts_down(&self) -> bool {
        self.closing.shuts_down(self.role)
    }
}
