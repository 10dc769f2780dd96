//! Streams of events: `text/event-stream`.

#[path = "../support/mod.rs"]
mod support;

mod format;
mod hyper;
mod properties;
mod streams;
