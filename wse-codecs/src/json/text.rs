//! [`Json`]: payloads that serde reads and writes as JSON.

use super::scan;
use crate::scratch::through;
use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wse_proto::{CodecError, Decode, Encode, Fault, Format, Hi, Text};

/// Payloads in JSON, of any type that serde knows.
///
/// ```text
/// {"identity":I,"meta":M}                     a greeting; I and M are any JSON
/// {"code":"…","message":"…","details":D}      a fault; message and details may be missing
/// ```
///
/// An empty payload is read as `null`. NaN and infinities are written as `null`, as
/// `JSON.stringify` does; a whole `f64` keeps its fraction (`1.0`), which reads the same. Floats
/// come back as they were, to the last bit.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::Json;
/// use wse_proto::{Decode, Encode};
///
/// let mut out = BytesMut::new();
/// Json.encode(&[1, 2], &mut out)?;
/// assert_eq!(out, "[1,2]");
/// let nothing: Option<i64> = Json.decode(&Bytes::new())?;
/// assert_eq!(nothing, None);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for Json {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        through(out, |out| serde_json::to_writer(out, value))
            .map_err(|e| CodecError::value("the payload", "no form in JSON").with_source(e))
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for Json {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        let payload: &[u8] = if payload.is_empty() { b"null" } else { payload };
        // All at once is faster than string by string, which `from_slice` would do.
        let text = std::str::from_utf8(payload)
            .map_err(|e| CodecError::malformed("the payload", "not UTF-8").with_source(e))?;
        serde_json::from_str(text).map_err(|e| {
            CodecError::value("the payload", "not what its reader wants").with_source(e)
        })
    }
}

#[derive(Deserialize)]
struct HiMembers<'a> {
    #[serde(borrow)]
    identity: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FaultMembers<'a> {
    code: String,
    message: Option<String>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

impl Format for Json {
    fn empty_map(&self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        out.extend_from_slice(b"{\"identity\":");
        put_value(&hi.identity, out);
        out.extend_from_slice(b",\"meta\":");
        put_value(&hi.meta, out);
        out.extend_from_slice(b"}");
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let HiMembers { identity, meta } = object(payload, "the greeting")?;
        let identity = identity.ok_or(CodecError::shape("the greeting", "no identity"))?;
        Ok(Hi { identity: raw(payload, identity), meta: optional(payload, meta) })
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        out.extend_from_slice(b"{\"code\":");
        put_string(fault.code.as_str(), out);
        if let Some(message) = &fault.message {
            out.extend_from_slice(b",\"message\":");
            put_string(message, out);
        }
        if !fault.details.is_empty() {
            out.extend_from_slice(b",\"details\":");
            out.extend_from_slice(&fault.details);
        }
        out.extend_from_slice(b"}");
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let FaultMembers { code, message, details } = object(payload, "the fault")?;
        let mut fault = Fault::new(code).details(optional(payload, details));
        fault.message = message;
        Ok(fault)
    }
}

/// Reads a JSON object. Serde's derive alone would also take an array for a struct.
fn object<'a, T: Deserialize<'a>>(
    payload: &'a Bytes,
    place: &'static str,
) -> Result<T, CodecError> {
    if payload.trim_ascii_start().first() != Some(&b'{') {
        return Err(CodecError::shape(place, "not an object"));
    }
    serde_json::from_slice(payload)
        .map_err(|e| CodecError::shape(place, "not of its shape").with_source(e))
}

fn raw(payload: &Bytes, value: &RawValue) -> Bytes {
    payload.slice_ref(value.get().as_bytes())
}

fn optional(payload: &Bytes, value: Option<&RawValue>) -> Bytes {
    value.map(|value| raw(payload, value)).unwrap_or_default()
}

/// Writes an encoded value, `null` for an absent one.
fn put_value(value: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(if value.is_empty() { b"null" } else { value });
}

/// The text of a JSON string. A slice of the message unless it has escapes.
#[inline]
pub(crate) fn string(
    message: &Bytes,
    element: &str,
    place: &'static str,
) -> Result<Text, CodecError> {
    match element.get(1..element.len().saturating_sub(1)) {
        Some(plain) if scan::plain(plain.as_bytes(), 0) == plain.len() => {
            Ok(Text::slice_of(message, plain))
        }
        _ => serde_json::from_str::<String>(element)
            .map(Text::from)
            .map_err(|e| CodecError::malformed(place, "a broken escape").with_source(e)),
    }
}

/// Writes a JSON string.
pub(crate) fn put_string(text: &str, out: &mut BytesMut) {
    if scan::plain(text.as_bytes(), 0) == text.len() {
        out.extend_from_slice(b"\"");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\"");
    } else {
        // A str has a JSON form and a buffer that grows takes it all: this cannot fail.
        let written = through(out, |out| serde_json::to_writer(out, text));
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

/// Writes a JSON integer.
pub(crate) fn put_integer(int: i64, out: &mut BytesMut) {
    // An integer can be displayed and a buffer that grows takes it all: this cannot fail.
    let written = write!(out, "{int}");
    debug_assert!(written.is_ok(), "{written:?}");
}
