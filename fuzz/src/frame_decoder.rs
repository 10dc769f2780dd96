//! Bytes from a peer, decoded by both roles, however they arrive.

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::ws::{Frame, Limits, RawCodec, Role};

use super::{
    decode::{codec, decode, encode, keep_to, messages, other},
    input::{Input, pieces},
};

/// `flags, sizes of pieces, bytes from the peer`
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
    let limits = match flags & 2 {
        0 => Limits::default(),
        _ => Limits::default().max_message(200).max_frame(150).max_fragments(3),
    };
    let sizes = input.sizes();
    let wire = input.rest();

    let whole = decode(codec(role, limits), [wire]);
    let (frames, error) = &whole;
    assert!(keep_to(limits.max_message, frames));
    let in_pieces = decode(codec(role, limits), pieces(wire, &sizes));
    assert_eq!(in_pieces, whole, "the same however it is cut");

    let mut streaming = codec(role, limits);
    streaming.set_streaming(true);
    let (pieces, streaming_error) = decode(streaming, pieces(wire, &sizes));
    assert_eq!(streaming_error, *error, "streamed, the same is wrong");
    assert_eq!(messages(pieces), messages(frames.clone()), "streamed, it says the same");

    raw(wire, &sizes, frames);

    let wire = encode(codec(other(role), limits), frames.clone());
    let again = decode(codec(role, limits), [&wire[..]]);
    assert_eq!(again, (frames.clone(), None), "what was read can be written");
}

/// The frames as they are: the same however they are cut, the same when they are written again, and those
/// that the strict decoder takes are among them.
fn raw(wire: &[u8], sizes: &[usize], strict: &[Frame]) {
    let decode = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut codec, mut buffer, mut frames) =
            (RawCodec::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match codec.decode(&mut buffer) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error.to_string())),
                }
            }
        }
        (frames, None)
    };
    let (frames, error) = decode(&mut std::iter::once(wire));
    assert_eq!(decode(&mut pieces(wire, sizes)), (frames.clone(), error), "raw, the same");
    assert!(frames.len() >= strict.len());
    for (raw, strict) in frames.iter().zip(strict) {
        assert_eq!((raw.fin, raw.opcode), (strict.fin, strict.opcode.bits()));
        assert_eq!(raw.payload, strict.payload);
    }
    let mut again = BytesMut::new();
    for frame in &frames {
        RawCodec::default().encode(frame.clone(), &mut again).expect("any can be written");
    }
    assert_eq!(decode(&mut std::iter::once(&again[..])), (frames, None));
}
