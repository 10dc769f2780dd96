//! Compressed messages (RFC 7692): from a peer that sends anything, and from one that keeps to the rules.

use bytes::Bytes;
use wse_transport::ws::{
    Codec, Deflate, DeflateAgreement, Frame, Limits, Message, Opcode, ProtocolError, Role,
};

use super::{
    decode::{codec, decode, encode, keep_to, messages, other},
    input::{Input, pieces},
};

/// `flags, windows, limit, sizes of pieces`, and then by the flags bytes from the peer, payloads that
/// claim to be compressed, or what is to be compressed.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
    let windows = input.byte();
    let agreed = DeflateAgreement {
        server_no_context_takeover: flags & 2 != 0,
        client_no_context_takeover: flags & 4 != 0,
        server_max_window_bits: 8 + windows % 8,
        client_max_window_bits: 8 + windows / 8 % 8,
    };
    let limit = usize::from(input.byte()) * 16;
    let limits = Limits::default().max_message(limit);
    let sizes = input.sizes();
    let receiver = || with_deflate(role, limits, agreed);
    match flags >> 6 {
        0 => receive(receiver, limit, input.rest(), &sizes),
        1 => {
            let frames = claimed_to_be_compressed(&mut input);
            let wire = encode(codec(other(role), limits), frames);
            receive(receiver, limit, &wire, &sizes);
        }
        _ => {
            let sender = with_deflate(other(role), limits, agreed);
            let messages = to_be_compressed(&mut input, limit);
            send(sender, receiver(), messages, &sizes);
        }
    }
}

fn with_deflate(role: Role, limits: Limits, agreed: DeflateAgreement) -> Codec {
    let mut codec = codec(role, limits);
    codec.set_deflate(Deflate::default().threshold(0).takeover(true).peer_takeover(true), agreed);
    codec
}

fn receive(receiver: impl Fn() -> Codec, limit: usize, wire: &[u8], sizes: &[usize]) {
    let (frames, error) = decode(receiver(), [wire]);
    assert!(keep_to(limit, &frames));
    let (in_pieces, other_error) = decode(receiver(), pieces(wire, sizes));
    assert_eq!(in_pieces, frames, "the same however it is cut");
    assert!(agree(error, other_error), "{error:?} in one piece, {other_error:?} in several");

    let mut streaming = receiver();
    streaming.set_streaming(true);
    let (pieces, other_error) = decode(streaming, pieces(wire, sizes));
    assert!(keep_to(limit, &pieces), "streaming has the same limit");
    assert!(agree(error, other_error), "{error:?} whole, {other_error:?} streamed");
    assert_eq!(messages(pieces), messages(frames), "streamed, it says the same");
}

/// Whether two errors are the same; of several in one payload either may be found first.
fn agree(one: Option<ProtocolError>, other: Option<ProtocolError>) -> bool {
    use ProtocolError::{InflatedTooBig, InvalidDeflate, InvalidText};
    let of_payload =
        |error| matches!(error, Some(InvalidText | InvalidDeflate | InflatedTooBig { .. }));
    one == other || (of_payload(one) && of_payload(other))
}

/// Frames that are in order, whatever is in them: `kind, length, payload` each.
fn claimed_to_be_compressed(input: &mut Input<'_>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut under_way = false;
    while !input.rest().is_empty() {
        let (kind, len) = (input.byte(), input.byte());
        let payload = Bytes::copy_from_slice(input.take(len.into()));
        if kind & 8 != 0 {
            frames.push(Frame::new(Opcode::Ping, payload.slice(..payload.len().min(125))));
            continue;
        }
        let opcode = match (under_way, kind & 1) {
            (true, _) => Opcode::Continuation,
            (false, 0) => Opcode::Binary,
            (false, _) => Opcode::Text,
        };
        let fin = kind & 4 == 0;
        let rsv1 = !under_way && kind & 2 == 0;
        frames.push(Frame { fin, rsv1, ..Frame::new(opcode, payload) });
        under_way = !fin;
    }
    frames
}

/// Messages within the limit: `kind, length, what is repeated` each.
fn to_be_compressed(input: &mut Input<'_>, limit: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while !input.rest().is_empty() {
        let (kind, len) = (input.byte(), input.byte());
        let mut payload = input.take(len.into()).repeat(usize::from(kind >> 1) + 1);
        payload.truncate(limit);
        messages.push(match String::from_utf8(payload) {
            Ok(text) if kind & 1 == 1 => Message::text(text),
            Ok(text) => Message::binary(text),
            Err(error) => Message::binary(error.into_bytes()),
        });
    }
    messages
}

fn send(sender: Codec, receiver: Codec, sent: Vec<Message>, sizes: &[usize]) {
    let wire = encode(sender, sent.iter().cloned().map(Message::into_frame));
    let (frames, error) = decode(receiver, pieces(&wire, sizes));
    assert_eq!(error, None);
    assert_eq!(messages(frames), (sent, None));
}
