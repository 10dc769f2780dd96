//! [`ProtocolCodec`].

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Decoder, Encoder, Framed};
use wse_proto::{CodecError, Envelope, Protocol};
use wse_transport::ws::WebSocket;

use super::error::FramedError;
use super::framing::Framing;
use super::socket::EnvelopeSocket;
use super::unpacking::Unpacking;

/// Envelopes of a protocol over any connection, without an endpoint: as a `Stream` and a `Sink`.
///
/// Over a byte stream, such as a TCP or Unix socket, it is the codec of a [`tokio_util::codec::Framed`]. Over an open
/// WebSocket, [`websocket`](Self::websocket) returns an [`EnvelopeSocket`]. Both have the same items and errors, so that
/// code can be generic over them:
///
/// - `Stream<Item = Result<Result<Envelope, CodecError>, FramedError>>`. The inner error is a message that cannot be
///   unpacked; later messages can still be read. The outer error is final. `received??` treats both alike.
/// - `Sink<Envelope, Error = FramedError>`.
///
/// There is no session here: no greeting, no matching of replies with calls, no heartbeat. For a whole endpoint over a
/// byte stream see [`Server::serve_framed`](crate::Server::serve_framed) and
/// [`ClientBuilder::framed`](crate::ClientBuilder::framed), which use the same frames.
///
/// # On the wire
///
/// ```text
/// binary protocol                          text protocol
/// +------------------+-----------+        +-----------+----+
/// | length           | message   |        | message   | LF |
/// | u32, big endian  |           |        |           |    |
/// +------------------+-----------+        +-----------+----+
/// ```
///
/// The first is what tokio-util's `LengthDelimitedCodec` writes by default. In the second, a line may end in CR LF, empty
/// lines are skipped, and the last line needs no LF. A text protocol must not write a line break inside a message; one that
/// arrives with a payload, such as indented JSON, is an error of the sender. If [`Protocol::pack`] appends nothing,
/// nothing is sent and there is no error. This happens when the protocol cannot express the head, or waits for the other
/// answers of a batch.
///
/// # Limits
///
/// A received message has at most [`max_message`](Self::max_message) bytes; default: 1 MiB. The length is checked before
/// memory is reserved. Over a WebSocket, [`ws::Limits`](crate::ws::Limits) apply instead.
///
/// # Cancel safety
///
/// `next` is cancel safe. `feed`, `send` and `flush` never send part of a message: if their future is dropped, the envelope
/// was queued whole or not at all.
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use tokio_util::codec::Framed;
/// use wse::{Envelope, Head, JsonArray, ProtocolCodec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (one, other) = tokio::io::duplex(1024); // or two ends of a TCP or Unix socket
/// let mut one = Framed::new(one, ProtocolCodec::new(JsonArray));
/// let mut other = Framed::new(other, ProtocolCodec::new(JsonArray).max_message(64 * 1024));
///
/// one.send(Envelope { head: Head::message("say"), payload: "\"hello\"".into() }).await?;
/// let received = other.next().await.expect("not closed")??;
/// assert_eq!(received.head, Head::message("say"));
/// assert_eq!(received.payload, "\"hello\"");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ProtocolCodec<P> {
    unpacking: Unpacking<P>,
    framing: Framing,
}

impl<P: Protocol> ProtocolCodec<P> {
    /// A codec of this protocol.
    pub fn new(protocol: P) -> Self {
        let framing = Framing::new(protocol.info().kind(), Framing::MAX_MESSAGE);
        Self { unpacking: Unpacking::new(protocol), framing }
    }

    /// Sets the most bytes of a received message, without its length or line end. Default: 1 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.framing.set_max_message(bytes);
        self
    }

    /// The protocol, for example for its payload format.
    pub fn protocol(&self) -> &P {
        &self.unpacking.protocol
    }

    /// Envelopes over an open WebSocket. Each envelope is one WebSocket message. [`max_message`](Self::max_message) does not
    /// apply.
    pub fn websocket<T>(self, socket: WebSocket<T>) -> EnvelopeSocket<P, T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        EnvelopeSocket::new(self.unpacking.protocol, socket)
    }

    /// Envelopes over a byte stream: `Framed::new(io, self)`.
    pub fn framed<T: AsyncRead + AsyncWrite>(self, io: T) -> Framed<T, Self> {
        Framed::new(io, self)
    }
}

/// A codec for another connection: it does not take over what this one has decoded, nor the state of its protocol.
impl<P: Protocol> Clone for ProtocolCodec<P> {
    fn clone(&self) -> Self {
        Self::new(self.protocol().clone()).max_message(self.framing.max_message())
    }
}

/// The outer error is final: each later call returns it again.
impl<P: Protocol> Decoder for ProtocolCodec<P> {
    type Item = Result<Envelope, CodecError>;
    type Error = FramedError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, FramedError> {
        loop {
            if let Some(envelope) = self.unpacking.next() {
                return Ok(Some(envelope));
            }
            let Some(message) = self.framing.decode(src)? else { return Ok(None) };
            self.unpacking.add(&message);
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, FramedError> {
        loop {
            if let Some(envelope) = self.unpacking.next() {
                return Ok(Some(envelope));
            }
            let Some(message) = self.framing.decode_eof(src)? else { return Ok(None) };
            self.unpacking.add(&message);
        }
    }
}

/// An error appends nothing, and later envelopes can be encoded.
impl<P: Protocol> Encoder<Envelope> for ProtocolCodec<P> {
    type Error = FramedError;

    fn encode(&mut self, envelope: Envelope, out: &mut BytesMut) -> Result<(), FramedError> {
        let Envelope { head, payload } = envelope;
        let protocol = &self.unpacking.protocol;
        Ok(self.framing.encode(out, |out| protocol.pack(&head, &payload, out))?)
    }
}
