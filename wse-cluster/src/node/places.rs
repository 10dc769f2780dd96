//! [`Places`]: the connections of this node, and what the directory knows of them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use wse::cluster::Admitted;
use wse::{Close, Text};

use crate::directory::{AtLimit, Device, Request};
use crate::id::NodeId;
use crate::settings::{Settings, WhenDown};

/// The most places of one request to refresh.
const BATCH: usize = 500;

/// After the directory was away, places are asked for again, or given back, as long as fewer requests than this have no answer.
const AT_ONCE: usize = 64;

/// The most places that wait to be given back.
const MOST_OWED: usize = 100_000;

/// A connection of this node.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) user: Text,
    pub(super) state: State,
    /// Whether its channel is subscribed to, once it has a place.
    pub(super) heard: bool,
    /// Whether it is the first of its user, as the server is told.
    pub(super) first: bool,
    /// When the directory was asked last, of those times at which it has answered.
    pub(super) refreshed: Duration,
}

impl Place {
    /// The answer for the server, if that is all that is waited for.
    pub(super) fn take_given(&mut self, conn_id: u64) -> Option<Effect> {
        let given = self.state == State::Given;
        given.then(|| {
            self.state = State::Confirmed;
            Effect::Admitted(conn_id, Ok(Admitted::new(self.first)))
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The directory is asked, and the server waits for the answer.
    Asked,
    /// The directory has it. The server waits until its channel is subscribed to.
    Given,
    /// The directory has it.
    Confirmed,
    /// Admitted while the directory was away.
    Unconfirmed,
    /// The directory is asked again. `lost` if it had a place before.
    AskedAgain { lost: bool },
}

/// What the directory was asked.
#[derive(Debug)]
pub(super) enum Asked {
    Admit { user: Text, conn_id: u64, at: Duration },
    Release(Released),
    Refresh { at: Duration, places: Vec<u64> },
    Reap,
}

/// A connection that has ended, and whose place is to be taken back.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) user: Text,
    pub(super) conn_id: u64,
    /// `None` if the connection has never become its user's.
    pub(super) close: Option<Close>,
    /// Whether it was the first of its user, and nobody was told.
    pub(super) untold: bool,
    /// Whether the directory knew of it.
    pub(super) confirmed: bool,
    /// It has not lapsed before this time, if the directory knew of it.
    pub(super) lapses: Duration,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Ask(u64, Request),
    Admitted(u64, Result<Admitted, Close>),
    /// A connection of this node or another one has lost its place.
    Evict(NodeId, Text, u64),
    Left(Text, Close),
    /// The user of a connection is there, and nobody was told. The connection may be another node's.
    Joined(NodeId, Text, u64),
    /// The first connection of a user has come, or the last one has gone.
    Wants(Text, bool),
    /// The directory has answered, or has not.
    Answered(bool),
}

/// The connections of this node.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) node: NodeId,
    pub(super) limit: usize,
    pub(super) places: HashMap<u64, Place>,
    /// The connections of each user.
    pub(super) users: HashMap<Text, Vec<u64>>,
    pub(super) asked: HashMap<u64, Asked>,
    pub(super) last_request: u64,
    /// Connections to ask for again.
    pub(super) again: VecDeque<u64>,
    /// Places to take back when the directory is there again.
    pub(super) owed: VecDeque<Released>,
    pub(super) next_refresh: Option<Duration>,
    /// Whether the directory has answered the last request. Until it does, only what is due is asked.
    pub(super) answers: bool,
    pub(super) effects: VecDeque<Effect>,
}

impl Places {
    pub(super) fn new(node: NodeId, limit: usize) -> Self {
        Self {
            node,
            limit,
            places: HashMap::new(),
            users: HashMap::new(),
            asked: HashMap::new(),
            last_request: 0,
            again: VecDeque::new(),
            owed: VecDeque::new(),
            next_refresh: None,
            answers: true,
            effects: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// A connection asks for a place. `heard` says whether the channel of its user is subscribed to.
    pub(super) fn admit(
        &mut self,
        now: Duration,
        settings: &Settings,
        ready: bool,
        heard: bool,
        user: &Text,
        conn_id: u64,
    ) {
        if !ready && settings.when_down == WhenDown::Refuse {
            let close = Close::new(1013, "the cluster is not reachable");
            return self.effects.push_back(Effect::Admitted(conn_id, Err(close)));
        }
        let state = if ready { State::Asked } else { State::Unconfirmed };
        self.places.insert(
            conn_id,
            Place { user: user.clone(), state, heard, first: false, refreshed: now },
        );
        let devices = self.users.entry(user.clone()).or_default();
        devices.push(conn_id);
        let first = devices.len() == 1;
        if first {
            self.effects.push_back(Effect::Wants(user.clone(), true));
        }
        if ready {
            self.ask_for(now, settings, conn_id, settings.at_limit);
        } else {
            self.admit_unconfirmed(conn_id);
        }
    }

    /// Admits a connection while the directory does not answer. If this node has no other connection of its user, the user joins.
    pub(super) fn admit_unconfirmed(&mut self, conn_id: u64) {
        let Some(place) = self.places.get_mut(&conn_id) else { return };
        place.first = self.users.get(&place.user).is_some_and(|devices| devices.len() == 1);
        place.state = State::Unconfirmed;
        self.again.push_back(conn_id);
        let admitted = Ok(Admitted::new(place.first));
        self.effects.push_back(Effect::Admitted(conn_id, admitted));
    }

    /// The channel of a user is subscribed to.
    pub(super) fn heard(&mut self, user: &Text) {
        for conn_id in self.users.get(user).into_iter().flatten() {
            let Some(place) = self.places.get_mut(conn_id) else { continue };
            place.heard = true;
            self.effects.extend(place.take_given(*conn_id));
        }
    }

    /// A connection has ended.
    pub(super) fn release(
        &mut self,
        settings: &Settings,
        ready: bool,
        conn_id: u64,
        close: Option<&Close>,
    ) {
        let Some(place) = self.places.remove(&conn_id) else { return };
        let Place { user, state, refreshed, first, .. } = place;
        self.forget_device(&user, conn_id);
        let known = !matches!(state, State::Unconfirmed | State::AskedAgain { lost: false });
        let untold = close.is_none() && first;
        let close = close.cloned();
        let lapses = refreshed + settings.safe_lease();
        let released = Released { user, conn_id, close, untold, confirmed: known, lapses };
        if ready { self.give_back(released) } else { self.owe(released) }
    }

    pub(super) fn owe(&mut self, released: Released) {
        self.owed.push_back(released);
        if self.owed.len() > MOST_OWED {
            // Its place lapses, if it has one.
            self.owed.pop_front();
        }
    }

    pub(super) fn give_back(&mut self, released: Released) {
        let device = Device { node: self.node, conn_id: released.conn_id };
        let request = Request::Release { user: released.user.clone(), device };
        self.ask(Asked::Release(released), request);
    }

    /// The directory can be asked again.
    pub(super) fn resume(&mut self, now: Duration) {
        self.next_refresh = Some(now);
    }

    /// The directory cannot be asked for now, and no channel is subscribed to. Clients do not wait for that.
    pub(super) fn pause(&mut self) {
        self.next_refresh = None;
        for (conn_id, place) in &mut self.places {
            place.heard = false;
            self.effects.extend(place.take_given(*conn_id));
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.next_refresh
    }

    /// Does what is due, while the directory can be asked.
    pub(super) fn tick(&mut self, now: Duration, settings: &Settings) {
        if self.next_refresh.is_some_and(|at| at <= now) {
            self.next_refresh = Some(now + settings.refresh);
            let confirmed = self.places.iter().filter(|(_, it)| it.state == State::Confirmed);
            let mut confirmed: Vec<_> =
                confirmed.map(|(conn_id, place)| (place.user.clone(), *conn_id)).collect();
            confirmed.sort_unstable_by_key(|(_, conn_id)| *conn_id);
            for places in confirmed.chunks(BATCH) {
                let asked = places.iter().map(|(_, conn_id)| *conn_id).collect();
                let (node, places, lease) = (self.node, places.to_vec(), settings.lease);
                let request = Request::Refresh { node, places, lease };
                self.ask(Asked::Refresh { at: now, places: asked }, request);
            }
            self.reap();
        }
        if self.next_refresh.is_none() || !self.answers {
            return;
        }
        while self.asked.len() < AT_ONCE {
            let Some(released) = self.owed.pop_front() else { break };
            self.give_back(released);
        }
        while self.asked.len() < AT_ONCE {
            let Some(conn_id) = self.again.pop_front() else { break };
            let Some(place) = self.places.get_mut(&conn_id) else { continue };
            let lost = place.state == State::Confirmed;
            if !lost && place.state != State::Unconfirmed {
                continue;
            }
            place.state = State::AskedAgain { lost };
            // A lost place was given to another connection, or has lapsed. Only in the second case there is room.
            let at_limit = if lost { AtLimit::Refuse } else { settings.at_limit };
            self.ask_for(now, settings, conn_id, at_limit);
        }
    }

    pub(super) fn reap(&mut self) {
        self.ask(Asked::Reap, Request::Reap);
    }

    fn ask_for(&mut self, now: Duration, settings: &Settings, conn_id: u64, at_limit: AtLimit) {
        let Some(place) = self.places.get(&conn_id) else { return };
        let (user, device) = (place.user.clone(), Device { node: self.node, conn_id });
        let (limit, lease) = (self.limit, settings.lease);
        self.ask(
            Asked::Admit { user: user.clone(), conn_id, at: now },
            Request::Admit { user, device, limit, at_limit, lease },
        );
    }

    fn ask(&mut self, asked: Asked, request: Request) {
        self.last_request += 1;
        self.asked.insert(self.last_request, asked);
        self.effects.push_back(Effect::Ask(self.last_request, request));
    }

    /// Forgets a connection that has got no place.
    pub(super) fn forget(&mut self, conn_id: u64) {
        if let Some(place) = self.places.remove(&conn_id) {
            self.forget_device(&place.user, conn_id);
        }
    }

    fn forget_device(&mut self, user: &Text, conn_id: u64) {
        let Some(devices) = self.users.get_mut(user) else { return };
        devices.retain(|it| *it != conn_id);
        if devices.is_empty() {
            self.users.remove(user);
            self.effects.push_back(Effect::Wants(user.clone(), false));
        }
    }
}
