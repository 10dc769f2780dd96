//! A whole WebSocket without I/O, for any transport and any runtime: [`Driver`].
//!
//! `machine.rs` has the state and its getters, `handshake.rs` the opening handshake, `run.rs` turns bytes into
//! events, and `sending.rs` messages into bytes. With the feature `drafts`, servers also speak the versions
//! before RFC 6455.

#[cfg_attr(not(feature = "drafts"), path = "drafts_off.rs")]
mod drafts;
mod event;
mod framing;
mod handshake;
mod machine;
mod opening;
mod options;
mod pings;
mod run;
mod sending;

pub use event::{DriverError, DriverEvent, DriverState, TransportUse};
pub use machine::Driver;
pub use options::DriverOptions;
