//! The handlers of an endpoint: which one gets a message, how it runs, and what becomes of its errors.

mod answer_size;
mod call;
mod failure;
mod namespace;
mod output;
mod replying;
mod running;
mod scope;
mod started;
mod table;

pub use call::Call;
pub(crate) use failure::Failure;
pub use output::{BoxError, HandlerError, HandlerOutput, Ok};
pub(crate) use scope::{Report, Scope};
pub(crate) use table::Router;
pub use table::Unhandled;
