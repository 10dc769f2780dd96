//! Peers that speak in frames, and one that speaks in bytes.

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_util::codec::{Decoder, Encoder, Framed};
use wse_transport::ws::{
    CloseCode, CloseFrame, Codec, Config, Error, Frame, Limits, Message, Opcode, ProtocolError,
    Role, WebSocket,
};

pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A codec with a fixed mask.
pub fn codec(role: Role, limits: Limits) -> Codec {
    match role {
        Role::Server => Codec::server(limits),
        Role::Client => Codec::client(limits, || MASK),
    }
}

pub fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// The bytes of a frame as `sender` writes it.
pub fn bytes(sender: Role, frame: Frame) -> BytesMut {
    let mut out = BytesMut::new();
    codec(sender, Limits::unlimited()).encode(frame, &mut out).unwrap();
    out
}

/// Decodes pieces as they arrive, to the end or to the first error.
pub fn decode<'a>(
    receiver: Role,
    limits: Limits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<ProtocolError>) {
    let mut codec = codec(receiver, limits);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(Error::Protocol(error)) => return (frames, Some(error)),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    (frames, None)
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|it| it.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The other end, which does nothing by itself.
pub struct Peer(pub Framed<DuplexStream, Codec>);

/// A WebSocket in `role`, and its peer behind a pipe of `capacity` bytes.
pub fn with_peer(role: Role, config: Config, capacity: usize) -> (WebSocket<DuplexStream>, Peer) {
    let (ours, theirs) = duplex(capacity);
    let peer = codec(other(role), Limits::unlimited());
    (WebSocket::new(ours, role, config), Peer(Framed::new(theirs, peer)))
}

/// A server, and its peer behind a large pipe.
pub fn server(config: Config) -> (WebSocket<DuplexStream>, Peer) {
    with_peer(Role::Server, config, 4 << 20)
}

impl Peer {
    pub async fn send(&mut self, frame: Frame) {
        self.0.send(frame).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next frame; none at the end of the connection.
    pub async fn recv(&mut self) -> Option<Frame> {
        self.0.next().await.transpose().unwrap()
    }

    /// Expects a close frame.
    pub async fn closed_with(&mut self) -> Option<CloseFrame> {
        let frame = self.recv().await.expect("a close frame");
        assert_eq!(frame.opcode, Opcode::Close);
        CloseFrame::parse(&frame.payload).unwrap()
    }
}

/// Expects a violation: reported once, the close frame on its way, and then the end.
pub async fn assert_fails(
    socket: &mut WebSocket<DuplexStream>,
    mut peer: Peer,
    error: ProtocolError,
    code: CloseCode,
) {
    match socket.next().await {
        Some(Err(Error::Protocol(found))) => assert_eq!(found, error),
        other => panic!("expected {error:?}, found {other:?}"),
    }
    let frame = peer.closed_with().await;
    assert_eq!(frame, Some(CloseFrame::from(error)));
    assert_eq!(frame.map(|it| it.code), Some(code));
    assert_eq!(peer.recv().await, None);
    drop(peer);
    assert!(socket.next().await.is_none());
    assert!(socket.next().await.is_none());
}

pub async fn recv(socket: &mut WebSocket<DuplexStream>) -> Option<Message> {
    socket.next().await.transpose().unwrap()
}

pub fn text(text: &'static str) -> Frame {
    Frame::new(Opcode::Text, text)
}

pub fn binary(len: usize) -> Frame {
    Frame::new(Opcode::Binary, Bytes::from(vec![7; len]))
}

pub fn ping(payload: &'static str) -> Frame {
    Frame::new(Opcode::Ping, payload)
}

pub fn close(code: CloseCode, reason: &'static str) -> Frame {
    Message::Close(Some(CloseFrame::new(code, reason))).into_frame()
}
