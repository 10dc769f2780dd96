//! Helpers to write the parts of an envelope.

use bytes::BytesMut;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
use wse_proto::CodecError;

/// Appends `before`, `text` and `after`. Short ones, such as names and stamps, are appended at once, because every append
/// has a fixed cost that is higher than that of a few bytes.
#[inline(always)]
pub(crate) fn put_around<const B: usize, const A: usize>(
    before: [u8; B],
    text: &[u8],
    after: [u8; A],
    out: &mut BytesMut,
) {
    let mut line = [0; 64];
    let end = B + text.len();
    match line.get_mut(..end + A) {
        Some(line) => {
            line[..B].copy_from_slice(&before);
            line[B..end].copy_from_slice(text);
            line[end..].copy_from_slice(&after);
            out.extend_from_slice(line);
        }
        None => {
            out.extend_from_slice(&before);
            out.extend_from_slice(text);
            out.extend_from_slice(&after);
        }
    }
}

/// Appends what `write` writes, or `null` when that is nothing. If `write` fails, `out` is truncated to `start`, where the
/// message began.
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
#[inline]
pub(crate) fn put_payload(
    start: usize,
    null: &[u8],
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let before = out.len();
    if let Err(error) = write(out) {
        out.truncate(start);
        return Err(error);
    }
    if out.len() == before {
        out.extend_from_slice(null);
    }
    Ok(())
}
