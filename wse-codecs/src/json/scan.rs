//! Finds where JSON values end (RFC 8259), without building them.
//!
//! The grammar is checked in full, so that a payload that is passed on unread is known to be JSON.
//! There is no recursion: the open containers are one bit each in a `u128`, and that is also what
//! bounds the depth.

use std::ops::Range;

use wse_proto::CodecError;

use crate::MAX_DEPTH;

const PLACE: &str = "the JSON text";

/// Where the first four elements of the array that `text` is lie; missing ones are empty.
///
/// # Errors
///
/// Malformed when `text` is not JSON, also after the fourth element; shape when it is not an array
/// or an empty one.
pub(super) fn elements(text: &str) -> Result<[Range<usize>; 4], CodecError> {
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    if bytes.get(start) != Some(&b'[') {
        end(bytes, value(bytes, start)?)?;
        return Err(CodecError::shape(PLACE, "not an array"));
    }
    let mut at = space(bytes, start + 1);
    if bytes.get(at) == Some(&b']') {
        end(bytes, at + 1)?;
        return Err(CodecError::shape(PLACE, "an empty array"));
    }
    let mut elements = [const { 0..0 }; 4];
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

/// Where the value that starts at `at`, an element of the envelope, ends.
fn value(bytes: &[u8], mut at: usize) -> Result<usize, CodecError> {
    // The innermost container is the lowest bit: 1 for an object, 0 for an array.
    let mut open: u128 = 0;
    // The envelope is one level.
    let mut depth = 1;
    loop {
        // A value starts here.
        at = match bytes.get(at) {
            Some(b'"') => string(bytes, at)?,
            Some(b'0'..=b'9' | b'-') => number(bytes, at)?,
            Some(b't') => literal(bytes, at, b"true")?,
            Some(b'f') => literal(bytes, at, b"false")?,
            Some(b'n') => literal(bytes, at, b"null")?,
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                return Err(CodecError::limit(PLACE, "nested too deep"));
            }
            Some(b'{') => {
                let inner = space(bytes, at + 1);
                if bytes.get(inner) == Some(&b'}') {
                    inner + 1
                } else {
                    at = key(bytes, inner)?;
                    open = open << 1 | 1;
                    depth += 1;
                    continue;
                }
            }
            Some(b'[') => {
                let inner = space(bytes, at + 1);
                if bytes.get(inner) == Some(&b']') {
                    inner + 1
                } else {
                    at = inner;
                    open <<= 1;
                    depth += 1;
                    continue;
                }
            }
            _ => return Err(unexpected(bytes, at)),
        };
        // A value has ended here, and maybe what it lies in.
        loop {
            if depth == 1 {
                return Ok(at);
            }
            at = space(bytes, at);
            match (open & 1, bytes.get(at)) {
                (1, Some(b',')) => {
                    at = key(bytes, space(bytes, at + 1))?;
                    break;
                }
                (0, Some(b',')) => {
                    at = space(bytes, at + 1);
                    break;
                }
                (1, Some(b'}')) | (0, Some(b']')) => {
                    at += 1;
                    open >>= 1;
                    depth -= 1;
                }
                _ => return Err(unexpected(bytes, at)),
            }
        }
    }
}

/// Where the value of the member begins whose key begins at `at`.
fn key(bytes: &[u8], at: usize) -> Result<usize, CodecError> {
    if bytes.get(at) != Some(&b'"') {
        return Err(unexpected(bytes, at));
    }
    let colon = space(bytes, string(bytes, at)?);
    if bytes.get(colon) != Some(&b':') {
        return Err(unexpected(bytes, colon));
    }
    Ok(space(bytes, colon + 1))
}

/// The end of the string whose opening quote is at `at`.
fn string(bytes: &[u8], at: usize) -> Result<usize, CodecError> {
    let mut at = at + 1;
    loop {
        at = plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') => match bytes.get(at + 2..at + 6) {
                    Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => at += 6,
                    _ => return Err(CodecError::malformed(PLACE, "a broken escape")),
                },
                _ => return Err(CodecError::malformed(PLACE, "a broken escape")),
            },
            Some(_) => return Err(CodecError::malformed(PLACE, "a bare control character")),
            None => return Err(unexpected(bytes, at)),
        }
    }
}

/// The first quote, backslash or control character from `at` on.
fn plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // Eight bytes at a time; the lowest marked byte is always a true find.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| chunk.try_into().ok()) {
        let word = u64::from_le_bytes(chunk);
        let found = zeros(word ^ (ONES * b'"' as u64))
            | zeros(word ^ (ONES * b'\\' as u64))
            | word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The end of the number that starts at `at`: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
fn number(bytes: &[u8], mut at: usize) -> Result<usize, CodecError> {
    at += usize::from(bytes[at] == b'-');
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = digits(bytes, at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

fn digits(bytes: &[u8], start: usize) -> Result<usize, CodecError> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == start { Err(unexpected(bytes, at)) } else { Ok(at) }
}

fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, CodecError> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) {
        Ok(end)
    } else {
        Err(CodecError::malformed(PLACE, "an unknown word"))
    }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Nothing but space may be left.
fn end(bytes: &[u8], at: usize) -> Result<(), CodecError> {
    match bytes.get(space(bytes, at)) {
        None => Ok(()),
        Some(_) => Err(CodecError::malformed(PLACE, "something behind its end")),
    }
}

#[cold]
fn unexpected(bytes: &[u8], at: usize) -> CodecError {
    let what = if at < bytes.len() { "an unexpected character" } else { "cut off" };
    CodecError::malformed(PLACE, what)
}
