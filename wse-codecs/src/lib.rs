//! Wire formats for wse: protocols and payload formats.
//!
//! | protocol | payload format | subprotocol | frames | feature |
//! | --- | --- | --- | --- | --- |
//! | [`JsonArray`] | [`JsonFormat`]: serde | `wse-default-json` | text | `json` (default) |
//! | [`JsonRpc`] | [`JsonRpcFormat`]: serde | none | text | `jsonrpc` |
//! | [`Cbor`] | [`CborFormat`]: serde | `wse-cbor` | binary | `cbor` |
//! | [`MessagePack`] | [`MessagePackFormat`]: serde | `wse-msgpack` | binary | `msgpack` |
//! | [`Protobuf`] | [`ProtobufFormat`]: [`prost::Message`] | `wse-protobuf` | binary | `protobuf` |
//! | [`WsProcessor`], of the npm package wsprocessor | [`WsProcessorFormat`]: serde | none | text | `wsprocessor` |
//!
//! Each protocol has a folder: `wse-codecs/src/json/array.rs` is the protocol `JsonArray`, `wse-codecs/src/json/format.rs` its
//! payload format, and so on.
//!
//! The protocols have no state, except [`JsonRpc`] for its batches. Unpacking allocates nothing in the common case: names,
//! stamps and the payload are slices of the received message. Packing writes into the buffer of the caller, the payload
//! included. A protocol of your own can use these formats as its [`Protocol::Format`](wse_proto::Protocol::Format).
//!
//! Messages come from unauthenticated peers. No input causes a panic or a stack overflow, or makes a reader allocate more than a
//! small multiple of the bytes that arrived.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
mod absent;
#[cfg(feature = "cbor")]
mod cbor;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack", feature = "protobuf"))]
mod depth;
// Some items are those of one format only.
#[cfg(any(feature = "cbor", feature = "msgpack"))]
#[cfg_attr(not(all(feature = "cbor", feature = "msgpack")), allow(dead_code))]
mod items;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "jsonrpc")]
mod jsonrpc;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack", feature = "protobuf"))]
mod put;
#[cfg(any(feature = "cbor", feature = "msgpack"))]
mod readable;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
mod scratch;
#[cfg(all(
    test,
    feature = "cbor",
    feature = "jsonrpc",
    feature = "msgpack",
    feature = "protobuf",
    feature = "wsprocessor"
))]
mod tests;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
pub mod text_keys;
#[cfg(any(feature = "json", feature = "cbor", feature = "msgpack"))]
mod value;
#[cfg(feature = "wsprocessor")]
mod wsprocessor;

#[cfg(feature = "cbor")]
pub use cbor::{Cbor, CborFormat};
#[cfg(feature = "json")]
pub use json::{JsonArray, JsonFormat};
#[cfg(feature = "jsonrpc")]
pub use jsonrpc::{JsonRpc, JsonRpcFormat};
#[cfg(feature = "msgpack")]
pub use msgpack::{MessagePack, MessagePackFormat};
#[cfg(feature = "protobuf")]
pub use protobuf::{Protobuf, ProtobufFormat};
#[cfg(feature = "wsprocessor")]
pub use wsprocessor::{WsProcessor, WsProcessorFormat};

/// The code in README.md compiles.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../README.md")]
struct Readme;
