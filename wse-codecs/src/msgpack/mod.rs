//! MessagePack: the format [`MsgPack`], and the protocol [`MessagePack`], the array of wse in it.

mod array;
mod format;
mod scan;

pub use array::MessagePack;
pub use format::MsgPack;
