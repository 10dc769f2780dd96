//! CBOR (RFC 8949): the format [`CborFormat`], and the protocol [`Cbor`], the array of wse in it.

mod array;
mod item;
mod scan;

pub use array::Cbor;
pub use item::CborFormat;
