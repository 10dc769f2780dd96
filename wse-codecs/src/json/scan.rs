//! Finds where JSON values end (RFC 8259), without building them.
//!
//! It checks the whole grammar, so a payload that is forwarded unread is known to be JSON. It does not recurse: each open
//! container is one bit of a `u128`, which also limits the depth.

use std::ops::Range;

use wse_proto::CodecError;

use crate::depth::MAX_DEPTH;

/// What is wrong with a text. It is small, because every step of the scan returns it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    CutOff,
    Character,
    Escape,
    Control,
    Word,
    Trailing,
    TooDeep,
    NotArray,
    NotObject,
    Empty,
}

impl From<Flaw> for CodecError {
    fn from(flaw: Flaw) -> Self {
        const PLACE: &str = "the JSON text";
        match flaw {
            Flaw::CutOff => Self::malformed(PLACE, "cut off"),
            Flaw::Character => Self::malformed(PLACE, "an unexpected character"),
            Flaw::Escape => Self::malformed(PLACE, "an invalid escape"),
            Flaw::Control => Self::malformed(PLACE, "a control character in a string"),
            Flaw::Word => Self::malformed(PLACE, "an unknown word"),
            Flaw::Trailing => Self::malformed(PLACE, "characters after its end"),
            Flaw::TooDeep => Self::limit(PLACE, "nested too deep"),
            Flaw::NotArray => Self::shape(PLACE, "not an array"),
            Flaw::NotObject => Self::shape(PLACE, "not an object"),
            Flaw::Empty => Self::shape(PLACE, "an empty array"),
        }
    }
}

/// Returns the ranges of the first five elements of the array `text`. The range of a missing element is empty.
///
/// # Errors
///
/// Malformed when `text` is not JSON, also after the fifth element. Shape when it is not an array, or an empty one.
pub(super) fn elements(text: &str) -> Result<[Range<usize>; 5], Flaw> {
    let mut elements = [const { 0..0 }; 5];
    let mut index = 0;
    each_element(text, |range| {
        if let Some(element) = elements.get_mut(index) {
            *element = range;
        }
        index += 1;
    })?;
    if index == 0 { Err(Flaw::Empty) } else { Ok(elements) }
}

/// Calls `each` with the range of every element of the array `text`, in order.
///
/// # Errors
///
/// Malformed when `text` is not JSON; `each` may have been called before. Shape when it is not an array.
pub(crate) fn each_element(text: &str, mut each: impl FnMut(Range<usize>)) -> Result<(), Flaw> {
    each_part(text, false, |_, value| each(value))
}

/// Returns the ranges of the values of these members of the object `text`. The range of a missing member is empty. Escapes
/// in names are resolved. Of repeated members the last counts, as in `JSON.parse`. Other members are ignored.
///
/// # Errors
///
/// Malformed when `text` is not JSON. Shape when it is not an object.
#[cfg(any(test, feature = "jsonrpc", feature = "wsprocessor"))]
pub(crate) fn members<const N: usize>(
    text: &str,
    names: [&str; N],
) -> Result<[Range<usize>; N], Flaw> {
    let mut members = [const { 0..0 }; N];
    each_member(text, |key, value| {
        let key = text.get(key).unwrap_or_default();
        if let Some(index) = names.iter().position(|name| is_key(key, name)) {
            members[index] = value;
        }
    })?;
    Ok(members)
}

/// Calls `each` with the ranges of every key, with its quotes, and its value in the object `text`, in order.
///
/// # Errors
///
/// Malformed when `text` is not JSON; `each` may have been called before. Shape when it is not an object.
#[cfg(any(test, feature = "jsonrpc", feature = "wsprocessor"))]
pub(crate) fn each_member(
    text: &str,
    each: impl FnMut(Range<usize>, Range<usize>),
) -> Result<(), Flaw> {
    each_part(text, true, each)
}

/// Returns the one value that `text` is, without the white space around it.
///
/// # Errors
///
/// Malformed when `text` is not JSON.
#[cfg(feature = "jsonrpc")]
pub(crate) fn whole(text: &str) -> Result<&str, Flaw> {
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    let stop = value(bytes, start)?;
    end(bytes, stop)?;
    Ok(text.get(start..stop).unwrap_or_default())
}

/// Whether the key, with its quotes, is `name`.
#[cfg(any(test, feature = "jsonrpc", feature = "wsprocessor"))]
pub(crate) fn is_key(key: &str, name: &str) -> bool {
    let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    // An escape takes at most six bytes for one byte, so a longer key cannot match.
    inner == name
        || inner.len() <= 6 * name.len()
            && inner.contains('\\')
            && serde_json::from_str::<String>(key).is_ok_and(|key| key == name)
}

/// Calls `each` for the members of an object, or for the elements of an array, with empty keys.
fn each_part(
    text: &str,
    object: bool,
    mut each: impl FnMut(Range<usize>, Range<usize>),
) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    let start = space(bytes, 0);
    if byte(bytes, start) != if object { b'{' } else { b'[' } {
        end(bytes, value(bytes, start)?)?;
        return Err(if object { Flaw::NotObject } else { Flaw::NotArray });
    }
    let mut at = space(bytes, start + 1);
    if byte(bytes, at) == closing(object) {
        return end(bytes, at + 1);
    }
    loop {
        let mut key = at..at;
        if object {
            if byte(bytes, at) != b'"' {
                return Err(unexpected(bytes, at));
            }
            key.end = string(bytes, at)?;
            at = space(bytes, key.end);
            if byte(bytes, at) != b':' {
                return Err(unexpected(bytes, at));
            }
            at = space(bytes, at + 1);
        }
        let value = at..value(bytes, at)?;
        at = space(bytes, value.end);
        each(key, value);
        match byte(bytes, at) {
            b',' => at = space(bytes, at + 1),
            next if next == closing(object) => return end(bytes, at + 1),
            _ => return Err(unexpected(bytes, at)),
        }
    }
}

/// Returns the end of the value at `at`, which is an element of the envelope.
pub(super) fn value(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
    // One bit for each open container, the innermost lowest: 1 for an object, 0 for an array.
    let mut open: u128 = 0;
    // The envelope is one level.
    let mut depth = 1;
    // Whether a key comes next.
    let mut key = false;
    loop {
        // A key or a value starts here. Strings are read in one place only, so that its variables stay in registers.
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
        // A value ends here, and perhaps the containers around it.
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

/// Returns the byte at `at`; after the end, a byte that is not allowed in JSON.
#[inline]
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline]
fn closing(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// Returns the end of the string whose opening quote is at `at`.
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

/// Eight bytes are checked at a time. In the resulting word, the lowest mark is always right; higher ones may be wrong.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns the offset of the first quote, backslash or control character from `at` on.
#[inline]
pub(crate) fn plain(bytes: &[u8], mut at: usize) -> usize {
    // Most names, keys and stamps end here.
    if let Some(first) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        for (index, byte) in first.iter().enumerate() {
            if SPECIAL[usize::from(*byte)] {
                return at + index;
            }
        }
        at += 4;
    }
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(word) = word(bytes, at) {
        let found = (zeros(word ^ (ONES * b'"' as u64))
            | zeros(word ^ (ONES * b'\\' as u64))
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if found != 0 {
            // Branches instead of `trailing_zeros`: the processor predicts them and runs ahead, while every next step
            // would depend on the count.
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
    while bytes.get(at).is_some_and(|byte| !SPECIAL[usize::from(*byte)]) {
        at += 1;
    }
    at
}

/// The bytes that end a plain part of a string: quote, backslash and the control characters.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// Returns the end of the number at `at`: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
#[inline]
fn number(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
    at += usize::from(byte(bytes, at) == b'-');
    at = if byte(bytes, at) == b'0' { at + 1 } else { digits(bytes, at)? };
    match byte(bytes, at) {
        b'.' | b'e' | b'E' => fraction(bytes, at),
        _ => Ok(at),
    }
}

/// Returns the end of the number whose integer part ends at `at`.
fn fraction(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
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
    // Most numbers end here.
    let first = bytes.get(start..).unwrap_or_default().iter().take(4);
    let mut at = start + first.take_while(|byte| byte.is_ascii_digit()).count();
    if at < start + 4 {
        return if at == start { Err(unexpected(bytes, at)) } else { Ok(at) };
    }
    // Digits are 0x30 to 0x39: the high half is 3, also after adding 6.
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
    Ok(at)
}

fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Flaw> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(Flaw::Word) }
}

/// Returns the end of the white space at `at`.
#[inline]
pub(super) fn space(bytes: &[u8], at: usize) -> usize {
    if byte(bytes, at) > b' ' { at } else { long_space(bytes, at) }
}

fn long_space(bytes: &[u8], mut at: usize) -> usize {
    while let b' ' | b'\n' | b'\r' | b'\t' = byte(bytes, at) {
        at += 1;
    }
    at
}

/// Checks that only white space is left.
fn end(bytes: &[u8], at: usize) -> Result<(), Flaw> {
    match bytes.get(space(bytes, at)) {
        None => Ok(()),
        Some(_) => Err(Flaw::Trailing),
    }
}

#[cold]
fn unexpected(bytes: &[u8], at: usize) -> Flaw {
    if at < bytes.len() { Flaw::Character } else { Flaw::CutOff }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<[&str; 2], Flaw> {
        members(text, ["id", "method"]).map(|ranges| ranges.map(|range| &text[range]))
    }

    #[test]
    fn members_are_found_by_name() {
        for (text, expected) in [
            ("{}", ["", ""]),
            (" { \"x\" : {\"id\":1} , \"id\" : [ 2 ] } ", ["[ 2 ]", ""]),
            (r#"{"id":1,"method":"a","id":2,"\u0069d":null}"#, ["null", r#""a""#]),
            (r#"{"\u006d\u0065\u0074\u0068\u006f\u0064":1,"\ud800":2,"i\\d":3,"":4}"#, ["", "1"]),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_values_are_distinguished_from_invalid_json() {
        for text in ["[]", "1", " \"id\" ", "null"] {
            assert!(matches!(read(text), Err(Flaw::NotObject)), "{text}");
        }
        let whole = r#" { "id" : {"a":[1]} , "\u0069" : "x" } "#;
        for text in (0..whole.len() - 1).map(|end| &whole[..end]) {
            assert!(matches!(read(text), Err(Flaw::CutOff | Flaw::Escape)), "{text}");
        }
        for text in [r#"{"id":1,}"#, "{,}", "{id:1}", r#"{"id" 1}"#, r#"{"id":1]"#, "{}{}", "{} x"]
        {
            assert!(matches!(read(text), Err(Flaw::Character | Flaw::Trailing)), "{text}");
        }
        for text in ["{\"id\":", "["].map(|open| open.repeat(100_000)) {
            assert!(matches!(read(&text), Err(Flaw::TooDeep)));
        }
    }
}
