//! [`JsonRpcFormat`]: params and results in JSON, and errors with the codes of JSON-RPC.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wse_proto::{CodecError, Decode, Encode, ErrorCode, Fault, Format, Hi};

use crate::json::{
    JsonFormat, scan,
    text::{put_integer, put_string, string},
};

/// Payloads in JSON as [`JsonFormat`] writes them, and faults as the error object of JSON-RPC (§5.1).
///
/// Params may be by position or by name (§4.2): serde reads a struct from an array or an object, and a tuple from an array.
/// If that fails, an array with one element is read as that element, because a single value is sent so, and an empty
/// array as an absent value. If that fails too, the error is the one of the attempt that came further. An empty object is
/// read as an absent value by types that have no value, such as `()`.
///
/// | [`ErrorCode`] | code | message by default |
/// | --- | --- | --- |
/// | [`MessageProcessing`](ErrorCode::MessageProcessing) | -32700 | Parse error |
/// | [`ProtocolViolation`](ErrorCode::ProtocolViolation) | -32600 | Invalid Request |
/// | [`NotRegistered`](ErrorCode::NotRegistered) | -32601 | Method not found |
/// | [`InvalidPayload`](ErrorCode::InvalidPayload) | -32602 | Invalid params |
/// | [`Failed`](ErrorCode::Failed) | -32000; also read from -32603 | Server error |
/// | an integer in decimal, such as `"-32001"` | that integer | Server error from -32099 to -32000, Internal error for -32603, otherwise Application error |
/// | any other | -32000, with `"data":{"code":…,"details":…}` | Server error |
///
/// `data` holds the details of the fault. Errors that §5.1 does not allow are read too: a code that is a text, or no
/// integer in the range of `i64`, is the text of the code. A message of another type is its JSON text. Without a code, and
/// for an error that is not an object, the code is `Failed`; the error itself, if it is a string, is the message.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::JsonRpcFormat;
/// use wse_proto::{Decode, ErrorCode, Fault, Format};
///
/// let mut out = BytesMut::new();
/// JsonRpcFormat.encode_fault(&Fault::new(ErrorCode::NotRegistered), &mut out);
/// assert_eq!(out, r#"{"code":-32601,"message":"Method not found"}"#);
/// let fault = JsonRpcFormat.decode_fault(&Bytes::from(r#"{"code":7,"message":"no"}"#))?;
/// assert_eq!(fault, Fault::new("7").message("no"));
///
/// let text: String = JsonRpcFormat.decode(&Bytes::from(r#"["one"]"#))?;
/// assert_eq!(text, "one");
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonRpcFormat;

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for JsonRpcFormat {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        JsonFormat.encode(value, out)
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for JsonRpcFormat {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        JsonFormat.decode(payload).or_else(|error| match single(payload) {
            Some(range) => {
                let start = range.start;
                JsonFormat.decode(&payload.slice(range)).map_err(|other| {
                    // Of the attempt that came further.
                    let of_element = column(&other).map(|at| start + at) > column(&error);
                    if of_element { other } else { error }
                })
            }
            None => Err(error),
        })
    }
}

/// How far the reader came, if the payload is in one line.
fn column(error: &CodecError) -> Option<usize> {
    let error = std::error::Error::source(error)?.downcast_ref::<serde_json::Error>()?;
    (error.line() == 1).then(|| error.column())
}

/// The element of an array with one element; an empty range for an empty array.
#[cold]
fn single(payload: &Bytes) -> Option<Range<usize>> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut count = 0;
    let mut element = 0..0;
    scan::each_element(text, |range| {
        count += 1;
        element = range;
    })
    .ok()?;
    (count <= 1).then_some(element)
}

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;
const SERVER_ERROR: i64 = -32000;

impl Format for JsonRpcFormat {
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
        let known = number_of(&fault.code);
        let number = known.unwrap_or(SERVER_ERROR);
        // Details that look like a wrapped code have to be wrapped themselves.
        let wraps = known.is_none() || number == SERVER_ERROR && wrapped(&fault.details).is_some();
        out.extend_from_slice(b"{\"code\":");
        put_integer(number, out);
        out.extend_from_slice(b",\"message\":");
        put_string(fault.message.as_deref().unwrap_or(standard(number)), out);
        if wraps {
            out.extend_from_slice(b",\"data\":{\"code\":");
            put_string(fault.code.as_str(), out);
        }
        if !fault.details.is_empty() {
            out.extend_from_slice(if wraps { b",\"details\":" } else { b",\"data\":" });
            out.extend_from_slice(&fault.details);
        }
        out.extend_from_slice(if wraps { b"}}" } else { b"}" });
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        const PLACE: &str = "the error";
        let text = std::str::from_utf8(payload)
            .map_err(|e| CodecError::malformed(PLACE, "not UTF-8").with_source(e))?;
        let object = text.trim_ascii();
        if !object.starts_with('{') {
            // §5.1 allows objects only. The call has failed all the same, and for people the text matters.
            let mut fault = Fault::new(ErrorCode::Failed);
            fault.message = text_of(payload, scan::whole(text)?)?;
            return Ok(fault);
        }
        let [code, message, data] = &scan::members(text, ["code", "message", "data"])?;
        let code = &text[code.clone()];
        let message = text_of(payload, &text[message.clone()])?;
        let data = match &text[data.clone()] {
            "null" => Bytes::new(),
            _ => payload.slice(data.clone()),
        };
        let (code, details) = match (whole_number(code), wrapped(&data)) {
            (Some(SERVER_ERROR), Some(inner)) => inner,
            (Some(number), _) => (code_of(number), data),
            (None, _) => match text_of(payload, code)? {
                Some(code) => (integer(&code).map(code_of).unwrap_or_else(|| code.into()), data),
                None => (ErrorCode::Failed, data),
            },
        };
        let mut fault = Fault::new(code).details(details);
        fault.message = message;
        Ok(fault)
    }
}

/// The text of a JSON string; the JSON text of any other value; `None` for null and an absent one.
fn text_of(payload: &Bytes, value: &str) -> Result<Option<String>, CodecError> {
    Ok(match value.as_bytes() {
        [] | b"null" => None,
        [b'"', ..] => Some(string(payload, value, "a text of the error")?.as_str().to_owned()),
        _ => Some(value.to_owned()),
    })
}

/// A number that is an integer in the range of `i64`, also as `1.0` or `1e3`.
fn whole_number(text: &str) -> Option<i64> {
    integer(text).or_else(|| {
        let number: f64 = serde_json::from_str(text).ok()?;
        // Between these bounds the conversion is exact.
        let fits = number.fract() == 0.0 && (-9.2e18..=9.2e18).contains(&number);
        fits.then_some(number as i64)
    })
}

/// The code and details in `data`, if it has these two members and no others, as `encode_fault` writes it.
fn wrapped(data: &Bytes) -> Option<(ErrorCode, Bytes)> {
    let text = std::str::from_utf8(data).ok()?;
    let (mut code, mut details, mut other) = (0..0, 0..0, false);
    scan::each_member(text, |key, value| match text.get(key) {
        Some(key) if scan::is_key(key, "code") => code = value,
        Some(key) if scan::is_key(key, "details") => details = value,
        _ => other = true,
    })
    .ok()?;
    let code = text.get(code).filter(|code| code.starts_with('"') && !other)?;
    let code = string(data, code, "the code").ok()?;
    let code = integer(&code).map(code_of).unwrap_or_else(|| code.into());
    let details = match &text[details.clone()] {
        "null" => Bytes::new(),
        _ => data.slice(details),
    };
    Some((code, details))
}

fn number_of(code: &ErrorCode) -> Option<i64> {
    Some(match code {
        ErrorCode::MessageProcessing => PARSE_ERROR,
        ErrorCode::ProtocolViolation => INVALID_REQUEST,
        ErrorCode::NotRegistered => METHOD_NOT_FOUND,
        ErrorCode::InvalidPayload => INVALID_PARAMS,
        ErrorCode::Failed => SERVER_ERROR,
        other => return integer(other.as_str()),
    })
}

fn code_of(number: i64) -> ErrorCode {
    match number {
        PARSE_ERROR => ErrorCode::MessageProcessing,
        INVALID_REQUEST => ErrorCode::ProtocolViolation,
        METHOD_NOT_FOUND => ErrorCode::NotRegistered,
        INVALID_PARAMS => ErrorCode::InvalidPayload,
        SERVER_ERROR | INTERNAL_ERROR => ErrorCode::Failed,
        other => ErrorCode::from(other.to_string()),
    }
}

/// §5.1: the standard messages of the defined codes.
fn standard(number: i64) -> &'static str {
    match number {
        PARSE_ERROR => "Parse error",
        INVALID_REQUEST => "Invalid Request",
        METHOD_NOT_FOUND => "Method not found",
        INVALID_PARAMS => "Invalid params",
        INTERNAL_ERROR => "Internal error",
        -32099..=SERVER_ERROR => "Server error",
        _ => "Application error",
    }
}

/// An integer in canonical form. `parse` alone would also accept `+1`, `01` and `-0`.
pub(super) fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix('-').unwrap_or(text).as_bytes() {
        [b'0'] if text.len() == 1 => Some(0),
        [b'1'..=b'9', ..] => text.parse().ok(),
        _ => None,
    }
}
