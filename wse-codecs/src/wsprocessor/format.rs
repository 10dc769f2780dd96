//! [`WsProcessorFormat`]: payloads in JSON, and the failures of wsprocessor.
//!
//! A failure is two members of its message, `failureCode` and `data`. Between envelope and format, its payload is the array
//! `[failureCode,data]`. The payload of an error report has the same form.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wse_proto::{CodecError, Decode, Encode, ErrorCode, Fault, Format, Hi};

use crate::json::JsonFormat;
use crate::json::scan::each_element;
use crate::json::text::put_string;

/// Payloads of [`WsProcessor`](crate::WsProcessor): those of [`JsonFormat`], with two differences.
///
/// Requests and responses write null as `{}`. So `{}` is read as null if it cannot be read as the expected type. A type
/// that can be read from both, such as `serde_json::Value`, is read from `{}`.
///
/// A fault is a code and its data. A code that is a number in decimal is written as a number, any other code as a string.
/// The data is the message of the fault; if it has none, its details; and its code if it has neither. A message is not
/// accompanied by details. When data is read that is not a string, it becomes the details, and its JSON text the message.
///
/// ```
/// use bytes::Bytes;
/// use wse_codecs::{WsProcessorFormat, WsProcessor};
/// use wse_proto::{Decode, Fault, Protocol, SessionMessage, Stamp, seal};
///
/// let () = WsProcessorFormat.decode(&Bytes::from_static(b"{}"))?;
///
/// let mut out = bytes::BytesMut::new();
/// let fault = Fault::new("400").message("no");
/// seal(&WsProcessor::new(), &SessionMessage::fault(Stamp::from("s1"), fault), &mut out);
/// assert_eq!(out, r#"{"type":"response","sendAck":false,"stamp":"s1","data":"no","failureCode":400}"#);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WsProcessorFormat;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for WsProcessorFormat {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        JsonFormat.encode(value, out)
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for WsProcessorFormat {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        JsonFormat.decode(payload).or_else(|error| match &payload[..] {
            b"{}" => JsonFormat.decode(&Bytes::new()).map_err(|_| error),
            _ => Err(error),
        })
    }
}

impl Format for WsProcessorFormat {
    fn empty_map(&self) -> Bytes {
        JsonFormat.empty_map()
    }

    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        JsonFormat.encode_hi(hi, out);
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        JsonFormat.decode_hi(payload)
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        let code = match fault.code.as_str() {
            // An empty code would mean success.
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
        match &fault.message {
            None if !is_null(&fault.details) => out.extend_from_slice(&fault.details),
            message => put_string(message.as_deref().unwrap_or(code), out),
        }
        out.extend_from_slice(b"]");
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let malformed = || CodecError::shape("the fault", "not a code and a text");
        let [code, data] = pair(payload).ok_or_else(malformed)?;
        let mut fault = Fault::new(text(code).ok_or_else(malformed)?);
        fault.message = match data {
            "" | "null" => None,
            data => Some(text(data).ok_or_else(malformed)?),
        };
        if !is_null(data.as_bytes()) && !data.starts_with('"') {
            fault.details = payload.slice_ref(data.as_bytes());
        }
        Ok(fault)
    }
}

/// Whether a code is written as a number. Not if the peer would read zero, which means success, or infinity.
fn is_number(code: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = code.strip_prefix('-').unwrap_or(code).as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && serde_json::from_str::<f64>(code).is_ok_and(|number| number != 0.0)
}

/// The text of a JSON string; the JSON text of any other value.
fn text(value: &str) -> Option<String> {
    if value.starts_with('"') { serde_json::from_str(value).ok() } else { Some(value.to_owned()) }
}

/// The first two elements of an array. The second is empty if there is only one.
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
    let data = if data.is_empty() { "null" } else { data };
    Bytes::from(["[", code, ",", data, "]"].concat())
}

/// The payload of an error report. Its code is not on the wire, and its text may be missing.
pub(super) fn report(data: &str) -> Bytes {
    let code = ErrorCode::MessageProcessing;
    let data = if data.starts_with('"') { data } else { "null" };
    Bytes::from(["[\"", code.as_str(), "\",", data, "]"].concat())
}

/// Writes the members of a failure with this payload. A payload of another form becomes its data.
pub(super) fn put_failure(payload: &[u8], out: &mut BytesMut) {
    let (code, data) = match pair(payload) {
        Some([code, data]) => (code.as_bytes(), data.as_bytes()),
        // Some peers take a failure whose data is null for no failure.
        None if is_null(payload) => (b"1".as_slice(), b"".as_slice()),
        None => (b"1".as_slice(), payload),
    };
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(if data.is_empty() { b"\"\"" } else { data });
    out.extend_from_slice(b",\"failureCode\":");
    out.extend_from_slice(code);
}

/// Writes the text of an error report.
pub(super) fn put_text(payload: &[u8], out: &mut BytesMut) {
    let data = pair(payload).map_or("", |[_, data]| data);
    // Some peers cannot read an error report without a text.
    out.extend_from_slice(if data.starts_with('"') { data.as_bytes() } else { b"\"\"" });
}
