//! One connection, of either side: what its handles share, and the task that drives it.

mod calls;
mod clock;
mod driver;
mod error;
mod link;
mod metrics;
mod outbox;
pub(crate) mod pack;
mod promises;
mod queue;
mod receipt;
mod reliable;
mod side;
mod state;
mod tasks;

pub(crate) use clock::{Clock, remaining};
pub(crate) use driver::drive;
pub use error::{CallError, SendError};
pub(crate) use link::{Link, Traits};
pub use metrics::Metrics;
pub(crate) use metrics::{Counts, count};
pub use outbox::{SendQueue, SlowPeer};
pub(crate) use queue::Class;
pub use receipt::{AckedCall, CallOptions, ReceiptError};
pub(crate) use receipt::{Expected, RECEIPT_TIMEOUT};
pub(crate) use reliable::{Attempt, reliably, stamp};
pub use reliable::{GaveUp, Reliable};
pub(crate) use side::{DriverConfig, Side};
pub(crate) use tasks::Tasks;
