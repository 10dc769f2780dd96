//! Finds where MessagePack objects end, without building them.
//!
//! It checks first bytes and lengths. Whether a str is UTF-8 is checked when it is read. A declared length is compared with
//! the remaining bytes before it is used.

use std::ops::Range;

use wse_proto::CodecError;

use crate::depth::MAX_DEPTH;

const PLACE: &str = "the MessagePack object";

/// First bytes of objects. Those named `FIX` hold a length or count in their lower bits.
pub(super) mod first {
    pub(crate) const FIXMAP: u8 = 0x80;
    pub(crate) const FIXARRAY: u8 = 0x90;
    pub(crate) const FIXSTR: u8 = 0xa0;
    pub(crate) const NIL: u8 = 0xc0;
    pub(crate) const FLOAT_32: u8 = 0xca;
    pub(crate) const FLOAT_64: u8 = 0xcb;
    pub(crate) const UINT_8: u8 = 0xcc;
    pub(crate) const UINT_16: u8 = 0xcd;
    pub(crate) const UINT_32: u8 = 0xce;
    pub(crate) const UINT_64: u8 = 0xcf;
    pub(crate) const INT_8: u8 = 0xd0;
    pub(crate) const INT_16: u8 = 0xd1;
    pub(crate) const INT_32: u8 = 0xd2;
    pub(crate) const INT_64: u8 = 0xd3;
    pub(crate) const FIXEXT_1: u8 = 0xd4;
    pub(crate) const STR_8: u8 = 0xd9;
    pub(crate) const STR_16: u8 = 0xda;
    pub(crate) const STR_32: u8 = 0xdb;
}

/// The longest fixstr, in bytes.
pub(super) const FIXSTR_MAX: usize = 31;

/// The kind of an object: a number with its value, any other with its length or count.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Nil, a boolean or a float.
    Plain,
    Uint(u64),
    /// Not only negative integers: writers may use a signed form for others too.
    Int(i64),
    Str(u32),
    Bin(u32),
    /// The length of the data, without the type.
    Ext(u32),
    Array(u32),
    Map(u32),
}

/// The part of an object before its content. It is the whole object if there is no content.
#[derive(Clone, Copy)]
pub(super) struct ObjectHead {
    pub(super) kind: Kind,
    /// The offset of the end of the head.
    pub(super) end: usize,
}

impl ObjectHead {
    /// Reads the head at `at`.
    #[inline]
    pub(super) fn read(bytes: &[u8], at: usize) -> Result<Self, CodecError> {
        let first = *bytes.get(at).ok_or_else(cut_off)?;
        let start = at + 1;
        let (kind, end) = match first {
            0x00..=0x7f => (Kind::Uint(first.into()), start),
            0x80..=0x8f => (Kind::Map((first & 0x0f).into()), start),
            0x90..=0x9f => (Kind::Array((first & 0x0f).into()), start),
            0xa0..=0xbf => (Kind::Str((first & 0x1f).into()), start),
            0xc0 | 0xc2 | 0xc3 => (Kind::Plain, start),
            0xc1 => return Err(CodecError::malformed(PLACE, "an unused first byte")),
            0xc4..=0xc6 => {
                let (length, end) = number(bytes, start, first - 0xc4)?;
                (Kind::Bin(length), end)
            }
            0xc7..=0xc9 => {
                let (length, end) = number(bytes, start, first - 0xc7)?;
                (Kind::Ext(length), type_end(bytes, end)?)
            }
            0xca => (Kind::Plain, start + fixed::<4>(bytes, start)?.len()),
            0xcb => (Kind::Plain, start + fixed::<8>(bytes, start)?.len()),
            0xcc..=0xce => {
                let (value, end) = number(bytes, start, first - 0xcc)?;
                (Kind::Uint(value.into()), end)
            }
            0xcf => (Kind::Uint(u64::from_be_bytes(fixed(bytes, start)?)), start + 8),
            0xd0 => (Kind::Int(i8::from_be_bytes(fixed(bytes, start)?).into()), start + 1),
            0xd1 => (Kind::Int(i16::from_be_bytes(fixed(bytes, start)?).into()), start + 2),
            0xd2 => (Kind::Int(i32::from_be_bytes(fixed(bytes, start)?).into()), start + 4),
            0xd3 => (Kind::Int(i64::from_be_bytes(fixed(bytes, start)?)), start + 8),
            0xd4..=0xd8 => (Kind::Ext(1 << (first - 0xd4)), type_end(bytes, start)?),
            0xd9..=0xdb => {
                let (length, end) = number(bytes, start, first - 0xd9)?;
                (Kind::Str(length), end)
            }
            // There are no array 8 and map 8.
            0xdc | 0xdd => {
                let (count, end) = number(bytes, start, first - 0xdb)?;
                (Kind::Array(count), end)
            }
            0xde | 0xdf => {
                let (count, end) = number(bytes, start, first - 0xdd)?;
                (Kind::Map(count), end)
            }
            0xe0..=0xff => (Kind::Int((first as i8).into()), start),
        };
        Ok(Self { kind, end })
    }

    /// The range of the content after this head, `length` bytes long.
    pub(super) fn content(&self, bytes: &[u8], length: u32) -> Result<Range<usize>, CodecError> {
        let left = bytes.len().saturating_sub(self.end);
        let length = usize::try_from(length).ok().filter(|length| *length <= left);
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

/// Returns the number of 8, 16 or 32 bits (`width` 0, 1 or 2) at `at`, and its end.
fn number(bytes: &[u8], at: usize, width: u8) -> Result<(u32, usize), CodecError> {
    Ok(match width {
        0 => (u8::from_be_bytes(fixed(bytes, at)?).into(), at + 1),
        1 => (u16::from_be_bytes(fixed(bytes, at)?).into(), at + 2),
        _ => (u32::from_be_bytes(fixed(bytes, at)?), at + 4),
    })
}

/// Returns the end of the type of an ext. Any type is allowed.
fn type_end(bytes: &[u8], at: usize) -> Result<usize, CodecError> {
    fixed::<1>(bytes, at).map(|_| at + 1)
}

/// Returns the end of the object at `at`, which lies inside of `depth` others.
pub(super) fn object(bytes: &[u8], at: usize, depth: u32) -> Result<usize, CodecError> {
    let head = ObjectHead::read(bytes, at)?;
    match head.kind {
        Kind::Plain | Kind::Uint(_) | Kind::Int(_) => Ok(head.end),
        Kind::Str(length) | Kind::Bin(length) | Kind::Ext(length) => {
            Ok(head.content(bytes, length)?.end)
        }
        Kind::Array(count) => nested(bytes, head.end, count.into(), depth, |_, _| {}),
        Kind::Map(count) => nested(bytes, head.end, 2 * u64::from(count), depth, |_, _| {}),
    }
}

/// Returns the end of `count` objects that begin at `at`. Calls `each` with the index and range of each.
fn nested(
    bytes: &[u8],
    mut at: usize,
    count: u64,
    depth: u32,
    mut each: impl FnMut(usize, Range<usize>),
) -> Result<usize, CodecError> {
    if depth >= MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    for index in 0..announced(bytes, at, count)? {
        let start = at;
        at = object(bytes, at, depth + 1)?;
        each(index, start..at);
    }
    Ok(at)
}

/// Returns how many objects a head declares, after checking that there are enough bytes.
pub(super) fn announced(bytes: &[u8], at: usize, count: u64) -> Result<usize, CodecError> {
    // Each object takes at least one byte.
    let left = bytes.len().saturating_sub(at);
    usize::try_from(count).ok().filter(|count| *count <= left).ok_or_else(cut_off)
}

/// The value of the float at `at`; `None` when there is no float.
#[inline]
pub(super) fn float(bytes: &[u8], at: usize) -> Option<f64> {
    match *bytes.get(at)? {
        first::FLOAT_32 => Some(f32::from_be_bytes(fixed(bytes, at + 1).ok()?).into()),
        first::FLOAT_64 => Some(f64::from_be_bytes(fixed(bytes, at + 1).ok()?)),
        _ => None,
    }
}

/// Whether the object is `undefined`, as msgpackr writes it: an ext of type 0 with one byte, 0.
pub(super) fn is_undefined(object: &[u8]) -> bool {
    matches!(object, [first::FIXEXT_1, 0, 0])
}

/// Calls `each` with the index and range of every element of the array `bytes`.
///
/// # Errors
///
/// Malformed when `bytes` are not exactly one well-formed object. Shape when it is of another kind.
pub(super) fn array(bytes: &[u8], each: impl FnMut(usize, Range<usize>)) -> Result<(), CodecError> {
    let head = ObjectHead::read(bytes, 0)?;
    let Kind::Array(count) = head.kind else { return Err(wrong_kind(bytes, "not an array")) };
    end(bytes, nested(bytes, head.end, count.into(), 0, each)?)
}

/// As [`array()`], for the map `bytes`: keys and values alternate.
pub(super) fn map(bytes: &[u8], each: impl FnMut(usize, Range<usize>)) -> Result<(), CodecError> {
    let head = ObjectHead::read(bytes, 0)?;
    let Kind::Map(count) = head.kind else { return Err(wrong_kind(bytes, "not a map")) };
    end(bytes, nested(bytes, head.end, 2 * u64::from(count), 0, each)?)
}

/// Checks that `bytes` are exactly one object, which lies inside of `depth` others.
pub(super) fn one(bytes: &[u8], depth: u32) -> Result<(), CodecError> {
    end(bytes, object(bytes, 0, depth)?)
}

#[cold]
fn wrong_kind(bytes: &[u8], what: &'static str) -> CodecError {
    match one(bytes, 0) {
        Ok(()) => CodecError::shape(PLACE, what),
        Err(error) => error,
    }
}

pub(super) fn end(bytes: &[u8], at: usize) -> Result<(), CodecError> {
    if at == bytes.len() {
        Ok(())
    } else {
        Err(CodecError::malformed(PLACE, "bytes after its end"))
    }
}
