//! Bytes ⇄ frames, with every rule that can be checked on a frame (RFC 6455 §5).
//!
//! `state.rs` has the [`Codec`] and its settings, `decode.rs` and `encode.rs` its two directions.

mod decode;
mod encode;
mod reading;
mod state;

pub use state::Codec;
