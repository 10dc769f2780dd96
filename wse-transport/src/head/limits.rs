//! [`HeadLimits`].

/// Limits on the head of a request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// The longest line, in bytes, without its end. Default: 8 KiB. A longer first line is answered with 414, another
    /// one with 431.
    pub max_line: usize,
    /// The most header fields. Default: 128; more than 16,384 count as 16,384. More fields are answered with 431.
    pub max_headers: usize,
    /// The longest head, in bytes. Default: 32 KiB. A longer one is answered with 431.
    pub max_head: usize,
}

/// The most header fields of all. A `HeaderMap` panics beyond 24,576 names; below this there is room for those that
/// are added to a head later.
const MAX_FIELDS: usize = 16 * 1024;

impl HeadLimits {
    /// Sets [`max_line`](Self::max_line), in bytes.
    #[must_use]
    pub const fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Sets [`max_headers`](Self::max_headers).
    #[must_use]
    pub const fn max_headers(mut self, fields: usize) -> Self {
        self.max_headers = fields;
        self
    }

    /// Sets [`max_head`](Self::max_head), in bytes.
    #[must_use]
    pub const fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// [`max_headers`](Self::max_headers), as far as a `HeaderMap` can hold them.
    pub(super) fn fields(&self) -> usize {
        self.max_headers.min(MAX_FIELDS)
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_line: 8 * 1024, max_headers: 128, max_head: 32 * 1024 }
    }
}
