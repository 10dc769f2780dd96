//! Several [`wse`] servers as one: users, rooms and limits across nodes.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use wse::{Accept, Hello, JsonArray, Server};
//! use wse_cluster::Redis;
//!
//! let server = Server::builder(JsonArray)
//!     .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
//!     .cluster(Redis::connect("redis://127.0.0.1:6379").await?)
//!     .bind("0.0.0.0:4200")
//!     .await?;
//! server.user("ann").send("news", "hello")?; // her devices on all nodes
//! # Ok(()) }
//! ```
//!
//! # The map
//!
//! | place | contents |
//! | --- | --- |
//! | [`Cluster`] | a node, as the application sees it: settings, health, events |
//! | [`Backplane`], [`Session`] | what carries messages and keeps the directory; [`Memory`], `Redis` |
//! | [`directory`] | which user has which connections, on which nodes |
//! | `wse-cluster/src/node/` | the state machine of a node, without sockets, clock and randomness |
//! | `wse-cluster/src/driver.rs` | the task that carries it |
//! | `wse-cluster/src/frame.rs` | what nodes send each other |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The lints of the workspace; tests of this package are free of them.
#![deny(missing_docs)]
#![warn(elided_lifetimes_in_paths, missing_debug_implementations)]
#![warn(unnameable_types, unreachable_pub)]
#![warn(clippy::manual_let_else, clippy::unwrap_used, clippy::use_self)]

mod backplane;
mod channel;
mod cluster;
pub mod directory;
mod driver;
mod frame;
mod id;
mod memory;
mod node;
#[cfg(doctest)]
mod pages;
#[cfg(feature = "redis")]
mod redis;
mod settings;
mod shared;
#[cfg(test)]
mod simulator;

pub use backplane::{Backplane, BackplaneError, Inbox, Session};
pub use channel::Channel;
pub use cluster::{Cluster, ClusterBuilder};
pub use directory::AtLimit;
pub use id::NodeId;
pub use memory::Memory;
pub use node::{ClusterEvent, NodeInfo};
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use settings::WhenDown;
