//! The network: what a node and the broker send each other arrives late, and in order.

use std::time::Duration;

use super::broker::Session;
use super::world::{Event, Node, Time, ToBroker, ToNode, World};
use crate::channel::Channel;

impl World {
    /// Sends something to the broker. It arrives behind what was sent before.
    pub(super) fn send(&mut self, index: usize, session: u64, what: ToBroker) {
        let at = self.arrival((index, true), self.cut_off_until[index]);
        self.at(at, Event::ToBroker((index, self.lives[index], session), what));
    }

    pub(super) fn answer(&mut self, index: usize, what: ToNode) {
        let at = self.arrival((index, false), self.cut_off_until[index]);
        let life = self.lives[index];
        self.at(at, Event::ToNode(index, life, what));
    }

    fn arrival(&mut self, link: (usize, bool), not_before: Time) -> Time {
        let delay = if self.random.one_in(50) {
            self.random.range(1, 900)
        } else {
            self.random.range(1, 20)
        };
        let before = self.arrivals.get(&link).copied().unwrap_or_default();
        let at = (self.now + delay).max(before).max(not_before);
        self.arrivals.insert(link, at);
        at
    }

    pub(super) fn reach_broker(&mut self, session: Session, what: ToBroker) {
        let (index, life, number) = session;
        if life != self.lives[index] {
            // Its process is dead.
            return self.broker.close(session);
        }
        if self.gone_until > self.now {
            if let ToBroker::Open = what {
                self.answer(index, ToNode::Opened(number, false));
            }
            return;
        }
        if self.hangs_until > self.now {
            let at = self.hangs_until;
            return self.at(at, Event::ToBroker(session, what));
        }
        if !self.broker.sessions.contains(&session) && !matches!(what, ToBroker::Open) {
            return self.answer(index, ToNode::Cut(number));
        }
        match what {
            ToBroker::Open => {
                self.broker.sessions.insert(session);
                self.answer(index, ToNode::Opened(number, true));
            }
            ToBroker::Close => self.broker.close(session),
            ToBroker::Subscribe(channels) => {
                self.broker.subscribe(session, &channels);
                self.answer(index, ToNode::Subscribed(number, channels));
            }
            ToBroker::Unsubscribe(channel) => {
                self.broker.unsubscribe(session, &channel);
                self.answer(index, ToNode::Unsubscribed(number));
            }
            ToBroker::Publish(channel, bytes) => {
                let subscribers = self.broker.subscribers(&channel);
                let important = matches!(channel, Channel::Node(_));
                if important && subscribers.is_empty() {
                    self.checks.untrusted();
                }
                for (receiver, _, _) in subscribers {
                    if self.loss.is_some_and(|cases| self.random.one_in(cases)) {
                        if important {
                            self.checks.untrusted();
                        }
                        continue;
                    }
                    let twice = self.loss.is_some_and(|cases| self.random.one_in(cases));
                    for _ in 0..1 + u64::from(twice) {
                        self.answer(receiver, ToNode::Message(channel.clone(), bytes.clone()));
                    }
                }
            }
            ToBroker::Ask(asked, request) => {
                let reply = self.broker.table.answer(Duration::from_millis(self.now), &request);
                self.log(|| format!("node {index} asks {asked}: {request:?}: {reply:?}"));
                self.answer(index, ToNode::Answer(asked, Some(reply)));
            }
        }
    }

    pub(super) fn reach_node(&mut self, index: usize, life: u64, what: ToNode) {
        if life == 0 {
            // A crashed process is started again.
            if self.nodes[index].is_none() {
                self.start(index);
            }
            return;
        }
        let Some(node) = self.nodes[index].as_mut().filter(|_| life == self.lives[index]) else {
            return;
        };
        if node.stopped_until > self.now {
            let at = node.stopped_until;
            return self.at(at, Event::ToNode(index, life, what));
        }
        let mine = |node: &Node, session: u64| node.session == Some(session);
        match what {
            ToNode::Opened(session, true) => {
                node.session = Some(session);
                self.with(index, |machine, now| machine.opened(now, session));
            }
            ToNode::Opened(session, false) | ToNode::Cut(session) => {
                self.with(index, |machine, now| machine.failed(now, session, "cut"));
            }
            ToNode::Subscribed(session, channels) if mine(node, session) => {
                node.subscribing = false;
                self.with(index, |machine, now| machine.subscribed(now, session, &channels, false));
            }
            ToNode::Unsubscribed(session) if mine(node, session) => {
                node.subscribing = false;
                self.pump(index);
            }
            ToNode::SubscriptionTimeout(session, number, adds)
                if mine(node, session) && node.subscribing && node.last_subscription == number =>
            {
                node.subscribing = false;
                if adds {
                    self.with(index, |machine, now| machine.failed(now, session, "no answer"));
                } else {
                    self.pump(index);
                }
            }
            ToNode::Subscribed(..) | ToNode::Unsubscribed(_) => {}
            ToNode::SubscriptionTimeout(..) => {}
            ToNode::Message(channel, bytes) => {
                self.with(index, |machine, now| machine.received(now, &channel, &bytes));
            }
            ToNode::Answer(number, reply) => {
                if node.unanswered.remove(&number) && reply.is_none() {
                    self.log(|| format!("node {index} gets no answer to {number}"));
                    self.checks.untrusted();
                }
                self.with(index, |machine, now| machine.answered(now, number, reply));
            }
        }
    }
}
