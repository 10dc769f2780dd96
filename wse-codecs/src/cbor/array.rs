//! [`Cbor`]: the protocol of wse in CBOR.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use wse_proto::{
    Capabilities, CodecError, Envelope, Head, IntForm, InternalTypes, Packed, Protocol,
    ProtocolInfo, Stamp, Text,
};

use super::format::{is_null, put_head, put_text, text};
use super::reader::{Reader, tag};
use super::scan::{self, ItemHead, major};
use super::{CborFormat, scan::NULL};
use crate::items::{Item, Number, Source};
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
/// **The stamps 0 and `""` mean "no stamp"**, as in the JavaScript package: a peer has to count its calls from 1.
///
/// Null stands for an absent element, also for an absent payload; `undefined` is read as null. Arrays may be shorter, or of
/// indefinite length. Tags before the array and its elements are passed over. A stamp that is a float without a fraction, or a
/// bignum, is that integer if it has at most 64 bits; its answer carries it in the same form. Elements after the fifth are ignored, and so is a fourth or fifth that is not an unsigned integer.
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

const INFO: ProtocolInfo =
    ProtocolInfo::binary("wse-cbor").capabilities(Capabilities::CONVENTION.resume());

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
        Some(Stamp::Whole(int, form)) => put_whole(*int, *form, out),
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
        // A tagged text, or null.
        _ if head.major == major::TAG
            && !matches!(head.argument, tag::BIGNUM | tag::NEGATIVE_BIGNUM) =>
        {
            read_stamp(message, &(head.end..range.end))
        }
        _ => {
            let whole = number(message, range).and_then(|(number, form)| match form {
                IntForm::Bignum => number.as_i64().map(|int| Stamp::Whole(int, form)),
                _ => Stamp::from_float(number.as_f64(), form),
            });
            whole.ok_or(CodecError::shape(PLACE, "not a text, an integer of 64 bits or null"))
        }
    }
}

/// Reads a float or a bignum, after any tags.
fn number(message: &Bytes, range: &Range<usize>) -> Option<(Number, IntForm)> {
    let head = ItemHead::read(message, scan::past_tags(message, range.start)).ok()?;
    let form = match (head.major, head.info) {
        (major::SIMPLE, 25) => IntForm::Half,
        (major::SIMPLE, 26) => IntForm::Single,
        (major::SIMPLE, 27) => IntForm::Double,
        (major::BYTES, _) => IntForm::Bignum,
        _ => return None,
    };
    match Reader::new(message.get(range.clone())?).next() {
        Ok(Item::Number(number)) => Some((number, form)),
        _ => None,
    }
}

/// Writes an integer in a form that is not an integer of 64 bits.
fn put_whole(int: i64, form: IntForm, out: &mut BytesMut) {
    let float = int as f64;
    match form {
        IntForm::Half => {
            out.put_u8(major::SIMPLE << 5 | 25);
            out.put_u16(half_of(int));
        }
        IntForm::Single => {
            out.put_u8(major::SIMPLE << 5 | 26);
            out.put_f32(float as f32);
        }
        IntForm::Double => {
            out.put_u8(major::SIMPLE << 5 | 27);
            out.put_f64(float);
        }
        IntForm::Bignum => {
            let (tag, value) = if int < 0 {
                (tag::NEGATIVE_BIGNUM, !int as u64)
            } else {
                (tag::BIGNUM, int as u64)
            };
            let bytes = value.to_be_bytes();
            let zeros = (value.leading_zeros() / 8) as usize;
            let bytes = bytes.get(zeros..).unwrap_or_default();
            put_head(major::TAG, tag, out);
            put_head(major::BYTES, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
    }
}

/// An integer as a float of 16 bits, which it was read from: it has at most 11 significant bits, and at most 16 in all.
fn half_of(int: i64) -> u16 {
    let sign = u16::from(int < 0) << 15;
    let value = int.unsigned_abs();
    if value == 0 {
        return sign;
    }
    let exponent = value.ilog2();
    // Shifts the highest bit to the place of 2^10, which is implied.
    let fraction = (value << 10 >> exponent) as u16 & 0x3ff;
    sign | (exponent as u16 + 15) << 10 | fraction
}

fn read_u32(message: &Bytes, range: &Range<usize>) -> u32 {
    if range.is_empty() {
        return 0;
    }
    match ItemHead::read(message, range.start) {
        Ok(head) if head.major == major::UNSIGNED => head.argument.try_into().unwrap_or(0),
        Ok(head) if head.major == major::TAG => {
            read_u32(message, &(scan::past_tags(message, head.end)..range.end))
        }
        _ => 0,
    }
}
