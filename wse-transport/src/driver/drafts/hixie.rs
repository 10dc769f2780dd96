//! The frames of hixie-75 and hixie-76.
//!
//! ```text
//!  00        text in UTF-8           FF     a message
//!  01..7F    anything but FF         FF     skipped
//!  80..FF    length, 7 bits a byte   bytes  skipped; in hixie-76, FF 00 closes and answers
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::frame::{Frame, Opcode, ProtocolError, Utf8Validator};
use crate::ws::Limits;

/// The most bytes of a length: 63 bits.
const MAX_LENGTH: u8 = 9;

/// The least space for the next read, in bytes.
const READ_MIN: usize = 2 * 1024;

const TEXT: u8 = 0x00;
const END: u8 = 0xFF;
const CLOSE: [u8; 2] = [0xFF, 0x00];

/// The codec of a server. An error is fatal.
#[derive(Debug)]
pub(in crate::driver) struct Hixie {
    limits: Limits,
    has_closing_handshake: bool,
    reading: Reading,
}

/// The position in a frame.
#[derive(Debug)]
enum Reading {
    Type,
    /// Text of which this many bytes are checked; none are consumed.
    Text {
        checked: usize,
        utf8: Utf8Validator,
    },
    /// A frame that ends with FF, of which this many bytes are consumed.
    Unknown {
        skipped: usize,
    },
    /// The length of a frame, as far as it has been read.
    Length {
        kind: u8,
        bytes: u8,
        length: u64,
    },
    /// A frame of which this many bytes are still to arrive.
    Skip {
        left: u64,
    },
}

impl Hixie {
    pub(in crate::driver) const fn new(limits: Limits, has_closing_handshake: bool) -> Self {
        Self { limits, has_closing_handshake, reading: Reading::Type }
    }

    pub(in crate::driver) const fn has_closing_handshake(&self) -> bool {
        self.has_closing_handshake
    }

    /// Decodes the next message, or the beginning of the closing handshake.
    pub(in crate::driver) fn decode(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<Frame>, ProtocolError> {
        while let Some(&first) = input.first() {
            match &mut self.reading {
                Reading::Type => {
                    input.advance(1);
                    self.reading = match first {
                        TEXT => Reading::Text { checked: 0, utf8: Utf8Validator::default() },
                        0x01..=0x7F => Reading::Unknown { skipped: 0 },
                        kind => Reading::Length { kind, bytes: 0, length: 0 },
                    };
                }
                Reading::Text { checked, utf8 } => {
                    let new = input.get(*checked..).unwrap_or_default();
                    let end = new.iter().position(|byte| *byte == END);
                    let new = end.map_or(new, |end| &new[..end]);
                    let len = *checked + new.len();
                    // The first mistake is reported, however many bytes arrive at once.
                    let limit = self.limits.whole();
                    utf8.feed(new.get(..limit.saturating_sub(*checked)).unwrap_or(new))?;
                    fits(self.limits, len as u64)?;
                    *checked = len;
                    if end.is_none() {
                        break;
                    }
                    utf8.finish()?;
                    let payload = input.split_to(len).freeze();
                    input.advance(1);
                    self.reading = Reading::Type;
                    return Ok(Some(Frame::new(Opcode::Text, payload)));
                }
                Reading::Unknown { skipped } => {
                    let end = input.iter().position(|byte| *byte == END);
                    let here = end.unwrap_or(input.len());
                    *skipped = skipped.saturating_add(here);
                    fits(self.limits, *skipped as u64)?;
                    input.advance(here);
                    if end.is_some() {
                        input.advance(1);
                        self.reading = Reading::Type;
                    }
                }
                Reading::Length { kind, bytes, length } => {
                    input.advance(1);
                    if *bytes == MAX_LENGTH {
                        return Err(ProtocolError::LengthTooLarge);
                    }
                    *bytes += 1;
                    *length = *length << 7 | u64::from(first & 0x7F);
                    fits(self.limits, *length)?;
                    if first & 0x80 == 0 {
                        let (kind, left) = (*kind, *length);
                        self.reading = Reading::Skip { left };
                        if self.has_closing_handshake && kind == END && left == 0 {
                            self.reading = Reading::Type;
                            return Ok(Some(Frame::new(Opcode::Close, Bytes::new())));
                        }
                    }
                }
                Reading::Skip { left } => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    input.advance(here);
                    *left -= here as u64;
                    if *left == 0 {
                        self.reading = Reading::Type;
                    }
                }
            }
        }
        input.reserve(READ_MIN);
        Ok(None)
    }

    /// Appends a text message, or a close frame as far as the draft has one.
    pub(in crate::driver) fn encode(&self, frame: &Frame, output: &mut BytesMut) {
        match frame.opcode {
            Opcode::Text => {
                output.reserve(frame.payload.len() + 2);
                output.put_u8(TEXT);
                output.put_slice(&frame.payload);
                output.put_u8(END);
            }
            Opcode::Close if self.has_closing_handshake => output.put_slice(&CLOSE),
            // Rejected earlier, except for the close frame of hixie-75, which is the end of TCP.
            Opcode::Close | Opcode::Binary | Opcode::Continuation | Opcode::Ping | Opcode::Pong => {
            }
        }
    }
}

/// Checks the limits. A frame is a message here; skipped frames cost time too.
fn fits(limits: Limits, len: u64) -> Result<(), ProtocolError> {
    let exceeds = |limit: usize| u64::try_from(limit).is_ok_and(|limit| len > limit);
    let limit = limits.frame_limit();
    if exceeds(limit) {
        Err(ProtocolError::FrameTooBig { declared: len, limit })
    } else if exceeds(limits.max_message) {
        Err(ProtocolError::MessageTooBig { declared: len, limit: limits.max_message })
    } else {
        Ok(())
    }
}
