//! [`CodecError`] and [`UsageError`].

use std::error::Error;
use std::fmt;

use crate::{Stamp, excerpt};

/// The kind of a [`CodecError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The bytes are not well-formed in this format.
    Malformed,
    /// The bytes are well-formed, but not an envelope.
    Shape,
    /// A payload is not of the type that its reader wants, or a value cannot be expressed in the format.
    Value,
    /// The message is deeper or larger than allowed.
    Limit,
}

/// What a message that could not be read was. It decides who learns of it, where a protocol has error reports
/// ([`Capabilities::error_reports`](crate::Capabilities::error_reports)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unread {
    /// A call with this stamp. It is answered with a fault, instead of an error report.
    Call(Stamp),
    /// An answer, with its stamp if that could be read. The call with this stamp ends. An answer is never answered.
    Answer(Option<Stamp>),
}

/// A message or payload could not be read or written.
#[derive(Debug)]
pub struct CodecError {
    kind: CodecErrorKind,
    place: &'static str,
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a message was, in the place of the cause. A field of its own would make every result with an error larger, which
/// the hot paths move.
#[derive(Debug)]
struct WithUnread {
    unread: Unread,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for WithUnread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.unread {
            Unread::Call(_) => "it was a call",
            Unread::Answer(_) => "it was an answer",
        })
    }
}

impl Error for WithUnread {}

impl CodecError {
    /// An error of this kind. `place` is the part that is wrong ("the stamp"), `what` is the problem ("not UTF-8").
    pub const fn new(kind: CodecErrorKind, place: &'static str, what: &'static str) -> Self {
        Self { kind, place, what, source: None }
    }

    /// An error of [`CodecErrorKind::Malformed`].
    pub const fn malformed(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Malformed, place, what)
    }

    /// An error of [`CodecErrorKind::Shape`].
    pub const fn shape(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Shape, place, what)
    }

    /// An error of [`CodecErrorKind::Value`].
    pub const fn value(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Value, place, what)
    }

    /// An error of [`CodecErrorKind::Limit`].
    pub const fn limit(place: &'static str, what: &'static str) -> Self {
        Self::new(CodecErrorKind::Limit, place, what)
    }

    /// Adds the cause.
    ///
    /// Many errors of codecs repeat what they have read. A cause whose text is not an [`excerpt`] already, or that has a
    /// cause with such a text, is replaced by an error whose text is the excerpt of all.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = Some(shown(source.into()));
        match self.source.as_mut().and_then(|source| source.downcast_mut::<WithUnread>()) {
            Some(known) => known.source = source,
            None => self.source = source,
        }
        self
    }

    /// Adds what the message was.
    ///
    /// ```
    /// use wse_proto::{CodecError, Stamp, Unread};
    /// let error = CodecError::shape("the params", "not an array or object");
    /// let error = error.with_unread(Unread::Call(Stamp::Int(7)));
    /// assert_eq!(error.unread(), Some(&Unread::Call(Stamp::Int(7))));
    /// ```
    #[must_use]
    pub fn with_unread(mut self, unread: Unread) -> Self {
        let source = match self.source.take().map(|source| source.downcast::<WithUnread>()) {
            Some(Ok(known)) => known.source,
            Some(Err(source)) => Some(source),
            None => None,
        };
        self.source = Some(Box::new(WithUnread { unread, source }));
        self
    }

    /// What the message was; `None` when that is not known.
    pub fn unread(&self) -> Option<&Unread> {
        self.known().map(|known| &known.unread)
    }

    fn known(&self) -> Option<&WithUnread> {
        self.source.as_deref()?.downcast_ref()
    }

    /// The kind of the error.
    pub const fn kind(&self) -> CodecErrorKind {
        self.kind
    }
}

/// Replaces an error whose text, or that of a cause, is long or has control characters.
fn shown(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
    let top: &(dyn Error + 'static) = &*error;
    let all = std::iter::successors(Some(top), |&error| error.source());
    let texts: Vec<_> = all.map(ToString::to_string).collect();
    if texts.iter().all(|text| excerpt(text).to_string() == *text) {
        return error;
    }
    excerpt(&texts.join(": ")).to_string().into()
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
        let source = match self.known() {
            Some(known) => &known.source,
            None => &self.source,
        };
        source.as_deref().map(|source| source as _)
    }
}

/// The caller asked for something that the session cannot do now. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageError {
    /// The session is not ready: not yet authenticated, or already closed.
    NotReady,
    /// The most calls allowed are pending. Wait until one ends.
    TooManyCalls,
    /// This decision is not due in the present state, for example a second `accept`.
    NotAsked,
    /// The protocol of the connection has no receipts.
    NoReceipts,
    /// The most receipts allowed are pending. Wait until one ends.
    TooManyReceipts,
    /// A receipt is pending under this stamp already.
    StampInUse,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the session is not ready",
            Self::TooManyCalls => "too many calls are pending",
            Self::NotAsked => "this decision is not due",
            Self::NoReceipts => "the protocol has no receipts",
            Self::TooManyReceipts => "too many receipts are pending",
            Self::StampInUse => "a receipt is pending under this stamp already",
        })
    }
}

impl Error for UsageError {}

#[cfg(test)]
mod tests {
    use std::fmt::Error as Plain;

    use super::*;

    #[test]
    fn what_a_message_was_hides_no_cause() {
        let base = || CodecError::shape("the id", "missing");
        let call = || Unread::Call("s".into());
        assert!(base().unread().is_none() && base().source().is_none());
        assert!(base().with_source(Plain).unread().is_none());
        assert!(base().with_unread(call()).source().is_none());
        let errors = [
            base().with_unread(call()).with_source(Plain),
            base().with_source(Plain).with_unread(call()),
            base().with_source(Plain).with_unread(Unread::Answer(None)).with_unread(call()),
        ];
        for error in errors {
            assert_eq!(error.unread(), Some(&call()));
            assert!(error.source().unwrap().is::<Plain>());
        }
    }

    #[test]
    fn a_cause_that_repeats_what_a_peer_wrote_is_shown_as_an_excerpt() {
        let base = || CodecError::value("the payload", "not of the expected type");
        let echo = format!("unknown variant `\u{1b}[2J{}`, expected `red`", "A".repeat(900_000));
        let inner = CodecError { source: Some(echo.as_str().into()), ..base() };
        for source in [echo.as_str().into(), Box::<dyn Error + Send + Sync>::from(inner)] {
            let error = base().with_source(source);
            let shown = error.source().unwrap().to_string();
            assert!(shown.contains(r"unknown variant `\u{1b}[2JAAA"), "{shown}");
            assert!(shown.ends_with("AAA`, expected `red`"), "{shown}");
            assert!(shown.len() <= 1024 && error.source().unwrap().source().is_none());
            assert!(format!("{error:?}").len() < 1500);
        }
        // Other causes keep their type.
        let error = base().with_source(Plain);
        assert!(error.source().unwrap().is::<Plain>());
    }
}
