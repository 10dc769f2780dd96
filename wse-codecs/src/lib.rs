//! Wire formats for wse: how messages and payloads are written.
//!
//! | protocol | format of its payloads | subprotocol | frames | feature |
//! | --- | --- | --- | --- | --- |
//! | [`JsonArray`] | [`Json`]: serde | `wse-default-json` | text | `json` (default) |
//! | [`JsonRpc`] | [`RpcJson`]: serde | none | text | `jsonrpc` |
//! | [`Cbor`] | [`CborFormat`]: serde | `wse-cbor` | binary | `cbor` |
//! | [`MessagePack`] | [`MsgPack`]: serde | `wse-msgpack` | binary | `msgpack` |
//! | [`Protobuf`] | [`Prost`]: [`prost::Message`] | `wse-protobuf` | binary | `protobuf` |
//! | [`WsProcessor`], of the npm package wsprocessor | [`WsJson`]: serde | none | text | `wsprocessor` |
//!
//! Each protocol is a value without state, but for the batches of [`JsonRpc`]. Unpacking allocates nothing: names, stamps and the
//! payload are slices of the received message. Packing writes into the caller's buffer, payload
//! included. The formats can be used by a protocol of your own: name one as its
//! [`Protocol::Format`](wse_proto::Protocol::Format), and only the envelope is left to write.
//!
//! The bytes of strangers go through here. No input panics, overflows the stack, or makes a reader
//! allocate more than a small multiple of the bytes that really arrived.

#![forbid(unsafe_code)]

#[cfg(feature = "cbor")]
mod cbor;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "jsonrpc")]
mod jsonrpc;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack", feature = "protobuf"))]
mod part;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack", feature = "protobuf"))]
mod put;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
mod scratch;
#[cfg(feature = "wsprocessor")]
mod wsprocessor;

#[cfg(feature = "cbor")]
pub use cbor::{Cbor, CborFormat};
#[cfg(feature = "json")]
pub use json::{Json, JsonArray};
#[cfg(feature = "jsonrpc")]
pub use jsonrpc::{JsonRpc, RpcJson};
#[cfg(feature = "msgpack")]
pub use msgpack::{MessagePack, MsgPack};
#[cfg(feature = "protobuf")]
pub use protobuf::{Prost, Protobuf};
#[cfg(feature = "wsprocessor")]
pub use wsprocessor::{WsJson, WsProcessor};

/// How deep a message may be nested, its envelope included. What serde_json allows.
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack", feature = "protobuf"))]
const MAX_DEPTH: u32 = 128;
