//! How much room a read buffer gets.

use bytes::BytesMut;

use super::frame::FrameHeader;

/// How much is asked of the transport at once to begin with, in bytes. It doubles, up to
/// [`READ_AHEAD`], while reads fill the buffer, and halves when [`PATIENCE`] of them have left
/// most of it empty.
const READ_CHUNK: usize = 8 * 1024;

/// How many small reads it takes until less is asked for.
const PATIENCE: u8 = 16;

/// With less room than this at the end of the read buffer, it is renewed.
const READ_MIN: usize = 2 * 1024;

/// How far memory may be reserved ahead of the payload that really arrived, in bytes. Beyond it,
/// as much again as has arrived, or as much as the peer has sent in one frame before: a declared length
/// alone costs its sender 8 bytes and us no more than this.
const READ_AHEAD: usize = 64 * 1024;

/// What the reads of a connection have shown.
#[derive(Debug)]
pub(super) struct Room {
    /// How much to ask of the transport at once, in bytes.
    chunk: usize,
    /// Reads that left most of the buffer empty, since one filled it.
    small_reads: u8,
    /// Whether the read buffer has a size that is right no more.
    renew: bool,
    /// The largest payload that has arrived whole, in bytes.
    proven: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { chunk: READ_CHUNK, small_reads: 0, renew: false, proven: 0 }
    }
}

impl Room {
    /// The payload of a frame has arrived whole.
    pub(super) fn arrived(&mut self, len: usize) {
        self.proven = self.proven.max(len);
    }

    /// Makes room for the next read. `missing` is what the frame under way lacks of its payload, in
    /// bytes; `None` between frames.
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
                // Else an idle connection would keep the memory of its largest message.
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
                // What is expected to come is given its place before it has to be moved there.
                if room < if self.proven > READ_AHEAD { ahead } else { ahead.min(READ_MIN) } {
                    if src.len() + ahead > READ_AHEAD {
                        self.chunk = READ_CHUNK;
                        self.renew = true;
                    }
                    // Of the next frame, what comes with the same read: of a long one no more than the header,
                    // since that has to be moved.
                    let next = if ahead == missing { FrameHeader::MAX_LEN } else { 0 };
                    src.reserve((ahead + next).max(self.chunk));
                }
            }
            None => {}
        }
    }
}
