//! [`ProtobufFormat`]: payloads that are protobuf messages.

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Decode, Encode, Fault, Format, Hi, Value};

use super::value;
use super::wire::{self, put_bytes, put_bytes_with, put_present};

/// Payloads that are protobuf messages, of any type that implements [`prost::Message`]: derived types, the well-known types
/// of `prost-types`, and the plain types that stand for wrapper types (`String`, `i64`, …).
///
/// ```text
/// message Hi    { optional bytes identity = 1; bytes meta = 2; bytes resume = 3; }   a greeting
/// message Fault { string code = 1; string message = 2; bytes details = 3; }     a fault
/// ```
///
/// The `bytes` in these are encoded messages; `resume` is a `google.protobuf.Value`. An empty payload is the message whose
/// fields all have their defaults. The identity of a greeting must be present, but it may be empty, as an empty text is.
///
/// A `str` is written as a `String` is.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::ProtobufFormat;
/// use wse_proto::{Decode, Encode};
///
/// let mut out = BytesMut::new();
/// ProtobufFormat.encode(&"hi".to_owned(), &mut out)?; // as a google.protobuf.StringValue
/// assert_eq!(out, &b"\x0a\x02hi"[..]);
/// let nothing: String = ProtobufFormat.decode(&Bytes::new())?;
/// assert_eq!(nothing, "");
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtobufFormat;

#[diagnostic::do_not_recommend]
impl<T: prost::Message> Encode<T> for ProtobufFormat {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        // Into a slice of the right length: `BytesMut` would check its capacity for every byte.
        let start = out.len();
        out.resize(start + value.encoded_len(), 0);
        let mut slice = out.get_mut(start..).unwrap_or_default();
        value
            .encode(&mut slice)
            .map_err(|e| CodecError::limit("the payload", "too long").with_source(e))
    }
}

/// As a `google.protobuf.StringValue`, as a `String` is.
#[diagnostic::do_not_recommend]
impl Encode<str> for ProtobufFormat {
    fn encode(&self, value: &str, out: &mut BytesMut) -> Result<(), CodecError> {
        put_bytes(1, value.as_bytes(), out);
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<T: prost::Message + Default> Decode<T> for ProtobufFormat {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        // From `Bytes`, so that fields of `Bytes` are slices of the payload.
        T::decode(payload.clone()).map_err(|e| {
            CodecError::value("the payload", "not of the expected type").with_source(e)
        })
    }
}

impl Format for ProtobufFormat {
    fn encode_value(&self, value: &Value, out: &mut BytesMut) {
        value::put(value, out);
    }

    fn decode_value(&self, payload: &Bytes) -> Option<Value> {
        value::read(payload)
    }

    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        put_present(1, &hi.identity, out);
        put_bytes(2, &hi.meta, out);
        if let Some(resume) = &hi.resume {
            // This cannot fail: the buffer grows.
            let written = put_bytes_with(3, out, |out| {
                self.encode_value(resume, out);
                Ok(())
            });
            debug_assert!(written.is_ok(), "{written:?}");
        }
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let mut hi = Hi::default();
        let mut present = false;
        wire::fields(payload, |number, value| {
            match number {
                1 => {
                    hi.identity = payload.slice(value.bytes()?);
                    present = true;
                }
                2 => hi.meta = payload.slice(value.bytes()?),
                3 => {
                    let value = self.decode_value(&payload.slice(value.bytes()?));
                    let value = value.unwrap_or(Value::Other);
                    hi.resume = (value != Value::Null).then(|| Box::new(value));
                }
                _ => {}
            }
            Ok(())
        })?;
        if !present {
            return Err(CodecError::shape("the greeting", "no identity"));
        }
        Ok(hi)
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        put_bytes(1, fault.code.as_str().as_bytes(), out);
        put_bytes(2, fault.message.as_deref().unwrap_or_default().as_bytes(), out);
        put_bytes(3, &fault.details, out);
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let [mut code, mut message] = [const { 0..0 }; 2];
        let mut details = Bytes::new();
        wire::fields(payload, |number, value| {
            match number {
                1 => wire::next_text(&mut code, value, payload, "the fault's code")?,
                2 => wire::next_text(&mut message, value, payload, "the fault's message")?,
                3 => details = payload.slice(value.bytes()?),
                _ => {}
            }
            Ok(())
        })?;
        if code.is_empty() {
            return Err(CodecError::shape("the fault", "no code"));
        }
        let mut fault = Fault::new(wire::text(payload, code, "the fault's code")?).details(details);
        if !message.is_empty() {
            fault.message = Some(wire::text(payload, message, "the fault's message")?.to_string());
        }
        Ok(fault)
    }
}
