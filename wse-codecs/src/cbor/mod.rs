//! CBOR (RFC 8949): the format [`CborFormat`] and the protocol [`Cbor`].

mod array;
mod format;
mod reader;
mod scan;

pub use array::Cbor;
pub use format::CborFormat;
