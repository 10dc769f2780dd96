//! [`Framing`]: where a message begins and ends in a byte stream.
//!
//! ```text
//! binary protocol                          text protocol
//! +------------------+-----------+        +-----------+----+
//! | length           | message   |        | message   | LF |
//! | u32, big endian  |           |        |           |    |
//! +------------------+-----------+        +-----------+----+
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wse_proto::{CodecError, MessageKind};

/// The bytes of the length before a binary message.
const HEADER: usize = 4;

/// Splits a byte stream into messages, and marks their boundaries on the way out.
#[derive(Clone, Debug)]
pub(crate) struct Framing {
    kind: MessageKind,
    max_message: usize,
    /// The bytes at the start of the buffer that are known to contain no LF, so that a line that arrives in many pieces is
    /// searched once.
    searched: usize,
    /// The boundaries of later messages are not known after an error.
    failed: Option<FramingError>,
}

/// The peer's mistake. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// A message of more bytes than allowed. A line that has not ended counts with the bytes that have arrived.
    TooLong { declared: u64, limit: usize },
    /// The stream ended within a message.
    Truncated,
}

impl Framing {
    /// The most bytes of a message by default: 1 MiB, as `ws::Limits`.
    pub(crate) const MAX_MESSAGE: usize = 1 << 20;

    pub(crate) const fn new(kind: MessageKind, max_message: usize) -> Self {
        Self { kind, max_message, searched: 0, failed: None }
    }

    pub(crate) const fn max_message(&self) -> usize {
        self.max_message
    }

    /// Changes the limit, from the next message on.
    pub(crate) const fn set_max_message(&mut self, bytes: usize) {
        self.max_message = bytes;
    }

    /// Takes the next message; `None` when it has not arrived completely. Empty lines are skipped.
    ///
    /// Reserves memory for the rest of a message once its length is known and within the limit. An error is final: each
    /// later call returns it again, and discards what has arrived.
    pub(crate) fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FramingError> {
        if let Some(error) = self.failed {
            src.clear();
            return Err(error);
        }
        let decoded = match self.kind {
            MessageKind::Binary => self.decode_binary(src),
            MessageKind::Text => self.decode_line(src),
        };
        decoded.inspect_err(|error| self.failed = Some(*error))
    }

    /// As [`decode`](Self::decode), when nothing more will arrive: a last line needs no LF.
    pub(crate) fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FramingError> {
        if let Some(message) = self.decode(src)? {
            return Ok(Some(message));
        }
        match self.kind {
            _ if src.is_empty() => Ok(None),
            MessageKind::Binary => {
                self.failed = Some(FramingError::Truncated);
                Err(FramingError::Truncated)
            }
            MessageKind::Text => {
                self.searched = 0;
                let line = without_cr(src.split().freeze());
                Ok((!line.is_empty()).then_some(line))
            }
        }
    }

    fn decode_binary(&self, src: &mut BytesMut) -> Result<Option<Bytes>, FramingError> {
        let Some(header) = src.first_chunk::<HEADER>() else {
            src.reserve(HEADER - src.len());
            return Ok(None);
        };
        let declared = u32::from_be_bytes(*header);
        let len = match usize::try_from(declared) {
            Ok(len) if len <= self.max_message => len,
            _ => return Err(self.too_long(declared.into())),
        };
        let missing = (HEADER + len).saturating_sub(src.len());
        if missing > 0 {
            src.reserve(missing);
            return Ok(None);
        }
        src.advance(HEADER);
        Ok(Some(src.split_to(len).freeze()))
    }

    fn decode_line(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FramingError> {
        loop {
            let new = src.get(self.searched..).unwrap_or_default();
            let Some(found) = new.iter().position(|byte| *byte == b'\n') else {
                self.searched = src.len();
                // The last CR may belong to the end of the line.
                let len = src.len() - usize::from(src.last() == Some(&b'\r'));
                return if len > self.max_message {
                    Err(self.too_long(len as u64))
                } else {
                    Ok(None)
                };
            };
            let end = self.searched + found;
            self.searched = 0;
            let line = without_cr(src.split_to(end).freeze());
            src.advance(1);
            if line.len() > self.max_message {
                return Err(self.too_long(line.len() as u64));
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    const fn too_long(&self, declared: u64) -> FramingError {
        FramingError::TooLong { declared, limit: self.max_message }
    }

    /// Appends a message that `write` appends. Appends nothing when `write` does not, or when there is an error.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when a text message is not UTF-8, and those of [`append`](Self::append).
    pub(crate) fn encode(
        &self,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<(), CodecError> {
        self.mark(out, write, |message| match std::str::from_utf8(message) {
            Ok(_) => Ok(()),
            Err(error) => {
                let what = "the protocol is text, but this is not UTF-8";
                Err(CodecError::malformed("a packed message", what).with_source(error))
            }
        })
    }

    /// Appends a message, which is UTF-8 if the protocol is text. Appends nothing when it is empty, or when there is an error.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when a text message has a line break, and when a binary message has 2^32 bytes or more.
    pub(crate) fn append(&self, out: &mut BytesMut, message: &[u8]) -> Result<(), CodecError> {
        self.mark(out, |out| out.put_slice(message), |_| Ok(()))
    }

    fn mark(
        &self,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut),
        check_text: impl FnOnce(&[u8]) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let start = out.len();
        let header = match self.kind {
            MessageKind::Binary => HEADER,
            MessageKind::Text => 0,
        };
        out.put_bytes(0, header);
        write(out);
        let (_, added) = out.split_at_mut(start);
        let (length, message) = added.split_at_mut(header);
        if message.is_empty() {
            out.truncate(start);
            return Ok(());
        }
        let marked = match self.kind {
            MessageKind::Binary => match u32::try_from(message.len()) {
                Ok(len) => {
                    length.copy_from_slice(&len.to_be_bytes());
                    Ok(())
                }
                Err(_) => Err(CodecError::limit("the message", "2^32 bytes or more")),
            },
            MessageKind::Text if has_line_break(message) => Err(line_break()),
            MessageKind::Text => check_text(message).map(|()| out.put_u8(b'\n')),
        };
        if marked.is_err() {
            out.truncate(start);
        }
        marked
    }
}

/// Whether a message cannot travel as a line: it contains an LF, or ends in a CR, which the peer would remove.
pub(crate) fn has_line_break(message: &[u8]) -> bool {
    message.contains(&b'\n') || message.last() == Some(&b'\r')
}

/// The error for such a message.
pub(crate) const fn line_break() -> CodecError {
    CodecError::value("the message", "a line break, which ends a message over a byte stream")
}

fn without_cr(line: Bytes) -> Bytes {
    match line.strip_suffix(b"\r") {
        Some(rest) => line.slice(..rest.len()),
        None => line,
    }
}
