//! Writing short texts in one piece.

use bytes::BytesMut;

/// Appends `before`, `text` and `after` in one go when they are short, as names and stamps are: each
/// append costs more than the bytes of it.
#[inline]
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
