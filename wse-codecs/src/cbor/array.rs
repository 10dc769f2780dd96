//! [`Cbor`]: the protocol of wse in CBOR.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{
    Capabilities, CodecError, Envelope, Head, InternalTypes, Packed, Protocol, ProtocolInfo, Stamp,
    Text,
};

use super::format::{is_null, put_head, put_text, text};
use super::scan::{self, ItemHead, major};
use super::{CborFormat, scan::NULL};
use crate::put::{put_around, put_payload};

/// The messages of wse in CBOR (RFC 8949): subprotocol `wse-cbor`, binary frames.
///
/// ```text
/// 83                      array(3); 84 with flags, 85 with flags and timeout
///    65 68 65 6c 6c 6f    text(5) "hello"
///    a1 61 61 01          the payload, {"a": 1}
///    f6                   null: no stamp
/// ```
///
/// Null stands for an absent element, also for an absent payload; `undefined` is read as null. Arrays may be shorter, or of
/// indefinite length. Elements after the fifth are ignored, and so is a fourth or fifth that is not an unsigned integer.
///
/// ```
/// use bytes::BytesMut;
/// use wse_codecs::Cbor;
/// use wse_proto::{Head, Packed, Protocol};
///
/// let mut out = BytesMut::new();
/// Cbor.pack(&Head::message("hello"), b"\xa1\x61\x61\x01", &mut out);
/// assert_eq!(out, &b"\x83\x65hello\xa1\x61\x61\x01\xf6"[..]);
///
/// let message = out.freeze();
/// let envelope = Cbor.unpack(Packed::Binary(&message))?;
/// assert_eq!(envelope.payload, &b"\xa1\x61\x61\x01"[..]);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cbor;

const INFO: ProtocolInfo = ProtocolInfo::binary("wse-cbor").capabilities(Capabilities::CONVENTION);

impl Protocol for Cbor {
    type Format = CborFormat;

    fn info(&self) -> ProtocolInfo {
        INFO
    }

    fn format(&self) -> &Self::Format {
        &CborFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        open(head, INFO.types(), out);
        out.extend_from_slice(if payload.is_empty() { &[NULL] } else { payload });
        close(head, out);
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let start = out.len();
        open(head, INFO.types(), out);
        put_payload(start, &[NULL], out, write)?;
        close(head, out);
        Ok(())
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let message = message.bytes();
        let mut elements = [const { 0..0 }; 5];
        let mut count = 0;
        scan::items(message, major::ARRAY, |index, range| {
            count = index + 1;
            if let Some(element) = elements.get_mut(index) {
                *element = range;
            }
        })?;
        if count == 0 {
            return Err(CodecError::shape("the CBOR item", "an empty array"));
        }
        let [kind, payload, stamp, flags, timeout] = elements;
        let kind =
            if is_null(message, &kind) { Text::EMPTY } else { text(message, &kind, "the type")? };
        let stamp =
            if is_null(message, &stamp) { None } else { Some(read_stamp(message, &stamp)?) };
        let flags = read_u32(message, &flags);
        let head = Head::from_parts(INFO.types(), kind, stamp, flags)?
            .with_timeout(read_u32(message, &timeout));
        let payload =
            if is_null(message, &payload) { Bytes::new() } else { message.slice(payload) };
        Ok(Envelope { head, payload })
    }
}

/// Writes the part before the payload.
fn open(head: &Head, types: &InternalTypes, out: &mut BytesMut) {
    let elements = match (head.flags(), head.timeout()) {
        (_, Some(_)) => 5,
        (0, None) => 3,
        (_, None) => 4,
    };
    let array = major::ARRAY << 5 | elements;
    let kind = head.kind_bytes(types);
    match u8::try_from(kind.len()) {
        Ok(len @ 0..24) => put_around([array, major::TEXT << 5 | len], kind, [], out),
        _ => {
            out.extend_from_slice(&[array]);
            put_text(kind, out);
        }
    }
}

/// Writes the part after the payload.
fn close(head: &Head, out: &mut BytesMut) {
    match head.stamp() {
        None => out.extend_from_slice(&[NULL]),
        Some(Stamp::Text(text)) => put_text(text.as_bytes(), out),
        // RFC 8949 §3.1: the argument of a negative integer is -1 - n, its bits inverted.
        Some(Stamp::Int(int)) if *int < 0 => put_head(major::NEGATIVE, !*int as u64, out),
        Some(Stamp::Int(int)) => put_head(major::UNSIGNED, *int as u64, out),
    }
    let timeout = head.timeout();
    if head.flags() != 0 || timeout.is_some() {
        put_head(major::UNSIGNED, head.flags().into(), out);
    }
    if let Some(timeout) = timeout {
        put_head(major::UNSIGNED, timeout.get().into(), out);
    }
}

fn read_stamp(message: &Bytes, range: &Range<usize>) -> Result<Stamp, CodecError> {
    const PLACE: &str = "the stamp";
    let head = ItemHead::read(message, range.start)?;
    if head.major == major::TEXT {
        return text(message, range, PLACE).map(Stamp::Text);
    }
    match (head.major, i64::try_from(head.argument)) {
        (major::UNSIGNED, Ok(int)) => Ok(Stamp::Int(int)),
        (major::NEGATIVE, Ok(int)) => Ok(Stamp::Int(!int)),
        _ => Err(CodecError::shape(PLACE, "not a text, an integer of 64 bits or null")),
    }
}

fn read_u32(message: &Bytes, range: &Range<usize>) -> u32 {
    if range.is_empty() {
        return 0;
    }
    match ItemHead::read(message, range.start) {
        Ok(head) if head.major == major::UNSIGNED => head.argument.try_into().unwrap_or(0),
        _ => 0,
    }
}
