//! Panics of the protocol under test.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The advice for every panic.
pub(super) const NO_PANIC: &str =
    "return an error, or write nothing: the bytes of a peer must never cause a panic";

/// Runs code of the protocol; a panic becomes its text.
pub(super) fn guard<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or("?".to_owned())
    })
}
