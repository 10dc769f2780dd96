//! One object of JSON-RPC: a request (§4) or a response (§5).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Envelope, Format, Head, Stamp, Text};

use super::format::{RpcJson, integer};
use crate::json::{
    scan,
    text::{put_integer, put_string, string},
};
use crate::part::part;
use crate::put::put_payload;

/// The text of a message.
pub(super) fn text(message: &Bytes) -> Result<&str, CodecError> {
    std::str::from_utf8(message)
        .map_err(|e| CodecError::malformed("the JSON text", "not UTF-8").with_source(e))
}

/// Takes one object apart.
pub(super) fn read(message: Bytes) -> Result<Envelope, CodecError> {
    const PLACE: &str = "the object";
    let text = text(&message)?;
    let names = ["jsonrpc", "id", "method", "params", "result", "error"];
    let [version, id, method, params, result, error] = scan::members(text, names)?;
    let value = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();

    // §4, §5: MUST be exactly "2.0".
    if !value(&version).starts_with('"') || !scan::is_key(value(&version), "2.0") {
        return Err(CodecError::shape("the member jsonrpc", "not \"2.0\""));
    }
    let id = id_of(&message, value(&id))?;
    let (head, payload) = match (value(&method), value(&result), value(&error)) {
        ("", "", "") => return Err(CodecError::shape(PLACE, "no method, result nor error")),
        (method, "", "") => {
            let name = name_of(&message, method)?;
            // §4.2: a structured value, or omitted.
            if !matches!(value(&params).as_bytes(), [] | [b'[' | b'{', ..]) {
                return Err(CodecError::shape("the params", "neither an array nor an object"));
            }
            let head = match id {
                Id::Absent => Head::message(name),
                Id::Null => return Err(CodecError::shape("the id", "null")),
                Id::Stamp(stamp) => Head::call(name, stamp),
            };
            (head, params)
        }
        // §5: either result or error MUST be included, but not both.
        ("", "", _) => match id {
            Id::Absent => return Err(CodecError::shape("the id", "missing")),
            Id::Null => (Head::Complaint, error),
            Id::Stamp(stamp) => (Head::fault(stamp), error),
        },
        ("", value, "") => match id {
            Id::Absent => return Err(CodecError::shape("the id", "missing")),
            Id::Null => return Err(CodecError::shape("the id", "null")),
            Id::Stamp(stamp) => (Head::reply(stamp), if value == "null" { 0..0 } else { result }),
        },
        _ => return Err(CodecError::shape(PLACE, "more than one of method, result and error")),
    };
    Ok(Envelope { head, payload: part(message, payload) })
}

/// Writes one object, the payload by `write`. What cannot be said is not.
pub(super) fn write(
    head: &Head,
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let start = out.len();
    let stamp = match head {
        Head::Message { name, .. } => {
            request(name, start, out, write)?;
            out.extend_from_slice(b"}");
            return Ok(());
        }
        Head::Call { name, stamp, .. } => {
            request(name, start, out, write)?;
            Some(stamp)
        }
        Head::Reply { stamp, .. } => {
            out.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
            put_payload(start, b"null", out, write)?;
            Some(stamp)
        }
        Head::Fault { .. } | Head::Complaint => {
            out.extend_from_slice(br#"{"jsonrpc":"2.0","error":"#);
            let before = out.len();
            put_payload(start, b"", out, write)?;
            if out.len() == before {
                RpcJson.encode_fault(&wse_proto::ErrorCode::Failed.into(), out);
            }
            head.stamp()
        }
        _ => return Ok(()),
    };
    out.extend_from_slice(br#","id":"#);
    match stamp {
        None => out.extend_from_slice(b"null"),
        Some(Stamp::Text(text)) => put_string(text, out),
        Some(Stamp::Int(int)) => put_integer(*int, out),
    }
    out.extend_from_slice(b"}");
    Ok(())
}

/// Writes a request up to its params.
fn request(
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
            // §4.2: params are structured. Only now it is known that they were not.
            let last = out.len();
            // The space makes room for the bracket in front.
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
        _ => Id::Stamp(Stamp::Int(
            integer(id).ok_or(CodecError::shape("the id", "neither a string nor an integer"))?,
        )),
    })
}

fn name_of(message: &Bytes, method: &str) -> Result<Text, CodecError> {
    match method.as_bytes() {
        [b'"', ..] => string(message, method, "the method"),
        _ => Err(CodecError::shape("the method", "not a string")),
    }
}
