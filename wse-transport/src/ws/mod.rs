//! WebSocket (RFC 6455), without an opinion on what is said over it.
//!
//! From the outside in: [`WebSocket`] is a stream and a sink of [`Message`]s over any transport;
//! [`Codec`] turns bytes into [`Frame`]s and back, for use with tokio-util; [`FrameHeader`],
//! [`apply_mask`] and [`Utf8Validator`] are its parts. [`RawCodec`] gives frames as they are, for a loop of
//! one's own. All but the first are pure: no sockets, no clock, no randomness.
//!
//! ```text
//! bytes ─▶ frame.rs: header ─▶ codec/: limits, unmask, UTF-8 ─▶ message.rs: fragments ─▶ Message
//! ```
//!
//! A message in one whole frame skips what is behind the codec. `stream.rs` reads into the buffers of
//! `buffers.rs`, or for long frames of `room.rs`, and writes what `outgoing.rs` has gathered.
//!
//! `engine.rs` answers, keeps the order and closes; [`WebSocket`] runs it over a transport, and [`Driver`]
//! over bytes that the caller carries. [`Frames`] streams messages of any length, [`ByteStream`] bytes.
//!
//! With the feature `deflate`, `deflate.rs` inflates what is unmasked, and compresses what is sent.
//!
//! [`accept`] and [`connect`] do the opening handshake, whose parts are in
//! [`handshake`](crate::handshake).

mod agreed;
#[cfg(feature = "deflate")]
mod agreement;
mod buffers;
mod byte_stream;
mod close;
mod closing;
mod codec;
#[cfg_attr(not(feature = "deflate"), path = "compression_off.rs")]
pub(crate) mod compression;
mod config;
#[cfg_attr(not(feature = "deflate"), path = "deflate_off.rs")]
mod deflate;
mod dial;
mod driver;
mod engine;
mod error;
mod extension;
mod flood;
mod frame;
mod frames;
mod limits;
mod mask;
mod message;
mod net;
mod opcode;
mod open;
mod outgoing;
mod prepared;
mod race;
mod raw;
mod reach;
mod room;
mod stream;
mod text;
mod utf8;
mod wakers;
mod websocket;

pub use crate::handshake::is_websocket;
pub(crate) use agreed::Agreed;
#[cfg(feature = "deflate")]
pub use agreement::{Deflate, DeflateAgreement};
pub use byte_stream::ByteStream;
pub use close::{CloseCode, CloseFrame};
pub use closing::{Closing, ClosingEvent};
pub use codec::{Codec, Role};
pub use config::Config;
pub use dial::Dial;
pub use driver::{Driver, DriverError, DriverEvent, DriverOptions, DriverState, TransportUse};
pub use error::{Error, ProtocolError, UsageError};
pub use extension::{AgreedExtensions, Extension, ExtensionParams, FrameExtension, ReservedBits};
pub use flood::ControlRate;
pub use frame::{Frame, FrameHeader};
pub use frames::Frames;
pub use limits::Limits;
pub use mask::apply_mask;
pub use message::{Assembler, Message};
pub use net::NetStream;
pub(crate) use net::{Tunnel, resolve, tcp};
pub use opcode::Opcode;
#[cfg(feature = "tls")]
pub use open::connect_with_tls;
pub use open::{accept, accept_extended, accept_with, connect, connect_dial, connect_with};
pub use prepared::PreparedMessage;
pub use raw::{RawCodec, RawFrame, close_payload};
pub(crate) use reach::{Reached, reach};
pub use text::Text;
pub use utf8::{InvalidUtf8, Utf8Validator};
pub use websocket::{Parts, WebSocket};
