//! [`MessagePackFormat`]: payloads in MessagePack, by serde.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use rmp_serde::Serializer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wse_proto::{CodecError, Decode, Encode, Fault, Format, Hi, Text, Value};

use super::reader::Reader;
use super::scan::{self, FIXSTR_MAX, Kind, ObjectHead, first};
use crate::absent;
use crate::items::{De, ItemError};
use crate::put::put_around;
use crate::readable::Readable;
use crate::scratch::through;
use crate::value::{Read, Written};

/// Payloads in MessagePack, of any type that serde knows.
///
/// ```text
/// 82 a8 "identity" I a4 "meta" M                         a greeting; I and M are any objects, and it may have a "resume"
/// 81..83 a4 "code" … a7 "message" … a7 "details" D       a fault; message and details may be missing
/// ```
///
/// An empty payload is read as nil, and so is `undefined` as msgpackr writes it. A type that has no value, such as `()`, is
/// also read from an empty map or array. Structs are written as maps with strs as keys; they are also read from arrays of
/// their fields.
///
/// A number is read as any type that it fits in, because JavaScript has one type of number: it sends a whole number as an
/// integer where an `f64` is expected, and a number beyond 32 bits, such as a time in milliseconds, as a float where a
/// `u64` is expected. `Vec<u8>` is written as an array; it is also read from a bin. Other sequences are not, because it is
/// unknown which numbers a bin holds. All of this is also true inside of types that serde buffers, such as internally tagged
/// enums. docs/payloads.md has a table for all types and codecs.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::MessagePackFormat;
/// use wse_proto::{Decode, Encode};
///
/// let mut out = BytesMut::new();
/// MessagePackFormat.encode(&[1, 2], &mut out)?;
/// assert_eq!(out, &[0x92, 1, 2][..]);
/// let nothing: Option<i64> = MessagePackFormat.decode(&Bytes::new())?;
/// assert_eq!(nothing, None);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePackFormat;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for MessagePackFormat {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        through(out, |out| Readable(value).serialize(&mut Serializer::new(out).with_struct_map()))
            .map_err(|e| {
                CodecError::value("the payload", "cannot be written in MessagePack").with_source(e)
            })
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for MessagePackFormat {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        let object: &[u8] = if payload.is_empty() { &[first::NIL] } else { payload };
        let mut reader = Reader::new(object);
        let value = T::deserialize(De(&mut reader)).or_else(|error| {
            if payload.is_empty() {
                return absent::read().map_err(|_: ItemError| error.into());
            }
            // What is not MessagePack is malformed, also after the place of the error.
            Err(scan::one(object, 1).err().unwrap_or_else(|| CodecError::from(error)))
        })?;
        scan::end(object, reader.at)?;
        Ok(value)
    }
}

impl Format for MessagePackFormat {
    fn encode_serial(&self, serial: u64, out: &mut BytesMut) {
        put_uint(serial, out);
    }

    fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
        let head = ObjectHead::read(payload, 0).ok().filter(|head| head.end == payload.len())?;
        match head.kind {
            Kind::Uint(serial) => Some(serial),
            Kind::Int(serial) => serial.try_into().ok(),
            _ => None,
        }
    }

    fn empty_map(&self) -> Bytes {
        Bytes::from_static(&[first::FIXMAP])
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
        out.put_u8(first::FIXMAP | (2 + u8::from(hi.resume.is_some())));
        put_str(b"identity", out);
        put_object(&hi.identity, out);
        put_str(b"meta", out);
        put_object(&hi.meta, out);
        if let Some(resume) = &hi.resume {
            put_str(b"resume", out);
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
        let count = 1 + u8::from(message.is_some()) + u8::from(!fault.details.is_empty());
        out.put_u8(first::FIXMAP | count);
        put_str(b"code", out);
        put_str(fault.code.as_str().as_bytes(), out);
        if let Some(message) = message {
            put_str(b"message", out);
            put_str(message.as_bytes(), out);
        }
        if !fault.details.is_empty() {
            put_str(b"details", out);
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

/// Returns the ranges of the values of these keys in the map `payload`. The range of an absent or nil value is empty. Of a
/// repeated key the last value counts.
fn members<const N: usize>(
    payload: &Bytes,
    keys: [&str; N],
) -> Result<[Range<usize>; N], CodecError> {
    let mut values = [const { 0..0 }; N];
    let mut found = None;
    scan::map(payload, |index, range| {
        if index % 2 == 0 {
            let key = text(payload, &range, "a key");
            found = key.ok().and_then(|key| keys.iter().position(|known| key == *known));
        } else if let Some(value) = found.take().and_then(|found| values.get_mut(found)) {
            *value = if is_nil(payload, &range) { 0..0 } else { range };
        }
    })?;
    Ok(values)
}

/// Whether the range is empty, or the object is nil or undefined.
pub(super) fn is_nil(bytes: &[u8], range: &Range<usize>) -> bool {
    match bytes.get(range.clone()) {
        None | Some([] | [first::NIL]) => true,
        Some(object) => scan::is_undefined(object),
    }
}

/// Reads the str at `range`: a slice of the message.
pub(super) fn text(
    message: &Bytes,
    range: &Range<usize>,
    place: &'static str,
) -> Result<Text, CodecError> {
    let head = ObjectHead::read(message, range.start)?;
    let Kind::Str(length) = head.kind else {
        return Err(CodecError::shape(place, "not a str"));
    };
    Text::check_at(message, head.content(message, length)?)
        .map_err(|e| CodecError::malformed(place, "not UTF-8").with_source(e))
}

/// Writes an integer in its shortest form. A non-negative integer is written as unsigned.
pub(super) fn put_int(int: i64, out: &mut BytesMut) {
    match int {
        0.. => put_uint(int as u64, out),
        -0x20..0 => out.put_i8(int as i8),
        -0x80..-0x20 => out.extend_from_slice(&[first::INT_8, int as u8]),
        -0x8000..-0x80 => {
            out.put_u8(first::INT_16);
            out.put_i16(int as i16);
        }
        -0x8000_0000..-0x8000 => {
            out.put_u8(first::INT_32);
            out.put_i32(int as i32);
        }
        _ => {
            out.put_u8(first::INT_64);
            out.put_i64(int);
        }
    }
}

/// Writes an unsigned integer in its shortest form.
pub(super) fn put_uint(int: u64, out: &mut BytesMut) {
    match int {
        0..=0x7f => out.extend_from_slice(&[int as u8]),
        0x80..=0xff => out.extend_from_slice(&[first::UINT_8, int as u8]),
        0x100..=0xffff => {
            out.put_u8(first::UINT_16);
            out.put_u16(int as u16);
        }
        0x1_0000..=0xffff_ffff => {
            out.put_u8(first::UINT_32);
            out.put_u32(int as u32);
        }
        _ => {
            out.put_u8(first::UINT_64);
            out.put_u64(int);
        }
    }
}

/// Writes a text whose bytes are known to be UTF-8.
pub(super) fn put_str(text: &[u8], out: &mut BytesMut) {
    let len = text.len();
    match len {
        0..=FIXSTR_MAX => return put_around([first::FIXSTR | len as u8], text, [], out),
        0x20..=0xff => out.extend_from_slice(&[first::STR_8, len as u8]),
        0x100..=0xffff => {
            out.put_u8(first::STR_16);
            out.put_u16(len as u16);
        }
        _ => {
            // No message holds a text of 4 GiB.
            out.put_u8(first::STR_32);
            out.put_u32(len as u32);
        }
    }
    out.extend_from_slice(text);
}

/// Writes an encoded object, or nil for an absent one.
fn put_object(object: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(if object.is_empty() { &[first::NIL] } else { object });
}
