//! [`CborFormat`]: payloads in CBOR, by serde.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wse_proto::{CodecError, Decode, Encode, Fault, Format, Hi, Text, Value};

use super::reader::Reader;
use super::scan::{self, ItemHead, NULL, UNDEFINED, major};
use crate::absent;
use crate::items::{De, ItemError};
use crate::put::put_around;
use crate::readable::Readable;
use crate::scratch::through;
use crate::value::{Read, Written};

/// Payloads in CBOR (RFC 8949), of any type that serde knows.
///
/// ```text
/// a2 68 "identity" I 64 "meta" M                         a greeting; I and M are any items, and it may have a "resume"
/// a1..a3 64 "code" … 67 "message" … 67 "details" D       a fault; message and details may be missing
/// ```
///
/// An empty payload is read as null, and so is `undefined`. A type that has no value, such as `()`, is also read from an
/// empty map or array. Structs are maps with texts as keys.
///
/// A number is read as any type that it fits in, because JavaScript has one type of number: it sends a whole number as an
/// integer where an `f64` is expected, and a number beyond 32 bits, such as a time in milliseconds, as a float where a
/// `u64` is expected. A number that does not fit exactly is an error, except that floats may be rounded. Texts and byte
/// strings are borrowed from the payload.
///
/// `Vec<u8>` is also read from a byte string, and a sequence of numbers from a typed array (RFC 8746). Other sequences are
/// not read from byte strings, because it is unknown which numbers these hold. Other tags are ignored, except by the types
/// of ciborium that read them. All of this is also true inside of types that serde buffers, such as internally tagged
/// enums. docs/payloads.md has a table for all types and codecs.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::CborFormat;
/// use wse_proto::{Decode, Encode};
///
/// let mut out = BytesMut::new();
/// CborFormat.encode(&[1, 2], &mut out)?;
/// assert_eq!(out, &[0x82, 1, 2][..]);
/// let nothing: Option<i64> = CborFormat.decode(&Bytes::new())?;
/// assert_eq!(nothing, None);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CborFormat;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for CborFormat {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        through(out, |out| ciborium::into_writer(&Readable(value), out)).map_err(|e| {
            CodecError::value("the payload", "cannot be written in CBOR").with_source(e)
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for CborFormat {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        let item: &[u8] = if payload.is_empty() { &[NULL] } else { payload };
        let mut reader = Reader::new(item);
        let value = T::deserialize(De(&mut reader)).or_else(|error| {
            if payload.is_empty() {
                absent::read().map_err(|_: ItemError| error)
            } else {
                Err(error)
            }
        })?;
        scan::end(item, reader.at)?;
        Ok(value)
    }
}

impl Format for CborFormat {
    fn encode_serial(&self, serial: u64, out: &mut BytesMut) {
        put_head(major::UNSIGNED, serial, out);
    }

    fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
        let head = ItemHead::read(payload, 0).ok()?;
        (head.major == major::UNSIGNED && head.end == payload.len()).then_some(head.argument)
    }

    fn empty_map(&self) -> Bytes {
        Bytes::from_static(&[0xa0])
    }

    fn encode_value(&self, value: &Value, out: &mut BytesMut) {
        // This cannot fail: the names of a value are texts, and the buffer grows.
        let written = self.encode(&Written(value), out);
        debug_assert!(written.is_ok(), "{written:?}");
    }

    fn decode_value(&self, payload: &Bytes) -> Option<Value> {
        self.decode(payload).ok().map(|Read(value)| value)
    }

    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        put_head(major::MAP, 2 + u64::from(hi.resume.is_some()), out);
        put_text(b"identity", out);
        put_item(&hi.identity, out);
        put_text(b"meta", out);
        put_item(&hi.meta, out);
        if let Some(resume) = &hi.resume {
            put_text(b"resume", out);
            self.encode_value(resume, out);
        }
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let [identity, meta, resume] = members(payload, ["identity", "meta", "resume"])?;
        if identity.is_empty() {
            return Err(CodecError::shape("the greeting", "no identity"));
        }
        let resume = (!resume.is_empty()).then(|| {
            let value = self.decode_value(&payload.slice(resume));
            Box::new(value.unwrap_or(Value::Other))
        });
        Ok(Hi { identity: payload.slice(identity), meta: payload.slice(meta), resume })
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        let message = fault.message.as_ref();
        let count = 1 + u64::from(message.is_some()) + u64::from(!fault.details.is_empty());
        put_head(major::MAP, count, out);
        put_text(b"code", out);
        put_text(fault.code.as_str().as_bytes(), out);
        if let Some(message) = message {
            put_text(b"message", out);
            put_text(message.as_bytes(), out);
        }
        if !fault.details.is_empty() {
            put_text(b"details", out);
            out.extend_from_slice(&fault.details);
        }
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let [code, message, details] = members(payload, ["code", "message", "details"])?;
        if code.is_empty() {
            return Err(CodecError::shape("the fault", "no code"));
        }
        let mut fault = Fault::new(text(payload, &code, "the fault's code")?);
        if !message.is_empty() {
            fault.message = Some(text(payload, &message, "the fault's message")?.to_string());
        }
        Ok(fault.details(payload.slice(details)))
    }
}

/// Returns the ranges of the values of these keys in the map `payload`. The range of an absent or null value is empty. Of a
/// repeated key the last value counts.
fn members<const N: usize>(
    payload: &Bytes,
    keys: [&str; N],
) -> Result<[Range<usize>; N], CodecError> {
    let mut values = [const { 0..0 }; N];
    let mut found = None;
    scan::items(payload, major::MAP, |index, range| {
        if index % 2 == 0 {
            let key = text(payload, &range, "a key");
            found = key.ok().and_then(|key| keys.iter().position(|known| key == *known));
        } else if let Some(value) = found.take().and_then(|found| values.get_mut(found)) {
            *value = if is_null(payload, &range) { 0..0 } else { range };
        }
    })?;
    Ok(values)
}

/// Whether the range is empty, or the item is null or undefined, after any tags.
pub(super) fn is_null(bytes: &[u8], range: &Range<usize>) -> bool {
    match bytes.get(range.clone()) {
        None | Some([] | [NULL | UNDEFINED]) => true,
        Some([first, ..]) if first >> 5 == major::TAG => {
            let untagged = scan::past_tags(bytes, range.start)..range.end;
            matches!(bytes.get(untagged), Some([NULL | UNDEFINED]))
        }
        _ => false,
    }
}

/// Reads the text at `range`: a slice of the message, unless it consists of chunks.
pub(super) fn text(
    message: &Bytes,
    range: &Range<usize>,
    place: &'static str,
) -> Result<Text, CodecError> {
    let head = ItemHead::read(message, range.start)?;
    if head.major == major::TAG {
        return text(message, &(scan::past_tags(message, range.start)..range.end), place);
    }
    if head.major != major::TEXT {
        return Err(CodecError::shape(place, "not a text"));
    }
    let not_utf8 = |e| CodecError::malformed(place, "not UTF-8").with_source(e);
    if head.length().is_some() {
        return Text::check_at(message, head.content(message)?).map_err(not_utf8);
    }
    // RFC 8949 §3.2.3: each chunk is UTF-8 by itself.
    let mut joined = Ok(String::new());
    scan::chunks(message, head, |chunk| {
        let chunk = message.get(chunk).unwrap_or_default();
        let chunk = std::str::from_utf8(chunk).map_err(not_utf8);
        match (&mut joined, chunk) {
            (Ok(joined), Ok(chunk)) => joined.push_str(chunk),
            (Ok(_), Err(error)) => joined = Err(error),
            (Err(_), _) => {}
        }
    })?;
    joined.map(Text::from)
}

/// Writes the head of an item in its shortest form.
pub(super) fn put_head(major: u8, argument: u64, out: &mut BytesMut) {
    let first = major << 5;
    match argument {
        0..24 => out.extend_from_slice(&[first | argument as u8]),
        24..=0xff => out.extend_from_slice(&[first | 24, argument as u8]),
        0x100..=0xffff => {
            out.put_u8(first | 25);
            out.put_u16(argument as u16);
        }
        0x1_0000..=0xffff_ffff => {
            out.put_u8(first | 26);
            out.put_u32(argument as u32);
        }
        _ => {
            out.put_u8(first | 27);
            out.put_u64(argument);
        }
    }
}

/// Writes a text whose bytes are known to be UTF-8.
pub(super) fn put_text(text: &[u8], out: &mut BytesMut) {
    match u8::try_from(text.len()) {
        Ok(len @ 0..24) => put_around([major::TEXT << 5 | len], text, [], out),
        _ => {
            put_head(major::TEXT, text.len() as u64, out);
            out.extend_from_slice(text);
        }
    }
}

/// Writes an encoded item, or null for an absent one.
fn put_item(item: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(if item.is_empty() { &[NULL] } else { item });
}
