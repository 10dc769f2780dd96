//! [`WsJson`]: payloads in JSON, and failures as wsprocessor has them.
//!
//! A failure is two members of its message there, `failureCode` and `data`. Between envelope and format its payload
//! is the array of both, `[failureCode,data]`, and that of a complaint likewise.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wse_proto::{CodecError, Decode, Encode, ErrorCode, Fault, Format, Hi};

use crate::Json;
use crate::json::scan::each_element;
use crate::json::text::put_string;

/// Payloads of [`WsProcessor`](crate::WsProcessor): those of [`Json`], but for two things.
///
/// Null travels as `{}` in requests and responses, so `{}` is read as null by what can be made of null only. What can
/// be made of both, as a `serde_json::Value`, is made of `{}`.
///
/// A fault is a code and a text. A code whose text is a number is that number on the wire, any other a string; the
/// text is the fault's message, or its code where it has none. Details are not written.
///
/// ```
/// use bytes::Bytes;
/// use wse_codecs::{WsJson, WsProcessor};
/// use wse_proto::{Decode, Fault, Message, Protocol, Stamp, seal};
///
/// let () = WsJson.decode(&Bytes::from_static(b"{}"))?;
///
/// let mut out = bytes::BytesMut::new();
/// let fault = Fault::new("400").message("no");
/// seal(&WsProcessor::new(), &Message::fault(Stamp::from("s1"), fault), &mut out);
/// assert_eq!(out, r#"{"type":"response","sendAck":false,"stamp":"s1","data":"no","failureCode":400}"#);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WsJson;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for WsJson {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        Json.encode(value, out)
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for WsJson {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        Json.decode(payload).or_else(|error| match &payload[..] {
            b"{}" => Json.decode(&Bytes::new()).map_err(|_| error),
            _ => Err(error),
        })
    }
}

impl Format for WsJson {
    fn empty_map(&self) -> Bytes {
        Json.empty_map()
    }

    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        Json.encode_hi(hi, out);
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        Json.decode_hi(payload)
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        let code = match fault.code.as_str() {
            // It would read as success.
            "" => ErrorCode::Failed.as_str(),
            code => code,
        };
        out.extend_from_slice(b"[");
        if is_number(code) {
            out.extend_from_slice(code.as_bytes());
        } else {
            put_string(code, out);
        }
        out.extend_from_slice(b",");
        put_string(fault.message.as_deref().unwrap_or(code), out);
        out.extend_from_slice(b"]");
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let odd = || CodecError::shape("the fault", "not a code and a text");
        let [code, data] = pair(payload).ok_or_else(odd)?;
        let mut fault = Fault::new(text(code).ok_or_else(odd)?);
        fault.message = match data {
            "" | "null" => None,
            data => Some(text(data).ok_or_else(odd)?),
        };
        Ok(fault)
    }
}

/// Whether a code is written as a number: not if the peer would take it for zero, which is success, or for infinity.
fn is_number(code: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = code.strip_prefix('-').unwrap_or(code).as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && serde_json::from_str::<f64>(code).is_ok_and(|number| number != 0.0)
}

/// What a JSON string says; other values as they are written.
fn text(value: &str) -> Option<String> {
    if value.starts_with('"') { serde_json::from_str(value).ok() } else { Some(value.to_owned()) }
}

/// The first two elements of an array, the second empty when there is one only.
fn pair(payload: &[u8]) -> Option<[&str; 2]> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut pair = [""; 2];
    let mut index = 0;
    each_element(text, |range| {
        if let Some(element) = pair.get_mut(index) {
            *element = text.get(range).unwrap_or_default();
        }
        index += 1;
    })
    .ok()?;
    (index > 0).then_some(pair)
}

/// Whether a payload is absent or null.
pub(super) fn is_null(payload: &[u8]) -> bool {
    matches!(payload.trim_ascii(), b"" | b"null")
}

/// The payload of a failure.
pub(super) fn failure(code: &str, data: &str) -> Bytes {
    Bytes::from(["[", code, ",", data, "]"].concat())
}

/// The payload of a complaint, whose code is not on the wire and whose text may be missing.
pub(super) fn complaint(data: &str) -> Bytes {
    let code = ErrorCode::MessageProcessing;
    let data = if data.starts_with('"') { data } else { "null" };
    Bytes::from(["[\"", code.as_str(), "\",", data, "]"].concat())
}

/// Writes the members that the payload of a failure is made of. Any other payload is the data of a failure.
pub(super) fn put_failure(payload: &[u8], out: &mut BytesMut) {
    let (code, data) = match pair(payload) {
        Some([code, data]) => (code.as_bytes(), data.as_bytes()),
        None => (b"1".as_slice(), payload),
    };
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(if is_null(data) { b"\"\"" } else { data });
    out.extend_from_slice(b",\"failureCode\":");
    out.extend_from_slice(code);
}

/// Writes the text of a complaint.
pub(super) fn put_text(payload: &[u8], out: &mut BytesMut) {
    let data = pair(payload).map_or("", |[_, data]| data);
    // Some peers cannot take a complaint without a text.
    out.extend_from_slice(if data.starts_with('"') { data.as_bytes() } else { b"\"\"" });
}
