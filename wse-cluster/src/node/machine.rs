//! [`Machine`]: one node of a cluster as a state machine.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use wse::cluster::{Admitted, Publication};
use wse::{Close, Text};

use super::event::ClusterEvent;
use super::lanes::{InLanes, OutLanes};
use super::life::{Life, Phase};
use super::members::{Members, NodeInfo};
use super::places::{Effect, Places};
use crate::channel::Channel;
use crate::directory::{Reply, Request};
use crate::frame::{Beat, CloseUser, Content, Frame, FrameCodec, Message, Place, Stage};
use crate::id::NodeId;
use crate::settings::Settings;

/// The most nodes that are remembered so.
pub(super) const MOST_REMEMBERED: usize = 1024;

/// The most bytes that wait to be published.
const MOST_UNPUBLISHED: usize = 64 * 1024 * 1024;

/// The messages of a node that went silent are counted so long, should it be heard again.
const REMEMBERED: Duration = Duration::from_secs(300);

/// What the driver of a [`Machine`] is to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// Open session number so much. The one before is dropped.
    Open(u64),
    /// Drop the session.
    Close,
    /// Subscribe to all channels that are wanted: the session is new.
    SubscribeAll(Vec<Channel>),
    Subscribe(Channel),
    Unsubscribe(Channel),
    Publish(Channel, Bytes),
    Ask(u64, Request),
    Deliver(Publication),
    CloseUser(Text, Close),
    Evict(Text, u64),
    Left(Text, Close),
    JoinedAgain(Text, u64),
    Admitted(u64, Result<Admitted, Close>),
    Event(ClusterEvent),
}

/// One node of a cluster. Times are from its start.
pub(crate) struct Machine {
    pub(super) id: NodeId,
    pub(super) settings: Settings,
    pub(super) codec: FrameCodec,
    pub(super) life: Life,
    pub(super) members: Members,
    pub(super) out: OutLanes,
    pub(super) heard: InLanes,
    pub(super) places: Places,
    pub(super) rooms: HashSet<Text>,
    /// Connections that ask for a place before the node was ever ready. `None` once it was, or has had its time.
    pub(super) early: Option<Vec<(Text, u64)>>,
    /// The channels that are wanted, and whether they are subscribed to.
    pub(super) channels: BTreeMap<Channel, bool>,
    /// Nodes that went silent, and when.
    pub(super) gone: VecDeque<(Duration, NodeId)>,
    /// The bytes of messages that are not published yet, the driver's among them.
    pub(super) unpublished: usize,
    /// How many messages did not go to other nodes since the node was ready.
    pub(super) unsent: u64,
    pub(super) foreign: u64,
    pub(super) directory_answers: bool,
    pub(super) outputs: VecDeque<Output>,
}

impl Machine {
    /// A node that has no session yet: the first output opens one.
    pub(crate) fn new(id: NodeId, random: u64, limit: usize, settings: Settings) -> Self {
        let base = [Channel::Beats, Channel::All, Channel::Node(id)];
        let life = Life::new(random);
        let outputs = VecDeque::from([Output::Open(life.session)]);
        Self {
            id,
            codec: FrameCodec::new(settings.key.as_deref()),
            settings,
            life,
            members: Members::default(),
            out: OutLanes::new(),
            heard: InLanes::default(),
            places: Places::new(id, limit),
            rooms: HashSet::new(),
            early: Some(Vec::new()),
            channels: base.into_iter().map(|channel| (channel, false)).collect(),
            gone: VecDeque::new(),
            unpublished: 0,
            unsent: 0,
            foreign: 0,
            directory_answers: true,
            outputs,
        }
    }

    /// Whether a channel is subscribed to, or to be.
    pub(crate) fn is_wanted(&self, channel: &Channel) -> bool {
        self.channels.contains_key(channel)
    }

    /// Whether the node hears itself, and its directory answers.
    pub(crate) fn is_ready(&self) -> bool {
        self.life.is_ready() && self.directory_answers
    }

    /// The other nodes.
    pub(crate) fn nodes(&self) -> Vec<NodeInfo> {
        self.members.iter().cloned().collect()
    }

    pub(crate) fn this_node(&self) -> NodeInfo {
        let devices = self.places.len() as u64;
        NodeInfo { id: self.id, name: self.settings.name.clone(), devices }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    // What the server says.

    pub(crate) fn publish(&mut self, publication: &Publication) {
        let channel = Channel::from(&publication.to);
        self.send_numbered(channel, Content::Message(Message::new(publication)));
    }

    pub(crate) fn close_user(&mut self, user: &Text, close: &Close) {
        let reason = close.reason.to_string();
        let content = CloseUser { code: close.code.into(), reason };
        self.send_numbered(Channel::User(user.clone()), Content::CloseUser(content));
    }

    pub(crate) fn has_members(&mut self, room: &Text, any: bool) {
        let changed = if any { self.rooms.insert(room.clone()) } else { self.rooms.remove(room) };
        if changed {
            self.wants(Channel::Room(room.clone()), any);
        }
    }

    pub(crate) fn admit(&mut self, now: Duration, user: &Text, conn_id: u64) {
        if let Some(early) = &mut self.early {
            return early.push((user.clone(), conn_id));
        }
        let heard = self.channels.get(&Channel::User(user.clone())).is_some_and(|heard| *heard);
        let ready = self.is_ready();
        self.places.admit(now, &self.settings, ready, heard, user, conn_id);
        self.apply();
    }

    pub(crate) fn release(&mut self, conn_id: u64, close: Option<&Close>) {
        if let Some(early) = &mut self.early {
            return early.retain(|(_, id)| *id != conn_id);
        }
        let ready = self.is_ready();
        self.places.release(&self.settings, ready, conn_id, close);
        self.apply();
    }

    pub(super) fn admit_early(&mut self, now: Duration) {
        for (user, conn_id) in self.early.take().into_iter().flatten() {
            self.admit(now, &user, conn_id);
        }
    }

    /// The node ends.
    pub(crate) fn stop(&mut self) {
        if self.life.is_open() {
            self.send_beat(Stage::Leaving);
        }
        self.life.phase = Phase::Stopped;
    }

    // What the backplane says. What an older session says does not count.

    /// A session is open. Returns whether it is the one that is waited for.
    pub(crate) fn opened(&mut self, now: Duration, session: u64) -> bool {
        let expected = session == self.life.session && self.life.phase == Phase::Opening;
        if expected {
            self.life.phase = Phase::Subscribing { since: now };
            self.outputs.push_back(Output::SubscribeAll(self.channels.keys().cloned().collect()));
        }
        expected
    }

    /// Channels are subscribed to; `all` when they are the last ones of those that were wanted when the session was opened.
    pub(crate) fn subscribed(
        &mut self,
        now: Duration,
        session: u64,
        channels: &[Channel],
        all: bool,
    ) {
        if session != self.life.session {
            return;
        }
        for channel in channels {
            if let Some(heard) = self.channels.get_mut(channel) {
                *heard = true;
                if let Channel::User(user) = channel {
                    self.places.heard(user);
                }
            }
        }
        if all && matches!(self.life.phase, Phase::Subscribing { .. }) {
            self.life.listen(now);
        }
        self.tick(now);
    }

    /// The session cannot be opened, or has failed.
    pub(crate) fn failed(&mut self, now: Duration, session: u64, why: &str) {
        let given_up = matches!(self.life.phase, Phase::Stopped | Phase::Waiting { .. });
        if session == self.life.session && !given_up {
            self.degrade(now, why);
        }
    }

    /// Messages of so many bytes no longer wait to be published: they were, or were dropped.
    pub(crate) fn published(&mut self, bytes: usize) {
        self.unpublished -= bytes;
    }

    /// So many messages were not published. Reported as in [`ClusterEvent::Unsent`].
    pub(crate) fn unsent(&mut self, messages: u64, why: &str) {
        let before = self.unsent.checked_ilog2();
        self.unsent += messages;
        if self.unsent.checked_ilog2() != before {
            let (messages, why) = (self.unsent, why.to_owned());
            self.outputs.push_back(Output::Event(ClusterEvent::Unsent { messages, why }));
        }
    }

    pub(crate) fn answered(&mut self, now: Duration, request: u64, reply: Option<Reply>) {
        self.places.answered(now, &self.settings, request, reply);
        self.tick(now);
    }

    // What time does.

    /// When [`tick`](Self::tick) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let members = self.members.due(self.settings.dead_after).filter(|_| self.life.is_ready());
        let early = self.early.as_ref().map(|_| self.settings.hear_within);
        let all = [self.life.due(&self.settings), members, self.places.due(), early];
        all.into_iter().flatten().min()
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        if self.life.is_deaf(now, &self.settings) {
            let why = match self.life.phase {
                Phase::Subscribing { .. } => "the backplane has not confirmed the subscriptions",
                _ => "the node does not hear its own beats",
            };
            self.degrade(now, why);
        }
        if let Phase::Waiting { until } = self.life.phase
            && until <= now
        {
            self.life.open();
            self.outputs.push_back(Output::Open(self.life.session));
        }
        if self.life.takes_beat(now, &self.settings) {
            self.send_beat(if self.life.is_ready() { Stage::Ready } else { Stage::Joining });
        }
        while self.life.is_ready() {
            let Some(gone) = self.members.expire(now, self.settings.dead_after) else { break };
            self.down(now, Some(gone));
        }
        while let Some((at, id)) = self.gone.front().copied()
            && now >= at + REMEMBERED
        {
            self.gone.pop_front();
            if !self.members.has(id) {
                self.heard.forget_node(id);
            }
        }
        if self.early.is_some() && now >= self.settings.hear_within {
            self.admit_early(now);
        }
        self.places.tick(now, &self.settings);
        self.apply();
    }

    fn degrade(&mut self, now: Duration, why: &str) {
        self.life.wait(now, &self.settings);
        self.places.pause();
        self.channels.values_mut().for_each(|heard| *heard = false);
        let Phase::Waiting { until } = self.life.phase else { return };
        let (why, retry_in) = (why.to_owned(), until - now);
        self.outputs.push_back(Output::Close);
        self.outputs.push_back(Output::Event(ClusterEvent::Degraded { why, retry_in }));
        self.apply();
    }

    // Helpers.

    /// Turns the effects of the places into outputs.
    pub(super) fn apply(&mut self) {
        while let Some(effect) = self.places.effects.pop_front() {
            match effect {
                Effect::Ask(request, what) => self.outputs.push_back(Output::Ask(request, what)),
                Effect::Admitted(conn_id, result) => {
                    self.outputs.push_back(Output::Admitted(conn_id, result));
                }
                Effect::Evict(node, user, conn_id) if node == self.id => {
                    self.outputs.push_back(Output::Evict(user, conn_id));
                }
                Effect::Joined(node, user, conn_id) if node == self.id => {
                    self.outputs.push_back(Output::JoinedAgain(user, conn_id));
                }
                Effect::Evict(node, user, conn_id) => {
                    let place = Place { user: user.as_str().to_owned(), conn_id };
                    self.send(Channel::Node(node), 0, 0, Content::Evict(place));
                }
                Effect::Joined(node, user, conn_id) => {
                    let place = Place { user: user.as_str().to_owned(), conn_id };
                    self.send(Channel::Node(node), 0, 0, Content::Joined(place));
                }
                Effect::Left(user, close) => self.outputs.push_back(Output::Left(user, close)),
                Effect::Wants(user, wanted) => self.wants(Channel::User(user), wanted),
                Effect::Answered(answers) => {
                    if std::mem::replace(&mut self.directory_answers, answers) != answers {
                        let event = ClusterEvent::Directory { answers };
                        self.outputs.push_back(Output::Event(event));
                    }
                }
            }
        }
    }

    fn wants(&mut self, channel: Channel, wanted: bool) {
        // Before the session has subscribed to all of them, it does so with the rest.
        let open = self.life.is_open() || matches!(self.life.phase, Phase::Subscribing { .. });
        if wanted {
            if self.channels.insert(channel.clone(), false).is_none() && open {
                self.outputs.push_back(Output::Subscribe(channel));
            }
        } else if self.channels.remove(&channel).is_some() {
            self.heard.pause_channel(&channel);
            if open {
                self.outputs.push_back(Output::Unsubscribe(channel));
            }
        }
    }

    fn send_beat(&mut self, stage: Stage) {
        let NodeInfo { name, devices, .. } = self.this_node();
        let (name, (epoch, number)) = (name.as_str().to_owned(), self.out.last(&Channel::All));
        let beat = Beat { name, stage: stage.into(), devices, epoch, number };
        self.send(Channel::Beats, 0, 0, Content::Beat(beat));
    }

    fn send_numbered(&mut self, channel: Channel, content: Content) {
        let (epoch, number) = self.out.next(&channel);
        if self.life.is_open() && self.unpublished <= MOST_UNPUBLISHED {
            return self.send(channel, epoch, number, content);
        }
        let open = self.life.is_open();
        let why = if open { "too much waits" } else { "the backplane is away" };
        self.unsent(1, why);
    }

    fn send(&mut self, channel: Channel, epoch: u64, number: u64, content: Content) {
        let sender = Bytes::copy_from_slice(&self.id.to_bytes());
        let frame = Frame { sender, epoch, number, content: Some(content) };
        let bytes = self.codec.encode(&channel, &frame);
        if channel != Channel::Beats {
            self.unpublished += bytes.len();
        }
        self.outputs.push_back(Output::Publish(channel, bytes));
    }
}
