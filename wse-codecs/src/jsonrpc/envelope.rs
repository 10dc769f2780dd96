//! One object of JSON-RPC: a request (§4) or a response (§5).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Envelope, Format, Head, Stamp, Text, Unread};

use super::format::{JsonRpcFormat, integer};
use crate::json::{
    scan,
    text::{float_stamp, put_stamp, put_string, string},
};
use crate::put::put_payload;

/// Unpacks the object `text`, which lies in `buffer`. `is_called` tells whether this side has called with an id.
///
/// An error says what the message was: an answer, or a call with this id.
pub(super) fn read(
    buffer: &Bytes,
    text: &str,
    is_called: impl FnOnce(&Stamp) -> bool,
) -> Result<Envelope, CodecError> {
    let names = ["jsonrpc", "id", "method", "params", "result", "error"];
    let ranges = scan::members(text, names)?;
    let [version, id, method, params, result, error] =
        ranges.map(|range: Range<usize>| text.get(range).unwrap_or_default());
    let is_answer = is_null(method) && (!result.is_empty() || !error.is_empty());
    let id = id_of(buffer, id).map_err(|error| match is_answer {
        true => error.with_unread(Unread::Answer(None)),
        false => error,
    })?;
    let read = version_of(version).and_then(|()| match is_answer {
        true => answer(&id, result, error),
        // Members that are null beside a method are those of a peer that writes all that its type has.
        false if is_null(result) && is_null(error) => request(buffer, &id, method, params),
        false => Err(CodecError::shape(PLACE, "more than one of method, result and error")),
    });
    match read {
        Ok((head, payload)) => Ok(Envelope { head, payload: buffer.slice_ref(payload.as_bytes()) }),
        Err(error) => Err(match id {
            Id::Stamp(stamp) if is_answer || method.is_empty() && is_called(&stamp) => {
                error.with_unread(Unread::Answer(Some(stamp)))
            }
            _ if is_answer => error.with_unread(Unread::Answer(None)),
            Id::Stamp(stamp) => error.with_unread(Unread::Call(stamp)),
            _ => error,
        }),
    }
}

const PLACE: &str = "the object";

/// Whether a member is absent or null.
fn is_null(value: &str) -> bool {
    matches!(value, "" | "null")
}

/// §4, §5: MUST be exactly "2.0".
fn version_of(version: &str) -> Result<(), CodecError> {
    if version.starts_with('"') && scan::is_key(version, "2.0") {
        return Ok(());
    }
    Err(CodecError::shape("the member jsonrpc", "not \"2.0\""))
}

/// Reads a request (§4). Returns its head and params.
fn request<'a>(
    buffer: &Bytes,
    id: &Id,
    method: &str,
    params: &'a str,
) -> Result<(Head, &'a str), CodecError> {
    if method.is_empty() {
        return Err(CodecError::shape(PLACE, "no method, result nor error"));
    }
    let name = name_of(buffer, method)?;
    // §4.2: a structured value, or omitted. Many clients write null for it.
    let params = match params.as_bytes() {
        b"null" => "",
        [] | [b'[' | b'{', ..] => params,
        _ => return Err(CodecError::shape("the params", "not an array or object")),
    };
    let head = match id {
        Id::Absent => Head::message(name),
        Id::Stamp(stamp) => Head::call(name, stamp.clone()),
        Id::Null => return Err(CodecError::shape("the id", "null")),
    };
    Ok((head, params))
}

/// Reads a response (§5). Returns its head and its result or error.
fn answer<'a>(id: &Id, result: &'a str, error: &'a str) -> Result<(Head, &'a str), CodecError> {
    // §5: either result or error MUST be included, but not both. Peers that know JSON-RPC 1.0 write null for the other.
    match (is_null(result), is_null(error)) {
        (false, false) => Err(CodecError::shape(PLACE, "both result and error")),
        (true, true) if result.is_empty() => {
            Err(CodecError::shape(PLACE, "no result, and no error"))
        }
        (_, true) => match id {
            Id::Stamp(stamp) => {
                Ok((Head::reply(stamp.clone()), if is_null(result) { "" } else { result }))
            }
            Id::Absent => Err(CodecError::shape("the id", "missing")),
            Id::Null => Err(CodecError::shape("the id", "null")),
        },
        (_, false) => match id {
            Id::Stamp(stamp) => Ok((Head::fault(stamp.clone()), error)),
            Id::Absent | Id::Null => Ok((Head::ErrorReport, error)),
        },
    }
}

/// Writes one object, with the payload that `write` writes. Writes nothing for a head that JSON-RPC does not have.
pub(super) fn write(
    head: &Head,
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let start = out.len();
    let stamp = match head {
        Head::Message { name, .. } => {
            put_request(name, start, out, write)?;
            out.extend_from_slice(b"}");
            return Ok(());
        }
        Head::Call { name, stamp, .. } => {
            put_request(name, start, out, write)?;
            Some(stamp)
        }
        Head::Reply { stamp, .. } => {
            out.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
            put_payload(start, b"null", out, write)?;
            Some(stamp)
        }
        Head::Fault { .. } | Head::ErrorReport => {
            out.extend_from_slice(br#"{"jsonrpc":"2.0","error":"#);
            let before = out.len();
            put_payload(start, b"", out, write)?;
            if out.len() == before {
                JsonRpcFormat.encode_fault(&wse_proto::ErrorCode::Failed.into(), out);
            }
            head.stamp()
        }
        _ => return Ok(()),
    };
    out.extend_from_slice(br#","id":"#);
    match stamp {
        None => out.extend_from_slice(b"null"),
        Some(stamp) => put_stamp(stamp, out),
    }
    out.extend_from_slice(b"}");
    Ok(())
}

/// Writes a request up to and including its params.
fn put_request(
    name: &str,
    start: usize,
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
    put_string(name, out);
    let end = out.len();
    out.extend_from_slice(br#","params":"#);
    let params = out.len();
    put_payload(start, b"", out, write)?;
    let written = out.get(params..).unwrap_or_default().trim_ascii();
    match written.first() {
        Some(b'[' | b'{') => {}
        None => out.truncate(end),
        _ if written == b"null" => out.truncate(end),
        Some(_) => {
            // §4.2: params are structured. A scalar is put into an array.
            let last = out.len();
            // The space is overwritten when the params move to make place for the bracket.
            out.extend_from_slice(b" ]");
            out.copy_within(params..last, params + 1);
            out[params] = b'[';
        }
    }
    Ok(())
}

enum Id {
    Absent,
    Null,
    Stamp(Stamp),
}

/// §4: a string, a number or null.
fn id_of(message: &Bytes, id: &str) -> Result<Id, CodecError> {
    Ok(match id.as_bytes() {
        [] => Id::Absent,
        b"null" => Id::Null,
        [b'"', ..] => Id::Stamp(Stamp::Text(string(message, id, "the id")?)),
        _ => {
            let stamp = integer(id).map(Stamp::Int).or_else(|| float_stamp(id));
            Id::Stamp(stamp.ok_or(CodecError::shape("the id", "not a string or an integer"))?)
        }
    })
}

fn name_of(message: &Bytes, method: &str) -> Result<Text, CodecError> {
    match method.as_bytes() {
        [b'"', ..] => string(message, method, "the method"),
        _ => Err(CodecError::shape("the method", "not a string")),
    }
}
