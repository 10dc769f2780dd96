//! The WebSocket of RFC 6455, after the opening handshake.
//!
//! | to | use |
//! | --- | --- |
//! | exchange messages over a transport, as a `Stream` and a `Sink` | [`WebSocket`], [`Message`], [`Config`] |
//! | stream messages of any length | [`Frames`] |
//! | carry bytes, with `AsyncRead` and `AsyncWrite` | [`ByteStream`] |
//! | send one message to many connections | [`PreparedMessage`] |
//! | compress messages | [`Deflate`], feature `deflate` |
//! | change frames with an extension | [`Extension`] |
//! | decode and encode frames with `tokio_util` | [`Codec`], or [`RawCodec`] for frames as they are |
//! | do parts of that | [`FrameHeader`], [`apply_mask`], [`Utf8Validator`], [`Assembler`], [`Closing`] |
//!
//! [`accept`](crate::accept) and [`connect`](crate::connect) do the opening handshake and return a [`WebSocket`]; the
//! parts of the handshake are in [`handshake`](crate::handshake).
//!
//! # Files
//!
//! ```text
//! bytes ─▶ frame/header.rs ─▶ codec/: limits, unmask, UTF-8 ─▶ engine.rs, message.rs: fragments ─▶ Message
//! ```
//!
//! A message in one whole frame skips the steps behind the codec. `connection.rs` reads into the buffers of `buffers.rs`,
//! whose size `read_buffer.rs` decides, and writes what `outgoing.rs` has collected. `engine.rs` answers pings, keeps the
//! order and closes; [`WebSocket`] runs it over a transport, and [`Driver`](crate::driver::Driver) over bytes of the
//! caller. All files but `connection.rs` have neither clock nor I/O.

mod buffers;
mod byte_stream;
mod closing;
mod codec;
mod config;
mod connection;
mod control_rate;
mod engine;
mod frames;
mod limits;
mod message;
mod outgoing;
mod prepared;
mod raw;
mod read_buffer;
mod shared_waker;
mod websocket;

pub use crate::deflate::{Deflate, DeflateAgreement};
pub use crate::extension::{
    AgreedExtensions, Extension, ExtensionParams, FrameExtension, ReservedBits,
};
pub use crate::frame::{
    CloseCode, CloseFrame, Error, Frame, FrameHeader, InvalidUtf8, MisuseError, Opcode,
    ProtocolError, Role, Utf8Bytes, Utf8Validator, apply_mask,
};
pub use byte_stream::ByteStream;
pub use closing::{Closing, ClosingEvent};
pub use codec::Codec;
pub use config::Config;
pub use control_rate::ControlRate;
pub(crate) use engine::Engine;
pub use frames::Frames;
pub use limits::Limits;
pub use message::{Assembler, Message};
pub use prepared::PreparedMessage;
pub use raw::{RawCodec, RawFrame, close_payload};
pub use websocket::{Parts, WebSocket};
