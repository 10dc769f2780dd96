//! [`JsonArray`]: the envelope of the JavaScript package wse.

use std::num::ParseIntError;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, Envelope, Head, InternalTypes, Opcode, Protocol, Stamp, Text};

use super::{
    Json,
    scan::{self, plain, space, value},
    text::{put_integer, put_string, string},
};
use crate::part::part;
use crate::put::{put_around, put_payload};

/// The messages of the JavaScript package wse: subprotocol `wse-default-json`, text frames.
///
/// ```text
/// ["hello",{"a":1},null]              a message
/// ["add",{"a":5,"b":3},"s1"]          a call
/// ["~wse:response",8,"s1"]            its reply
/// ["~wse:response-err",{"code":"wse.server.rp.failed","message":"no"},"s1"]
/// ["hello",{"a":1},"s2",3]            flags: 1 receipt wanted, 2 a message despite the stamp
/// ["~wse:receipt",null,"s2",2]        it has arrived
/// ["add",{"a":5,"b":3},"s3",0,750]    a call whose caller waits for 750 ms
/// ```
///
/// Always three elements are sent, with `null` for what is absent, byte for byte as
/// `JSON.stringify` would; a fourth only when there are flags, a fifth only with a time. Shorter arrays
/// are taken, and elements that mean nothing here are passed over, as the original does: those after
/// the fifth, and a fourth or fifth that is no number. A `null` payload is an absent one.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::JsonArray;
/// use wse_proto::{Head, Protocol, Stamp};
///
/// let mut out = BytesMut::new();
/// JsonArray.pack(&Head::call("add", Stamp::from("s1")), br#"{"a":5}"#, &mut out);
/// assert_eq!(out, r#"["add",{"a":5},"s1"]"#);
///
/// let envelope = JsonArray.unpack(Bytes::from_static(br#"["hello"]"#))?;
/// assert_eq!(envelope.head, Head::message("hello"));
/// assert!(envelope.payload.is_empty());
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonArray;

impl Protocol for JsonArray {
    type Format = Json;

    fn name(&self) -> &'static str {
        "wse-default-json"
    }

    fn opcode(&self) -> Opcode {
        Opcode::Text
    }

    fn format(&self) -> Json {
        Json
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        open(head, self.internal_types(), out);
        out.extend_from_slice(if payload.is_empty() { b"null" } else { payload });
        close(head, out);
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let start = out.len();
        open(head, self.internal_types(), out);
        put_payload(start, b"null", out, write)?;
        close(head, out);
        Ok(())
    }

    fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
        let text = std::str::from_utf8(&message)
            .map_err(|e| CodecError::malformed("the JSON text", "not UTF-8").with_source(e))?;
        let Some(Usual { kind, payload, stamp }) = usual(text) else {
            return self.unusual(&message, text);
        };
        let name =
            |range: Range<usize>| Text::slice_of(&message, text.get(range).unwrap_or_default());
        let (kind, stamp) = (name(kind), stamp.map(|stamp| Stamp::Text(name(stamp))));
        let head = Head::from_parts(self.internal_types(), kind, stamp, 0)?;
        let payload = match &message[payload.clone()] {
            b"null" => Bytes::new(),
            _ => part(message, payload),
        };
        Ok(Envelope { head, payload })
    }
}

impl JsonArray {
    /// Takes a message apart that is not written as most are, or finds what is wrong with it.
    #[cold]
    fn unusual(self, message: &Bytes, text: &str) -> Result<Envelope, CodecError> {
        let [kind, payload, stamp, flags, timeout] = scan::elements(text)?;
        let element = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let (kind, stamp) = (element(&kind), element(&stamp));
        let kind = match kind.as_bytes() {
            [b'"', ..] => string(message, kind, "the type")?,
            b"null" => Text::EMPTY,
            _ => return Err(CodecError::shape("the type", "neither a string nor null")),
        };
        let stamp = match stamp.as_bytes() {
            [b'"', ..] => Some(Stamp::Text(string(message, stamp, "the stamp")?)),
            b"" | b"null" => None,
            _ => Some(Stamp::Int(stamp.parse().map_err(|e: ParseIntError| {
                CodecError::shape("the stamp", "neither a string, an integer nor null")
                    .with_source(e)
            })?)),
        };
        let number = |range| element(range).parse().unwrap_or(0);
        let head = Head::from_parts(self.internal_types(), kind, stamp, number(&flags))?
            .with_timeout(number(&timeout));
        let payload = match element(&payload) {
            "" | "null" => Bytes::new(),
            _ => message.slice(payload),
        };
        Ok(Envelope { head, payload })
    }
}

/// A message as peers write it: `["type",payload,null]` or `["type",payload,"stamp"]`, with space at most
/// behind the commas, and without escapes in type and stamp.
struct Usual {
    /// Without its quotes.
    kind: Range<usize>,
    payload: Range<usize>,
    /// Without its quotes.
    stamp: Option<Range<usize>>,
}

/// The parts of a message that is written as usual. Others, and those that are wrong, are for [`scan::elements`].
#[inline]
fn usual(text: &str) -> Option<Usual> {
    let bytes = text.as_bytes();
    if !bytes.starts_with(b"[\"") {
        return None;
    }
    let kind = 2..plain(bytes, 2);
    if !bytes.get(kind.end..)?.starts_with(b"\",") {
        return None;
    }
    let start = space(bytes, kind.end + 2);
    let payload = start..value(bytes, start).ok()?;
    if scan::byte(bytes, payload.end) != b',' {
        return None;
    }
    let start = space(bytes, payload.end + 1);
    let stamp = match bytes.get(start..)? {
        b"null]" => None,
        [b'"', ..] => {
            let stamp = start + 1..plain(bytes, start + 1);
            if bytes.get(stamp.end..)? != b"\"]" {
                return None;
            }
            Some(stamp)
        }
        _ => return None,
    };
    Some(Usual { kind, payload, stamp })
}

/// Writes what comes before the payload.
fn open(head: &Head, types: &InternalTypes, out: &mut BytesMut) {
    let kind = head.kind_bytes(types);
    if plain(kind, 0) == kind.len() {
        put_around(*b"[\"", kind, *b"\",", out);
    } else {
        out.extend_from_slice(b"[");
        put_string(head.kind(types), out);
        out.extend_from_slice(b",");
    }
}

/// Writes what comes behind the payload.
fn close(head: &Head, out: &mut BytesMut) {
    match head.stamp() {
        None => out.extend_from_slice(b",null"),
        Some(Stamp::Text(text)) if plain(text.as_bytes(), 0) == text.len() => {
            put_around(*b",\"", text.as_bytes(), *b"\"", out);
        }
        Some(Stamp::Text(text)) => {
            out.extend_from_slice(b",");
            put_string(text, out);
        }
        Some(Stamp::Int(int)) => {
            out.extend_from_slice(b",");
            put_integer(*int, out);
        }
    }
    let timeout = head.timeout();
    if head.flags() != 0 || timeout.is_some() {
        out.extend_from_slice(b",");
        put_integer(head.flags().into(), out);
    }
    if let Some(timeout) = timeout {
        out.extend_from_slice(b",");
        put_integer(timeout.get().into(), out);
    }
    out.extend_from_slice(b"]");
}
