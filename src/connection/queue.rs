//! [`Queue`]: messages that are to be written.

use std::collections::VecDeque;

use bytes::Bytes;
use wse_proto::Text;
use wse_proto::session::Tracked;
use wse_transport::ws;

use super::unsent::Rule;

/// What happens to a message when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// An answer, or a message of the session itself: always queued. The limit on running handlers bounds them.
    Answer,
    /// A call: queued or refused.
    Call,
    /// A message: queued, refused or dropped, depending on the policy.
    Message,
    /// What resume does not count: a message of the session itself. As an answer in all else.
    Uncounted,
    /// A message that is sent again after a resume. It is not counted again, and the limits of the queue do not apply.
    Replay,
}

impl Class {
    /// Whether the queue refuses no message of this class.
    pub(super) fn is_answer(self) -> bool {
        matches!(self, Self::Answer | Self::Uncounted)
    }

    /// Whether the message takes a number when it is written, if the session can be resumed.
    pub(super) fn is_counted(self) -> bool {
        !matches!(self, Self::Uncounted | Self::Replay)
    }
}

/// A message of one connection, or one that several connections share.
#[derive(Clone, Debug)]
pub(crate) enum Queued {
    Own(ws::Message),
    Shared(ws::PreparedMessage),
}

impl Queued {
    pub(super) fn message(&self) -> &ws::Message {
        match self {
            Self::Own(message) => message,
            Self::Shared(prepared) => prepared.message(),
        }
    }
}

impl From<ws::Message> for Queued {
    fn from(message: ws::Message) -> Self {
        Self::Own(message)
    }
}

impl From<ws::PreparedMessage> for Queued {
    fn from(prepared: ws::PreparedMessage) -> Self {
        Self::Shared(prepared)
    }
}

/// A queued message. The message comes first, at the offset that it has elsewhere: a copy to another alignment defeats
/// store-to-load forwarding.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Entry {
    pub(super) message: Queued,
    pub(super) class: Class,
    pub(super) extra: Option<Box<Extra>>,
}

/// What few messages have.
#[derive(Debug)]
pub(super) enum Extra {
    /// The call or the receipt that waits for the message, if resume counts it.
    Tracked(Tracked),
    /// What becomes of it while it waits.
    Rule(Rule),
}

impl Extra {
    pub(super) fn into_tracked(self) -> Option<Tracked> {
        match self {
            Self::Tracked(tracked) => Some(tracked),
            Self::Rule(_) => None,
        }
    }
}

impl Entry {
    pub(super) fn tracked(&self) -> Option<&Tracked> {
        match self.extra.as_deref()? {
            Extra::Tracked(tracked) => Some(tracked),
            Extra::Rule(_) => None,
        }
    }

    fn rule(&self) -> Option<&Rule> {
        match self.extra.as_deref()? {
            Extra::Tracked(_) => None,
            Extra::Rule(rule) => Some(rule),
        }
    }

    pub(super) fn is_expired(&self) -> bool {
        self.rule().is_some_and(Rule::is_expired)
    }

    pub(super) fn has_key(&self, key: &Text) -> bool {
        self.rule().is_some_and(|rule| rule.has_key(key))
    }
}

/// Messages in order. The first is stored in place: most queues hold one message, and need no allocation then.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Empty only when `rest` is.
    first: Option<Entry>,
    rest: VecDeque<Entry>,
}

/// How many of the queued messages are of one kind, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Tally {
    pub(super) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

impl Queue {
    pub(super) fn push(&mut self, message: Entry) {
        if self.first.is_none() {
            self.first = Some(message);
        } else {
            self.rest.push_back(message);
        }
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let next = std::mem::replace(&mut self.first, self.rest.pop_front());
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            // An idle connection keeps no buffer.
            self.rest = VecDeque::new();
        }
        next
    }

    /// Appends the messages of another queue.
    pub(super) fn append(&mut self, mut other: Self) {
        while let Some(entry) = other.pop() {
            self.push(entry);
        }
    }

    /// Takes the messages at the front that resume does not count.
    pub(super) fn take_uncounted(&mut self) -> Self {
        let mut uncounted = Self::default();
        while self.first.as_ref().is_some_and(|it| !it.class.is_counted())
            && let Some(entry) = self.pop()
        {
            uncounted.push(entry);
        }
        uncounted
    }

    /// Keeps the messages for which `keep` returns true, in order.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let mut all = std::mem::take(self);
        while let Some(entry) = all.pop() {
            if keep(&entry) {
                self.push(entry);
            }
        }
    }

    /// The first message for which `wanted` returns true.
    pub(super) fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        self.first.iter().chain(&self.rest).find(|entry| wanted(entry))
    }

    /// Takes the first message for which `wanted` returns true.
    pub(super) fn take_first(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        if self.first.as_ref().is_some_and(&wanted) {
            return self.pop();
        }
        let at = self.rest.iter().position(wanted)?;
        self.rest.remove(at)
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Counts the answers and the replayed messages. This is done after each write, when the queue is usually empty.
    pub(super) fn tally(&self) -> (Tally, Tally) {
        let (mut answers, mut replays) = (Tally::default(), Tally::default());
        for Entry { message, class, .. } in self.first.iter().chain(&self.rest) {
            if class.is_answer() {
                answers.add(size(message));
            } else if *class == Class::Replay {
                replays.add(size(message));
            }
        }
        (answers, replays)
    }
}

/// The packed message, which shares its buffer.
pub(super) fn packed(message: &ws::Message) -> Bytes {
    match message {
        ws::Message::Text(text) => text.clone().into_bytes(),
        ws::Message::Binary(bytes) | ws::Message::Ping(bytes) | ws::Message::Pong(bytes) => {
            bytes.clone()
        }
        ws::Message::Close(_) => Bytes::new(),
    }
}

/// The payload bytes of a message.
pub(super) fn size(queued: &Queued) -> usize {
    payload_size(queued.message())
}

/// The payload bytes of a message.
pub(crate) fn payload_size(message: &ws::Message) -> usize {
    match message {
        ws::Message::Text(text) => text.len(),
        ws::Message::Binary(bytes) | ws::Message::Ping(bytes) | ws::Message::Pong(bytes) => {
            bytes.len()
        }
        ws::Message::Close(_) => 0,
    }
}
