//! [`check`]: tests of a [`Protocol`](crate::Protocol) implementation.
//!
//! ```text
//! exceptions.rs   Check: what a wire format cannot carry
//! run.rs          check, Check::run: all checks, one after the other
//! tester.rs       Tester: the protocol under test, and the test data
//! cases.rs        the names, stamps, payloads and heads to try
//! guard.rs        catches panics of the protocol
//! trip.rs         packs one message, unpacks it, compares
//! info.rs         the protocol's description of itself
//! heads.rs        every head that the protocol claims, and the capabilities
//! format.rs       the payload format: greetings, faults, numbers of pings
//! packing.rs      pack_with, batches
//! hostile.rs      hostile input: truncated, changed, random and nested messages
//! report.rs       Report, Failure
//! ```

mod cases;
mod exceptions;
mod format;
mod guard;
mod heads;
mod hostile;
mod info;
mod packing;
mod report;
mod run;
mod tester;
#[cfg(test)]
mod tests;
mod trip;

pub use exceptions::Check;
pub use report::{Failure, Report};
pub use run::check;
