//! [`NoteStamp`]: the stamp of a note that wants no receipt.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use bytes::BytesMut;

/// The member of an empty stamp, in the form of the UUIDs of the package (version 4).
const EMPTY: &[u8] = br#","stamp":"00000000-0000-4000-8000-000000000000""#;
/// The length of a UUID and its closing quote.
const TAIL: usize = 37;

/// The place of a stamp whose note is being written.
pub(super) struct NoteStamp(Range<usize>);

impl NoteStamp {
    /// Writes the member, with an empty stamp.
    pub(super) fn reserve(out: &mut BytesMut) -> Self {
        out.extend_from_slice(EMPTY);
        Self(out.len() - TAIL..out.len() - 1)
    }

    /// Fills in the stamp, once the data is written at the end of `out`. The stamp is a hash of both.
    pub(super) fn fill(self, name: &str, out: &mut BytesMut) {
        let Self(place) = self;
        let data = out.get(place.end..).unwrap_or_default();
        let [high, low] = [0, 1].map(|half| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(half);
            hasher.write_usize(name.len());
            hasher.write(name.as_bytes());
            hasher.write(data);
            hasher.finish()
        });
        let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
        let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        let mut uuid = String::with_capacity(TAIL);
        // This cannot fail: a string grows.
        let _ = write!(
            uuid,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        );
        if let Some(stamp) = out.get_mut(place)
            && stamp.len() == uuid.len()
        {
            stamp.copy_from_slice(uuid.as_bytes());
        }
    }
}
