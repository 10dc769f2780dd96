//! The size of a read buffer.

use bytes::BytesMut;

use crate::frame::FrameHeader;

/// How much is read at once, at first, in bytes. It doubles, up to [`READ_AHEAD`], while reads fill the buffer, and halves
/// when [`PATIENCE`] reads have left most of it empty.
const READ_CHUNK: usize = 8 * 1024;

/// The number of small reads before less is read at once.
const PATIENCE: u8 = 16;

/// A read buffer with less space than this at its end is renewed, in bytes.
const READ_MIN: usize = 2 * 1024;

/// How much may be reserved ahead of the payload that has arrived, in bytes. Beyond it, as much again as has arrived, or
/// as much as the peer has sent in one frame before: declaring a length costs the sender 8 bytes, and this side no more
/// than this.
const READ_AHEAD: usize = 64 * 1024;

/// What earlier reads of a connection have shown.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    /// How much to read at once, in bytes.
    chunk: usize,
    /// The number of reads that left most of the buffer empty, since one filled it.
    small_reads: u8,
    /// Whether the read buffer has the wrong size.
    renew: bool,
    /// The largest payload that has arrived whole, in bytes.
    proven: usize,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { chunk: READ_CHUNK, small_reads: 0, renew: false, proven: 0 }
    }
}

impl ReadBuffer {
    /// The payload of a frame has arrived whole.
    pub(super) fn arrived(&mut self, len: usize) {
        self.proven = self.proven.max(len);
    }

    /// Makes space for the next read. `missing` is the part of the current frame's payload that has not arrived, in bytes;
    /// `None` between frames.
    pub(super) fn reserve(&mut self, src: &mut BytesMut, missing: Option<usize>) {
        let room = src.capacity() - src.len();
        if room == 0 {
            self.small_reads = 0;
            if self.chunk < READ_AHEAD {
                self.chunk *= 2;
                self.renew = true;
            }
        } else if room > self.chunk / 4 * 3 && self.chunk > READ_CHUNK {
            self.small_reads += 1;
            if self.small_reads == PATIENCE {
                self.small_reads = 0;
                self.chunk /= 2;
                self.renew = true;
            }
        }
        match missing {
            None if self.renew && src.len() <= READ_CHUNK => {
                // Otherwise an idle connection would keep the memory of its largest message.
                let mut fresh = BytesMut::with_capacity(self.chunk + src.len());
                fresh.extend_from_slice(src);
                *src = fresh;
                self.renew = false;
            }
            None if room < READ_MIN => {
                src.reserve(self.chunk.saturating_sub(src.len()).max(READ_MIN));
            }
            Some(missing) => {
                let ahead = missing.min(READ_AHEAD.max(src.len()).max(self.proven));
                // Reserve the space of the whole payload before it has to be moved there.
                if room < if self.proven > READ_AHEAD { ahead } else { ahead.min(READ_MIN) } {
                    if src.len() + ahead > READ_AHEAD {
                        self.chunk = READ_CHUNK;
                        self.renew = true;
                    }
                    // Of the next frame, reserve space for what arrives with the same read: behind a long frame no more than a header,
                    // since it has to be moved.
                    let next = if ahead == missing { FrameHeader::MAX_LEN } else { 0 };
                    src.reserve((ahead + next).max(self.chunk));
                }
            }
            None => {}
        }
    }
}
