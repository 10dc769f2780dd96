//! CBOR (RFC 8949): the format [`CborFormat`] and the protocol [`Cbor`].

mod access;
mod array;
mod de;
mod error;
mod format;
mod number;
mod reader;
mod scan;

pub use array::Cbor;
pub use format::CborFormat;
