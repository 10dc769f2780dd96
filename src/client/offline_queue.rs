//! [`OfflineQueue`]: the messages that a client has sent without a connection.

use std::collections::VecDeque;

use wse_transport::ws;

use crate::connection::{Rule, payload_size};

/// How many messages with a rule are kept if the application has set no number.
const DEFAULT: usize = 1024;

/// Messages that wait for the next connection.
pub(super) struct OfflineQueue {
    /// How many may wait; `None` when only messages with a rule of their own do.
    most: Option<usize>,
    /// How many bytes they may have. A single message may have more.
    most_bytes: usize,
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Whether there was no room for a message since there was more of it.
    refused: bool,
}

/// A message, with the variant of the protocol that it is packed for.
pub(super) struct Kept {
    pub(super) variant: usize,
    pub(super) message: ws::Message,
    pub(super) rule: Option<Rule>,
}

impl OfflineQueue {
    pub(super) const fn new(most: Option<usize>, most_bytes: usize) -> Self {
        Self { most, most_bytes, kept: VecDeque::new(), bytes: 0, refused: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether messages without a rule wait too.
    pub(super) fn keeps_all(&self) -> bool {
        self.most.is_some_and(|most| most > 0)
    }

    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= self.most.unwrap_or(DEFAULT)
    }

    /// Whether a sender may wait until there is room: the queue is full or has refused a message, and can be emptied.
    pub(super) fn waits_for_room(&self) -> bool {
        !self.is_empty() && (self.is_full() || self.refused)
    }

    /// Adds a message if there is room, in place of the one with its key if there is one. Returns whether there was room.
    pub(super) fn push(&mut self, kept: Kept) -> bool {
        let older = match &kept.rule {
            Some(Rule::Key(key)) => self.kept.iter().position(|it| it.has_key(key)),
            _ => None,
        };
        let older_size = older.map(|index| self.kept[index].size());
        let fits = self.has_room(kept.size(), older_size);
        if !fits && older.is_none() && self.drop_expired() {
            return self.push(kept);
        }
        self.refused |= !fits;
        if fits {
            older.and_then(|index| self.kept.remove(index));
            self.bytes = self.bytes + kept.size() - older_size.unwrap_or(0);
            self.kept.push_back(kept);
        }
        fits
    }

    /// Whether there is room for a message of this size, in place of one of `older_size` if that is given.
    fn has_room(&self, size: usize, older_size: Option<usize>) -> bool {
        let others = self.kept.len() - usize::from(older_size.is_some());
        let used = self.bytes - older_size.unwrap_or(0);
        others < self.most.unwrap_or(DEFAULT) && (others == 0 || used + size <= self.most_bytes)
    }

    /// Returns whether there were any.
    fn drop_expired(&mut self) -> bool {
        let before = self.kept.len();
        self.kept.retain(|it| !it.is_expired());
        self.bytes = self.kept.iter().map(Kept::size).sum();
        self.kept.len() < before
    }

    /// Takes all messages that are still to be sent.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Kept> + use<> {
        (self.bytes, self.refused) = (0, false);
        std::mem::take(&mut self.kept).into_iter().filter(|it| !it.is_expired())
    }

    pub(super) fn clear(&mut self) {
        (self.kept, self.bytes, self.refused) = (VecDeque::new(), 0, false);
    }
}

impl Kept {
    fn size(&self) -> usize {
        payload_size(&self.message)
    }

    fn has_key(&self, key: &wse_proto::Text) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.has_key(key))
    }

    fn is_expired(&self) -> bool {
        self.rule.as_ref().is_some_and(Rule::is_expired)
    }
}
