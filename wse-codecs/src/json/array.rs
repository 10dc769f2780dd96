//! [`JsonArray`]: the protocol of the JavaScript package wse.

use std::num::ParseIntError;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{
    Capabilities, CodecError, Envelope, Head, InternalTypes, Packed, Protocol, ProtocolInfo, Stamp,
    Text,
};

use super::{
    JsonFormat,
    scan::{self, plain, space, value},
    text::{float_stamp, put_integer, put_stamp, put_string, string},
};
use crate::put::{put_around, put_payload};

/// The messages of the JavaScript package wse: subprotocol `wse-default-json`, text frames.
///
/// ```text
/// ["hello",{"a":1},null]              a message
/// ["add",{"a":5,"b":3},"s1"]          a call
/// ["~wse:response",8,"s1"]            its reply
/// ["~wse:response-err",{"code":"wse.server.rp.failed","message":"no"},"s1"]
/// ["hello",{"a":1},"s2",3]            flags: 1 receipt wanted, 2 a message despite the stamp
/// ["~wse:receipt",null,"s2",2]        its receipt
/// ["add",{"a":5,"b":3},"s3",0,750]    a call whose caller waits for 750 ms
/// ```
///
/// A message is written with three elements, `null` for absent ones, byte for byte as `JSON.stringify` does. There is a
/// fourth element if there are flags, and a fifth if there is a timeout. When reading, arrays may be shorter. As in the
/// JavaScript package, elements after the fifth are ignored, and so is a fourth or fifth that is not a number. A `null`
/// payload is an absent one. A stamp that is a float without a fraction, such as `5.0`, is that integer. Its answer carries
/// it as a float again.
///
/// **The stamps 0 and `""` mean "no stamp"**, as in the JavaScript package: a peer has to count its calls from 1.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::JsonArray;
/// use wse_proto::{Head, Packed, Protocol, Stamp};
///
/// let mut out = BytesMut::new();
/// JsonArray.pack(&Head::call("add", Stamp::from("s1")), br#"{"a":5}"#, &mut out);
/// assert_eq!(out, r#"["add",{"a":5},"s1"]"#);
///
/// let message = Bytes::from_static(br#"["hello"]"#);
/// let envelope = JsonArray.unpack(Packed::Binary(&message))?;
/// assert_eq!(envelope.head, Head::message("hello"));
/// assert!(envelope.payload.is_empty());
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonArray;

const INFO: ProtocolInfo =
    ProtocolInfo::text("wse-default-json").capabilities(Capabilities::CONVENTION.resume());

impl Protocol for JsonArray {
    type Format = JsonFormat;

    fn info(&self) -> ProtocolInfo {
        INFO
    }

    fn format(&self) -> &Self::Format {
        &JsonFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        open(head, INFO.types(), out);
        out.extend_from_slice(if payload.is_empty() { b"null" } else { payload });
        close(head, out);
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let start = out.len();
        open(head, INFO.types(), out);
        put_payload(start, b"null", out, write)?;
        close(head, out);
        Ok(())
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let message = message.text()?;
        let Some(Common { kind, payload, stamp }) = common(message.bytes()) else {
            return self.general(message.bytes(), message.as_str());
        };
        let stamp = stamp.map(|stamp| Stamp::Text(message.part_at(stamp)));
        let head = Head::from_parts(INFO.types(), message.part_at(kind), stamp, 0)?;
        let payload = match &message.bytes()[payload.clone()] {
            b"null" => Bytes::new(),
            _ => message.range(payload),
        };
        Ok(Envelope { head, payload })
    }
}

impl JsonArray {
    /// Unpacks a message in any form that is allowed.
    #[cold]
    fn general(self, message: &Bytes, text: &str) -> Result<Envelope, CodecError> {
        let [kind, payload, stamp, flags, timeout] = scan::elements(text)?;
        let element = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let (kind, stamp) = (element(&kind), element(&stamp));
        let kind = match kind.as_bytes() {
            [b'"', ..] => string(message, kind, "the type")?,
            b"null" => Text::EMPTY,
            _ => return Err(CodecError::shape("the type", "not a string or null")),
        };
        let stamp = match stamp.as_bytes() {
            [b'"', ..] => Some(Stamp::Text(string(message, stamp, "the stamp")?)),
            b"" | b"null" => None,
            _ => Some(read_integer(stamp)?),
        };
        let number = |range| element(range).parse().unwrap_or(0);
        let head = Head::from_parts(INFO.types(), kind, stamp, number(&flags))?
            .with_timeout(number(&timeout));
        let payload = match element(&payload) {
            "" | "null" => Bytes::new(),
            _ => message.slice(payload),
        };
        Ok(Envelope { head, payload })
    }
}

/// Reads a stamp that is a number.
fn read_integer(stamp: &str) -> Result<Stamp, CodecError> {
    stamp.parse().map(Stamp::Int).or_else(|error: ParseIntError| {
        float_stamp(stamp).ok_or_else(|| {
            CodecError::shape("the stamp", "not a string, an integer of 64 bits or null")
                .with_source(error)
        })
    })
}

/// The parts of a message in the common form: `["type",payload,null]` or `["type",payload,"stamp"]`, without escapes in type
/// and stamp, and without white space except after commas.
struct Common {
    /// Without its quotes.
    kind: Range<usize>,
    payload: Range<usize>,
    /// Without its quotes.
    stamp: Option<Range<usize>>,
}

/// Finds the parts of a message in the common form. `None` for other forms and for invalid messages.
#[inline]
fn common(bytes: &[u8]) -> Option<Common> {
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
    Some(Common { kind, payload, stamp })
}

/// Writes the part before the payload.
fn open(head: &Head, types: &InternalTypes, out: &mut BytesMut) {
    let kind = head.kind_bytes(types);
    // The names of the internal types are plain.
    let named = matches!(head, Head::Message { .. } | Head::Call { .. });
    if !named || plain(kind, 0) == kind.len() {
        put_around(*b"[\"", kind, *b"\",", out);
    } else {
        out.extend_from_slice(b"[");
        put_string(head.kind(types), out);
        out.extend_from_slice(b",");
    }
}

/// Writes the part after the payload.
fn close(head: &Head, out: &mut BytesMut) {
    let (flags, timeout) = (head.flags(), head.timeout());
    let ends = flags == 0 && timeout.is_none();
    match head.stamp() {
        // In one piece: every append has a fixed cost.
        None if ends => return out.extend_from_slice(b",null]"),
        None => out.extend_from_slice(b",null"),
        Some(Stamp::Text(text)) if plain(text.as_bytes(), 0) == text.len() => {
            if ends {
                return put_around(*b",\"", text.as_bytes(), *b"\"]", out);
            }
            put_around(*b",\"", text.as_bytes(), *b"\"", out);
        }
        Some(stamp) => {
            out.extend_from_slice(b",");
            put_stamp(stamp, out);
        }
    }
    if flags != 0 || timeout.is_some() {
        out.extend_from_slice(b",");
        put_integer(flags.into(), out);
    }
    if let Some(timeout) = timeout {
        out.extend_from_slice(b",");
        put_integer(timeout.get().into(), out);
    }
    out.extend_from_slice(b"]");
}
