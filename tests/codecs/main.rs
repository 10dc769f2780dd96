//! The formats of messages: their bytes, what is refused, and how one of several is chosen.

mod all;
mod alloc;
mod cbor;
mod json;
mod jsonrpc;
mod msgpack;
mod msgpack_values;
mod negotiation;
mod protobuf;
mod wsprocessor;
