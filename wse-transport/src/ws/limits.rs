//! [`Limits`]: bounds on memory that a peer can make this side use.

/// Limits on what is received. Each is checked on the declared length, before memory is reserved; a message of exactly
/// the limit is allowed.
///
/// For compressed messages, [`max_message`](Self::max_message) applies to the inflated size, and is checked during
/// inflation. On the wire such a message, and each of its frames, may exceed the limits by an eighth, since data that
/// cannot be compressed grows.
///
/// ```
/// use wse_transport::ws::Limits;
///
/// let unauthenticated = Limits::default().max_message(16 * 1024);
/// assert_eq!(unauthenticated.max_fragments, 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most payload bytes of a message, over all its fragments. Default: 1 MiB. A longer message closes with 1009.
    pub max_message: usize,
    /// The most payload bytes of a data frame. Default: 1 MiB. Lower it to make peers fragment. A longer frame closes with
    /// 1009.
    pub max_frame: usize,
    /// The most frames of a message, including empty ones. Default: 1024. Each fragment costs time even if it is empty. One
    /// more closes with 1008.
    pub max_fragments: usize,
}

impl Limits {
    /// No limits, for tests and for peers that you trust entirely.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { max_message: usize::MAX, max_frame: usize::MAX, max_fragments: usize::MAX }
    }

    /// Sets [`max_message`](Self::max_message), in bytes, and [`max_frame`](Self::max_frame) to the same.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self.max_frame = bytes;
        self
    }

    /// Sets [`max_frame`](Self::max_frame), in bytes. Call it after [`max_message`](Self::max_message()), which sets it too.
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
