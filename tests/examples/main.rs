//! The examples, run as processes. A program of its own, so that no other test competes with them for time.

#[path = "../support/mod.rs"]
mod support;

mod run;
