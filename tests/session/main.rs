//! Sessions without I/O: the state machines of `wse-proto`.

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod heartbeat;
mod heartbeat_times;
mod phases;
mod receipts;
mod reconnect;
mod resume;
mod users;
