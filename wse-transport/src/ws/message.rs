//! Messages, and their assembly from frames (RFC 6455 §5.4).

use bytes::{Bytes, BytesMut};

use crate::frame::{CloseFrame, Frame, Opcode, ProtocolError, Utf8Bytes};

/// A message that a [`WebSocket`](super::WebSocket) receives or sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping of at most 125 bytes. A received one has been answered already.
    Ping(Bytes),
    /// A pong of at most 125 bytes.
    Pong(Bytes),
    /// A close frame; `None` if it is empty. A received one has been answered already; sending one begins the closing
    /// handshake.
    Close(Option<CloseFrame>),
}

impl Message {
    /// Creates a text message.
    #[must_use]
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// Creates a binary message.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Turns the message into a single frame.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        match self {
            Self::Text(text) => Frame::new(Opcode::Text, text.into_bytes()),
            Self::Binary(bytes) => Frame::new(Opcode::Binary, bytes),
            Self::Ping(bytes) => Frame::new(Opcode::Ping, bytes),
            Self::Pong(bytes) => Frame::new(Opcode::Pong, bytes),
            Self::Close(close) => Frame::new(
                Opcode::Close,
                close.as_ref().map(CloseFrame::to_payload).unwrap_or_default(),
            ),
        }
    }
}

/// Assembles messages from fragments. The [`Codec`](super::Codec) has checked sizes, order and UTF-8.
///
/// A message in one frame keeps its payload, a slice of the read buffer; only the payloads of fragmented messages are
/// copied.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<(Opcode, BytesMut)>,
}

impl Assembler {
    /// Takes the fragments of the current message, joined.
    pub(super) fn take_partial(&mut self) -> Option<(Opcode, BytesMut)> {
        self.partial.take()
    }

    /// Adds the next frame, and returns the message that it completes. Control frames may come between the fragments of a
    /// message.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] for an invalid close payload, and for fragments out of order.
    pub fn push(&mut self, frame: Frame) -> Result<Option<Message>, ProtocolError> {
        let Frame { fin, opcode, payload, .. } = frame;
        let (opcode, payload) = match (opcode, self.partial.take()) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, partial) => {
                self.partial = partial;
                (opcode, payload)
            }
            (Opcode::Text | Opcode::Binary, None) if fin => (opcode, payload),
            (Opcode::Text | Opcode::Binary, None) => {
                self.partial = Some((opcode, BytesMut::from(payload)));
                return Ok(None);
            }
            (Opcode::Continuation, Some((opcode, mut bytes))) => {
                bytes.extend_from_slice(&payload);
                if !fin {
                    self.partial = Some((opcode, bytes));
                    return Ok(None);
                }
                (opcode, bytes.freeze())
            }
            (Opcode::Continuation, None) => return Err(ProtocolError::ContinuationUnexpected),
            (_, Some(_)) => return Err(ProtocolError::ContinuationExpected),
        };
        Ok(Some(match opcode {
            Opcode::Text => Message::Text(Utf8Bytes::from_checked(payload)),
            Opcode::Ping => Message::Ping(payload),
            Opcode::Pong => Message::Pong(payload),
            Opcode::Close => Message::Close(CloseFrame::parse(&payload)?),
            Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        }))
    }
}
