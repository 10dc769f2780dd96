//! MessagePack: the format [`MessagePackFormat`] and the protocol [`MessagePack`].

mod array;
mod format;
mod reader;
mod scan;

pub use array::MessagePack;
pub use format::MessagePackFormat;
