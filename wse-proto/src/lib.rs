//! Protocols, envelopes and sessions for real-time messaging.
//!
//! This crate has no sockets, no clock, no randomness and no serialization. Its only dependency is `bytes`. Time and
//! random numbers are arguments. Read it in the order in which a message travels:
//!
//! ```text
//! Bytes ─► packed.rs     Packed: the message, text or binary, as the protocol declared
//!          protocol.rs   Protocol::unpack: head and payload, slices of the message
//!          envelope.rs   Envelope { Head, payload }; the convention of type, stamp and flags
//!          message.rs    open: decodes the payloads that the session reads; the way back is seal
//!          session/      handle_message ─► Event, Output
//!          format.rs     Decode<T>: decodes the payload for the application; the way back is Encode<T>
//! ```
//!
//! - Implement [`Protocol`] for a wire format of your own, and [`Format`] if its payloads are new too.
//!   [`testing::check`] tests the implementation.
//! - [`session::Session`] is the state machine of one connection. It works over any WebSocket.
//! - [`Negotiated`] lets an endpoint speak several protocols.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod envelope;
mod error;
mod excerpt;
mod format;
mod info;
mod message;
mod negotiate;
mod packed;
mod payload;
mod protocol;
mod resumption;
pub mod session;
mod stamp;
pub mod testing;
mod text;
mod value;

pub use envelope::{
    Envelope, FLAG_ANSWER, FLAG_NOTE, FLAG_RECEIPT, FLAG_RELIABLE, Head, ReceiptOf,
};
pub use error::{CodecError, CodecErrorKind, Unread, UsageError};
pub use excerpt::{Excerpt, excerpt};
pub use format::{Decode, Encode, Format};
pub use info::{Capabilities, InternalTypes, MessageKind, Pings, ProtocolInfo};
pub use message::{Body, SessionMessage, open, open_batch, open_each, open_envelope, seal};
pub use negotiate::{Negotiate, Negotiated, OneOf, OneOfFormat, Speaks};
pub use packed::{Packed, Utf8};
pub use payload::{CloseReason, ErrorCode, Fault, Hi, NotResumed};
pub use protocol::Protocol;
pub use resumption::{DrainNotice, NotARequest, Outcome, ResumeRequest, SessionInfo};
pub use stamp::{IntForm, Stamp};
pub use text::Text;
pub use value::Value;

/// The code in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
