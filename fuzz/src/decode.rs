//! Heads, frames and messages as they come out of pieces.

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::handshake::{HeadError, HeadLimits, HeadScanner};
use wse_transport::ws::{
    Assembler, Codec, Deflate, Error, Frame, Limits, Message, Opcode, ProtocolError, Role,
};

use super::input::{Input, pieces};

/// A codec with a mask that stays the same.
pub fn codec(role: Role, limits: Limits) -> Codec {
    match role {
        Role::Server => Codec::server(limits),
        Role::Client => Codec::client(limits, || [0x37, 0xfa, 0x21, 0x3d]),
    }
}

pub fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// Decodes pieces as they arrive, to the end or to the first error.
pub fn decode<'a>(
    mut codec: Codec,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<ProtocolError>) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    let mut fed = 0;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(Error::Protocol(error)) => return (frames, Some(error)),
                Err(error) => panic!("not the peer's fault: {error:?}"),
            }
        }
        // A declared length alone costs little.
        assert!(buffer.capacity() <= 4 * fed + (256 << 10), "{} bytes", buffer.capacity());
    }
    (frames, None)
}

/// Puts the frames together; what is wrong in a close frame ends it.
pub fn messages(frames: Vec<Frame>) -> (Vec<Message>, Option<ProtocolError>) {
    let mut assembler = Assembler::default();
    let mut messages = Vec::new();
    for frame in frames {
        match assembler.push(frame) {
            Ok(message) => messages.extend(message),
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

/// Whether no message has more bytes than that, finished or not.
pub fn keep_to(limit: usize, frames: &[Frame]) -> bool {
    let mut sum = 0;
    frames.iter().filter(|frame| !frame.opcode.is_control()).all(|frame| {
        let before = if frame.opcode == Opcode::Continuation { sum } else { 0 };
        sum = before + frame.payload.len();
        sum <= limit
    })
}

pub fn encode(mut codec: Codec, frames: impl IntoIterator<Item = Frame>) -> BytesMut {
    let mut wire = BytesMut::new();
    for frame in frames {
        codec.encode(frame, &mut wire).expect("well-formed frames can be sent");
    }
    wire
}

/// Scans a head that arrives in pieces, until it has come or is wrong.
pub fn scan<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: &HeadLimits,
) -> Result<Option<usize>, HeadError> {
    let mut scanner = HeadScanner::default();
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if let Some(len) = scanner.scan(&buffer, limits)? {
            return Ok(Some(len));
        }
    }
    Ok(None)
}

/// Bit 0 of the flags: the usual limits, or narrow ones.
pub fn head_limits(flags: u8) -> HeadLimits {
    match flags & 1 {
        0 => HeadLimits::default(),
        _ => HeadLimits::default().max_line(100).max_headers(8).max_head(300),
    }
}

/// Bits 1 to 6 of the flags.
pub fn deflate(flags: u8) -> Deflate {
    Deflate::default()
        .takeover(flags & 2 != 0)
        .peer_takeover(flags & 4 != 0)
        .window_bits(8 + (flags >> 3 & 7))
        .peer_window_bits(if flags & 0x40 == 0 { 15 } else { 10 })
}

/// Where the head ends, in one piece and in the pieces that the input asks for.
pub fn scan_any_way(
    input: &mut Input<'_>,
    limits: &HeadLimits,
) -> Result<Option<usize>, HeadError> {
    let sizes = input.sizes();
    let whole = scan([input.rest()], limits);
    let in_pieces = scan(pieces(input.rest(), &sizes), limits);
    // Of several things that are wrong, either may be found first.
    assert_eq!(in_pieces.ok(), whole.as_ref().ok().copied(), "the same however it is cut");
    whole
}
