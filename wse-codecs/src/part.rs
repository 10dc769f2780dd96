//! Cutting a message down to its payload without counting references.

use std::ops::Range;

use bytes::{Buf, Bytes};

/// The bytes at `range` of `message`. Unlike `slice`, which clones and lets its argument be
/// dropped, this touches no reference count.
pub(crate) fn part(mut message: Bytes, range: Range<usize>) -> Bytes {
    message.truncate(range.end);
    let start = range.start.min(message.len());
    message.advance(start);
    message
}
