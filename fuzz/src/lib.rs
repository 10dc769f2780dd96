//! The fuzz targets: each module has a `run` that takes any bytes, and panics if the code breaks its documented
//! behaviour.
//!
//! `fuzz_targets/` runs them under libFuzzer, `tests/project/fuzz_seeds.rs` on the committed seeds.

pub mod codecs;
pub mod drafts;
pub mod driver;
pub mod forwarded;
pub mod frame_decoder;
pub mod messages_deflate;
pub mod proxy_reply;
pub mod requests;
pub mod responses;

mod decode;
mod input;
mod payloads;
