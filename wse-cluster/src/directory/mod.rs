//! The directory: which user has which connections, on which nodes.

mod request;
mod table;

pub use request::{AtLimit, Device, Reply, Request};
pub use table::Table;
