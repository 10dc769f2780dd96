//! The broker: subscriptions, messages and the directory.

use std::collections::{BTreeMap, BTreeSet};

use crate::channel::Channel;
use crate::directory::Table;

/// A session of a node: the node, which of its lives, and the number.
pub(super) type Session = (usize, u64, u64);

#[derive(Default)]
pub(super) struct Broker {
    pub(super) sessions: BTreeSet<Session>,
    pub(super) subscribers: BTreeMap<Channel, BTreeSet<Session>>,
    pub(super) table: Table,
}

impl Broker {
    pub(super) fn subscribe(&mut self, session: Session, channels: &[Channel]) {
        for channel in channels {
            self.subscribers.entry(channel.clone()).or_default().insert(session);
        }
    }

    pub(super) fn unsubscribe(&mut self, session: Session, channel: &Channel) {
        if let Some(sessions) = self.subscribers.get_mut(channel) {
            sessions.remove(&session);
        }
    }

    pub(super) fn close(&mut self, session: Session) {
        self.sessions.remove(&session);
        self.forget_subscriptions(session);
    }

    pub(super) fn forget_subscriptions(&mut self, session: Session) {
        for sessions in self.subscribers.values_mut() {
            sessions.remove(&session);
        }
    }

    pub(super) fn subscribers(&self, channel: &Channel) -> Vec<Session> {
        self.subscribers.get(channel).into_iter().flatten().copied().collect()
    }
}
