//! What a peer may make us hold in memory.

/// Bounds on what is received. Each is checked on the declared length, before memory is reserved;
/// exactly the limit passes. Of a compressed message [`max_message`](Self::max_message) is checked
/// on what it inflates to, while it does; on the wire it, and each of its frames, may be an eighth
/// longer than the limits, as what cannot be compressed grows.
///
/// ```
/// use wse_transport::ws::Limits;
///
/// let strangers = Limits::default().max_message(16 * 1024);
/// assert_eq!(strangers.max_fragments, 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Payload bytes of a whole message, all its fragments together. Default: 1 MiB. Raise it for
    /// peers that you know; one byte more closes with 1009.
    pub max_message: usize,
    /// Payload bytes of one data frame. Default: 1 MiB. Lower it to make peers fragment; one byte
    /// more closes with 1009.
    pub max_frame: usize,
    /// Frames per message, empty ones included. Default: 1024. Each fragment costs time even when
    /// it carries nothing; one more closes with 1008.
    pub max_fragments: usize,
}

impl Limits {
    /// No bounds but those of the address space: for tests and for peers you trust entirely.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { max_message: usize::MAX, max_frame: usize::MAX, max_fragments: usize::MAX }
    }

    /// Sets [`max_message`](Self::max_message), in bytes, and lets a single frame be as large.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self.max_frame = bytes;
        self
    }

    /// Sets [`max_frame`](Self::max_frame), in bytes. Call it after
    /// [`max_message`](Self::max_message()), which sets it too.
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Sets [`max_fragments`](Self::max_fragments), in frames per message.
    #[must_use]
    pub const fn max_fragments(mut self, frames: usize) -> Self {
        self.max_fragments = frames;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message: 1 << 20, max_frame: 1 << 20, max_fragments: 1024 }
    }
}
