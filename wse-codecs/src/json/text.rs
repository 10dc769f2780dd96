//! Strings and integers in JSON.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use wse_proto::{CodecError, IntForm, Stamp, Text};

use super::scan;
use crate::scratch::through;

/// Reads the JSON string `element`: a slice of the message, unless it has escapes.
#[inline]
pub(crate) fn string(
    message: &Bytes,
    element: &str,
    place: &'static str,
) -> Result<Text, CodecError> {
    match element.get(1..element.len().saturating_sub(1)) {
        Some(plain) if scan::plain(plain.as_bytes(), 0) == plain.len() => {
            Ok(Text::slice_of(message, plain))
        }
        _ => serde_json::from_str::<String>(element)
            .map(Text::from)
            .map_err(|e| CodecError::malformed(place, "an invalid escape").with_source(e)),
    }
}

/// Writes a JSON string.
pub(crate) fn put_string(text: &str, out: &mut BytesMut) {
    if scan::plain(text.as_bytes(), 0) == text.len() {
        out.extend_from_slice(b"\"");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\"");
    } else {
        // This cannot fail: a `str` has a JSON form, and the buffer grows.
        let written = through(out, |out| serde_json::to_writer(out, text));
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

/// The stamp that a float without a fraction is, such as `5.0`. An integer beyond 64 bits is none.
pub(crate) fn float_stamp(number: &str) -> Option<Stamp> {
    let float = number.contains(['.', 'e', 'E']).then(|| number.parse().ok()).flatten()?;
    Stamp::from_float(float, IntForm::Double)
}

/// Writes a stamp. One that was a float is written as a float.
pub(crate) fn put_stamp(stamp: &Stamp, out: &mut BytesMut) {
    match stamp {
        Stamp::Text(text) => put_string(text, out),
        Stamp::Int(int) => put_integer(*int, out),
        Stamp::Whole(int, _) => {
            put_integer(*int, out);
            out.extend_from_slice(b".0");
        }
    }
}

/// Writes a JSON integer.
pub(crate) fn put_integer(int: i64, out: &mut BytesMut) {
    // This cannot fail: the buffer grows.
    let written = write!(out, "{int}");
    debug_assert!(written.is_ok(), "{written:?}");
}
