//! [`Held`]: messages that were read and wait for a place among the running handlers.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use wse_proto::{Body, Head, SessionMessage, Stamp};

/// What a held message counts for in the budget besides its payload, in bytes.
const OVERHEAD: usize = 512;

/// A data message that was read.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// Whether the channel has checked that it is UTF-8.
    pub(super) text: bool,
}

/// What was read and is not handled yet. Allocated only while there is something.
#[derive(Default)]
pub(super) struct Held {
    /// A message that was read while reading is paused.
    pub(super) deferred: Option<Received>,
    /// Messages and calls that wait for a handler to end, with the time of their arrival. The session does not know them
    /// yet: they have no receipt, and when the connection is closed they are as unread ones.
    waiting: VecDeque<(Duration, SessionMessage)>,
    /// The stamps of the waiting calls. A cancelled call is not among them any more.
    calls: HashSet<Stamp>,
    /// What the waiting messages count for in the budget.
    pub(super) bytes: usize,
}

impl Held {
    pub(super) fn push(&mut self, now: Duration, message: SessionMessage) {
        self.bytes += weight(&message);
        if let Head::Call { stamp, .. } = &message.head {
            self.calls.insert(stamp.clone());
        }
        self.waiting.push_back((now, message));
    }

    /// Takes the oldest message, without the calls that were cancelled. A call has waited for a part of its caller's time.
    pub(super) fn pop(&mut self, now: Duration) -> Option<SessionMessage> {
        loop {
            let (since, mut message) = self.waiting.pop_front()?;
            self.bytes -= weight(&message);
            if let Head::Call { stamp, timeout, .. } = &mut message.head {
                if !self.calls.remove(stamp) {
                    continue;
                }
                *timeout = timeout.map(|it| rest_of(it, now.saturating_sub(since)));
            }
            return Some(message);
        }
    }

    /// Forgets a waiting call. Returns whether there was one.
    pub(super) fn cancel(&mut self, stamp: &Stamp) -> bool {
        self.calls.remove(stamp)
    }

    pub(super) fn drop_calls(&mut self) {
        self.calls.clear();
        self.waiting.retain(|(_, message)| !matches!(message.head, Head::Call { .. }));
        self.bytes = self.waiting.iter().map(|(_, message)| weight(message)).sum();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deferred.is_none() && self.waiting.is_empty()
    }
}

/// What is left of a time in milliseconds, at least 1.
fn rest_of(millis: NonZeroU32, waited: Duration) -> NonZeroU32 {
    let waited = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
    NonZeroU32::new(millis.get().saturating_sub(waited)).unwrap_or(NonZeroU32::MIN)
}

fn weight(message: &SessionMessage) -> usize {
    let payload = match &message.body {
        Body::Raw(payload) => payload.len(),
        _ => 0,
    };
    payload.saturating_add(OVERHEAD)
}
