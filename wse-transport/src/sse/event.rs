//! Events ⇄ the lines of `text/event-stream` (WHATWG HTML §9.2.5); the reading is the client's.

use std::{fmt::Write as _, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};

use super::error::EventError;

/// What timers of 31 bits can hold; past it some clients would come back at once.
const MAX_RETRY: Duration = Duration::from_millis(i32::MAX as u64);

const MAX_RETRY_LEN: usize = "retry: 2147483647\n".len();

/// One event, or only some of its parts.
///
/// | part | what a client does with it |
/// | --- | --- |
/// | data | dispatches the event; without data it does not, whatever else there is |
/// | name | the event's type; `message` when there is none, or an empty one |
/// | id | says it in `Last-Event-ID` when it comes back; an empty one is forgotten again |
/// | retry | waits as long before it comes back |
/// | comment | nothing |
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
    /// An event with this data. CR LF, LF and CR in it all arrive as LF, for that is all the format
    /// can carry.
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: Some(data.into()), ..Self::default() }
    }

    /// A comment, which clients pass over. Line breaks make several of it.
    pub fn comment(text: impl Into<String>) -> Self {
        Self { comment: Some(text.into()), ..Self::default() }
    }

    /// Sets the name, which is the `type` of the client's event.
    ///
    /// # Errors
    ///
    /// [`EventError::LineBreak`] for a name with CR or LF, which would end it and begin another field.
    pub fn name(mut self, name: impl Into<String>) -> Result<Self, EventError> {
        self.name = Some(one_line("name", name.into())?);
        Ok(self)
    }

    /// Sets the id.
    ///
    /// # Errors
    ///
    /// [`EventError::LineBreak`] for an id with CR or LF; [`EventError::Nul`] for one with U+0000,
    /// which clients ignore.
    pub fn id(mut self, id: impl Into<String>) -> Result<Self, EventError> {
        let id = one_line("id", id.into())?;
        if id.contains('\0') {
            return Err(EventError::Nul);
        }
        self.id = Some(id);
        Ok(self)
    }

    /// Sets how long the client waits before it comes back, in whole milliseconds and at most 2³¹ - 1
    /// of them, some 24 days.
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry.min(MAX_RETRY));
        self
    }

    /// Its bytes, to be sent to many streams without being copied for each.
    #[must_use]
    pub fn encode(&self) -> EncodedEvent {
        let parts = [&self.comment, &self.name, &self.id, &self.data];
        let len: usize = parts.into_iter().flatten().map(|text| max_len(text)).sum();
        let mut out = BytesMut::with_capacity(len + MAX_RETRY_LEN + 1);
        self.write(&mut out);
        EncodedEvent(out.freeze())
    }

    /// Appends its bytes to `out`, up to and with the empty line that ends it.
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

/// The bytes of an [`Event`]. Clones share them.
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

/// A field: clients take one space after the colon away, so that there is always one to take.
fn field(name: &str, value: &str, out: &mut BytesMut) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\n");
}

fn one_line(what: &'static str, text: String) -> Result<String, EventError> {
    if text.contains(['\r', '\n']) { Err(EventError::LineBreak(what)) } else { Ok(text) }
}

/// The bytes of a part at most: each line break makes a field of its own.
fn max_len(text: &str) -> usize {
    let breaks = text.bytes().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
    text.len() + (breaks + 1) * "event: \n".len()
}

/// The lines of a text as clients tell them apart: CR LF, LF and CR each end one.
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
