//! Protocol Buffers: the format [`Prost`], and the protocol [`Protobuf`].

mod envelope;
mod message;
mod wire;

pub use envelope::Protobuf;
pub use message::Prost;
