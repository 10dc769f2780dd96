//! [`HeadError`].

use std::fmt;

/// A head that is malformed or beyond the limits. The sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The first line is longer than [`HeadLimits::max_line`](crate::handshake::HeadLimits::max_line).
    FirstLineTooLong,
    /// A header field is longer than [`HeadLimits::max_line`](crate::handshake::HeadLimits::max_line).
    LineTooLong,
    /// There are more header fields than [`HeadLimits::max_headers`](crate::handshake::HeadLimits::max_headers).
    TooManyHeaders,
    /// The head is longer than [`HeadLimits::max_head`](crate::handshake::HeadLimits::max_head).
    TooLong,
    /// The head is not HTTP/1.x.
    Malformed,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstLineTooLong => "first line is too long",
            Self::LineTooLong => "header field is too long",
            Self::TooManyHeaders => "too many header fields",
            Self::TooLong => "head is too long",
            Self::Malformed => "head is malformed",
        })
    }
}

impl std::error::Error for HeadError {}
