//! Envelopes over a byte stream or an open WebSocket, without an endpoint: [`ProtocolCodec`] and [`EnvelopeSocket`].

mod codec;
mod error;
mod framing;
mod socket;
mod unpacking;

pub use codec::ProtocolCodec;
pub use error::FramedError;
pub(crate) use framing::{Framing, FramingError, has_line_break, line_break};
pub use socket::EnvelopeSocket;
