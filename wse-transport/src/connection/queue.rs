//! [`Queue`]: the messages that wait to be written.

use std::collections::VecDeque;

use crate::ws;

/// How dearly a message is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The session's own, and answers: always queued. Bounded by the handlers that may run at once.
    Answer,
    /// A call: queued or refused.
    Call,
    /// A message: queued, refused or dropped, as the policy says.
    Message,
}

/// A message that waits, or its share in one that goes to many.
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

/// With the message where it was in what came: moved by a word, it would have to wait for itself.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Waiting {
    pub(super) message: Queued,
    pub(super) class: Class,
}

/// Messages in their order. Most often there is one, which needs no room elsewhere.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Empty only when `rest` is.
    first: Option<Waiting>,
    rest: VecDeque<Waiting>,
}

/// How many answers wait, and their bytes: what reading has caused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Answers {
    pub(super) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

impl Queue {
    pub(super) fn push(&mut self, message: Waiting) {
        if self.first.is_none() {
            self.first = Some(message);
        } else {
            self.rest.push_back(message);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        self.next().map(|it| it.message)
    }

    fn next(&mut self) -> Option<Waiting> {
        let next = std::mem::replace(&mut self.first, self.rest.pop_front());
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            // An idle connection gives its memory back.
            self.rest = VecDeque::new();
        }
        next
    }

    /// Moves all of another queue behind what is in this one.
    pub(super) fn append(&mut self, mut other: Self) {
        while let Some(waiting) = other.next() {
            self.push(waiting);
        }
    }

    /// Keeps what `keep` says, in order.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Waiting) -> bool) {
        let mut all = std::mem::take(self);
        while let Some(waiting) = all.next() {
            if keep(&waiting) {
                self.push(waiting);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Counted anew whenever the socket does not take all: most often there is nothing to count.
    pub(super) fn answers(&self) -> Answers {
        let mut answers = Answers::default();
        for Waiting { message, class } in self.first.iter().chain(&self.rest) {
            if *class == Class::Answer {
                answers.add(size(message));
            }
        }
        answers
    }
}

/// How many bytes of payload a message has.
pub(super) fn size(queued: &Queued) -> usize {
    match queued.message() {
        ws::Message::Text(text) => text.len(),
        ws::Message::Binary(bytes) | ws::Message::Ping(bytes) | ws::Message::Pong(bytes) => {
            bytes.len()
        }
        ws::Message::Close(_) => 0,
    }
}
