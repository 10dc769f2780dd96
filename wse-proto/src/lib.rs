//! What is said between real-time messaging peers: protocols, envelopes and sessions.
//!
//! This crate has no sockets, no clock, no randomness and no serialization; its only dependency is
//! `bytes`. It never reads the time and never draws a number: both are arguments. Read it in the order a
//! message travels:
//!
//! ```text
//! Bytes ─► protocol.rs   Protocol::unpack: head and payload, slices of the message
//!          envelope.rs   Envelope { Head, payload }; the (type, stamp, flags) convention
//!          message.rs    open: the session's own payloads read; the way back is seal
//!          session/      handle_message ─► Event, Output
//!          format.rs     Decode<T>: the payload as the application's type; the way back is Encode<T>
//! ```
//!
//! - A wire format of your own implements [`Protocol`], and [`Format`] if its payloads are new too.
//! - [`session::Session`] is the conversation of one connection, to be driven over any WebSocket.
//! - [`Negotiated`] makes several protocols one.

#![forbid(unsafe_code)]

mod envelope;
mod error;
mod format;
mod message;
mod negotiate;
mod payload;
mod protocol;
pub mod session;
mod text;

pub use envelope::{
    Envelope, FLAG_ANSWER, FLAG_NOTE, FLAG_RECEIPT, FLAG_RELIABLE, Head, ReceiptOf, Stamp,
};
pub use error::{CodecError, CodecErrorKind, UsageError};
pub use format::{Decode, Encode, Format};
pub use message::{Body, Message, open, open_bundle, open_each, open_envelope, seal};
pub use negotiate::{Negotiated, NegotiatedFormat};
pub use payload::{CloseReason, ErrorCode, Fault, Hi};
pub use protocol::{Abilities, InternalTypes, Opcode, Pings, Protocol, Speaks};
pub use text::Text;
