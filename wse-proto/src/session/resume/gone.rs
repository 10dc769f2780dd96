//! [`Gone`]: remembers why sessions of a server have ended.

use std::collections::{HashMap, VecDeque};

use crate::NotResumed;
use crate::session::deadlines::Nanos;

/// The sessions that have expired or were evicted, by the hashes of their names, for a limited time and in a limited number.
#[derive(Debug)]
pub(super) struct Gone {
    limit: usize,
    reasons: HashMap<u64, NotResumed>,
    /// In the order in which they are forgotten.
    until: VecDeque<(Nanos, u64)>,
}

impl Gone {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, reasons: HashMap::new(), until: VecDeque::new() }
    }

    pub(super) fn remember(&mut self, session: u64, reason: NotResumed, until: Nanos) {
        self.until.push_back((until, session));
        self.reasons.insert(session, reason);
        while self.until.len() > self.limit {
            self.forget_first();
        }
    }

    pub(super) fn reason(&self, session: u64) -> Option<&NotResumed> {
        self.reasons.get(&session)
    }

    /// When the next one is forgotten.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.until.front().map(|(until, _)| *until)
    }

    pub(super) fn expire(&mut self, now: Nanos) {
        while self.due().is_some_and(|until| until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, session)) = self.until.pop_front() {
            self.reasons.remove(&session);
        }
        if self.until.is_empty() {
            (self.reasons, self.until) = (HashMap::new(), VecDeque::new());
        }
    }
}
