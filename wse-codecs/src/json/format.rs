//! [`JsonFormat`]: payloads in JSON, by serde.

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wse_proto::{CodecError, Decode, Encode, Fault, Format, Hi, Value};

use super::lenient::lenient;
use super::text::put_string;
use super::unit;
use crate::absent;
use crate::scratch::through;
use crate::value::{Read, Written};

/// Payloads in JSON, of any type that serde knows.
///
/// ```text
/// {"identity":I,"meta":M}                     a greeting; I and M are any JSON, and it may have a "resume"
/// {"code":"…","message":"…","details":D}      a fault; message and details may be missing
/// ```
///
/// An empty payload is read as `null`. A type that has no value, such as `()`, is also read from `{}` and `[]`. NaN and
/// infinities are written as `null`, as `JSON.stringify` does. An `f64` without a fraction is written as `1.0`. Every float
/// is read back exactly. A float that is a whole number, such as `5.0` or `1e3`, is also read as an integer, if it is within
/// the range of its type. docs/payloads.md has a table for all types and codecs.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::JsonFormat;
/// use wse_proto::{Decode, Encode};
///
/// let mut out = BytesMut::new();
/// JsonFormat.encode(&[1, 2], &mut out)?;
/// assert_eq!(out, "[1,2]");
/// let nothing: Option<i64> = JsonFormat.decode(&Bytes::new())?;
/// assert_eq!(nothing, None);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonFormat;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for JsonFormat {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        through(out, |out| serde_json::to_writer(out, value)).map_err(|e| {
            CodecError::value("the payload", "cannot be written in JSON").with_source(e)
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for JsonFormat {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        let absent = payload.is_empty();
        let payload: &[u8] = if absent { b"null" } else { payload };
        // One check of the whole is faster than one for every string, as `from_slice` does.
        let text = std::str::from_utf8(payload)
            .map_err(|e| CodecError::malformed("the payload", "not UTF-8").with_source(e))?;
        serde_json::from_str(text).or_else(|error| again(text, absent, error))
    }
}

/// Reads what serde_json refused. The first error is returned if that fails too: it says where.
///
/// From a slice: the functions of serde_json for a `str` would be inlined less if they had two callers.
#[cold]
#[inline(never)]
fn again<T: DeserializeOwned>(
    text: &str,
    absent: bool,
    error: serde_json::Error,
) -> Result<T, CodecError> {
    let mut reader = serde_json::Deserializer::from_slice(text.as_bytes());
    let value = if absent {
        absent::read()
    } else {
        T::deserialize(lenient(&mut reader)).and_then(|value| reader.end().map(|()| value))
    };
    // Clients write a call without parameters as `{}` or `[]`.
    value.ok().or_else(|| unit::from_empty(text)).ok_or_else(|| {
        CodecError::value("the payload", "not of the expected type").with_source(error)
    })
}

#[derive(Deserialize)]
struct HiMembers<'a> {
    #[serde(borrow)]
    identity: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    resume: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FaultMembers<'a> {
    code: String,
    message: Option<String>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

impl Format for JsonFormat {
    fn empty_map(&self) -> Bytes {
        Bytes::from_static(b"{}")
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
        out.extend_from_slice(b"{\"identity\":");
        put_value(&hi.identity, out);
        out.extend_from_slice(b",\"meta\":");
        put_value(&hi.meta, out);
        if let Some(resume) = &hi.resume {
            out.extend_from_slice(b",\"resume\":");
            self.encode_value(resume, out);
        }
        out.extend_from_slice(b"}");
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let HiMembers { identity, meta, resume } = object(payload, "the greeting")?;
        let identity = identity.ok_or(CodecError::shape("the greeting", "no identity"))?;
        let resume = resume.map(|resume| {
            let value = self.decode_value(&raw(payload, resume));
            Box::new(value.unwrap_or(Value::Other))
        });
        Ok(Hi { identity: raw(payload, identity), meta: optional(payload, meta), resume })
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

/// Reads a JSON object. A derived `Deserialize` alone would also accept an array.
fn object<'a, T: Deserialize<'a>>(
    payload: &'a Bytes,
    place: &'static str,
) -> Result<T, CodecError> {
    if payload.trim_ascii_start().first() != Some(&b'{') {
        return Err(CodecError::shape(place, "not an object"));
    }
    serde_json::from_slice(payload).map_err(|e| {
        CodecError::shape(place, "a member is missing or of another type").with_source(e)
    })
}

fn raw(payload: &Bytes, value: &RawValue) -> Bytes {
    payload.slice_ref(value.get().as_bytes())
}

fn optional(payload: &Bytes, value: Option<&RawValue>) -> Bytes {
    value.map(|value| raw(payload, value)).unwrap_or_default()
}

/// Writes an encoded value, or `null` for an absent one.
fn put_value(value: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(if value.is_empty() { b"null" } else { value });
}
