//! Protocol Buffers: the format [`ProtobufFormat`] and the protocol [`Protobuf`].

mod envelope;
mod format;
mod value;
mod wire;

pub use envelope::Protobuf;
pub use format::ProtobufFormat;
