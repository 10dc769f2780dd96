//! One connection, of either side: what its handles share, and the task that drives it.

mod clock;
mod driver;
mod error;
mod link;
mod outbox;
pub(crate) mod pack;
mod state;
mod tasks;

pub(crate) use clock::Clock;
pub(crate) use driver::{DriverConfig, Side, drive};
pub use error::{CallError, SendError};
pub(crate) use link::Link;
pub(crate) use outbox::Class;
pub use outbox::{SendQueue, SlowPeer};
pub(crate) use tasks::Tasks;
