//! [`Members`]: the other nodes, as their beats tell.

use std::collections::BTreeMap;
use std::time::Duration;

use wse::Text;

use crate::id::NodeId;

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// Which node it is.
    pub id: NodeId,
    /// The name that it was given.
    pub name: Text,
    /// How many connections it had at its last beat.
    pub devices: u64,
}

#[derive(Debug)]
struct Member {
    info: NodeInfo,
    heard: Duration,
    /// The epoch and number of its last message to all, as its last beat said.
    sent: (u64, u64),
}

/// The other nodes that live.
#[derive(Debug, Default)]
pub(super) struct Members(BTreeMap<NodeId, Member>);

/// The most nodes that are known. A forger of beats cannot make the table grow beyond.
const MOST: usize = 1024;

impl Members {
    /// Takes a beat, with what the node has `sent` to all by then. Returns what it had sent by the beat before; `None` if the
    /// node is a new one.
    pub(super) fn beat(
        &mut self,
        now: Duration,
        info: &NodeInfo,
        sent: (u64, u64),
    ) -> Option<(u64, u64)> {
        let (id, member) = (info.id, Member { info: info.clone(), heard: now, sent });
        if self.0.len() >= MOST && !self.has(id) {
            return Some((0, 0));
        }
        self.0.insert(id, member).map(|before| before.sent)
    }

    /// Removes a node that says that it ends.
    pub(super) fn leave(&mut self, id: NodeId) -> Option<NodeInfo> {
        self.0.remove(&id).map(|member| member.info)
    }

    /// Removes a node that was silent for `most`.
    pub(super) fn expire(&mut self, now: Duration, most: Duration) -> Option<NodeInfo> {
        let silent = |member: &Member| now.saturating_sub(member.heard) >= most;
        let id = self.0.iter().find(|(_, member)| silent(member)).map(|(id, _)| *id)?;
        self.leave(id)
    }

    /// When the next node is removed if it stays silent.
    pub(super) fn due(&self, most: Duration) -> Option<Duration> {
        self.0.values().map(|member| member.heard + most).min()
    }

    /// This node was deaf: the silence of the others says nothing.
    pub(super) fn forgive(&mut self, now: Duration) {
        self.0.values_mut().for_each(|member| member.heard = now);
    }

    pub(super) fn name(&self, id: NodeId) -> Option<&Text> {
        self.0.get(&id).map(|member| &member.info.name)
    }

    pub(super) fn has(&self, id: NodeId) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &NodeInfo> {
        self.0.values().map(|member| &member.info)
    }
}
