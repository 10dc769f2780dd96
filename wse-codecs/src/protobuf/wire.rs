//! The wire format of Protocol Buffers.
//!
//! ```text
//! field   key (varint: number << 3 | wire type), value
//! value   0: varint   1: 8 bytes   2: length (varint), bytes   3 … 4: group   5: 4 bytes
//! ```

use std::mem;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use wse_proto::{CodecError, Text};

use crate::depth::MAX_DEPTH;
use crate::put::put_around;

const PLACE: &str = "the protobuf message";

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const GROUP: u64 = 3;
const GROUP_END: u64 = 4;
const FIXED32: u64 = 5;

/// The value of a field.
pub(super) enum Value {
    Varint(u64),
    /// The range of bytes that were preceded by their length.
    Bytes(Range<usize>),
    /// A value of a wire type that messages of wse do not use.
    Other,
}

impl Value {
    /// The range of a field that must be a `string`, `bytes` or a message.
    pub(super) fn bytes(self) -> Result<Range<usize>, CodecError> {
        match self {
            Self::Bytes(range) => Ok(range),
            _ => Err(CodecError::malformed(PLACE, "a field of another wire type")),
        }
    }

    /// The value of a field that must be a `uint32`. As protobuf requires, higher bits are dropped.
    pub(super) fn uint32(self) -> Result<u32, CodecError> {
        match self {
            Self::Varint(value) => Ok(value as u32),
            _ => Err(CodecError::malformed(PLACE, "a field of another wire type")),
        }
    }
}

/// Calls `each` with the number and value of every field.
#[inline]
pub(super) fn fields(
    bytes: &[u8],
    mut each: impl FnMut(u64, Value) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let mut at = 0;
    while at < bytes.len() {
        let (number, wire_type, start) = key(bytes, at)?;
        let (value, end) = value(bytes, start, number, wire_type, 0)?;
        each(number, value)?;
        at = end;
    }
    Ok(())
}

#[inline]
fn key(bytes: &[u8], at: usize) -> Result<(u64, u64, usize), CodecError> {
    let (key, end) = varint(bytes, at)?;
    if key >> 3 == 0 || key > u64::from(u32::MAX) {
        return Err(CodecError::malformed(PLACE, "a field number out of range"));
    }
    Ok((key >> 3, key & 7, end))
}

#[inline]
fn value(
    bytes: &[u8],
    at: usize,
    number: u64,
    wire_type: u64,
    depth: u32,
) -> Result<(Value, usize), CodecError> {
    let skip = |length: usize| {
        let end = at.checked_add(length).filter(|end| *end <= bytes.len());
        end.ok_or_else(cut_off)
    };
    match wire_type {
        VARINT => varint(bytes, at).map(|(value, end)| (Value::Varint(value), end)),
        LENGTH => {
            let (length, start) = varint(bytes, at)?;
            let left = bytes.len() - start;
            let length = usize::try_from(length).ok().filter(|n| *n <= left).ok_or_else(cut_off)?;
            Ok((Value::Bytes(start..start + length), start + length))
        }
        FIXED64 => Ok((Value::Other, skip(8)?)),
        FIXED32 => Ok((Value::Other, skip(4)?)),
        GROUP => Ok((Value::Other, group(bytes, at, number, depth)?)),
        _ => Err(CodecError::malformed(PLACE, "an unexpected wire type")),
    }
}

/// Returns the end of the group of field `number` whose fields begin at `at`.
fn group(bytes: &[u8], mut at: usize, number: u64, depth: u32) -> Result<usize, CodecError> {
    if depth >= MAX_DEPTH {
        return Err(CodecError::limit(PLACE, "groups nested too deep"));
    }
    loop {
        let (inner, wire_type, start) = key(bytes, at)?;
        if wire_type == GROUP_END {
            if inner != number {
                return Err(CodecError::malformed(PLACE, "the end of another group"));
            }
            return Ok(start);
        }
        at = value(bytes, start, inner, wire_type, depth + 1)?.1;
    }
}

/// Returns the varint at `at`, and its end.
#[inline]
fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), CodecError> {
    let mut value = 0;
    for index in 0..10 {
        let byte = *bytes.get(at + index).ok_or_else(cut_off)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // Only one bit of the tenth byte fits into 64 bits.
            if index == 9 && byte > 1 {
                break;
            }
            return Ok((value, at + index + 1));
        }
    }
    Err(CodecError::malformed(PLACE, "a number of more than 64 bits"))
}

#[cold]
fn cut_off() -> CodecError {
    CodecError::malformed(PLACE, "cut off")
}

/// Reads the text at `range`: a slice of the message.
pub(super) fn text(
    message: &Bytes,
    range: Range<usize>,
    place: &'static str,
) -> Result<Text, CodecError> {
    Text::check_at(message, range)
        .map_err(|e| CodecError::malformed(place, "not UTF-8").with_source(e))
}

/// Takes the next value of a `string` field. The last value counts, but earlier ones must be UTF-8 too.
#[inline]
pub(super) fn next_text(
    field: &mut Range<usize>,
    value: Value,
    message: &[u8],
    place: &'static str,
) -> Result<(), CodecError> {
    let before = mem::replace(field, value.bytes()?);
    if before.is_empty() { Ok(()) } else { utf8(message, before, place).map(drop) }
}

fn utf8<'a>(
    message: &'a [u8],
    range: Range<usize>,
    place: &'static str,
) -> Result<&'a str, CodecError> {
    std::str::from_utf8(message.get(range).unwrap_or_default())
        .map_err(|e| CodecError::malformed(place, "not UTF-8").with_source(e))
}

/// Returns the length of the varint of `value`, in bytes.
pub(super) fn varint_len(value: u64) -> usize {
    // Seven bits per byte; zero takes one byte.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub(super) fn put_varint(mut value: u64, out: &mut BytesMut) {
    while value >= 0x80 {
        out.extend_from_slice(&[value as u8 | 0x80]);
        value >>= 7;
    }
    out.extend_from_slice(&[value as u8]);
}

/// Writes an `optional bytes` field that is present. It may be empty.
pub(super) fn put_present(number: u8, bytes: &[u8], out: &mut BytesMut) {
    if bytes.is_empty() {
        out.extend_from_slice(&[number << 3 | LENGTH as u8, 0]);
    } else {
        put_bytes(number, bytes, out);
    }
}

/// Writes a `string` or `bytes` field. As in proto3, an empty one is left out.
pub(super) fn put_bytes(number: u8, bytes: &[u8], out: &mut BytesMut) {
    let key = number << 3 | LENGTH as u8;
    if let Ok(len @ 1..0x80) = u8::try_from(bytes.len()) {
        put_around([key, len], bytes, [], out);
    } else if !bytes.is_empty() {
        out.extend_from_slice(&[key]);
        put_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

/// Writes a `bytes` field around what `write` appends.
///
/// # Errors
///
/// Those of `write`. The caller must truncate `out` then.
pub(super) fn put_bytes_with(
    number: u8,
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let field = out.len();
    // Reserve one byte for the length. If it needs more, the value is moved.
    out.extend_from_slice(&[number << 3 | LENGTH as u8, 0]);
    let start = out.len();
    write(out)?;
    let length = out.len().saturating_sub(start);
    if length == 0 {
        out.truncate(field);
        return Ok(());
    }
    let more = varint_len(length as u64) - 1;
    if more > 0 {
        out.put_bytes(0, more);
        out.copy_within(start..start + length, start + more);
    }
    let mut rest = length;
    for byte in out.iter_mut().skip(field + 1).take(more) {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    if let Some(last) = out.get_mut(start + more - 1) {
        *last = rest as u8;
    }
    Ok(())
}

/// Writes a `uint32` field; 0 is left out.
pub(super) fn put_uint32(number: u8, value: u32, out: &mut BytesMut) {
    if value != 0 {
        out.extend_from_slice(&[number << 3 | VARINT as u8]);
        put_varint(value.into(), out);
    }
}
