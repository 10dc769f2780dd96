//! One object of JSON-RPC: a request (§4) or a response (§5).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Envelope, Format, Head, Stamp, Text};

use super::format::{JsonRpcFormat, integer};
use crate::json::{
    scan,
    text::{put_integer, put_string, string},
};
use crate::put::put_payload;

/// Unpacks the object `text`, which lies in `buffer`.
pub(super) fn read(buffer: &Bytes, text: &str) -> Result<Envelope, CodecError> {
    const PLACE: &str = "the object";
    let names = ["jsonrpc", "id", "method", "params", "result", "error"];
    let [version, id, method, params, result, error] = scan::members(text, names)?;
    let value = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();

    // §4, §5: MUST be exactly "2.0".
    if !value(&version).starts_with('"') || !scan::is_key(value(&version), "2.0") {
        return Err(CodecError::shape("the member jsonrpc", "not \"2.0\""));
    }
    let id = id_of(buffer, value(&id))?;
    let (head, payload) = match (value(&method), value(&result), value(&error)) {
        ("", "", "") => return Err(CodecError::shape(PLACE, "no method, result nor error")),
        (method, "", "") => {
            let name = name_of(buffer, method)?;
            // §4.2: a structured value, or omitted.
            if !matches!(value(&params).as_bytes(), [] | [b'[' | b'{', ..]) {
                return Err(CodecError::shape("the params", "not an array or object"));
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
            Id::Null => (Head::ErrorReport, error),
            Id::Stamp(stamp) => (Head::fault(stamp), error),
        },
        ("", value, "") => match id {
            Id::Absent => return Err(CodecError::shape("the id", "missing")),
            Id::Null => return Err(CodecError::shape("the id", "null")),
            Id::Stamp(stamp) => (Head::reply(stamp), if value == "null" { 0..0 } else { result }),
        },
        _ => return Err(CodecError::shape(PLACE, "more than one of method, result and error")),
    };
    Ok(Envelope { head, payload: buffer.slice_ref(value(&payload).as_bytes()) })
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
        Some(Stamp::Text(text)) => put_string(text, out),
        Some(Stamp::Int(int) | Stamp::Whole(int, _)) => put_integer(*int, out),
    }
    out.extend_from_slice(b"}");
    Ok(())
}

/// Writes a request up to and including its params.
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
        _ => Id::Stamp(Stamp::Int(
            integer(id).ok_or(CodecError::shape("the id", "not a string or an integer"))?,
        )),
    })
}

fn name_of(message: &Bytes, method: &str) -> Result<Text, CodecError> {
    match method.as_bytes() {
        [b'"', ..] => string(message, method, "the method"),
        _ => Err(CodecError::shape("the method", "not a string")),
    }
}
