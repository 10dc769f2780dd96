//! Finds where CBOR items end (RFC 8949 §3), without building them.
//!
//! It checks that items are well-formed: reserved heads, lengths, chunks and breaks. Whether texts are UTF-8 is checked when
//! they are read. A declared length is compared with the remaining bytes before it is used.

use std::ops::Range;

use wse_proto::CodecError;

use crate::depth::MAX_DEPTH;

const PLACE: &str = "the CBOR item";

/// Major types: the upper three bits of the first byte of an item.
pub(super) mod major {
    pub(crate) const UNSIGNED: u8 = 0;
    pub(crate) const NEGATIVE: u8 = 1;
    pub(crate) const BYTES: u8 = 2;
    pub(crate) const TEXT: u8 = 3;
    pub(crate) const ARRAY: u8 = 4;
    pub(crate) const MAP: u8 = 5;
    pub(crate) const TAG: u8 = 6;
    pub(crate) const SIMPLE: u8 = 7;
}

pub(super) const NULL: u8 = 0xf6;
pub(super) const UNDEFINED: u8 = 0xf7;
const BREAK: u8 = 0xff;
/// The additional information of an indefinite length, and of a break.
const INDEFINITE: u8 = 31;

/// The head of an item (RFC 8949 §3).
#[derive(Clone, Copy)]
pub(super) struct ItemHead {
    pub(super) major: u8,
    pub(super) info: u8,
    /// The argument, in the first byte or after it; 0 for an indefinite length.
    pub(super) argument: u64,
    /// The offset of the end of the head.
    pub(super) end: usize,
}

impl ItemHead {
    /// Reads the head at `at`.
    #[inline]
    pub(super) fn read(bytes: &[u8], at: usize) -> Result<Self, CodecError> {
        let first = *bytes.get(at).ok_or_else(cut_off)?;
        let (major, info) = (first >> 5, first & 31);
        let start = at + 1;
        if info < 24 {
            return Ok(Self { major, info, argument: info.into(), end: start });
        }
        let (argument, end) = match info {
            24 => (u64::from(u8::from_be_bytes(fixed(bytes, start)?)), start + 1),
            25 => (u64::from(u16::from_be_bytes(fixed(bytes, start)?)), start + 2),
            26 => (u64::from(u32::from_be_bytes(fixed(bytes, start)?)), start + 4),
            27 => (u64::from_be_bytes(fixed(bytes, start)?), start + 8),
            INDEFINITE if matches!(major, major::BYTES..=major::MAP | major::SIMPLE) => (0, start),
            _ => return Err(CodecError::malformed(PLACE, "a reserved head")),
        };
        // RFC 8949 §3.3: the two-byte form is not well-formed for simple values under 32.
        if first == major::SIMPLE << 5 | 24 && argument < 32 {
            return Err(CodecError::malformed(PLACE, "a reserved simple value"));
        }
        Ok(Self { major, info, argument, end })
    }

    /// The length or count; `None` when it is indefinite.
    pub(super) fn length(&self) -> Option<u64> {
        (self.info != INDEFINITE).then_some(self.argument)
    }

    /// The range of the content, if this is the head of a string of definite length.
    pub(super) fn content(&self, bytes: &[u8]) -> Result<Range<usize>, CodecError> {
        let length = usize::try_from(self.argument).ok().filter(|n| *n <= bytes.len() - self.end);
        Ok(self.end..self.end + length.ok_or_else(cut_off)?)
    }
}

pub(super) const TOO_DEEP: CodecError = CodecError::limit(PLACE, "nested too deep");

#[cold]
fn cut_off() -> CodecError {
    CodecError::malformed(PLACE, "cut off")
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], CodecError> {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(cut_off)
}

/// Returns the end of the item at `at`, which lies inside of `depth` others.
pub(super) fn item(bytes: &[u8], at: usize, depth: u32) -> Result<usize, CodecError> {
    let head = ItemHead::read(bytes, at)?;
    match (head.major, head.length()) {
        (major::UNSIGNED | major::NEGATIVE, _) => Ok(head.end),
        (major::BYTES | major::TEXT, Some(_)) => Ok(head.content(bytes)?.end),
        (major::BYTES | major::TEXT, None) => chunks(bytes, head, |_| {}),
        (major::ARRAY, count) => nested(bytes, head.end, count, 1, depth),
        (major::MAP, count) => nested(bytes, head.end, count, 2, depth),
        (major::TAG, _) => nested(bytes, head.end, Some(1), 1, depth),
        (_, Some(_)) => Ok(head.end),
        (_, None) => Err(CodecError::malformed(PLACE, "an unexpected break")),
    }
}

/// Returns the end of `count` groups of `size` items that begin at `at`.
fn nested(
    bytes: &[u8],
    mut at: usize,
    count: Option<u64>,
    size: u64,
    depth: u32,
) -> Result<usize, CodecError> {
    if depth >= MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    match count {
        Some(count) => {
            for _ in 0..announced(bytes, at, count, size)? {
                at = item(bytes, at, depth + 1)?;
            }
        }
        None => {
            while !is_break(bytes, at)? {
                for _ in 0..size {
                    at = item(bytes, at, depth + 1)?;
                }
            }
            at += 1;
        }
    }
    Ok(at)
}

/// Returns the offset of the item after the tags at `at`. What is cut off is found when the item is read.
pub(super) fn past_tags(bytes: &[u8], mut at: usize) -> usize {
    while let Ok(head) = ItemHead::read(bytes, at)
        && head.major == major::TAG
    {
        at = head.end;
    }
    at
}

/// Returns how many items a head declares, after checking that there are enough bytes.
pub(super) fn announced(bytes: &[u8], at: usize, count: u64, size: u64) -> Result<u64, CodecError> {
    let left = bytes.len().saturating_sub(at) as u64;
    // Each item takes at least one byte.
    count.checked_mul(size).filter(|items| *items <= left).ok_or_else(cut_off)
}

pub(super) fn is_break(bytes: &[u8], at: usize) -> Result<bool, CodecError> {
    bytes.get(at).map(|b| *b == BREAK).ok_or_else(cut_off)
}

/// Returns the end of the indefinite-length string with this `head`. Calls `each` with the range of every chunk.
///
/// RFC 8949 §3.2.3: the chunks must be definite-length strings of the same major type.
pub(super) fn chunks(
    bytes: &[u8],
    head: ItemHead,
    mut each: impl FnMut(Range<usize>),
) -> Result<usize, CodecError> {
    let mut at = head.end;
    while !is_break(bytes, at)? {
        let chunk = ItemHead::read(bytes, at)?;
        if chunk.major != head.major || chunk.length().is_none() {
            return Err(CodecError::malformed(PLACE, "a chunk of another type"));
        }
        let content = chunk.content(bytes)?;
        at = content.end;
        each(content);
    }
    Ok(at + 1)
}

/// Calls `each` with the index and the range of every item of the array or map `bytes`, after any tags.
///
/// # Errors
///
/// Malformed when `bytes` are not exactly one well-formed item. Shape when it has another major type.
pub(super) fn items(
    bytes: &[u8],
    major: u8,
    mut each: impl FnMut(usize, Range<usize>),
) -> Result<(), CodecError> {
    let mut head = ItemHead::read(bytes, 0)?;
    if head.major == major::TAG {
        head = ItemHead::read(bytes, past_tags(bytes, 0))?;
    }
    if head.major != major {
        end(bytes, item(bytes, 0, 0)?)?;
        let what = if major == major::MAP { "not a map" } else { "not an array" };
        return Err(CodecError::shape(PLACE, what));
    }
    let size = if major == major::MAP { 2 } else { 1 };
    let count = match head.length() {
        Some(count) => Some(announced(bytes, head.end, count, size)?),
        None => None,
    };
    let mut at = head.end;
    let mut index = 0;
    loop {
        match count {
            Some(count) if index as u64 == count => break,
            // A map must not end between a key and its value: `item` refuses the break.
            None if (index as u64).is_multiple_of(size) && is_break(bytes, at)? => {
                at += 1;
                break;
            }
            _ => {}
        }
        let start = at;
        at = item(bytes, at, 1)?;
        each(index, start..at);
        index += 1;
    }
    end(bytes, at)
}

pub(super) fn end(bytes: &[u8], at: usize) -> Result<(), CodecError> {
    if at == bytes.len() {
        Ok(())
    } else {
        Err(CodecError::malformed(PLACE, "bytes after its end"))
    }
}
