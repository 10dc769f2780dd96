//! Payloads in CBOR and MessagePack for serde: one reader, with one set of rules, for both.
//!
//! ```text
//! Source   finds the next item in the bytes of a format: cbor/reader.rs, msgpack/reader.rs
//! Item     what it found, past its tags
//! De       the `Deserializer`: which items are read as which types
//! ```
//!
//! docs/payloads.md has the rules as a table.

mod access;
mod de;
mod error;
mod key;
mod number;
mod sequence;
mod source;
mod special;
mod time;
mod written;

pub(crate) use error::ItemError;
pub(crate) use number::Number;
#[cfg(feature = "cbor")]
pub(crate) use sequence::{Numbers, half};
pub(crate) use source::{De, Integer, Item, Source};
pub(crate) use time::Time;
