//! What is said between real-time messaging peers: protocols, envelopes and sessions.
//!
//! This crate has no sockets, no clock, no randomness and no serialization; its only dependency is
//! `bytes`. It never reads the time and never draws a number: both are arguments.

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

pub use envelope::{Envelope, FLAG_NOTE, FLAG_RECEIPT, Head, Stamp};
pub use error::{CodecError, CodecErrorKind, UsageError};
pub use format::{Decode, Encode, Format};
pub use message::{Body, Message, open, seal};
pub use negotiate::{Negotiated, NegotiatedFormat};
pub use payload::{CloseReason, ErrorCode, Fault, Hi};
pub use protocol::{InternalTypes, Opcode, Protocol, Speaks};
pub use text::Text;
