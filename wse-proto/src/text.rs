//! [`Text`]: a string that shares the buffer of the message that it is a part of.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::str::Utf8Error;

use bytes::Bytes;

use crate::excerpt;

/// A string. Up to 23 bytes are stored in the value; a longer one shares the buffer of the message that it is a part of.
/// Cloning never allocates. `Debug` shortens a long one, as [`excerpt`] does.
///
/// ```
/// use wse_proto::Text;
/// let name = Text::from_static("hello");
/// assert_eq!(name, "hello");
/// ```
#[derive(Clone)]
pub struct Text(Repr);

/// The tag is a whole word, and enums around it use its free values. After a tag of one byte, the compiler copies the seven
/// bytes of padding and payload one by one.
#[derive(Clone)]
#[repr(u64)]
enum Repr {
    Inline(Short),
    Shared(Bytes),
}

/// The bytes of a short text, zeros, and the length in the last byte.
///
/// It is built from three words, because it is copied as words: byte stores followed by a word load defeat
/// store-to-load forwarding.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Short([u8; 24]);

impl Short {
    const EMPTY: Self = Self([0; 24]);

    #[inline]
    fn new(text: &[u8]) -> Option<Self> {
        let len = text.len();
        // The last eight bytes overlap the word before. The overlap is shifted out.
        let last = |from: usize| {
            let word = text.last_chunk().map_or(0, |it| u64::from_le_bytes(*it));
            word.checked_shr(8 * (from + 8 - len) as u32).unwrap_or(0)
        };
        let word = |at: usize| {
            let chunk = text.get(at..).and_then(<[u8]>::first_chunk);
            chunk.map_or(0, |it| u64::from_le_bytes(*it))
        };
        let [first, second, third] = match len {
            0..=7 => [few(text), 0, 0],
            8..=15 => [word(0), last(8), 0],
            16..=23 => [word(0), word(8), last(16)],
            _ => return None,
        };
        let third = third | (len as u64) << 56;
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..16].copy_from_slice(&second.to_le_bytes());
        bytes[16..].copy_from_slice(&third.to_le_bytes());
        Some(Self(bytes))
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.0.get(..usize::from(self.0[23])).unwrap_or_default()
    }

    #[inline]
    fn is_ascii(&self) -> bool {
        // The length has no high bit either.
        self.0.is_ascii()
    }
}

/// Returns up to seven bytes as one word.
#[inline]
fn few(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    match (bytes.first_chunk(), bytes.last_chunk(), bytes) {
        (Some(first), Some(last), _) => {
            let [first, last] = [*first, *last].map(|it| u64::from(u32::from_le_bytes(it)));
            first | last << (8 * (len - 4))
        }
        (_, _, [first, .., last]) => {
            let middle = u64::from(bytes[len / 2]) << (8 * (len / 2));
            u64::from(*first) | middle | u64::from(*last) << (8 * (len - 1))
        }
        (_, _, [only]) => u64::from(*only),
        _ => 0,
    }
}

impl Text {
    /// The empty text.
    pub const EMPTY: Self = Self(Repr::Inline(Short::EMPTY));

    /// A text from a string literal. Does not allocate or copy.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Shared(Bytes::from_static(text.as_bytes())))
    }

    /// Checks that `bytes` are UTF-8. Short ones are copied into the value, longer ones are shared by reference count.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when they are not.
    #[inline]
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Utf8Error> {
        let text = std::str::from_utf8(&bytes)?;
        Ok(Self::inline(text).unwrap_or(Self(Repr::Shared(bytes))))
    }

    /// The bytes of `message` at `range`, sharing its buffer. Checks that they are UTF-8.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when they are not.
    ///
    /// # Panics
    ///
    /// When the range is not in the message.
    #[inline]
    pub fn check_at(message: &Bytes, range: Range<usize>) -> Result<Self, Utf8Error> {
        let bytes = &message[range.clone()];
        match Short::new(bytes) {
            Some(short) if short.is_ascii() => Ok(Self(Repr::Inline(short))),
            short => {
                std::str::from_utf8(bytes)?;
                let short = short.map(Repr::Inline);
                Ok(Self(short.unwrap_or_else(|| Repr::Shared(message.slice(range)))))
            }
        }
    }

    /// A part of `message`, sharing its buffer. A `part` that does not lie in `message` is copied.
    #[inline]
    pub fn slice_of(message: &Bytes, part: &str) -> Self {
        if let Some(text) = Self::inline(part) {
            return text;
        }
        let whole = message.as_ptr_range();
        let inside = part.as_bytes().as_ptr_range();
        if whole.start <= inside.start && inside.end <= whole.end {
            Self(Repr::Shared(message.slice_ref(part.as_bytes())))
        } else {
            Self(Repr::Shared(Bytes::copy_from_slice(part.as_bytes())))
        }
    }

    /// The bytes of `message` at `range`, which were checked.
    #[inline]
    pub(crate) fn checked_at(message: &Bytes, range: Range<usize>) -> Self {
        match Short::new(&message[range.clone()]) {
            Some(short) => Self(Repr::Inline(short)),
            None => Self(Repr::Shared(message.slice(range))),
        }
    }

    #[inline]
    fn inline(text: &str) -> Option<Self> {
        Short::new(text.as_bytes()).map(|it| Self(Repr::Inline(it)))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        // It was checked when it was made. Names are short, so a second check is cheap, and avoids `unsafe`.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The bytes of the text. Cheaper than [`as_str`](Self::as_str), which checks that they are UTF-8.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(short) => short.as_bytes(),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it is the empty text.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::inline(text)
            .unwrap_or_else(|| Self(Repr::Shared(Bytes::copy_from_slice(text.as_bytes()))))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::inline(&text).unwrap_or_else(|| Self(Repr::Shared(Bytes::from(text.into_bytes()))))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Self> for Text {
    fn from(text: &Self) -> Self {
        text.clone()
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    #[inline]
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    #[inline]
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            // `Debug` of a `str` escapes. It does not shorten.
            0..=1024 => fmt::Debug::fmt(self.as_str(), f),
            _ => fmt::Debug::fmt(&excerpt(self).to_string(), f),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_inline_and_long_ones_share_the_message() {
        let message = Bytes::from("a name that is longer than twenty-three bytes".to_owned());
        let part = std::str::from_utf8(&message[2..]).unwrap();
        let long = Text::slice_of(&message, part);
        assert_eq!(long.as_str().as_ptr(), part.as_ptr());
        let short = Text::slice_of(&message, &part[..4]);
        assert_eq!(short, "name");
        assert_ne!(short.as_str().as_ptr(), part.as_ptr());
    }

    #[test]
    fn a_text_of_any_length_keeps_its_bytes() {
        let long = "abcdefghijklmnopqrstuvwxyz";
        for len in 0..=long.len() {
            let text = Text::from(&long[..len]);
            assert_eq!(text.as_str(), &long[..len]);
            assert_eq!(matches!(text.0, Repr::Inline(_)), len <= 23);
        }
    }

    #[test]
    fn a_part_from_elsewhere_is_copied() {
        let message = Bytes::from_static(b"x");
        let other = "some other text that is not in the message".to_owned();
        assert_eq!(Text::slice_of(&message, &other), other.as_str());
    }
}
