//! [`ClusterEvent`]: what happens to a node of a cluster.

use std::time::Duration;

use wse::Text;
use wse::cluster::Destination;

use super::members::NodeInfo;

/// What happens to a node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// The node hears itself: messages go to other nodes and come from them.
    Ready,
    /// The node no longer hears itself, or could not connect. Its own connections are served; messages of and to other nodes
    /// are lost, until it is ready again.
    Degraded {
        /// Why.
        why: String,
        /// How long it waits before it connects again.
        retry_in: Duration,
    },
    /// Another node is heard.
    NodeUp(NodeInfo),
    /// Another node has ended, or was silent for 7 s.
    NodeDown(NodeInfo),
    /// Messages of another node were lost.
    Gap {
        /// The name of the node; empty when it is not known.
        node: Text,
        /// Whom they went to.
        to: Destination,
        /// How many.
        lost: u64,
    },
    /// Messages could not be sent to the other nodes. The next ones tell these of the gap. Reported for the first of them, and then
    /// each time that their number has doubled.
    Unsent {
        /// How many there were since the node was ready.
        messages: u64,
        /// Why.
        why: String,
    },
    /// The directory of users has not answered, or answers again.
    Directory {
        /// Whether it answers.
        answers: bool,
    },
    /// A message on a channel of the cluster was not one of the cluster, and was dropped. Reported for the first of them, and
    /// then each time that their number has doubled.
    Foreign {
        /// How many there were so far.
        count: u64,
        /// What was wrong with this one.
        why: String,
    },
}

impl ClusterEvent {
    /// Writes the event to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Ready => tracing::info!("the node is ready"),
            Self::Degraded { why, retry_in } => {
                tracing::warn!(why, ?retry_in, "the node has no connection to its cluster");
            }
            Self::NodeUp(node) => tracing::info!(name = %node.name, "a node is there"),
            Self::NodeDown(node) => tracing::warn!(name = %node.name, "a node is gone"),
            Self::Gap { node, to, lost } => {
                tracing::warn!(%node, %to, lost, "messages of another node were lost");
            }
            Self::Unsent { messages, why } => {
                tracing::warn!(messages, why, "messages did not go to the other nodes");
            }
            Self::Directory { answers } => {
                tracing::warn!(answers, "the directory of users");
            }
            Self::Foreign { count, why } => {
                tracing::warn!(count, why, "messages on the channels of the cluster were dropped");
            }
        }
    }
}
