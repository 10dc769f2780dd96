//! [`Limits`]: bounds on memory that a peer can make this side use.

/// Limits on what is received. Each is checked on the declared length, before memory is reserved; a message of exactly
/// the limit is allowed.
///
/// The limits on frames and fragments follow from [`max_message`](Self::max_message) unless they are set: a peer that splits
/// its messages can send every message within the limit.
///
/// For compressed messages, [`max_message`](Self::max_message) applies to the inflated size, and is checked during
/// inflation. On the wire such a message, and each of its frames, may exceed the limits by an eighth, since data that
/// cannot be compressed grows.
///
/// ```
/// use wse_transport::ws::Limits;
///
/// let limits = Limits::default().max_message(5 << 20);
/// assert_eq!(limits.frame_limit(), 5 << 20);
/// assert_eq!(limits.fragment_limit(), (5 << 20) / 64 + 1024);
/// assert_eq!(limits.max_fragments(100).fragment_limit(), 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most payload bytes of a message, over all its fragments. Default: 1 MiB. A longer message closes with 1009.
    pub max_message: usize,
    /// The most payload bytes of a data frame. Default: `None`, as many as [`max_message`](Self::max_message). Lower it to
    /// make peers fragment. A longer frame closes with 1009.
    pub max_frame: Option<usize>,
    /// The most frames of a message, including empty ones. 0 counts as 1. Default: `None`, one for each 64 bytes of
    /// [`max_message`](Self::max_message), and 1,024 more; 17,408 for 1 MiB. Each fragment costs time even if it is empty. One
    /// more closes with 1008.
    pub max_fragments: Option<usize>,
}

/// The smallest useful frame, in bytes. Peers that split by default send at least 4 KiB in one, and hardly any can be set to
/// less than this.
const USEFUL_FRAME: usize = 64;

/// The frames that any message may have: those of a text that is sent as it is written, and empty ones.
const FRAMES: usize = 1024;

impl Limits {
    /// No limits, for tests and for peers that you trust entirely.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { max_message: usize::MAX, max_frame: None, max_fragments: Some(usize::MAX) }
    }

    /// Sets [`max_message`](Self::max_message), in bytes. The limits on frames and fragments follow, unless they are set.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets [`max_frame`](Self::max_frame), in bytes.
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = Some(bytes);
        self
    }

    /// Sets [`max_fragments`](Self::max_fragments), in frames per message.
    #[must_use]
    pub const fn max_fragments(mut self, frames: usize) -> Self {
        self.max_fragments = Some(frames);
        self
    }

    /// The most payload bytes of a data frame: [`max_frame`](Self::max_frame), or what follows from
    /// [`max_message`](Self::max_message).
    #[must_use]
    pub const fn frame_limit(&self) -> usize {
        match self.max_frame {
            Some(bytes) => bytes,
            None => self.max_message,
        }
    }

    /// The most frames of a message: [`max_fragments`](Self::max_fragments), or what follows from
    /// [`max_message`](Self::max_message).
    #[must_use]
    pub const fn fragment_limit(&self) -> usize {
        match self.max_fragments {
            Some(0) => 1,
            Some(frames) => frames,
            None => self.max_message / USEFUL_FRAME + FRAMES,
        }
    }

    /// The most bytes of a message that is one frame.
    pub(crate) const fn whole(&self) -> usize {
        let (frame, message) = (self.frame_limit(), self.max_message);
        if frame < message { frame } else { message }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message: 1 << 20, max_frame: None, max_fragments: None }
    }
}
