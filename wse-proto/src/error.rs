//! [`CodecError`] and [`UsageError`].

use std::error::Error;
use std::fmt;

/// What a [`CodecError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The bytes are not of this format at all.
    Malformed,
    /// Well-formed, but not an envelope.
    Shape,
    /// A payload that is not of the type its reader wants, or a value that its format cannot write.
    Value,
    /// Deeper or larger than allowed.
    Limit,
}

/// A message or payload could not be read or written: what, where and why.
#[derive(Debug)]
pub struct CodecError {
    kind: CodecErrorKind,
    place: &'static str,
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CodecError {
    /// An error of this kind in `place` ("the stamp"), and what is wrong there ("not UTF-8").
    pub const fn new(kind: CodecErrorKind, place: &'static str, what: &'static str) -> Self {
        Self { kind, place, what, source: None }
    }

    /// Bytes that are not of the format.
    pub const fn malformed(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Malformed, place, what)
    }

    /// Well-formed bytes that are no envelope.
    pub const fn shape(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Shape, place, what)
    }

    /// A payload of another type.
    pub const fn value(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Value, place, what)
    }

    /// Too deep or too large.
    pub const fn limit(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Limit, place, what)
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the error is about.
    pub const fn kind(&self) -> CodecErrorKind {
        self.kind
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            CodecErrorKind::Malformed => "malformed message",
            CodecErrorKind::Shape => "not an envelope",
            CodecErrorKind::Value => "wrong value",
            CodecErrorKind::Limit => "over a limit",
        };
        write!(f, "{kind}: {}: {}", self.place, self.what)
    }
}

impl Error for CodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The caller asked for something the session cannot do now. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageError {
    /// The session is not ready: not yet authenticated, or already closed.
    NotReady,
    /// As many calls as allowed are waiting for their answers; wait for one of them.
    TooManyCalls,
    /// This decision is not asked for in the present state, such as accepting twice.
    NotAsked,
    /// The protocol of the connection has no receipts.
    NoReceipts,
    /// As many receipts as allowed are waited for; wait for one of them.
    TooManyReceipts,
    /// A receipt is waited for under this stamp already.
    StampInUse,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the session is not ready",
            Self::TooManyCalls => "too many calls are waiting for their answers",
            Self::NotAsked => "the session does not wait for this decision",
            Self::NoReceipts => "the protocol has no receipts",
            Self::TooManyReceipts => "too many receipts are waited for",
            Self::StampInUse => "a receipt is waited for under this stamp already",
        })
    }
}

impl Error for UsageError {}
