//! Finds where JSON values end (RFC 8259), without building them.
//!
//! The grammar is checked in full, so that a payload that is passed on unread is known to be JSON.
//! There is no recursion: the open containers are one bit each in a `u128`, and that is also what
//! bounds the depth.

use std::ops::Range;

use wse_proto::CodecError;

use crate::MAX_DEPTH;

/// What is wrong with a text. Small, because every step of the scan returns it.
#[derive(Clone, Copy)]
pub(super) enum Flaw {
    CutOff,
    Character,
    Escape,
    Control,
    Word,
    Behind,
    TooDeep,
    NotArray,
    Empty,
}

impl From<Flaw> for CodecError {
    fn from(flaw: Flaw) -> Self {
        const PLACE: &str = "the JSON text";
        match flaw {
            Flaw::CutOff => Self::malformed(PLACE, "cut off"),
            Flaw::Character => Self::malformed(PLACE, "an unexpected character"),
            Flaw::Escape => Self::malformed(PLACE, "a broken escape"),
            Flaw::Control => Self::malformed(PLACE, "a bare control character"),
            Flaw::Word => Self::malformed(PLACE, "an unknown word"),
            Flaw::Behind => Self::malformed(PLACE, "something behind its end"),
            Flaw::TooDeep => Self::limit(PLACE, "nested too deep"),
            Flaw::NotArray => Self::shape(PLACE, "not an array"),
            Flaw::Empty => Self::shape(PLACE, "an empty array"),
        }
    }
}

/// Where the first five elements of the array that `text` is lie; missing ones are empty.
///
/// # Errors
///
/// Malformed when `text` is not JSON, also after the fifth element; shape when it is not an array
/// or an empty one.
pub(super) fn elements(text: &str) -> Result<[Range<usize>; 5], Flaw> {
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    if bytes.get(start) != Some(&b'[') {
        end(bytes, value(bytes, start)?)?;
        return Err(Flaw::NotArray);
    }
    let mut at = space(bytes, start + 1);
    if bytes.get(at) == Some(&b']') {
        end(bytes, at + 1)?;
        return Err(Flaw::Empty);
    }
    let mut elements = [const { 0..0 }; 5];
    let mut index = 0;
    loop {
        let end = value(bytes, at)?;
        if let Some(element) = elements.get_mut(index) {
            *element = at..end;
        }
        index += 1;
        at = space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = space(bytes, at + 1),
            Some(b']') => break,
            _ => return Err(unexpected(bytes, at)),
        }
    }
    end(bytes, at + 1)?;
    Ok(elements)
}

/// A message as peers write it: `["type",payload,null]` or `["type",payload,"stamp"]`, with space at most
/// behind the commas, and without escapes in type and stamp.
pub(super) struct Usual {
    /// Without its quotes.
    pub(super) kind: Range<usize>,
    pub(super) payload: Range<usize>,
    /// Without its quotes.
    pub(super) stamp: Option<Range<usize>>,
}

/// The parts of a message that is written as usual. Others, and those that are wrong, are for [`elements`].
#[inline]
pub(super) fn usual(text: &str) -> Option<Usual> {
    let bytes = text.as_bytes();
    if !bytes.starts_with(b"[\"") {
        return None;
    }
    let kind = 2..plain(bytes, 2);
    if !bytes.get(kind.end..)?.starts_with(b"\",") {
        return None;
    }
    let start = space(bytes, kind.end + 2);
    let payload = start..value(bytes, start).ok()?;
    if byte(bytes, payload.end) != b',' {
        return None;
    }
    let start = space(bytes, payload.end + 1);
    let stamp = match bytes.get(start..)? {
        b"null]" => None,
        [b'"', ..] => {
            let stamp = start + 1..plain(bytes, start + 1);
            if bytes.get(stamp.end..)? != b"\"]" {
                return None;
            }
            Some(stamp)
        }
        _ => return None,
    };
    Some(Usual { kind, payload, stamp })
}

/// Where the value that starts at `at`, an element of the envelope, ends.
fn value(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
    // The innermost container is the lowest bit: 1 for an object, 0 for an array.
    let mut open: u128 = 0;
    // The envelope is one level.
    let mut depth = 1;
    // Whether the next is a key.
    let mut key = false;
    loop {
        // A key or value starts here. There is one place only that reads strings, so that what
        // that needs stays in registers.
        let first = byte(bytes, at);
        if first == b'"' {
            at = string(bytes, at)?;
            if key {
                at = space(bytes, at);
                if byte(bytes, at) != b':' {
                    return Err(unexpected(bytes, at));
                }
                at = space(bytes, at + 1);
                key = false;
                continue;
            }
        } else if key {
            return Err(unexpected(bytes, at));
        } else if let b'{' | b'[' = first {
            if depth == MAX_DEPTH {
                return Err(Flaw::TooDeep);
            }
            at = space(bytes, at + 1);
            let object = first == b'{';
            if byte(bytes, at) != closing(object) {
                open = open << 1 | u128::from(object);
                depth += 1;
                key = object;
                continue;
            }
            at += 1;
        } else {
            at = match first {
                b'0'..=b'9' | b'-' => number(bytes, at)?,
                b't' => literal(bytes, at, b"true")?,
                b'f' => literal(bytes, at, b"false")?,
                b'n' => literal(bytes, at, b"null")?,
                _ => return Err(unexpected(bytes, at)),
            };
        }
        // A value has ended here, and maybe what it lies in.
        loop {
            if depth == 1 {
                return Ok(at);
            }
            at = space(bytes, at);
            let object = open & 1 == 1;
            let next = byte(bytes, at);
            if next == b',' {
                at = space(bytes, at + 1);
                key = object;
                break;
            }
            if next != closing(object) {
                return Err(unexpected(bytes, at));
            }
            at += 1;
            open >>= 1;
            depth -= 1;
        }
    }
}

/// The byte at `at`; behind the end, one that may be nowhere in JSON.
#[inline]
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline]
fn closing(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// The end of the string whose opening quote is at `at`.
#[inline(always)]
fn string(bytes: &[u8], at: usize) -> Result<usize, Flaw> {
    let mut at = at + 1;
    loop {
        at = plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') => match bytes.get(at + 2..at + 6) {
                    Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => at += 6,
                    _ => return Err(Flaw::Escape),
                },
                _ => return Err(Flaw::Escape),
            },
            Some(_) => return Err(Flaw::Control),
            None => return Err(unexpected(bytes, at)),
        }
    }
}

/// Eight bytes at a time: in the word of their flaws, the lowest that is marked truly is one.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The first quote, backslash or control character from `at` on.
#[inline]
pub(super) fn plain(bytes: &[u8], mut at: usize) -> usize {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(word) = word(bytes, at) {
        let found = (zeros(word ^ (ONES * b'"' as u64))
            | zeros(word ^ (ONES * b'\\' as u64))
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if found != 0 {
            // Counted by branches, not by `trailing_zeros`: a predicted branch lets the scan run
            // ahead, while a count has to be waited for, and every next step hangs on it.
            let mut found = found;
            if found & 0x8080_8080 == 0 {
                found >>= 32;
                at += 4;
            }
            while found & 0x80 == 0 {
                found >>= 8;
                at += 1;
            }
            return at;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The end of the number that starts at `at`: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
#[inline]
fn number(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
    at += usize::from(byte(bytes, at) == b'-');
    at = if byte(bytes, at) == b'0' { at + 1 } else { digits(bytes, at)? };
    if byte(bytes, at) == b'.' {
        at = digits(bytes, at + 1)?;
    }
    if let b'e' | b'E' = byte(bytes, at) {
        let sign = matches!(byte(bytes, at + 1), b'+' | b'-');
        at = digits(bytes, at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

#[inline]
fn digits(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut at = start;
    // Eight digits are a word of 0x30 to 0x39: the high halves are 3, also with 6 added.
    const HALVES: u64 = ONES * 0xf0;
    const THREES: u64 = ONES * 0x30;
    while let Some(word) = word(bytes, at)
        && word & HALVES == THREES
        && word.wrapping_add(ONES * 6) & HALVES == THREES
    {
        at += 8;
    }
    while byte(bytes, at).is_ascii_digit() {
        at += 1;
    }
    if at == start { Err(unexpected(bytes, at)) } else { Ok(at) }
}

fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Flaw> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(Flaw::Word) }
}

#[inline]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let b' ' | b'\n' | b'\r' | b'\t' = byte(bytes, at) {
        at += 1;
    }
    at
}

/// Nothing but space may be left.
fn end(bytes: &[u8], at: usize) -> Result<(), Flaw> {
    match bytes.get(space(bytes, at)) {
        None => Ok(()),
        Some(_) => Err(Flaw::Behind),
    }
}

#[cold]
fn unexpected(bytes: &[u8], at: usize) -> Flaw {
    if at < bytes.len() { Flaw::Character } else { Flaw::CutOff }
}
