//! JSON: the format [`JsonFormat`] and the protocol [`JsonArray`] of the JavaScript package wse.

mod array;
mod format;
mod lenient;
pub(crate) mod scan;
pub(crate) mod text;
mod unit;

pub use array::JsonArray;
pub use format::JsonFormat;
