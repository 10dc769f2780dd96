//! [`Checks`]: what must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use wse::Text;
use wse::cluster::{Destination, Publication};

use super::world::Time;
use crate::id::NodeId;

/// More connections than the limit are closed within this time, while all is well.
const EXCESS: Time = 15_000;

/// What was sent from one node to another, with the numbers in their order.
#[derive(Default)]
struct Stream {
    delivered: Vec<u64>,
}

pub(super) struct Checks {
    limit: usize,
    /// Whether the directory has always answered, and kept everything. Only then are users told of exactly.
    trusted: bool,
    /// Since when a user has more connections than the limit.
    excess: BTreeMap<Text, Time>,
    /// How many more times a user has joined than left, as the nodes were told.
    present: BTreeMap<Text, i64>,
    sent: BTreeMap<(NodeId, Destination), Vec<u64>>,
    /// By receiver, sender and target.
    streams: BTreeMap<(NodeId, NodeId, Destination), Stream>,
    /// By receiver and target.
    lost: BTreeMap<(NodeId, Destination), u64>,
    crashed: BTreeSet<NodeId>,
}

impl Checks {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            trusted: true,
            excess: BTreeMap::new(),
            present: BTreeMap::new(),
            sent: BTreeMap::new(),
            streams: BTreeMap::new(),
            lost: BTreeMap::new(),
            crashed: BTreeSet::new(),
        }
    }

    pub(super) fn untrusted(&mut self) {
        self.trusted = false;
    }

    pub(super) fn crashed(&mut self, node: NodeId) {
        self.crashed.insert(node);
    }

    pub(super) fn joined(&mut self, user: &Text) {
        *self.present.entry(user.clone()).or_default() += 1;
    }

    pub(super) fn left(&mut self, user: &Text) {
        *self.present.entry(user.clone()).or_default() -= 1;
    }

    pub(super) fn sent(&mut self, sender: NodeId, to: &Destination, number: u64) {
        self.sent.entry((sender, to.clone())).or_default().push(number);
    }

    pub(super) fn delivered(&mut self, receiver: NodeId, publication: &Publication) {
        let payload = &publication.encodings[0].payload;
        let sender = NodeId::from_bytes(&payload[..16]).expect("16 bytes");
        let number = u64::from_be_bytes(payload[16..].try_into().expect("8 bytes"));
        assert_ne!(sender, receiver, "a node gets its own message");
        let key = (receiver, sender, publication.to.clone());
        let stream = self.streams.entry(key).or_default();
        let last = stream.delivered.last().copied().unwrap_or_default();
        assert!(last < number, "message {number} comes behind {last}: twice, or out of order");
        stream.delivered.push(number);
    }

    pub(super) fn gap(&mut self, receiver: NodeId, _sender: &Text, to: &Destination, lost: u64) {
        assert!(lost > 0);
        *self.lost.entry((receiver, to.clone())).or_default() += lost;
    }

    /// Looks at how many connections each user has.
    pub(super) fn count(&mut self, now: Time, well: bool, counts: &BTreeMap<&Text, usize>) {
        if !well {
            return self.excess.clear();
        }
        self.excess.retain(|user, _| counts.get(user).is_some_and(|count| *count > self.limit));
        for (user, _) in counts.iter().filter(|(_, count)| **count > self.limit) {
            let since = *self.excess.entry((*user).clone()).or_insert(now);
            assert!(
                now - since <= EXCESS,
                "{user} has too many connections for {} ms",
                now - since
            );
        }
    }

    /// Users have joined once more than they have left if they are there. Messages to all are delivered, or reported as lost.
    pub(super) fn at_the_end(&self, there: &BTreeSet<Text>) {
        for (user, balance) in self.present.iter().filter(|_| self.trusted) {
            assert_eq!(*balance, i64::from(there.contains(user)), "{user} has joined and left");
        }
        let mut missing: BTreeMap<NodeId, u64> = BTreeMap::new();
        for ((receiver, sender, to), stream) in &self.streams {
            if *to != Destination::All || self.crashed.contains(receiver) {
                continue;
            }
            let sent = &self.sent[&(*sender, to.clone())];
            let (first, last) = (stream.delivered[0], stream.delivered[stream.delivered.len() - 1]);
            let between = sent.iter().filter(|it| (first..=last).contains(it)).count();
            *missing.entry(*receiver).or_default() += (between - stream.delivered.len()) as u64;
        }
        for (receiver, missing) in missing {
            let reported =
                self.lost.get(&(receiver, Destination::All)).copied().unwrap_or_default();
            assert!(reported >= missing, "{missing} messages are missing, {reported} are reported");
        }
    }
}
