//! What users and the application do, and the faults.

use wse::cluster::{Destination, Encoding, Publication};
use wse::{Close, Text};

use super::broker::Broker;
use super::world::{Event, FAULTS, Node, ROOM, ToNode, USERS, World};
use crate::directory::Table;
use crate::id::NodeId;

impl World {
    pub(super) fn act(&mut self) {
        let index = self.random.range(0, self.nodes.len() as u64) as usize;
        let is_running = |node: &&mut Node| node.stopped_until <= self.now;
        let Some(node) = self.nodes[index].as_mut().filter(is_running) else { return };
        match self.random.range(0, 10) {
            0..4 => {
                node.last_conn += 1;
                let conn = node.last_conn;
                let user = Text::from(USERS[self.random.range(0, 4) as usize]);
                node.waiting.insert(conn, (user.clone(), self.now));
                self.log(|| format!("{user} logs in on node {index}, connection {conn}"));
                self.with(index, |machine, now| machine.admit(now, &user, conn));
            }
            4..7 => {
                let waiting = node.waiting.keys().copied().filter(|_| self.random.one_in(4));
                let conns: Vec<u64> = waiting.chain(node.conns.keys().copied()).collect();
                if !conns.is_empty() {
                    let conn = conns[self.random.range(0, conns.len() as u64) as usize];
                    self.end(index, conn);
                }
            }
            7 => {
                let Some((_, (_, inside))) = node.conns.iter_mut().next() else { return };
                *inside = !*inside;
                let any = node.conns.values().any(|(_, inside)| *inside);
                self.with(index, |machine, _| machine.has_members(&ROOM.into(), any));
            }
            _ => {
                self.sent += 1;
                let to = match self.random.range(0, 4) {
                    0 => Destination::User(USERS[self.random.range(0, 4) as usize].into()),
                    1 => Destination::Room(ROOM.into()),
                    _ => Destination::All,
                };
                let id = node.id;
                self.publish(index, id, to);
            }
        }
    }

    fn publish(&mut self, index: usize, id: NodeId, to: Destination) {
        let number = self.sent;
        self.checks.sent(id, &to, number);
        let payload = [&id.to_bytes()[..], &number.to_be_bytes()].concat();
        let encoding = Encoding { protocol: "p".into(), payload: payload.into() };
        let publication = Publication::new(to, "note", vec![encoding]);
        self.with(index, |machine, _| machine.publish(&publication));
    }

    /// A connection ends.
    pub(super) fn end(&mut self, index: usize, conn: u64) {
        let Some(node) = &mut self.nodes[index] else { return };
        let joined = node.conns.remove(&conn).is_some();
        node.waiting.remove(&conn);
        let room = node.conns.values().any(|(_, inside)| *inside);
        self.log(|| format!("connection {conn} of node {index} ends"));
        let close = joined.then(|| Close::new(1000, ""));
        self.with(index, |machine, _| {
            machine.has_members(&ROOM.into(), room);
            machine.release(conn, close.as_ref());
        });
    }

    pub(super) fn fault(&mut self) {
        let index = self.random.range(0, self.nodes.len() as u64) as usize;
        let long = self.random.range(100, 25_000);
        let until = self.now + long;
        let kind = self.random.range(0, 9);
        // Half of the runs have faults that lose no answer of the directory.
        let kind = if self.gentle && !matches!(kind, 4..7) { 8 } else { kind };
        match kind {
            0 => {
                self.log(|| format!("the broker hangs for {long} ms"));
                self.hangs_until = self.hangs_until.max(until);
            }
            1 => {
                self.log(|| format!("the broker is gone for {long} ms, and forgets"));
                self.gone_until = self.gone_until.max(until);
                self.broker = Broker::default();
                for node in 0..self.nodes.len() {
                    self.cut(node);
                }
                self.checks.untrusted();
            }
            2 => {
                self.log(|| format!("node {index} is cut off for {long} ms"));
                self.cut_off_until[index] = self.cut_off_until[index].max(until);
            }
            3 => {
                self.log(|| format!("the connections of node {index} are cut"));
                self.cut(index);
            }
            4 => {
                self.log(|| format!("node {index} crashes"));
                if let Some(node) = self.nodes[index].take() {
                    self.checks.crashed(node.id);
                    if !node.unanswered.is_empty() || !node.waiting.is_empty() {
                        // What it was about to tell is not told.
                        self.checks.untrusted();
                    }
                    if let Some(session) = node.session {
                        self.broker.close((index, self.lives[index], session));
                    }
                    let restart = self.now + self.random.range(100, 20_000);
                    self.at(restart.min(FAULTS), Event::ToNode(index, 0, ToNode::Cut(0)));
                }
            }
            5 | 6 => {
                if let Some(node) = &mut self.nodes[index]
                    && node.stopped_until <= self.now
                {
                    node.stopped_until = until;
                    self.log(|| format!("node {index} is stopped for {long} ms"));
                    self.at(until, Event::Continue(index));
                }
            }
            8 => {
                self.log(|| format!("the broker forgets the subscriptions of node {index}"));
                if let Some(session) = self.nodes[index].as_ref().and_then(|node| node.session) {
                    let session = (index, self.lives[index], session);
                    self.broker.forget_subscriptions(session);
                    self.forgotten.insert(session);
                }
            }
            _ => {
                self.log(|| "the directory is emptied".to_owned());
                self.broker.table = Table::default();
                self.checks.untrusted();
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.loss = None;
        self.log(|| "no more faults".to_owned());
    }

    /// The connections of a node with the broker end.
    fn cut(&mut self, index: usize) {
        let Some(session) = self.nodes[index].as_ref().and_then(|node| node.session) else {
            return;
        };
        let life = self.lives[index];
        self.broker.close((index, life, session));
        let at = self.now + self.random.range(1, 50);
        self.at(at, Event::ToNode(index, life, ToNode::Cut(session)));
    }
}
