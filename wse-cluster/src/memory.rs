//! [`Memory`]: a backplane inside one process, for tests.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use wse::cluster::ClusterLink;

use crate::backplane::{Backplane, BackplaneError, Inbox, Session};
use crate::channel::Channel;
use crate::cluster::Cluster;
use crate::directory::{Reply, Request, Table};

/// A backplane inside one process, for tests: servers with clones of it are one cluster.
///
/// [`set_up`](Self::set_up) plays a broker that goes away and comes back.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Mutex<Broker>>);

#[derive(Debug)]
struct Broker {
    start: Instant,
    up: bool,
    directory_up: bool,
    last_session: u64,
    inboxes: HashMap<u64, Inbox>,
    subscribers: HashMap<Channel, HashSet<u64>>,
    table: Table,
}

impl Memory {
    /// A broker without messages and users.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Broker {
            start: Instant::now(),
            up: true,
            directory_up: true,
            last_session: 0,
            inboxes: HashMap::new(),
            subscribers: HashMap::new(),
            table: Table::default(),
        })))
    }

    /// Whether the broker is there. When it goes, open sessions end; what the directory knows stays.
    pub fn set_up(&self, up: bool) {
        let mut broker = self.lock();
        broker.up = up;
        if !up {
            broker.inboxes.clear();
            broker.subscribers.clear();
        }
    }

    /// Whether the directory answers. Messages go on.
    pub fn set_directory_up(&self, up: bool) {
        self.lock().directory_up = up;
    }

    /// The directory forgets everything.
    pub fn clear_directory(&self) {
        self.lock().table = Table::default();
    }

    /// Returns how many channels have subscribers.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.lock().subscribers.len()
    }

    fn lock(&self) -> MutexGuard<'_, Broker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Backplane for Memory {
    async fn open(&self, inbox: Inbox) -> Result<Arc<dyn Session>, BackplaneError> {
        let mut broker = self.lock();
        if !broker.up {
            return Err(away());
        }
        broker.last_session += 1;
        let id = broker.last_session;
        broker.inboxes.insert(id, inbox);
        Ok(Arc::new(MemorySession { broker: self.clone(), id }))
    }
}

/// A session with a [`Memory`].
#[derive(Debug)]
struct MemorySession {
    broker: Memory,
    id: u64,
}

impl MemorySession {
    fn broker(&self) -> Result<MutexGuard<'_, Broker>, BackplaneError> {
        let broker = self.broker.lock();
        if broker.inboxes.contains_key(&self.id) { Ok(broker) } else { Err(away()) }
    }
}

#[async_trait]
impl Session for MemorySession {
    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError> {
        let mut broker = self.broker()?;
        for channel in channels {
            broker.subscribers.entry(channel.clone()).or_default().insert(self.id);
        }
        Ok(())
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError> {
        let mut broker = self.broker()?;
        for channel in channels {
            broker.forget(channel, self.id);
        }
        Ok(())
    }

    async fn publish(&self, messages: &[(Channel, Bytes)]) -> Result<(), BackplaneError> {
        let broker = self.broker()?;
        for (channel, message) in messages {
            for id in broker.subscribers.get(channel).into_iter().flatten() {
                if let Some(inbox) = broker.inboxes.get(id) {
                    inbox.put(channel.clone(), message.clone());
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, request: &Request) -> Result<Reply, BackplaneError> {
        let mut broker = self.broker()?;
        if !broker.directory_up {
            return Err(BackplaneError::new("the directory does not answer"));
        }
        let now = broker.start.elapsed();
        Ok(broker.table.answer(now, request))
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        let mut broker = self.broker.lock();
        broker.inboxes.remove(&self.id);
        let channels: Vec<_> = broker.subscribers.keys().cloned().collect();
        channels.iter().for_each(|channel| broker.forget(channel, self.id));
    }
}

impl Broker {
    fn forget(&mut self, channel: &Channel, session: u64) {
        if let Some(subscribers) = self.subscribers.get_mut(channel) {
            subscribers.remove(&session);
            if subscribers.is_empty() {
                self.subscribers.remove(channel);
            }
        }
    }
}

fn away() -> BackplaneError {
    BackplaneError::new("the broker is away")
}

impl From<Memory> for Arc<dyn ClusterLink> {
    fn from(memory: Memory) -> Self {
        Cluster::on(memory).into()
    }
}
