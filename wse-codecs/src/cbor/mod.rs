//! CBOR (RFC 8949): the format [`CborFormat`], and the protocol [`Cbor`], the array of wse in it.

mod access;
mod array;
mod de;
mod error;
mod item;
mod number;
mod scan;

pub use array::Cbor;
pub use item::CborFormat;
