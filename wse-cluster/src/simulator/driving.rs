//! What the driver of a node does: it carries out what the machine wants.

use super::world::{Event, REQUEST, Subscription, ToBroker, ToNode, World};
use crate::channel::Channel;
use crate::node::{ClusterEvent, Output};

impl World {
    /// Does what the machine of a node wants, as its driver does.
    pub(super) fn pump(&mut self, index: usize) {
        loop {
            let Some(node) = &mut self.nodes[index] else { return };
            let (id, life) = (node.id, self.lives[index]);
            let Some(output) = node.machine.poll_output() else {
                if self.subscribe_more(index) {
                    continue;
                }
                break;
            };
            match output {
                Output::Open(session) => self.send(index, session, ToBroker::Open),
                Output::Close => {
                    let session = node.session.take();
                    node.subscriptions.clear();
                    node.subscribing = false;
                    if let Some(session) = session {
                        self.send(index, session, ToBroker::Close);
                    }
                }
                Output::SubscribeAll(channels) => {
                    node.subscriptions.extend(channels.into_iter().map(Subscription::Add));
                    node.subscriptions.push_back(Subscription::AllAdded);
                }
                Output::Subscribe(channel) => {
                    node.subscriptions.push_back(Subscription::Add(channel))
                }
                Output::Unsubscribe(channel) => {
                    node.subscriptions.push_back(Subscription::Remove(channel));
                }
                Output::Publish(channel, bytes) => {
                    if channel != Channel::Beats {
                        node.machine.published(bytes.len());
                    }
                    if let Some(session) = node.session {
                        self.send(index, session, ToBroker::Publish(channel, bytes));
                    }
                }
                Output::Ask(number, request) => {
                    node.unanswered.insert(number);
                    let timeout = Event::ToNode(index, life, ToNode::Answer(number, None));
                    match node.session {
                        Some(session) => {
                            self.send(index, session, ToBroker::Ask(number, request));
                            self.at(self.now + REQUEST, timeout);
                        }
                        None => self.at(self.now, timeout),
                    }
                }
                Output::Deliver(publication) => self.checks.delivered(id, &publication),
                Output::CloseUser(user, _) => {
                    let conns = node.conns.iter().filter(|(_, (it, _))| *it == user);
                    let conns: Vec<u64> = conns.map(|(conn, _)| *conn).collect();
                    conns.into_iter().for_each(|conn| self.end(index, conn));
                }
                Output::Evict(user, conn) => {
                    if node.waiting.contains_key(&conn) {
                        // The server closes it once it is the user's.
                        node.evicted.insert(conn);
                    } else if node.conns.get(&conn).is_some_and(|(it, _)| *it == user) {
                        self.log(|| format!("node {index} evicts {user}, connection {conn}"));
                        self.end(index, conn);
                    }
                }
                Output::Left(user, _) => {
                    self.log(|| format!("node {index}: {user} has left"));
                    self.checks.left(&user);
                }
                Output::JoinedAgain(user, conn) => {
                    if node.conns.contains_key(&conn) {
                        self.log(|| format!("node {index}: {user} has joined again"));
                        self.checks.joined(&user);
                    } else {
                        // It has ended before it was told that it is the first.
                        self.checks.untrusted();
                    }
                }
                Output::Admitted(conn, result) => {
                    let Some((user, since)) = node.waiting.remove(&conn) else { continue };
                    let (ready, waited) = (node.machine.is_ready(), self.now - since);
                    assert!(
                        waited <= 8_000 || node.stopped_until > since,
                        "a connection has waited for {waited} ms"
                    );
                    if result.is_ok() && !ready {
                        // Nobody knows what is on other nodes.
                        self.checks.untrusted();
                    }
                    if let (true, true, Some(session)) = (result.is_ok(), ready, node.session) {
                        let (session, channel) =
                            ((index, life, session), Channel::User(user.clone()));
                        let heard = self.broker.subscribers(&channel).contains(&session);
                        let known = self.broker.sessions.contains(&session);
                        let forgotten = self.forgotten.contains(&session);
                        assert!(
                            heard || forgotten || !known,
                            "{user} is not heard on node {index}"
                        );
                    }
                    if result.is_ok() {
                        node.conns.insert(conn, (user.clone(), false));
                    }
                    self.log(|| format!("node {index}: {user}, connection {conn}: {result:?}"));
                    if result.is_ok_and(|admitted| admitted.first) {
                        self.checks.joined(&user);
                    }
                    let Some(node) = &mut self.nodes[index] else { return };
                    if node.evicted.remove(&conn) {
                        self.end(index, conn);
                    }
                }
                Output::Event(event) => {
                    self.log(|| format!("node {index}: {event:?}"));
                    if let ClusterEvent::Gap { to, lost, node } = &event {
                        self.checks.gap(id, node, to, *lost);
                    }
                }
            }
        }
        self.set_timer(index);
    }

    /// Starts the next request about subscriptions. Returns whether the machine was told something.
    fn subscribe_more(&mut self, index: usize) -> bool {
        let Some(node) = &mut self.nodes[index] else { return false };
        let Some(session) = node.session else { return false };
        while !node.subscribing {
            match node.subscriptions.pop_front() {
                None => return false,
                Some(Subscription::AllAdded) => {
                    let now = self.local(self.nodes[index].as_ref().expect("it is there"));
                    let Some(node) = &mut self.nodes[index] else { return false };
                    node.machine.subscribed(now, session, &[], true);
                    return true;
                }
                Some(Subscription::Add(channel)) => {
                    node.subscribing = true;
                    let mut channels = vec![channel];
                    while let Some(Subscription::Add(channel)) = node.subscriptions.front() {
                        channels.push(channel.clone());
                        node.subscriptions.pop_front();
                    }
                    self.send_subscription(index, session, ToBroker::Subscribe(channels), true);
                    return false;
                }
                Some(Subscription::Remove(channel)) => {
                    if !node.machine.is_wanted(&channel) {
                        node.subscribing = true;
                        let what = ToBroker::Unsubscribe(channel);
                        self.send_subscription(index, session, what, false);
                        return false;
                    }
                }
            }
        }
        false
    }

    fn send_subscription(&mut self, index: usize, session: u64, what: ToBroker, adds: bool) {
        let Some(node) = &mut self.nodes[index] else { return };
        node.last_subscription += 1;
        let timeout = ToNode::SubscriptionTimeout(session, node.last_subscription, adds);
        let (at, life) = (self.now + REQUEST, self.lives[index]);
        self.at(at, Event::ToNode(index, life, timeout));
        self.send(index, session, what);
    }

    pub(super) fn set_timer(&mut self, index: usize) {
        let Some(node) = &self.nodes[index] else { return };
        let Some(due) = node.machine.poll_timeout() else { return };
        let local = self.local(node);
        let left = due.saturating_sub(local).as_millis() as u64;
        // A millisecond more, since clocks differ.
        let at = self.now + left + 1;
        if node.timer.is_none_or(|timer| timer > at || timer < self.now) {
            if let Some(node) = &mut self.nodes[index] {
                node.timer = Some(at);
            }
            self.at(at, Event::Timer { node: index });
        }
    }
}
