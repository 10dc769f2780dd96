//! [`HeadLimits`].

/// Limits on the head of a request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// The longest line, in bytes, without its end. Default: 8 KiB. A longer first line is answered with 414, another
    /// one with 431.
    pub max_line: usize,
    /// The most header fields. Default: 128. More are answered with 431.
    pub max_headers: usize,
    /// The longest head, in bytes. Default: 32 KiB. A longer one is answered with 431.
    pub max_head: usize,
}

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
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_line: 8 * 1024, max_headers: 128, max_head: 32 * 1024 }
    }
}
