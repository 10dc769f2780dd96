//! [`Packed`]: a received message, before it is unpacked.

use std::ops::{Deref, Range};
use std::str::Utf8Error;

use bytes::Bytes;

use crate::{CodecError, MessageKind, Text};

/// A received message, as a [`Protocol`](crate::Protocol) gets it. It has the kind that the protocol declared. Messages
/// of the other kind were converted or rejected earlier.
#[derive(Clone, Copy, Debug)]
pub enum Packed<'a> {
    /// For a protocol of [`MessageKind::Text`](crate::MessageKind::Text).
    Text(Utf8<'a>),
    /// For a protocol of [`MessageKind::Binary`](crate::MessageKind::Binary).
    Binary(&'a Bytes),
}

impl<'a> Packed<'a> {
    /// The bytes of a received message, as a message of the kind that its protocol declared.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the protocol is text and the bytes are not UTF-8.
    #[inline]
    pub fn of(kind: MessageKind, bytes: &'a Bytes) -> Result<Self, CodecError> {
        match kind {
            MessageKind::Binary => Ok(Self::Binary(bytes)),
            MessageKind::Text => Self::Binary(bytes).text().map(Self::Text),
        }
    }

    /// The text of the message, for a text protocol.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the message is binary and not UTF-8. This cannot happen when the protocol declared text.
    #[inline]
    pub fn text(self) -> Result<Utf8<'a>, CodecError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(bytes) => Utf8::check(bytes)
                .map_err(|e| CodecError::malformed("the message", "not UTF-8").with_source(e)),
        }
    }

    /// The bytes of the message, for a binary protocol.
    #[inline]
    pub fn bytes(self) -> &'a Bytes {
        match self {
            Self::Text(text) => text.bytes,
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A message of either kind, as its bytes. [`Packed::text`] then checks that they are UTF-8.
impl<'a> From<&'a Bytes> for Packed<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// Text together with the buffer that it lies in. It derefs to `str`.
///
/// ```
/// use bytes::Bytes;
/// use wse_proto::Utf8;
///
/// let bytes = Bytes::from_static(b"hello|payload");
/// let text = Utf8::check(&bytes)?;
/// let (name, payload) = text.split_once('|').unwrap();
/// assert_eq!(text.part(name), "hello"); // a `Text`
/// assert_eq!(text.slice(payload), "payload"); // `Bytes` that share the buffer
/// # Ok::<(), std::str::Utf8Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Utf8<'a> {
    bytes: &'a Bytes,
}

impl<'a> Utf8<'a> {
    /// Checks that the bytes are UTF-8.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when they are not.
    #[inline]
    pub fn check(bytes: &'a Bytes) -> Result<Self, Utf8Error> {
        std::str::from_utf8(bytes).map(|_| Self { bytes })
    }

    /// Takes bytes that were checked already, such as those of a text message that a WebSocket has delivered.
    ///
    /// For bytes that are not UTF-8 the text is empty.
    #[inline]
    pub const fn assume_checked(bytes: &'a Bytes) -> Self {
        Self { bytes }
    }

    /// The text. Each call checks the bytes again, since that needs no `unsafe`: keep the result rather than call it in a
    /// loop.
    #[inline]
    pub fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }

    /// The buffer that the text lies in.
    #[inline]
    pub const fn bytes(&self) -> &'a Bytes {
        self.bytes
    }

    /// A part of the text, such as a name or a stamp.
    #[inline]
    pub fn part(&self, part: &str) -> Text {
        Text::slice_of(self.bytes, part)
    }

    /// A part of the text, by the range of its bytes, without another check. Both ends must be at character boundaries.
    ///
    /// # Panics
    ///
    /// When the range is not in the text.
    #[inline]
    pub fn part_at(&self, range: Range<usize>) -> Text {
        Text::checked_at(self.bytes, range)
    }

    /// A part of the text, such as the payload, as bytes that share the buffer.
    ///
    /// # Panics
    ///
    /// When `part` does not lie in this text.
    #[inline]
    pub fn slice(&self, part: &str) -> Bytes {
        self.bytes.slice_ref(part.as_bytes())
    }

    /// The bytes at `range`, sharing the buffer.
    ///
    /// # Panics
    ///
    /// When the range is not in the text.
    #[inline]
    pub fn range(&self, range: Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }
}

impl Deref for Utf8<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}
