//! [`World`]: nodes with their servers, the network, and the faults.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use wse::Text;

use super::broker::{Broker, Session};
use super::checks::Checks;
use super::random::Random;
use crate::channel::Channel;
use crate::directory::{AtLimit, Reply, Request};
use crate::id::NodeId;
use crate::node::Machine;
use crate::settings::Settings;

/// Times are in milliseconds.
pub(super) type Time = u64;

/// Faults happen in the first part; then all must become well.
pub(super) const FAULTS: Time = 60_000;
pub(super) const QUIET: Time = 45_000;

/// Nobody waits longer for the broker.
pub(super) const REQUEST: Time = 2_000;

pub(super) const USERS: [&str; 4] = ["ann", "bob", "cid", "dee"];
pub(super) const ROOM: &str = "lobby";

/// A node and its server.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) machine: Machine,
    pub(super) started: Time,
    /// The time passes so much faster here, in millionths.
    pub(super) skew: i64,
    /// Until when the process is stopped.
    pub(super) stopped_until: Time,
    pub(super) session: Option<u64>,
    pub(super) subscriptions: VecDeque<Subscription>,
    pub(super) subscribing: bool,
    /// Counts the requests about subscriptions.
    pub(super) last_subscription: u64,
    pub(super) timer: Option<Time>,
    pub(super) last_conn: u64,
    /// Requests to the directory.
    pub(super) unanswered: BTreeSet<u64>,
    /// Connections that wait for a place, since when.
    pub(super) waiting: BTreeMap<u64, (Text, Time)>,
    /// Those of them that are to be closed.
    pub(super) evicted: BTreeSet<u64>,
    /// Connections of users, with whether they are in the room.
    pub(super) conns: BTreeMap<u64, (Text, bool)>,
}

pub(super) enum Subscription {
    Add(Channel),
    Remove(Channel),
    AllAdded,
}

pub(super) enum Event {
    Timer {
        node: usize,
    },
    /// Something reaches the broker.
    ToBroker(Session, ToBroker),
    /// Something reaches a node. The second number tells its lives apart.
    ToNode(usize, u64, ToNode),
    Act,
    Fault,
    /// The connections of a stopped process go on.
    Continue(usize),
}

pub(super) enum ToBroker {
    Open,
    Close,
    Subscribe(Vec<Channel>),
    Unsubscribe(Channel),
    Publish(Channel, Bytes),
    Ask(u64, Request),
}

pub(super) enum ToNode {
    Opened(u64, bool),
    Cut(u64),
    Subscribed(u64, Vec<Channel>),
    Unsubscribed(u64),
    /// Nobody waits longer for the request about subscriptions with this number, of this session.
    SubscriptionTimeout(u64, u64, bool),
    Message(Channel, Bytes),
    Answer(u64, Option<Reply>),
}

pub(super) struct World {
    pub(super) now: Time,
    pub(super) random: Random,
    pub(super) verbose: bool,
    pub(super) limit: usize,
    pub(super) at_limit: AtLimit,
    pub(super) nodes: Vec<Option<Node>>,
    /// How often each node was started.
    pub(super) lives: Vec<u64>,
    pub(super) broker: Broker,
    /// Until when the broker hangs, and is gone.
    pub(super) hangs_until: Time,
    pub(super) gone_until: Time,
    /// Until when a node cannot reach the broker.
    pub(super) cut_off_until: Vec<Time>,
    /// Sessions whose subscriptions were forgotten.
    pub(super) forgotten: BTreeSet<Session>,
    pub(super) gentle: bool,
    /// One message of so many is lost, or doubled.
    pub(super) loss: Option<u64>,
    pub(super) queue: BinaryHeap<Reverse<(Time, u64)>>,
    pub(super) events: BTreeMap<u64, Event>,
    pub(super) last_event: u64,
    /// What was sent to a node, or by it, arrives in order.
    pub(super) arrivals: BTreeMap<(usize, bool), Time>,
    pub(super) sent: u64,
    pub(super) checks: Checks,
}

impl World {
    pub(super) fn new(seed: u64, verbose: bool) -> Self {
        let mut random = Random::new(seed);
        let count = random.range(2, 5) as usize;
        let at_limit = if random.one_in(3) { AtLimit::Refuse } else { AtLimit::Evict };
        let limit = random.range(1, 4) as usize;
        let loss = random.one_in(3).then(|| random.range(5, 100));
        let gentle = random.one_in(2);
        let mut world = Self {
            now: 0,
            random,
            verbose,
            limit,
            at_limit,
            nodes: (0..count).map(|_| None).collect(),
            lives: vec![0; count],
            broker: Broker::default(),
            hangs_until: 0,
            gone_until: 0,
            cut_off_until: vec![0; count],
            forgotten: BTreeSet::new(),
            gentle,
            loss,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            last_event: 0,
            arrivals: BTreeMap::new(),
            sent: 0,
            checks: Checks::new(limit),
        };
        (0..count).for_each(|node| world.start(node));
        world.at(500, Event::Act);
        world.at(3_000, Event::Fault);
        world
    }

    /// Runs to the end. Panics when a promise is broken.
    pub(super) fn run(mut self) {
        while let Some(Reverse((time, number))) = self.queue.pop() {
            if time > FAULTS + QUIET {
                break;
            }
            self.now = time;
            let event = self.events.remove(&number).expect("each event happens once");
            self.happen(event);
            self.check();
        }
        self.checks_at_the_end();
    }

    pub(super) fn log(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:>7} {}", self.now, text());
        }
    }

    pub(super) fn at(&mut self, time: Time, event: Event) {
        self.last_event += 1;
        self.events.insert(self.last_event, event);
        self.queue.push(Reverse((time, self.last_event)));
    }

    pub(super) fn start(&mut self, index: usize) {
        self.lives[index] += 1;
        let id = NodeId::new(u128::from(self.lives[index]) << 64 | index as u128);
        let (limit, random) = (self.limit, self.random.next());
        let name = Text::from(format!("node {index}"));
        let settings = Settings { at_limit: self.at_limit, name, ..Settings::default() };
        let node = Node {
            id,
            machine: Machine::new(id, random, limit, settings),
            started: self.now,
            skew: self.random.range(0, 20_000) as i64 - 10_000,
            stopped_until: 0,
            session: None,
            subscriptions: VecDeque::new(),
            subscribing: false,
            last_subscription: 0,
            timer: None,
            last_conn: 0,
            unanswered: BTreeSet::new(),
            waiting: BTreeMap::new(),
            evicted: BTreeSet::new(),
            conns: BTreeMap::new(),
        };
        self.log(|| format!("node {index} starts"));
        self.nodes[index] = Some(node);
        self.pump(index);
    }

    /// The time as the node sees it.
    pub(super) fn local(&self, node: &Node) -> Duration {
        let passed = (self.now - node.started) as i64;
        Duration::from_micros((passed * 1000 + passed * node.skew / 1000) as u64)
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Timer { node } => {
                let Some(this) = &mut self.nodes[node] else { return };
                if this.timer != Some(self.now) || this.stopped_until > self.now {
                    return;
                }
                this.timer = None;
                self.with(node, |machine, now| machine.tick(now));
            }
            Event::Continue(node) => {
                self.log(|| format!("node {node} goes on"));
                self.with(node, |machine, now| machine.tick(now));
            }
            Event::ToBroker(session, what) => self.reach_broker(session, what),
            Event::ToNode(node, life, what) => self.reach_node(node, life, what),
            Event::Act => {
                self.act();
                let next = self.now + self.random.range(1, 800);
                let most = if next < FAULTS { FAULTS } else { FAULTS + QUIET - 12_000 };
                if next < most {
                    self.at(next, Event::Act);
                }
            }
            Event::Fault => {
                self.fault();
                let next = self.now + self.random.range(1_000, 15_000);
                if next < FAULTS {
                    self.at(next, Event::Fault);
                } else {
                    self.heal();
                }
            }
        }
    }

    pub(super) fn with<T>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Machine, Duration) -> T,
    ) -> Option<T> {
        let node = self.nodes[index].as_ref()?;
        let now = self.local(node);
        let result = change(&mut self.nodes[index].as_mut()?.machine, now);
        self.pump(index);
        Some(result)
    }

    fn check(&mut self) {
        let mut counts: BTreeMap<&Text, usize> = BTreeMap::new();
        for (user, _) in self.nodes.iter().flatten().flat_map(|node| node.conns.values()) {
            *counts.entry(user).or_default() += 1;
        }
        let well = self.is_well();
        self.checks.count(self.now, well, &counts);
    }

    /// Whether all nodes run, and are ready.
    fn is_well(&self) -> bool {
        let running = |node: &Node| node.stopped_until <= self.now && node.machine.is_ready();
        self.nodes.iter().all(|node| node.as_ref().is_some_and(running))
            && self.hangs_until <= self.now
            && self.cut_off_until.iter().all(|until| *until <= self.now)
    }

    fn checks_at_the_end(&mut self) {
        let ids: BTreeSet<NodeId> = self.nodes.iter().flatten().map(|node| node.id).collect();
        let mut places = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(node) = node else { panic!("node {index} was not started again") };
            assert!(node.machine.is_ready(), "node {index} is not ready");
            let mut known: BTreeSet<NodeId> = node.machine.nodes().iter().map(|it| it.id).collect();
            known.insert(node.id);
            assert_eq!(known, ids, "node {index} knows other nodes");
            let late = node.waiting.values().any(|(_, since)| self.now - since > 5_000);
            assert!(!late, "connections wait on node {index}: {:?}", node.waiting);
            let mine = node.conns.iter().map(|(conn, (user, _))| (user.clone(), node.id, *conn));
            places.extend(mine);
        }
        places.sort();
        let mut kept = Vec::new();
        for user in USERS {
            let find = Request::Find { user: user.into() };
            let found = self.broker.table.answer(Duration::from_millis(self.now), &find);
            let Reply::Found(devices) = found else { panic!("{found:?}") };
            kept.extend(devices.iter().map(|it| (Text::from(user), it.node, it.conn_id)));
        }
        kept.sort();
        // Those of the last moment may be on their way.
        assert_eq!(kept, places, "the directory is not what there is");
        self.checks.at_the_end(&kept.into_iter().map(|(user, ..)| user).collect());
    }
}
