//! The WebSocket by itself: frames, messages, closing, compression, and the driver without I/O.

#[path = "../support/mod.rs"]
mod support;

mod closing;
mod deflate;
mod differing_peers;
mod drafts;
mod driver;
mod extensions;
mod frames;
mod limits;
mod pipe;
mod properties;
mod raw;
mod rfc6455;
mod rfc7692;
mod streaming;
mod utf8;
