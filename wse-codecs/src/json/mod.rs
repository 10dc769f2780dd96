//! JSON: the format [`Json`], and the protocol [`JsonArray`] of the JavaScript package wse.

mod array;
pub(crate) mod scan;
pub(crate) mod text;

pub use array::JsonArray;
pub use text::Json;
