//! What RFC 7692 demands and no other test shows; `rfc.md` lists all of it.

use crate::support::{inflate::inflate, ws::*};
use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::ws::{
    Assembler, Codec, Deflate, DeflateAgreement, Error, Frame, FrameHeader, Limits, Message,
    Opcode, ProtocolError, Role,
};

fn deflating(role: Role, agreed: DeflateAgreement) -> Codec {
    let mut codec = codec(role, Limits::default());
    let deflate = Deflate::default().threshold(0).takeover(true).peer_takeover(true);
    codec.set_deflate(deflate, agreed);
    codec
}

/// What `role` promises about its own messages.
fn promised(role: Role, no_takeover: bool, bits: u8) -> DeflateAgreement {
    let mut agreed = DeflateAgreement::default();
    match role {
        Role::Server => {
            agreed.server_no_context_takeover = no_takeover;
            agreed.server_max_window_bits = bits;
        }
        Role::Client => {
            agreed.client_no_context_takeover = no_takeover;
            agreed.client_max_window_bits = bits;
        }
    }
    agreed
}

/// The frame as it is on the wire, unmasked.
fn sent(codec: &mut Codec, frame: Frame) -> Frame {
    let mut out = BytesMut::new();
    codec.encode(frame, &mut out).unwrap();
    let (header, at) = FrameHeader::parse(&out).unwrap().unwrap();
    let mut payload = out.split_off(at);
    if let Some(mask) = header.mask {
        wse_transport::ws::apply_mask(&mut payload, mask, 0);
    }
    let FrameHeader { fin, rsv1, rsv2, rsv3, opcode, .. } = header;
    Frame { fin, rsv1, rsv2, rsv3, opcode, payload: payload.freeze() }
}

fn received<'a>(
    codec: &mut Codec,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Message>, ProtocolError> {
    let mut assembler = Assembler::default();
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => messages.extend(assembler.push(frame)?),
                Ok(None) => break,
                Err(Error::Protocol(error)) => return Err(error),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    Ok(messages)
}

/// Bytes in which far references are worth it: lines that come again after `period` bytes.
fn recurring(period: usize, len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(period)
    .collect();
    noise.into_iter().cycle().take(len).collect()
}

fn compressed(payload: Vec<u8>) -> Frame {
    Frame { rsv1: true, ..Frame::new(Opcode::Binary, payload) }
}

#[test]
fn the_window_is_never_longer_than_agreed_upon() {
    for role in [Role::Server, Role::Client] {
        for bits in 9..=15 {
            let mut sender = deflating(role, promised(role, false, bits));
            let window = 1 << bits;
            let mut before = Vec::new();
            let mut farthest = 0;
            // With the help of what came before, which is longer than the window.
            for period in [window / 2, window / 2, window - 300, window + 50] {
                let payload = recurring(period, 3 * window);
                let frame = sent(&mut sender, Frame::new(Opcode::Binary, payload.clone()));
                assert!(frame.rsv1);
                let found = inflate(&frame.payload, &before);
                assert!(found.output[before.len()..] == payload[..]);
                assert!(found.farthest <= window, "{} of {window}", found.farthest);
                farthest = farthest.max(found.farthest);
                before = found.output;
            }
            assert!(farthest > window / 4, "{role:?} {bits}: it uses the window");
        }
    }
}

#[test]
fn without_takeover_each_message_begins_with_an_empty_window() {
    for role in [Role::Server, Role::Client] {
        let text = "one message is like the other, and this one like all of them".repeat(3);
        let mut alone = deflating(role, promised(role, true, 15));
        let mut taking_over = deflating(role, promised(role, false, 15));
        for turn in 0..3 {
            let frame = sent(&mut alone, Frame::new(Opcode::Text, text.clone()));
            assert!(frame.rsv1);
            // Nothing came before: what refers to it would panic.
            assert_eq!(inflate(&frame.payload, b"").output, text.as_bytes());
            // The peer's promise is not ours.
            let frame = sent(&mut taking_over, Frame::new(Opcode::Text, text.clone()));
            let before = text.repeat(turn);
            let found = inflate(&frame.payload, before.as_bytes());
            assert_eq!(found.output, text.repeat(turn + 1).as_bytes());
            assert_eq!(found.takes_over, turn > 0);
        }
    }
}

#[test]
fn a_message_ends_with_an_empty_block_less_its_four_octets() {
    for role in [Role::Server, Role::Client] {
        let mut sender = deflating(role, DeflateAgreement::default());
        for payload in [&b""[..], b"Hello", &[0; 5000], &recurring(3000, 3000)] {
            let frame = sent(&mut sender, Frame::new(Opcode::Binary, payload.to_vec()));
            assert_eq!((frame.fin, frame.rsv1, frame.opcode), (true, true, Opcode::Binary));
            assert!(!frame.payload.ends_with(&[0x00, 0x00, 0xff, 0xff]));
            let mut alone = deflating(role, promised(role, true, 15));
            let frame = sent(&mut alone, Frame::new(Opcode::Binary, payload.to_vec()));
            if frame.rsv1 {
                let found = inflate(&frame.payload, b"");
                assert_eq!((found.blocks.last(), &found.output[..]), (Some(&0), payload));
            }
        }
    }
}

/// Bits as DEFLATE packs them.
#[derive(Default)]
struct Writer(Vec<u8>, usize);

impl Writer {
    fn number(&mut self, value: usize, bits: usize) {
        for at in 0..bits {
            if self.1.is_multiple_of(8) {
                self.0.push(0);
            }
            *self.0.last_mut().unwrap() |= ((value >> at & 1) as u8) << (self.1 % 8);
            self.1 += 1;
        }
    }

    /// Huffman codes come highest bit first.
    fn code(&mut self, value: usize, bits: usize) {
        for at in (0..bits).rev() {
            self.number(value >> at & 1, 1);
        }
    }
}

/// A match of 258 bytes from 32,768 bytes back, the farthest there is, with fixed codes.
fn farthest_match() -> Vec<u8> {
    let mut out = Writer::default();
    out.number(0b010, 3);
    out.code(0b1100_0101, 8); // symbol 285: 258 bytes
    out.code(29, 5);
    out.number(0x1fff, 13); // 24577 + 8191
    out.code(0, 7); // the end of the block
    out.number(0, 3); // an empty block without compression, less its four octets
    out.0
}

#[test]
fn all_of_32_kib_can_be_referred_to_in_the_next_message() {
    for role in [Role::Server, Role::Client] {
        let window = recurring(32_768, 32_768);
        let mut stored = vec![0x00];
        stored.extend_from_slice(&32_768_u16.to_le_bytes());
        stored.extend_from_slice(&(!32_768_u16).to_le_bytes());
        stored.extend_from_slice(&window);
        stored.push(0x00);
        let wire: BytesMut = [compressed(stored), compressed(farthest_match())]
            .into_iter()
            .flat_map(|frame| bytes(other(role), frame))
            .collect();
        let expected = [Message::binary(window.clone()), Message::binary(window[..258].to_vec())];
        for cut in [wire.len() - 1, wire.len() - 8, 20_000, 3, 0] {
            let mut receiver = deflating(role, DeflateAgreement::default());
            let found = received(&mut receiver, [&wire[..cut], &wire[cut..]]);
            assert!(found.as_deref() == Ok(&expected[..]), "{role:?} cut at {cut}");
        }
        // A sender without context takeover cannot refer to it.
        let mut receiver = deflating(role, promised(other(role), true, 15));
        assert_eq!(received(&mut receiver, [&wire[..]]), Err(ProtocolError::InvalidDeflate));
    }
}

#[test]
fn a_server_receives_the_rfcs_messages_wherever_they_are_cut() {
    let hello = |hex_payload: &str| {
        bytes(Role::Client, Frame { opcode: Opcode::Text, ..compressed(hex(hex_payload)) })
    };
    let wire: BytesMut = [
        hello("f2 48 cd c9 c9 07 00"),                   // §7.2.3.1
        hello("f2 00 11 00 00"),                         // §7.2.3.2
        hello("00 05 00 fa ff 48 65 6c 6c 6f 00"),       // §7.2.3.3
        hello("f3 48 cd c9 c9 07 00 00"),                // §7.2.3.4
        hello("f2 48 05 00 00 00 ff ff ca c9 c9 07 00"), // §7.2.3.5
        hello("00"),                                     // §7.2.3.6
    ]
    .concat()[..]
        .into();
    let mut expected = vec![Message::text("Hello"); 5];
    expected.push(Message::text(""));
    for cut in 0..=wire.len() {
        let mut server = deflating(Role::Server, DeflateAgreement::default());
        let found = received(&mut server, [&wire[..cut], &wire[cut..]]);
        assert_eq!(found.as_ref(), Ok(&expected), "cut at {cut}");
    }
}

#[test]
fn messages_without_rsv1_are_taken_as_they_are_and_keep_the_context() {
    for role in [Role::Server, Role::Client] {
        let hello = |payload: &str| Frame { opcode: Opcode::Text, ..compressed(hex(payload)) };
        let wire: BytesMut = [
            hello("f2 48 cd c9 c9 07 00"),
            Frame::new(Opcode::Binary, hex("f2 48 cd c9 c9 07 00")),
            Frame::fragment(Opcode::Text, "as it "),
            ping("between"),
            Frame::new(Opcode::Continuation, "is"),
            hello("f2 00 11 00 00"),
        ]
        .into_iter()
        .flat_map(|frame| bytes(other(role), frame))
        .collect();
        let expected = [
            Message::text("Hello"),
            Message::binary(hex("f2 48 cd c9 c9 07 00")),
            Message::Ping("between".into()),
            Message::text("as it is"),
            Message::text("Hello"),
        ];
        for cut in 0..=wire.len() {
            let mut receiver = deflating(role, DeflateAgreement::default());
            let found = received(&mut receiver, [&wire[..cut], &wire[cut..]]);
            assert_eq!(found.as_deref(), Ok(&expected[..]), "{role:?} cut at {cut}");
        }
    }
}

#[test]
fn control_frames_and_fragments_are_sent_without_rsv1() {
    for role in [Role::Server, Role::Client] {
        let mut sender = deflating(role, DeflateAgreement::default());
        for frame in [
            ping("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            Frame::new(Opcode::Pong, "a".repeat(125)),
            Frame::new(Opcode::Close, [&b"\x03\xe8"[..], &[b'a'; 100]].concat()),
            Frame::fragment(Opcode::Text, "a".repeat(2000)),
            Frame::fragment(Opcode::Continuation, "a".repeat(2000)),
            Frame::new(Opcode::Continuation, "a".repeat(2000)),
        ] {
            assert_eq!(sent(&mut sender, frame.clone()), frame);
        }
    }
}
