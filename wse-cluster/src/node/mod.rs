//! One node of a cluster, without sockets, clock or randomness.
//!
//! `machine` puts the parts together: `life` (whether the node hears itself), `members` (the other nodes), `lanes` (numbers of
//! messages), `places` and `answers` (connections and the directory). `inbound` is what
//! arrives.

mod answers;
mod event;
mod inbound;
mod lanes;
mod life;
mod machine;
mod members;
mod places;

pub use event::ClusterEvent;
pub(crate) use machine::{Machine, Output};
pub use members::NodeInfo;
