//! [`MessagePack`]: the protocol of wse in MessagePack.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use wse_proto::{
    Capabilities, CodecError, Envelope, Head, IntForm, InternalTypes, Packed, Protocol,
    ProtocolInfo, Stamp, Text,
};

use super::MessagePackFormat;
use super::format::{is_nil, put_int, put_str, put_uint, text};
use super::scan::{self, FIXSTR_MAX, Kind, ObjectHead, first};
use crate::put::{put_around, put_payload};

/// The messages of wse in MessagePack: subprotocol `wse-msgpack`, binary frames.
///
/// ```text
/// 93                      fixarray of 3; 94 with flags, 95 with flags and timeout
///    a5 68 65 6c 6c 6f    fixstr of 5, "hello"
///    81 a1 61 01          the payload, {"a": 1}
///    c0                   nil: no stamp
/// ```
///
/// **The stamps 0 and `""` mean "no stamp"**, as in the JavaScript package: a peer has to count its calls from 1.
///
/// Nil stands for an absent element, also for an absent payload; `undefined`, as msgpackr writes it, is read as nil. A stamp
/// that is a float without a fraction is that integer, if it has at most 64 bits; its answer carries it as a float again.
/// Arrays may be shorter. Elements after the fifth are ignored,
/// and so is a fourth or fifth that is not an unsigned integer of 32 bits. Every element is written in its shortest form
/// and read in any form.
///
/// ```
/// use bytes::BytesMut;
/// use wse_codecs::MessagePack;
/// use wse_proto::{Head, Packed, Protocol};
///
/// let mut out = BytesMut::new();
/// MessagePack.pack(&Head::message("hello"), b"\x81\xa1\x61\x01", &mut out);
/// assert_eq!(out, &b"\x93\xa5hello\x81\xa1\x61\x01\xc0"[..]);
///
/// let message = out.freeze();
/// let envelope = MessagePack.unpack(Packed::Binary(&message))?;
/// assert_eq!(envelope.payload, &b"\x81\xa1\x61\x01"[..]);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

const INFO: ProtocolInfo =
    ProtocolInfo::binary("wse-msgpack").capabilities(Capabilities::CONVENTION.resume());

impl Protocol for MessagePack {
    type Format = MessagePackFormat;

    fn info(&self) -> ProtocolInfo {
        INFO
    }

    fn format(&self) -> &Self::Format {
        &MessagePackFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        open(head, INFO.types(), out);
        out.extend_from_slice(if payload.is_empty() { &[first::NIL] } else { payload });
        close(head, out);
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let start = out.len();
        open(head, INFO.types(), out);
        put_payload(start, &[first::NIL], out, write)?;
        close(head, out);
        Ok(())
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let message = message.bytes();
        let mut elements = [const { 0..0 }; 5];
        let mut count = 0;
        scan::array(message, |index, range| {
            count = index + 1;
            if let Some(element) = elements.get_mut(index) {
                *element = range;
            }
        })?;
        if count == 0 {
            return Err(CodecError::shape("the MessagePack object", "an empty array"));
        }
        let [kind, payload, stamp, flags, timeout] = elements;
        let kind =
            if is_nil(message, &kind) { Text::EMPTY } else { text(message, &kind, "the type")? };
        let stamp = if is_nil(message, &stamp) { None } else { Some(read_stamp(message, &stamp)?) };
        let flags = read_u32(message, &flags);
        let head = Head::from_parts(INFO.types(), kind, stamp, flags)?
            .with_timeout(read_u32(message, &timeout));
        let payload = if is_nil(message, &payload) { Bytes::new() } else { message.slice(payload) };
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
    let array = first::FIXARRAY | elements;
    let kind = head.kind_bytes(types);
    match kind.len() {
        len @ 0..=FIXSTR_MAX => put_around([array, first::FIXSTR | len as u8], kind, [], out),
        _ => {
            out.extend_from_slice(&[array]);
            put_str(kind, out);
        }
    }
}

/// Writes the part after the payload.
fn close(head: &Head, out: &mut BytesMut) {
    match head.stamp() {
        None => out.extend_from_slice(&[first::NIL]),
        Some(Stamp::Text(text)) => put_str(text.as_bytes(), out),
        Some(Stamp::Int(int) | Stamp::Whole(int, IntForm::Bignum)) => put_int(*int, out),
        Some(Stamp::Whole(int, IntForm::Single)) => {
            out.put_u8(first::FLOAT_32);
            out.put_f32(*int as f32);
        }
        Some(Stamp::Whole(int, IntForm::Half | IntForm::Double)) => {
            out.put_u8(first::FLOAT_64);
            out.put_f64(*int as f64);
        }
    }
    let timeout = head.timeout();
    if head.flags() != 0 || timeout.is_some() {
        put_uint(head.flags().into(), out);
    }
    if let Some(timeout) = timeout {
        put_uint(timeout.get().into(), out);
    }
}

fn read_stamp(message: &Bytes, range: &Range<usize>) -> Result<Stamp, CodecError> {
    const PLACE: &str = "the stamp";
    match ObjectHead::read(message, range.start)?.kind {
        Kind::Str(_) => return text(message, range, PLACE).map(Stamp::Text),
        Kind::Int(int) => return Ok(Stamp::Int(int)),
        Kind::Uint(int) => i64::try_from(int).ok().map(Stamp::Int),
        Kind::Plain => {
            let single = message.get(range.start) == Some(&first::FLOAT_32);
            let form = if single { IntForm::Single } else { IntForm::Double };
            scan::float(message, range.start).and_then(|float| Stamp::from_float(float, form))
        }
        _ => None,
    }
    .ok_or(CodecError::shape(PLACE, "not a str, an integer of 64 bits or nil"))
}

fn read_u32(message: &Bytes, range: &Range<usize>) -> u32 {
    if range.is_empty() {
        return 0;
    }
    match ObjectHead::read(message, range.start).map(|head| head.kind) {
        Ok(Kind::Uint(int)) => int.try_into().unwrap_or(0),
        Ok(Kind::Int(int)) => int.try_into().unwrap_or(0),
        _ => 0,
    }
}
