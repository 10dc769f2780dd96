//! [`EnvelopeSocket`].

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use wse_proto::{CodecError, Envelope, MessageKind, Protocol};
use wse_transport::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};

use super::error::FramedError;
use super::unpacking::Unpacking;

/// Envelopes of a protocol over an open [`WebSocket`]: see [`ProtocolCodec::websocket`](super::ProtocolCodec::websocket).
///
/// Reads and writes have the cancel safety of the WebSocket. Pings and pongs are not yielded. The stream ends after the
/// close frame of the peer, which [`close_frame`](Self::close_frame) returns. A text message is accepted by a binary
/// protocol, and a binary message by a text protocol if it is UTF-8.
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wse::{Envelope, Head, JsonArray, ProtocolCodec};
/// use wse::ws::{Config, Role, WebSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (one, other) = tokio::io::duplex(1024);
/// let codec = ProtocolCodec::new(JsonArray);
/// let mut one = codec.clone().websocket(WebSocket::new(one, Role::Client, Config::default()));
/// let mut other = codec.websocket(WebSocket::new(other, Role::Server, Config::default()));
///
/// one.send(Envelope { head: Head::message("say"), payload: "\"hello\"".into() }).await?;
/// assert_eq!(other.next().await.expect("not closed")??.payload, "\"hello\"");
///
/// let (closed, rest) = futures::join!(one.close(), other.next());
/// closed?;
/// assert!(rest.is_none());
/// assert_eq!(other.close_frame().map(|frame| frame.code.0), Some(1000));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EnvelopeSocket<P, T> {
    unpacking: Unpacking<P>,
    socket: WebSocket<T>,
    close_frame: Option<CloseFrame>,
}

impl<P: Protocol, T: AsyncRead + AsyncWrite + Unpin> EnvelopeSocket<P, T> {
    /// Envelopes of this protocol over an open WebSocket.
    pub fn new(protocol: P, socket: WebSocket<T>) -> Self {
        Self { unpacking: Unpacking::new(protocol), socket, close_frame: None }
    }

    /// The protocol.
    pub fn protocol(&self) -> &P {
        &self.unpacking.protocol
    }

    /// The close frame that the peer sent; `None` before, and when it was empty.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_ref()
    }

    /// The WebSocket.
    pub fn get_ref(&self) -> &WebSocket<T> {
        &self.socket
    }

    /// The WebSocket, for example to close it with a code. A message that is read from it is missing here.
    pub fn get_mut(&mut self) -> &mut WebSocket<T> {
        &mut self.socket
    }

    /// Returns the WebSocket. Members of a batch that were not taken are lost.
    pub fn into_inner(self) -> WebSocket<T> {
        self.socket
    }

    fn pack(&self, Envelope { head, payload }: &Envelope) -> Result<Option<Message>, CodecError> {
        let mut out = BytesMut::new();
        let protocol = &self.unpacking.protocol;
        protocol.pack(head, payload, &mut out);
        if out.is_empty() {
            return Ok(None);
        }
        match protocol.info().kind() {
            MessageKind::Binary => Ok(Some(Message::Binary(out.freeze()))),
            MessageKind::Text => match Utf8Bytes::try_from(out.freeze()) {
                Ok(text) => Ok(Some(Message::Text(text))),
                Err(error) => {
                    let what = "the protocol is text, but this is not UTF-8";
                    Err(CodecError::malformed("a packed message", what).with_source(error))
                }
            },
        }
    }
}

impl<P, T> Stream for EnvelopeSocket<P, T>
where
    P: Protocol + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Item = Result<Result<Envelope, CodecError>, FramedError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(envelope) = this.unpacking.next() {
                return Poll::Ready(Some(Ok(envelope)));
            }
            match ready!(Pin::new(&mut this.socket).poll_next(cx)).transpose()? {
                Some(Message::Text(text)) => this.unpacking.add(&text.into_bytes()),
                Some(Message::Binary(bytes)) => this.unpacking.add(&bytes),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(frame)) => this.close_frame = frame,
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<P, T> Sink<Envelope> for EnvelopeSocket<P, T>
where
    P: Protocol + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Error = FramedError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FramedError>> {
        Pin::new(&mut self.get_mut().socket).poll_ready(cx).map_err(FramedError::from)
    }

    fn start_send(self: Pin<&mut Self>, envelope: Envelope) -> Result<(), FramedError> {
        let this = self.get_mut();
        match this.pack(&envelope)? {
            Some(message) => Ok(Pin::new(&mut this.socket).start_send(message)?),
            None => Ok(()),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FramedError>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx).map_err(FramedError::from)
    }

    /// Does the closing handshake to its end, with code 1000.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FramedError>> {
        Pin::new(&mut self.get_mut().socket).poll_close(cx).map_err(FramedError::from)
    }
}
