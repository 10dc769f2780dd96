//! Messages, and how they are put together from frames (RFC 6455 §5.4).

use bytes::{Bytes, BytesMut};

use super::{close::CloseFrame, error::ProtocolError, frame::Frame, opcode::Opcode, text::Text};

/// What a [`WebSocket`](super::WebSocket) receives and sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A UTF-8 message.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
    /// A ping, at most 125 bytes. When received, it has been answered already.
    Ping(Bytes),
    /// A pong, at most 125 bytes.
    Pong(Bytes),
    /// The peer's close frame, which has been answered already; `None` when it was empty. When
    /// sent, it begins the closing handshake.
    Close(Option<CloseFrame>),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// The message as a single frame.
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

/// Puts fragments together. Sizes, order and UTF-8 have been checked by the
/// [`Codec`](super::Codec).
///
/// A message in one frame is passed on as it is, a slice of the read buffer; only the payloads of
/// a fragmented one are copied.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<(Opcode, BytesMut)>,
}

impl Assembler {
    /// The fragments of the message under way, as one.
    pub(super) fn take_partial(&mut self) -> Option<(Opcode, BytesMut)> {
        self.partial.take()
    }

    /// Takes the next frame, and returns the message that it completes. Control frames pass
    /// between the fragments of a message.
    ///
    /// # Errors
    ///
    /// A close payload that breaks the rules, and fragments out of order.
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
            Opcode::Text => Message::Text(Text::from_checked(payload)),
            Opcode::Ping => Message::Ping(payload),
            Opcode::Pong => Message::Pong(payload),
            Opcode::Close => Message::Close(CloseFrame::parse(&payload)?),
            Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        }))
    }
}
