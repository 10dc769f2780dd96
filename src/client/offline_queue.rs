//! [`OfflineQueue`]: the messages that a client has sent without a connection.

use std::collections::VecDeque;

use wse_transport::ws;

use crate::connection::Rule;

/// How many messages with a rule are kept if the application has set no number.
const DEFAULT: usize = 1024;

/// Messages that wait for the next connection.
#[derive(Default)]
pub(super) struct OfflineQueue {
    /// How many may wait; `None` when only messages with a rule of their own do.
    most: Option<usize>,
    kept: VecDeque<Kept>,
}

/// A message, with the variant of the protocol that it is packed for.
pub(super) struct Kept {
    pub(super) variant: usize,
    pub(super) message: ws::Message,
    pub(super) rule: Option<Rule>,
}

impl OfflineQueue {
    pub(super) const fn new(most: Option<usize>) -> Self {
        Self { most, kept: VecDeque::new() }
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

    /// Adds a message. Returns whether there was room for it.
    pub(super) fn push(&mut self, kept: Kept) -> bool {
        let same = match &kept.rule {
            Some(Rule::Key(key)) => self.kept.iter().position(|it| it.has_key(key)),
            _ => None,
        };
        match same {
            Some(at) => drop(self.kept.remove(at)),
            None if self.is_full() => self.kept.retain(|it| !it.is_expired()),
            None => {}
        }
        let fits = !self.is_full();
        if fits {
            self.kept.push_back(kept);
        }
        fits
    }

    /// Takes all messages that are still to be sent.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Kept> + use<> {
        std::mem::take(&mut self.kept).into_iter().filter(|it| !it.is_expired())
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }
}

impl Kept {
    fn has_key(&self, key: &wse_proto::Text) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.has_key(key))
    }

    fn is_expired(&self) -> bool {
        self.rule.as_ref().is_some_and(Rule::is_expired)
    }
}
