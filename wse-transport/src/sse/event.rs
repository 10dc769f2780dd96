//! [`Event`], and its encoding as lines of `text/event-stream` (WHATWG HTML §9.2.5).

use std::{fmt::Write as _, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;

use super::error::EventError;

/// The longest id, in bytes: half of the longest line that servers take by default.
const MAX_ID: usize = 4096;

/// The largest value of timers with 31 bits; beyond it some clients would reconnect at once.
const MAX_RETRY: Duration = Duration::from_millis(i32::MAX as u64);

const MAX_RETRY_LEN: usize = "retry: 2147483647\n".len();

/// One event, or only some of its parts.
///
/// | part | effect on a client |
/// | --- | --- |
/// | data | dispatches the event; without data none is dispatched |
/// | name | the type of the event; `message` if it is absent or empty |
/// | id | is sent in `Last-Event-ID` when the client reconnects; an empty one removes it |
/// | retry | the time to wait before reconnecting |
/// | comment | none |
///
/// ```
/// # use wse_transport::sse::{Event, EventError};
/// # fn main() -> Result<(), EventError> {
/// let event = Event::new("two\r\nlines").name("news")?.id("7")?;
/// assert_eq!(event.encode().as_ref(), b"event: news\nid: 7\ndata: two\ndata: lines\n\n");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    comment: Option<String>,
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    data: Option<String>,
}

impl Event {
    /// Creates an event with this data. The format has one kind of line break: every CR LF and every CR in the data arrives
    /// as LF.
    #[must_use]
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: Some(data.into()), ..Self::default() }
    }

    /// Creates a comment, which clients ignore. Each line becomes a comment.
    #[must_use]
    pub fn comment(text: impl Into<String>) -> Self {
        Self { comment: Some(text.into()), ..Self::default() }
    }

    /// Sets the name, which is the `type` of the event in a client.
    ///
    /// # Errors
    ///
    /// [`EventError::LineBreak`] for a name with CR or LF, which would begin another field.
    pub fn name(mut self, name: impl Into<String>) -> Result<Self, EventError> {
        self.name = Some(one_line("name", name.into())?);
        Ok(self)
    }

    /// Sets the id, which the client sends back in the header field `Last-Event-ID`.
    ///
    /// # Errors
    ///
    /// [`EventError::LineBreak`] for an id with CR or LF; [`EventError::Nul`] for one with U+0000, which clients ignore;
    /// [`EventError::Id`] for one that a header field cannot carry, with which a client could never reconnect.
    pub fn id(mut self, id: impl Into<String>) -> Result<Self, EventError> {
        let id = one_line("id", id.into())?;
        if id.contains('\0') {
            return Err(EventError::Nul);
        }
        // RFC 9110 §5.5: whitespace around a value is not part of it.
        let trimmed = id.trim_matches([' ', '\t']).len() < id.len();
        if trimmed || id.len() > MAX_ID || HeaderValue::from_str(&id).is_err() {
            return Err(EventError::Id);
        }
        self.id = Some(id);
        Ok(self)
    }

    /// Sets how long the client waits before it reconnects, in whole milliseconds, at most 2³¹ - 1 of them (24 days).
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry.min(MAX_RETRY));
        self
    }

    /// Encodes the event, to be sent to many streams without a copy for each.
    #[must_use]
    pub fn encode(&self) -> EncodedEvent {
        let parts = [&self.comment, &self.name, &self.id, &self.data];
        let len: usize = parts.into_iter().flatten().map(|text| max_len(text)).sum();
        let mut out = BytesMut::with_capacity(len + MAX_RETRY_LEN + 1);
        self.write(&mut out);
        EncodedEvent(out.freeze())
    }

    /// Appends the encoded event to `out`, with the empty line at its end.
    pub fn write(&self, out: &mut BytesMut) {
        for line in self.comment.iter().flat_map(|text| lines(text)) {
            field("", line, out);
        }
        if let Some(name) = &self.name {
            field("event", name, out);
        }
        if let Some(id) = &self.id {
            field("id", id, out);
        }
        if let Some(retry) = self.retry {
            // Writing to memory does not fail.
            let _ = writeln!(out, "retry: {}", retry.as_millis());
        }
        for line in self.data.iter().flat_map(|text| lines(text)) {
            field("data", line, out);
        }
        out.put_slice(b"\n");
    }
}

impl From<&str> for Event {
    fn from(data: &str) -> Self {
        Self::new(data)
    }
}

impl From<String> for Event {
    fn from(data: String) -> Self {
        Self::new(data)
    }
}

/// An encoded [`Event`]. Clones share its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEvent(Bytes);

impl AsRef<[u8]> for EncodedEvent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<EncodedEvent> for Bytes {
    fn from(event: EncodedEvent) -> Self {
        event.0
    }
}

impl From<Event> for EncodedEvent {
    fn from(event: Event) -> Self {
        event.encode()
    }
}

impl From<&Event> for EncodedEvent {
    fn from(event: &Event) -> Self {
        event.encode()
    }
}

impl From<&Self> for EncodedEvent {
    fn from(event: &Self) -> Self {
        event.clone()
    }
}

impl From<&str> for EncodedEvent {
    fn from(data: &str) -> Self {
        Event::new(data).encode()
    }
}

impl From<String> for EncodedEvent {
    fn from(data: String) -> Self {
        Event::new(data).encode()
    }
}

/// Appends a field. Clients remove one space behind the colon, so that there must always be one.
fn field(name: &str, value: &str, out: &mut BytesMut) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\n");
}

fn one_line(what: &'static str, text: String) -> Result<String, EventError> {
    if text.contains(['\r', '\n']) { Err(EventError::LineBreak(what)) } else { Ok(text) }
}

/// The most bytes of a part: each line break makes a field.
fn max_len(text: &str) -> usize {
    let breaks = text.bytes().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
    text.len() + (breaks + 1) * "event: \n".len()
}

/// The lines of a text: CR LF, LF and CR each end one, as for clients.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((line, after)) = text.split_once(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let is_crlf = text.as_bytes().get(line.len()) == Some(&b'\r') && after.starts_with('\n');
        rest = Some(if is_crlf { after.get(1..).unwrap_or_default() } else { after });
        Some(line)
    })
}
