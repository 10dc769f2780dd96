//! The task of a node: it carries what the [`Machine`] wants to the backplane and to the server, and back.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use wse::cluster::LocalNode;

use crate::backplane::{Arrived, Backplane, BackplaneError, Inbox, Session};
use crate::channel::Channel;
use crate::directory::Reply;
use crate::node::Output;
use crate::shared::{Shared, chain};

/// The most messages that wait to be taken from the backplane.
const INBOX: usize = 65_536;

/// The most messages that are taken, or published, at once.
const BATCH: usize = 256;

/// The most channels of one request to subscribe.
const CHANNELS: usize = 512;

/// A session that does not open within this time is given up.
const OPENING: Duration = Duration::from_secs(10);

/// A request to the backplane that is not answered within this time may have been done.
const REQUEST: Duration = Duration::from_secs(2);

/// The time for what is still to be published and asked when the node ends.
const ENDING: Duration = Duration::from_secs(2);

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Work that is done.
enum Done {
    Opened(u64, Result<Arc<dyn Session>, BackplaneError>),
    Subscribed(u64, Vec<Channel>, Result<(), BackplaneError>),
    Unsubscribed(u64),
    /// With the number of messages, and their bytes.
    Published(u64, (u64, usize), Result<(), BackplaneError>),
    Answered(u64, Result<Reply, BackplaneError>),
    Beat,
}

/// What is to be done about subscriptions, in order.
enum Subscription {
    Add(Channel),
    Remove(Channel),
    /// Those that were wanted when the session was opened are subscribed to.
    AllAdded,
}

/// The task of a node.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    node: Box<dyn LocalNode>,
    backplane: Arc<dyn Backplane>,
    /// The open session, and its number.
    session: Option<(u64, Arc<dyn Session>)>,
    inbox: (mpsc::Sender<Arrived>, mpsc::Receiver<Arrived>),
    work: FuturesUnordered<Work>,
    subscriptions: VecDeque<Subscription>,
    subscribing: bool,
    to_publish: Vec<(Channel, Bytes)>,
    publishing: bool,
    /// Requests without an answer.
    asked: usize,
    /// Beats that are not sent yet.
    beating: usize,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        node: Box<dyn LocalNode>,
        backplane: Arc<dyn Backplane>,
    ) -> Self {
        Self {
            shared,
            node,
            backplane,
            session: None,
            inbox: mpsc::channel(INBOX),
            work: FuturesUnordered::new(),
            subscriptions: VecDeque::new(),
            subscribing: false,
            to_publish: Vec::new(),
            publishing: false,
            asked: 0,
            beating: 0,
        }
    }

    /// Runs until the node is told to stop, and what it has said by then is done.
    pub(crate) async fn run(mut self) {
        let stopping = self.shared.stopping.clone();
        // Also when the task panics, or its runtime ends.
        let _ended = self.shared.ended.clone().drop_guard();
        let mut received = Vec::with_capacity(BATCH);
        let mut ends_at = None;
        loop {
            self.carry_out();
            while self.start_work() {
                self.carry_out();
            }
            let idle =
                self.asked + self.beating == 0 && !self.publishing && self.to_publish.is_empty();
            if ends_at.is_some_and(|at| idle || self.session.is_none() || at <= self.shared.now()) {
                break;
            }
            let timeout = self.shared.machine().poll_timeout();
            let due = [timeout, ends_at].into_iter().flatten().min();
            let sleep = self.shared.sleep_until(due);
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = stopping.cancelled(), if ends_at.is_none() => {
                    self.shared.machine().stop();
                    ends_at = Some(self.shared.now() + ENDING);
                }
                Some(done) = self.work.next(), if !self.work.is_empty() => self.done(done),
                _ = self.inbox.1.recv_many(&mut received, BATCH) => {
                    let now = self.shared.now();
                    let mut machine = self.shared.machine();
                    for arrived in received.drain(..) {
                        match arrived {
                            Arrived::Message(channel, message) => {
                                machine.received(now, &channel, &message);
                            }
                            Arrived::End(session, why) => machine.failed(now, session, &why),
                        }
                    }
                }
                () = sleep => {}
            }
            let now = self.shared.now();
            let mut machine = self.shared.machine();
            if machine.poll_timeout().is_some_and(|at| at <= now) {
                machine.tick(now);
            }
        }
    }

    /// Does what the machine wants, but for what waits.
    fn carry_out(&mut self) {
        loop {
            // Not under the lock: the server may call the node back.
            let Some(output) = ({ self.shared.machine().poll_output() }) else { return };
            match output {
                Output::Open(number) => self.open(number),
                Output::Close => self.close(),
                Output::SubscribeAll(channels) => {
                    self.subscriptions.extend(channels.into_iter().map(Subscription::Add));
                    self.subscriptions.push_back(Subscription::AllAdded);
                }
                Output::Subscribe(channel) => {
                    self.subscriptions.push_back(Subscription::Add(channel));
                }
                Output::Unsubscribe(channel) => {
                    self.subscriptions.push_back(Subscription::Remove(channel));
                }
                Output::Publish(Channel::Beats, beat) => self.send_beat(beat),
                Output::Publish(channel, message) => self.to_publish.push((channel, message)),
                Output::Ask(number, request) => {
                    let session = self.session.clone();
                    self.asked += 1;
                    self.work.push(Box::pin(async move {
                        let asking = async {
                            let (_, session) = session.ok_or_else(closed)?;
                            session.ask(&request).await
                        };
                        Done::Answered(number, within(REQUEST, asking).await)
                    }));
                }
                Output::Deliver(publication) => {
                    let delivered = self.node.deliver(&publication);
                    if delivered.unreadable > 0 {
                        let (name, to) = (&publication.name, &publication.to);
                        let protocols = delivered.unreadable;
                        tracing::warn!(%name, %to, protocols, "a message has no encoding for protocols in use");
                    }
                }
                Output::CloseUser(user, close) => {
                    self.node.close_user(&user, close);
                }
                Output::Evict(user, conn_id) => {
                    self.node.evict(&user, conn_id);
                }
                Output::Left(user, close) => self.node.left(&user, &close),
                Output::JoinedAgain(user, conn_id) => self.node.joined_again(&user, conn_id),
                Output::Admitted(conn_id, result) => self.shared.admitted(conn_id, result),
                Output::Event(event) => self.shared.emit(event),
            }
        }
    }

    fn open(&mut self, number: u64) {
        self.close();
        let backplane = Arc::clone(&self.backplane);
        let inbox = Inbox::new(self.inbox.0.clone(), number);
        self.work.push(Box::pin(async move {
            Done::Opened(number, within(OPENING, backplane.open(inbox)).await)
        }));
    }

    /// A beat does not wait behind messages.
    fn send_beat(&mut self, beat: Bytes) {
        let Some((_, session)) = self.session.clone() else { return };
        self.beating += 1;
        self.work.push(Box::pin(async move {
            // If it fails, the node does not hear it.
            let _ = within(REQUEST, session.publish(&[(Channel::Beats, beat)])).await;
            Done::Beat
        }));
    }

    fn close(&mut self) {
        self.session = None;
        self.subscriptions.clear();
        self.subscribing = false;
        self.publishing = false;
        let (lost, bytes) = counted(&self.to_publish);
        self.to_publish = Vec::new();
        let mut machine = self.shared.machine();
        machine.published(bytes);
        if lost > 0 {
            machine.unsent(lost, "the connection to the backplane was given up");
        }
    }

    /// Starts what may begin now: one request at a time for messages, and one for subscriptions, so that they stay in order.
    /// Returns whether the machine may want something by that.
    fn start_work(&mut self) -> bool {
        let Some((number, session)) = self.session.clone() else { return false };
        if !self.publishing && !self.to_publish.is_empty() {
            self.publishing = true;
            let count = self.to_publish.len().min(BATCH);
            let messages: Vec<_> = self.to_publish.drain(..count).collect();
            let session = Arc::clone(&session);
            self.work.push(Box::pin(async move {
                let published = within(REQUEST, session.publish(&messages)).await;
                Done::Published(number, counted(&messages), published)
            }));
        }
        while !self.subscribing {
            let Some(next) = self.subscriptions.pop_front() else { break };
            let session = Arc::clone(&session);
            match next {
                Subscription::AllAdded => {
                    let now = self.shared.now();
                    self.shared.machine().subscribed(now, number, &[], true);
                    return true;
                }
                Subscription::Add(channel) => {
                    let mut channels = vec![channel];
                    while channels.len() < CHANNELS
                        && let Some(Subscription::Add(channel)) = self.subscriptions.front()
                    {
                        channels.push(channel.clone());
                        self.subscriptions.pop_front();
                    }
                    self.subscribing = true;
                    self.work.push(Box::pin(async move {
                        let done = within(REQUEST, session.subscribe(&channels)).await;
                        Done::Subscribed(number, channels, done)
                    }));
                }
                // It may be wanted again meanwhile.
                Subscription::Remove(channel) if self.shared.machine().is_wanted(&channel) => {}
                Subscription::Remove(channel) => {
                    self.subscribing = true;
                    self.work.push(Box::pin(async move {
                        let _ = within(REQUEST, session.unsubscribe(&[channel])).await;
                        Done::Unsubscribed(number)
                    }));
                }
            }
        }
        false
    }

    fn done(&mut self, done: Done) {
        let now = self.shared.now();
        let current = self.session.as_ref().map(|(number, _)| *number);
        match done {
            Done::Opened(number, Ok(session)) => {
                if self.shared.machine().opened(now, number) {
                    self.session = Some((number, session));
                }
            }
            Done::Opened(number, Err(error)) => {
                self.shared.machine().failed(now, number, &chain(&error));
            }
            Done::Subscribed(number, channels, result) if current == Some(number) => {
                self.subscribing = false;
                match result {
                    Ok(()) => self.shared.machine().subscribed(now, number, &channels, false),
                    Err(error) => self.shared.machine().failed(now, number, &chain(&error)),
                }
            }
            Done::Beat => self.beating -= 1,
            Done::Unsubscribed(number) if current == Some(number) => self.subscribing = false,
            Done::Published(number, (messages, bytes), result) => {
                if current == Some(number) {
                    self.publishing = false;
                }
                let mut machine = self.shared.machine();
                machine.published(bytes);
                if let Err(error) = result {
                    machine.unsent(messages, &chain(&error));
                }
            }
            Done::Answered(request, result) => {
                self.asked -= 1;
                if let Err(error) = &result {
                    tracing::warn!(error = chain(error), "the directory has not answered");
                }
                self.shared.machine().answered(now, request, result.ok());
            }
            Done::Subscribed(..) | Done::Unsubscribed(_) => {}
        }
    }
}

/// The number of messages, and their bytes.
fn counted(messages: &[(Channel, Bytes)]) -> (u64, usize) {
    (messages.len() as u64, messages.iter().map(|(_, message)| message.len()).sum())
}

/// Waits for an answer of the backplane, but not for long.
async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, BackplaneError>>,
) -> Result<T, BackplaneError> {
    let expired = |_| Err(BackplaneError::new(format!("no answer of the backplane in {time:?}")));
    tokio::time::timeout(time, work).await.unwrap_or_else(expired)
}

fn closed() -> BackplaneError {
    BackplaneError::new("there is no connection to the backplane")
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
