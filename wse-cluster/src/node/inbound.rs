//! What arrives from the backplane.

use std::time::Duration;

use bytes::Bytes;
use wse::Close;

use super::event::ClusterEvent;
use super::lanes::Arrival;
use super::machine::{MOST_REMEMBERED, Machine, Output};
use super::members::NodeInfo;
use crate::channel::Channel;
use crate::frame::{Beat, Content, Frame, Stage};
use crate::id::NodeId;

/// The most senders whose messages are counted.
const MOST_SENDERS: usize = 4096;

impl Machine {
    pub(crate) fn received(&mut self, now: Duration, channel: &Channel, bytes: &Bytes) {
        let (sender, frame) = match self.codec.decode(channel, bytes) {
            Ok(decoded) => decoded,
            Err(foreign) => return self.foreign(&foreign.to_string()),
        };
        let Frame { epoch, number, content, .. } = frame;
        let Some(content) = content else {
            return self.foreign("it has no content that this version knows");
        };
        match (content, channel) {
            (Content::Beat(beat), Channel::Beats) => self.beat(now, sender, beat),
            (Content::Evict(place), Channel::Node(id)) if *id == self.id => {
                self.outputs.push_back(Output::Evict(place.user.into(), place.conn_id));
            }
            (Content::Joined(place), Channel::Node(id)) if *id == self.id => {
                self.outputs.push_back(Output::JoinedAgain(place.user.into(), place.conn_id));
            }
            (_, Channel::All | Channel::User(_) | Channel::Room(_)) if sender == self.id => {}
            (Content::CloseUser(close), Channel::User(user)) => {
                if self.arrives(sender, channel, (epoch, number)) {
                    let code = u16::try_from(close.code).unwrap_or(1008);
                    let close = Close::new(code, close.reason);
                    self.outputs.push_back(Output::CloseUser(user.clone(), close));
                }
            }
            (Content::Message(message), channel) => {
                let Some(to) = channel.destination() else {
                    return self.foreign("it does not belong on this channel");
                };
                if self.arrives(sender, channel, (epoch, number)) {
                    self.outputs.push_back(Output::Deliver(message.publication(to)));
                }
            }
            _ => self.foreign("it does not belong on this channel"),
        }
    }

    /// Takes the number of a message. Returns whether it is to be delivered.
    fn arrives(&mut self, sender: NodeId, channel: &Channel, at: (u64, u64)) -> bool {
        let counted =
            at.1 != 0 && (self.members.has(sender) || self.heard.senders() < MOST_SENDERS);
        if !counted {
            return true;
        }
        match self.heard.arrived(sender, channel, at) {
            Arrival::Late => false,
            Arrival::After(lost) => {
                self.report_gap(sender, channel, lost);
                true
            }
        }
    }

    fn report_gap(&mut self, sender: NodeId, channel: &Channel, lost: u64) {
        let Some(to) = channel.destination().filter(|_| lost > 0) else { return };
        let node = self.members.name(sender).cloned().unwrap_or_default();
        self.outputs.push_back(Output::Event(ClusterEvent::Gap { node, to, lost }));
    }

    fn beat(&mut self, now: Duration, sender: NodeId, beat: Beat) {
        if sender == self.id {
            if self.life.heard(now) {
                self.members.forgive(now);
                self.directory_answers = true;
                self.unsent = 0;
                self.places.resume(now);
                self.outputs.push_back(Output::Event(ClusterEvent::Ready));
                self.admit_early(now);
                self.tick(now);
            }
            return;
        }
        let info = NodeInfo { id: sender, name: beat.name.into(), devices: beat.devices };
        match Stage::try_from(beat.stage) {
            Ok(Stage::Ready) => {
                match self.members.beat(now, &info, (beat.epoch, beat.number)) {
                    None => {
                        self.outputs.push_back(Output::Event(ClusterEvent::NodeUp(info)));
                        // So that it knows this one at once.
                        self.life.beat_soon(now);
                        self.tick(now);
                    }
                    // What was sent before the last beat is here or lost. What was sent since may be on its way.
                    Some(sent) => {
                        let lost = self.heard.settled(sender, &Channel::All, sent);
                        self.report_gap(sender, &Channel::All, lost);
                    }
                }
            }
            Ok(Stage::Leaving) => {
                let gone = self.members.leave(sender);
                self.down(now, gone);
            }
            Ok(Stage::Joining) | Err(_) => {}
        }
    }

    pub(super) fn down(&mut self, now: Duration, gone: Option<NodeInfo>) {
        let Some(info) = gone else { return };
        // It may be heard again, and then misses are counted.
        self.gone.push_back((now, info.id));
        if self.gone.len() > MOST_REMEMBERED
            && let Some((_, oldest)) = self.gone.pop_front()
            && !self.members.has(oldest)
        {
            self.heard.forget_node(oldest);
        }
        self.outputs.push_back(Output::Event(ClusterEvent::NodeDown(info)));
    }

    fn foreign(&mut self, why: &str) {
        self.foreign += 1;
        if self.foreign.is_power_of_two() {
            let (count, why) = (self.foreign, why.to_owned());
            self.outputs.push_back(Output::Event(ClusterEvent::Foreign { count, why }));
        }
    }
}
