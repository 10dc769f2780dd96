//! Bytes from a peer, decoded by both roles, however they arrive.

use wse_transport::ws::{Limits, Role};

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

    let wire = encode(codec(other(role), limits), frames.clone());
    let again = decode(codec(role, limits), [&wire[..]]);
    assert_eq!(again, (frames.clone(), None), "what was read can be written");
}
