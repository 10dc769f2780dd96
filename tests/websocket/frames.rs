//! Frames (RFC 6455 §5): what they look like, and which are refused.

use crate::support::ws::*;
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::ws::{
    Error, Frame, FrameHeader, Limits, MisuseError, Opcode, ProtocolError, Role,
};

/// Who sends it, its bytes, and what they mean. Masks are [`MASK`].
fn vectors() -> Vec<(Role, Vec<u8>, Frame)> {
    use Role::{Client, Server};
    let long = |head: &str, len| [hex(head), vec![0x2a; len]].concat();
    let body = |len| Bytes::from(vec![0x2a; len]);
    vec![
        // RFC 6455 §5.7
        (Server, hex("81 05 48 65 6c 6c 6f"), Frame::new(Opcode::Text, "Hello")),
        (Client, hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), Frame::new(Opcode::Text, "Hello")),
        (Server, hex("01 03 48 65 6c"), Frame::fragment(Opcode::Text, "Hel")),
        (Server, hex("89 05 48 65 6c 6c 6f"), Frame::new(Opcode::Ping, "Hello")),
        (Client, hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), Frame::new(Opcode::Pong, "Hello")),
        (Server, long("82 7e 01 00", 256), Frame::new(Opcode::Binary, body(256))),
        (
            Server,
            long("82 7f 00 00 00 00 00 01 00 00", 65_536),
            Frame::new(Opcode::Binary, body(65_536)),
        ),
        // where one length encoding gives way to the next
        (Server, long("82 7d", 125), Frame::new(Opcode::Binary, body(125))),
        (Server, long("82 7e 00 7e", 126), Frame::new(Opcode::Binary, body(126))),
        (Server, long("82 7e ff ff", 65_535), Frame::new(Opcode::Binary, body(65_535))),
        // empty ones
        (Server, hex("81 00"), Frame::new(Opcode::Text, "")),
        (Client, hex("82 80 37 fa 21 3d"), Frame::new(Opcode::Binary, "")),
        (Client, hex("88 80 37 fa 21 3d"), Frame::new(Opcode::Close, "")),
        (Server, hex("88 02 03 e8"), Frame::new(Opcode::Close, &b"\x03\xe8"[..])),
        (Server, long("89 7d", 125), Frame::new(Opcode::Ping, body(125))),
    ]
}

#[test]
fn vectors_encode() {
    for (sender, wire, frame) in vectors() {
        assert_eq!(bytes(sender, frame), wire);
    }
}

#[test]
fn vectors_decode_whole_and_split_at_every_byte() {
    let limits = Limits::default();
    for (sender, wire, frame) in vectors() {
        let receiver = other(sender);
        let expected = (vec![frame], None);
        assert_eq!(decode(receiver, limits, [&wire[..]]), expected);
        let inside = 20.min(wire.len());
        let splits = if wire.len() < 1000 { 0..wire.len() } else { 0..inside };
        for split in splits.chain([wire.len() - 1]) {
            let (head, tail) = wire.split_at(split);
            assert_eq!(decode(receiver, limits, [head, tail]), expected, "split at {split}");
        }
        assert_eq!(decode(receiver, limits, wire.chunks(1)), expected);
    }
}

#[test]
fn headers_know_their_length_and_come_back_as_they_were() {
    for (sender, wire, frame) in vectors() {
        let mask = (sender == Role::Client).then_some(MASK);
        let header = frame.header(mask);
        let mut out = BytesMut::new();
        header.encode(&mut out);
        assert_eq!(out.len(), header.encoded_len());
        assert!(out.len() <= FrameHeader::MAX_LEN);
        assert_eq!(FrameHeader::parse(&wire), Ok(Some((header, out.len()))));
        for cut in 0..out.len() {
            assert_eq!(FrameHeader::parse(&wire[..cut]), Ok(None));
        }
    }
}

#[test]
fn fragmented_hello_of_section_5_7() {
    let wire = hex("01 03 48 65 6c 80 02 6c 6f");
    let (frames, error) = decode(Role::Client, Limits::default(), wire.chunks(1));
    assert_eq!(error, None);
    assert_eq!(
        frames,
        [Frame::fragment(Opcode::Text, "Hel"), Frame::new(Opcode::Continuation, "lo")]
    );
}

#[test]
fn malformed_frames_are_refused_with_their_close_code() {
    use ProtocolError as E;
    let limits = Limits::default().max_message(200).max_frame(100).max_fragments(2);
    let too_big = |declared| E::FrameTooBig { declared, limit: 100 };
    let table: &[(Role, &str, ProtocolError, u16)] = &[
        (Role::Server, "81 05", E::Unmasked, 1002),
        (Role::Client, "81 85 37 fa 21 3d", E::Masked, 1002),
        (Role::Client, "c1 00", E::ReservedBits, 1002),
        (Role::Client, "a1 00", E::ReservedBits, 1002),
        (Role::Client, "91 00", E::ReservedBits, 1002),
        (Role::Client, "c9 00", E::ReservedBits, 1002),
        (Role::Client, "83 00", E::ReservedOpcode(3), 1002),
        (Role::Client, "87 00", E::ReservedOpcode(7), 1002),
        (Role::Client, "8b 00", E::ReservedOpcode(11), 1002),
        (Role::Client, "8f 00", E::ReservedOpcode(15), 1002),
        (Role::Client, "82 7e 00 7d", E::LengthNotMinimal, 1002),
        (Role::Client, "82 7f 00 00 00 00 00 00 ff ff", E::LengthNotMinimal, 1002),
        (Role::Client, "82 7f 80 00 00 00 00 00 00 00", E::LengthTooLarge, 1002),
        (Role::Client, "82 7f ff ff ff ff ff ff ff ff", E::LengthTooLarge, 1002),
        (Role::Client, "89 7e", E::ControlTooLong, 1002),
        (Role::Client, "88 7f", E::ControlTooLong, 1002),
        (Role::Client, "09 00", E::ControlFragmented, 1002),
        (Role::Client, "08 00", E::ControlFragmented, 1002),
        (Role::Client, "80 00", E::ContinuationUnexpected, 1002),
        (Role::Client, "00 00", E::ContinuationUnexpected, 1002),
        (Role::Client, "01 00 81 00", E::ContinuationExpected, 1002),
        (Role::Client, "02 00 89 00 02 00", E::ContinuationExpected, 1002),
        (Role::Client, "82 00 80 00", E::ContinuationUnexpected, 1002),
        // the declared length is enough
        (Role::Client, "82 65", too_big(101), 1009),
        (Role::Client, "82 7f 7f ff ff ff ff ff ff ff", too_big(i64::MAX as u64), 1009),
        (Role::Client, "02 01 00 00 01 00 80 00", E::TooManyFragments { limit: 2 }, 1008),
        (Role::Client, "02 00 00 00 00 00", E::TooManyFragments { limit: 2 }, 1008),
        (Role::Client, "81 02 61 ff", E::InvalidText, 1007),
        (Role::Client, "81 02 61 c3", E::InvalidText, 1007),
    ];
    for (receiver, wire, error, code) in table {
        let wire = hex(wire);
        for pieces in [vec![&wire[..]], wire.chunks(1).collect()] {
            let (_, found) = decode(*receiver, limits, pieces);
            assert_eq!(found, Some(*error), "{wire:02x?}");
        }
        assert_eq!(error.close_code().0, *code);
    }
}

#[test]
fn sums_of_fragments_meet_the_limit_exactly() {
    let limits = Limits::default().max_message(10);
    let parts = |last: usize| {
        [
            bytes(Role::Server, Frame::fragment(Opcode::Binary, vec![0; 6])),
            bytes(Role::Server, Frame::new(Opcode::Continuation, vec![0; last])),
        ]
        .concat()
    };
    assert_eq!(decode(Role::Client, limits, [&parts(4)[..]]).1, None);
    // refused at the header: the payload has not arrived
    let wire = parts(5);
    let (frames, error) = decode(Role::Client, limits, [&wire[..wire.len() - 5]]);
    assert_eq!(frames.len(), 1);
    assert_eq!(error, Some(ProtocolError::MessageTooBig { declared: 11, limit: 10 }));
}

#[test]
fn a_declared_length_alone_reserves_little() {
    let limits = Limits::default().max_message(1 << 30);
    let mut codec = codec(Role::Client, limits);
    let mut buffer = BytesMut::from(&hex("82 7f 00 00 00 00 40 00 00 00")[..]);
    assert!(matches!(codec.decode(&mut buffer), Ok(None)));
    assert!(buffer.capacity() <= 64 * 1024);
    // and what has arrived is at most doubled
    for _ in 0..100 {
        let room = buffer.capacity() - buffer.len();
        assert!(room > 0);
        buffer.resize(buffer.len() + room, 0);
        assert!(matches!(codec.decode(&mut buffer), Ok(None)));
        assert!(buffer.capacity() <= 2 * buffer.len() + 64 * 1024);
        if buffer.len() > 16 << 20 {
            return;
        }
    }
    panic!("the buffer grows too slowly");
}

#[test]
fn the_memory_of_a_big_frame_is_given_back() {
    let mut codec = codec(Role::Client, Limits::default());
    let mut buffer = BytesMut::new();
    for byte_chunk in bytes(Role::Server, binary(1 << 20)).chunks(10_000) {
        buffer.extend_from_slice(byte_chunk);
        if let Some(frame) = codec.decode(&mut buffer).unwrap() {
            assert_eq!(frame.payload.len(), 1 << 20);
        }
    }
    assert!(matches!(codec.decode(&mut buffer), Ok(None)));
    assert!(buffer.capacity() <= 16 * 1024);
}

#[test]
fn a_payload_is_a_slice_of_the_read_buffer() {
    let mut codec = codec(Role::Client, Limits::default());
    let mut buffer = BytesMut::from(&bytes(Role::Server, text("Hello"))[..]);
    let inside = buffer.as_ptr_range();
    let frame = codec.decode(&mut buffer).unwrap().unwrap();
    assert!(inside.contains(&frame.payload.as_ptr()));
}

#[test]
fn the_encoder_refuses_malformed_control_frames() {
    let mut out = BytesMut::new();
    let mut encode = |frame| codec(Role::Server, Limits::default()).encode(frame, &mut out);
    let long = Frame::new(Opcode::Ping, vec![0; 126]);
    assert!(matches!(encode(long), Err(Error::Misuse(MisuseError::ControlTooLong))));
    let open = Frame::fragment(Opcode::Close, "");
    assert!(matches!(encode(open), Err(Error::Misuse(MisuseError::ControlFragmented))));
    assert!(out.is_empty());
}

#[test]
fn reads_grow_while_they_fill_the_buffer_and_shrink_again() {
    let mut codec = codec(Role::Client, Limits::default());
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    // what a transport offers, in empty frames, and room for the next read after each
    let mut read = |bytes: usize| {
        let room = buffer.capacity() - buffer.len();
        for _ in 0..room.min(bytes) / 2 {
            buffer.extend_from_slice(&[0x82, 0x00]);
        }
        while codec.decode(&mut buffer).unwrap().is_some() {}
        buffer.capacity() - buffer.len()
    };
    let rooms: Vec<usize> = (0..6).map(|_| read(usize::MAX)).collect();
    assert_eq!(rooms.first(), Some(&(16 * 1024)));
    assert_eq!(rooms.last(), Some(&(64 * 1024)));
    for _ in 0..1000 {
        read(1000);
    }
    assert!(read(1000) <= 8 * 1024);
}
