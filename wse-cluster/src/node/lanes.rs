//! [`OutLanes`], [`InLanes`]: what is published to a channel is numbered, so that a receiver notices what it has missed.

use std::collections::HashMap;

use crate::channel::Channel;
use crate::id::NodeId;

/// A sender counts for so many channels. Beyond, it forgets all of them, and begins an epoch.
const MOST_CHANNELS: usize = 65_536;

/// The numbers of what this node publishes.
#[derive(Debug)]
pub(super) struct OutLanes {
    epoch: u64,
    last: HashMap<Channel, u64>,
    most: usize,
}

impl OutLanes {
    pub(super) fn new() -> Self {
        Self { epoch: 1, last: HashMap::new(), most: MOST_CHANNELS }
    }

    /// The epoch and number of the next message to this channel.
    pub(super) fn next(&mut self, channel: &Channel) -> (u64, u64) {
        if let Some(last) = self.last.get_mut(channel) {
            *last += 1;
            return (self.epoch, *last);
        }
        if self.last.len() >= self.most {
            self.epoch += 1;
            self.last.clear();
        }
        self.last.insert(channel.clone(), 1);
        (self.epoch, 1)
    }

    /// The epoch and number of the last message to this channel.
    pub(super) fn last(&self, channel: &Channel) -> (u64, u64) {
        (self.epoch, self.last.get(channel).copied().unwrap_or_default())
    }
}

/// The numbers of what other nodes have published.
#[derive(Debug, Default)]
pub(super) struct InLanes(HashMap<NodeId, Lanes>);

/// What has come from one sender.
#[derive(Debug, Default)]
struct Lanes {
    by_channel: HashMap<Channel, Lane>,
    /// How many are paused.
    paused: usize,
}

/// What has come from one sender on one channel.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// The epoch and number of the last message.
    last: (u64, u64),
    /// Whether the channel is not subscribed to, or was not since that message. What is missing then was not lost.
    paused: bool,
}

/// A sender has at most so many channels that are paused.
const MOST_PAUSED: usize = 1024;

/// What the number of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// So many messages before it did not come; 0 if it is the next one.
    After(u64),
    /// It has come before, or others behind it have. It is not delivered.
    Late,
}

impl InLanes {
    /// Takes the number of a message. The first one of a channel, from a sender, says nothing about those before it.
    pub(super) fn arrived(
        &mut self,
        sender: NodeId,
        channel: &Channel,
        (epoch, number): (u64, u64),
    ) -> Arrival {
        let lanes = self.0.entry(sender).or_default();
        let Some(lane) = lanes.by_channel.get_mut(channel) else {
            lanes.by_channel.insert(channel.clone(), Lane { last: (epoch, number), paused: false });
            return Arrival::After(0);
        };
        let Lane { last: (last_epoch, last), paused } = *lane;
        if (epoch, number) <= (last_epoch, last) {
            return Arrival::Late;
        }
        *lane = Lane { last: (epoch, number), paused: false };
        if paused {
            lanes.paused -= 1;
            return Arrival::After(0);
        }
        // What an epoch has lost at its end is unknown.
        let before = if epoch == last_epoch { last } else { 0 };
        Arrival::After(number - before - 1)
    }

    /// A sender has said some time ago that it has published up to here. Returns how many of those have not come.
    pub(super) fn settled(
        &mut self,
        sender: NodeId,
        channel: &Channel,
        (epoch, number): (u64, u64),
    ) -> u64 {
        let lanes = self.0.entry(sender).or_default();
        let first = Lane { last: (epoch, number), paused: false };
        let lane = lanes.by_channel.entry(channel.clone()).or_insert(first);
        let (last_epoch, last) = lane.last;
        if (epoch, number) <= (last_epoch, last) {
            return 0;
        }
        lane.last = (epoch, number);
        number - if epoch == last_epoch { last } else { 0 }
    }

    /// A channel is no longer subscribed to. What comes twice is still known, should it be subscribed to again soon.
    pub(super) fn pause_channel(&mut self, channel: &Channel) {
        for lanes in self.0.values_mut() {
            let Some(lane) = lanes.by_channel.get_mut(channel) else { continue };
            if !std::mem::replace(&mut lane.paused, true) {
                lanes.paused += 1;
            }
            if lanes.paused > MOST_PAUSED {
                lanes.by_channel.retain(|_, lane| !lane.paused);
                lanes.paused = 0;
            }
        }
    }

    /// Forgets a node that has ended.
    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    /// How many senders there are.
    pub(super) fn senders(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_and_what_is_late_is_dropped() {
        let (mut lanes, node) = (InLanes::default(), NodeId::new(1));
        let mut arrived = |at| lanes.arrived(node, &Channel::All, at);
        assert_eq!(arrived((1, 5)), Arrival::After(0));
        assert_eq!(arrived((1, 6)), Arrival::After(0));
        assert_eq!(arrived((1, 6)), Arrival::Late);
        assert_eq!(arrived((1, 9)), Arrival::After(2));
        assert_eq!(arrived((1, 7)), Arrival::Late);
        assert_eq!(arrived((2, 1)), Arrival::After(0));
        assert_eq!(arrived((1, 10)), Arrival::Late);
        assert_eq!(arrived((4, 3)), Arrival::After(2));
        let room = Channel::Room("lobby".into());
        assert_eq!(lanes.arrived(node, &room, (4, 9)), Arrival::After(0));
        lanes.pause_channel(&room);
        assert_eq!(lanes.arrived(node, &room, (4, 9)), Arrival::Late);
        assert_eq!(lanes.arrived(node, &room, (4, 20)), Arrival::After(0));
        assert_eq!(lanes.arrived(node, &room, (4, 22)), Arrival::After(1));
        lanes.forget_node(node);
        assert_eq!(lanes.arrived(node, &Channel::All, (1, 1)), Arrival::After(0));
    }

    #[test]
    fn what_is_lost_first_and_last_is_noticed_by_the_beats() {
        let (mut lanes, node) = (InLanes::default(), NodeId::new(1));
        assert_eq!(lanes.settled(node, &Channel::All, (1, 0)), 0);
        assert_eq!(lanes.arrived(node, &Channel::All, (1, 2)), Arrival::After(1));
        assert_eq!(lanes.settled(node, &Channel::All, (1, 2)), 0);
        assert_eq!(lanes.arrived(node, &Channel::All, (1, 3)), Arrival::After(0));
        assert_eq!(lanes.settled(node, &Channel::All, (1, 2)), 0, "the beat is older");
        assert_eq!(lanes.settled(node, &Channel::All, (1, 7)), 4);
        assert_eq!(lanes.settled(node, &Channel::All, (1, 7)), 0);
        assert_eq!(lanes.arrived(node, &Channel::All, (1, 7)), Arrival::Late);
        assert_eq!(lanes.settled(node, &Channel::All, (3, 2)), 2);
    }

    #[test]
    fn a_sender_that_forgets_its_channels_is_understood() {
        let (mut out, mut lanes) = (OutLanes { most: 3, ..OutLanes::new() }, InLanes::default());
        let rooms = ["a", "b", "c", "d", "e"].map(|name| Channel::Room(name.into()));
        for round in 0..5 {
            for room in &rooms {
                let at = out.next(room);
                let arrived = lanes.arrived(NodeId::new(1), room, at);
                assert_eq!(arrived, Arrival::After(0), "{round} {room} {at:?}");
            }
        }
    }
}
