//! Compressed messages on the wire (RFC 7692 §6, §7.2).

use crate::support::ws::*;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::duplex;
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::{
    handshake::ClientRequest,
    ws::{
        self, Assembler, CloseCode, Codec, Config, Deflate, DeflateAgreement, Error, Frame, Limits,
        Message, Opcode, PreparedMessage, ProtocolError, Role, WebSocket,
    },
};

/// Everything is compressed, and every context taken over.
fn eager() -> Deflate {
    Deflate::default().threshold(0).takeover(true).peer_takeover(true)
}

fn no_takeover() -> DeflateAgreement {
    DeflateAgreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateAgreement::default()
    }
}

fn windows(bits: u8) -> DeflateAgreement {
    DeflateAgreement {
        server_max_window_bits: bits,
        client_max_window_bits: bits,
        ..DeflateAgreement::default()
    }
}

fn deflating(role: Role, limits: Limits, agreed: DeflateAgreement) -> Codec {
    let mut codec = codec(role, limits);
    codec.set_deflate(eager(), agreed);
    codec
}

/// One message after the other, as they come out of one connection.
struct Receiver(Codec, Assembler);

impl Receiver {
    fn new(limits: Limits, agreed: DeflateAgreement) -> Self {
        Self(deflating(Role::Client, limits, agreed), Assembler::default())
    }

    fn messages<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<Message>, ProtocolError> {
        let mut buffer = BytesMut::new();
        let mut messages = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match self.0.decode(&mut buffer) {
                    Ok(Some(frame)) => messages.extend(self.1.push(frame)?),
                    Ok(None) => break,
                    Err(Error::Protocol(error)) => return Err(error),
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
        assert!(buffer.is_empty());
        Ok(messages)
    }
}

/// A final text frame with RSV1, from a server.
fn compressed(payload: impl Into<Bytes>) -> Frame {
    Frame { rsv1: true, ..Frame::new(Opcode::Text, payload) }
}

fn received(frames: &[Frame], limits: Limits) -> Result<Vec<Message>, ProtocolError> {
    let wire: Vec<u8> = frames.iter().flat_map(|it| bytes(Role::Server, it.clone())).collect();
    Receiver::new(limits, DeflateAgreement::default()).messages([&wire[..]])
}

/// The payload that a message is sent with, as a server does it.
fn sent(codec: &mut Codec, message: Message) -> Frame {
    let mut out = BytesMut::new();
    codec.encode(message.into_frame(), &mut out).unwrap();
    let (header, at) = ws::FrameHeader::parse(&out).unwrap().unwrap();
    let payload = out.split_off(at).freeze();
    Frame { rsv1: header.rsv1, ..Frame::new(header.opcode, payload) }
}

/// RFC 7692 §7.2.3, as bytes of the wire.
const VECTORS: &[(&str, &str, &str)] = &[
    ("one block", "c1 07 f2 48 cd c9 c9 07 00", "Hello"),
    ("two fragments", "41 03 f2 48 cd 80 04 c9 c9 07 00", "Hello"),
    ("with a ping between", "41 03 f2 48 cd 89 00 80 04 c9 c9 07 00", "Hello"),
    ("no compression", "c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"),
    ("BFINAL", "c1 08 f3 48 cd c9 c9 07 00 00", "Hello"),
    ("BFINAL without what follows it", "c1 07 f3 48 cd c9 c9 07 00", "Hello"),
    ("two blocks", "c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"),
    ("two last blocks", "c1 0f f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00", "HelloHello"),
    ("an empty one", "c1 01 00", ""),
    ("an empty one without a block", "c1 00", ""),
    ("an empty one without a block in fragments", "41 00 00 00 80 00", ""),
    ("an empty fragment at the beginning", "41 00 80 07 f2 48 cd c9 c9 07 00", "Hello"),
    ("an empty fragment at the end", "41 07 f2 48 cd c9 c9 07 00 80 00", "Hello"),
];

#[test]
fn the_rfcs_messages_are_received_however_they_are_cut() {
    for agreed in [DeflateAgreement::default(), no_takeover()] {
        for (name, wire, expected) in VECTORS {
            let wire = hex(wire);
            for cut in 0..=wire.len() {
                let (head, tail) = wire.split_at(cut);
                let mut receiver = Receiver::new(Limits::default(), agreed);
                let mut messages = receiver.messages([head, tail]).unwrap();
                messages.retain(|it| matches!(it, Message::Text(_)));
                assert_eq!(messages, [Message::text(*expected)], "{name} cut at {cut}");
            }
            let mut receiver = Receiver::new(Limits::default(), agreed);
            let messages = receiver.messages(wire.chunks(1)).unwrap();
            assert_eq!(messages.last(), Some(&Message::text(*expected)), "{name}");
            // The next message finds all in order.
            let next = receiver.messages([&hex("c1 07 f2 48 cd c9 c9 07 00")[..]]).unwrap();
            assert_eq!(next, [Message::text("Hello")], "after {name}");
        }
    }
}

#[test]
fn a_context_is_taken_over() {
    let wire = hex("c1 07 f2 48 cd c9 c9 07 00 c1 05 f2 00 11 00 00");
    let mut receiver = Receiver::new(Limits::default(), DeflateAgreement::default());
    let hello = Message::text("Hello");
    assert_eq!(receiver.messages([&wire[..]]), Ok(vec![hello.clone(), hello]));
    // Who has promised not to refer back must not.
    let mut receiver = Receiver::new(Limits::default(), no_takeover());
    assert_eq!(receiver.messages([&wire[..]]), Err(ProtocolError::InvalidDeflate));
}

#[test]
fn the_rfcs_messages_are_sent() {
    let mut server = deflating(Role::Server, Limits::default(), DeflateAgreement::default());
    for expected in ["f2 48 cd c9 c9 07 00", "f2 00 11 00 00"] {
        assert_eq!(sent(&mut server, Message::text("Hello")), compressed(hex(expected)));
    }
    assert_eq!(sent(&mut server, Message::text("")), compressed(hex("00")));
    let mut server = deflating(Role::Server, Limits::default(), no_takeover());
    let text = Message::text("Hello Hello Hello Hello");
    let first = sent(&mut server, text.clone());
    assert!(first.rsv1);
    assert_eq!(sent(&mut server, text), first);
    // What does not shrink goes as it is.
    assert_eq!(sent(&mut server, Message::text("Hello")), Frame::new(Opcode::Text, "Hello"));
}

#[test]
fn only_what_is_worth_it_is_compressed() {
    let mut server = codec(Role::Server, Limits::default());
    server.set_deflate(Deflate::default(), DeflateAgreement::default());
    let text = |len| Message::text("a".repeat(len));
    assert!(!sent(&mut server, text(1023)).rsv1);
    assert!(sent(&mut server, text(1024)).rsv1);
    server.compress(false);
    assert!(!sent(&mut server, text(1024)).rsv1);
    server.compress(true);
    assert!(sent(&mut server, text(1024)).rsv1);
    // zlib has no window of 8 bits.
    server.set_deflate(eager(), windows(8));
    assert!(!sent(&mut server, text(1024)).rsv1);
    // Control frames and fragments never are.
    server.set_deflate(eager(), DeflateAgreement::default());
    assert!(!sent(&mut server, Message::Ping("a".repeat(125).into())).rsv1);
    let mut out = BytesMut::new();
    server.encode(Frame::fragment(Opcode::Text, "a".repeat(2000)), &mut out).unwrap();
    server.encode(Frame::new(Opcode::Continuation, "a".repeat(2000)), &mut out).unwrap();
    assert_eq!(out[0], 0x01);
    assert_eq!(out.len(), 4008);
}

#[test]
fn rsv1_is_for_the_first_frame_of_a_message_only() {
    let reserved = Err(ProtocolError::ReservedBits);
    let rsv1 = |frame| Frame { rsv1: true, ..frame };
    let hello = hex("f2 48 cd c9 c9 07 00");
    let first = rsv1(Frame::fragment(Opcode::Text, hello[..3].to_vec()));
    let rest = rsv1(Frame::new(Opcode::Continuation, hello[3..].to_vec()));
    let limits = Limits::default();
    assert_eq!(received(&[first.clone(), rest], limits), reserved);
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        assert_eq!(received(&[rsv1(Frame::new(opcode, ""))], limits), reserved);
        assert_eq!(received(&[first.clone(), rsv1(Frame::new(opcode, ""))], limits), reserved);
    }
    for bad in [
        Frame { rsv2: true, ..compressed(hello.clone()) },
        Frame { rsv3: true, ..compressed(hello.clone()) },
    ] {
        assert_eq!(received(&[bad], limits), reserved);
    }
    assert_eq!(
        received(&[first, compressed(hello.clone())], limits),
        Err(ProtocolError::ContinuationExpected)
    );
    // Nothing was agreed upon.
    let wire = bytes(Role::Server, compressed(hello));
    let (_, error) = decode(Role::Client, limits, [&wire[..]]);
    assert_eq!(error, Some(ProtocolError::ReservedBits));
    assert_eq!(ProtocolError::ReservedBits.close_code(), CloseCode::PROTOCOL_ERROR);
}

#[test]
fn messages_that_cannot_be_inflated_are_refused() {
    let bad = [
        ("a reserved block type", "06 00"),
        ("a length that does not match", "00 05 00 fa fe 48 65 6c 6c 6f 00"),
        ("a distance too far back", "4a 04 12 00"),
        ("the end of a block missing", "f2 48 cd c9"),
        ("a stored block cut short", "00 05 00 fa ff 48 65"),
    ];
    for (name, wire) in bad {
        let wire = bytes(Role::Server, compressed(hex(wire)));
        for cut in 0..=wire.len() {
            let (head, tail) = wire.split_at(cut);
            let mut receiver = Receiver::new(Limits::default(), no_takeover());
            let found = receiver.messages([head, tail]);
            assert_eq!(found, Err(ProtocolError::InvalidDeflate), "{name} cut at {cut}");
        }
    }
    assert_eq!(ProtocolError::InvalidDeflate.close_code(), CloseCode::INVALID_PAYLOAD);
}

/// The last match may end beyond the room that its bytes are inflated into, with no byte left.
#[test]
fn runs_of_any_length_are_received() {
    let lengths = [1024, 3072, 7168, 15_360, 31_744, 64_512];
    for len in lengths.into_iter().flat_map(|room| room - 10..room + 270) {
        let mut server = deflating(Role::Server, Limits::default(), no_takeover());
        let wire = bytes(Role::Server, sent(&mut server, Message::binary(vec![0; len])));
        let found = Receiver::new(Limits::default(), no_takeover()).messages([&wire[..]]);
        assert!(found == Ok(vec![Message::binary(vec![0; len])]), "{len} bytes");
    }
}

/// With every context dropped, a message that is cut anywhere is found out.
#[test]
fn truncated_messages_are_refused() {
    let text: String = (0..400).map(|n| format!("{} and ", n * n)).collect();
    let mut server = deflating(Role::Server, Limits::default(), no_takeover());
    let whole = sent(&mut server, Message::text(text.clone()));
    assert!(whole.rsv1);
    for len in 1..whole.payload.len() {
        let cut = bytes(Role::Server, compressed(whole.payload.slice(..len)));
        let found = Receiver::new(Limits::default(), no_takeover()).messages([&cut[..]]);
        assert_eq!(found, Err(ProtocolError::InvalidDeflate), "cut at {len}");
        // Else it may only show in the next message. But nothing is made up.
        match received(&[compressed(whole.payload.slice(..len))], Limits::default()) {
            Ok(found) => match &found[..] {
                [Message::Text(part)] => assert!(text.starts_with(part.as_str()), "cut at {len}"),
                other => panic!("{other:?}"),
            },
            Err(error) => assert_eq!(error, ProtocolError::InvalidDeflate),
        }
    }
}

#[test]
fn text_is_checked_while_it_inflates() {
    let mut server = deflating(Role::Server, Limits::default(), no_takeover());
    let mut payload = vec![b'a'; 100_000];
    payload[10_000] = 0xFF;
    let frame = sent(&mut server, Message::binary(payload));
    let wire = bytes(Role::Server, Frame { opcode: Opcode::Text, ..frame });
    let mut client = deflating(Role::Client, Limits::default(), no_takeover());
    let mut buffer = BytesMut::from(&wire[..wire.len() - 1]);
    match client.decode(&mut buffer) {
        Err(Error::Protocol(error)) => assert_eq!(error, ProtocolError::InvalidText),
        other => panic!("{other:?}"),
    }
    // A character may be cut by a frame, but not by the message's end.
    let euro = hex("00 03 00 fc ff e2 82 ac 00");
    let whole = [
        Frame { fin: false, ..compressed(euro[..6].to_vec()) },
        Frame::new(Opcode::Continuation, euro[6..].to_vec()),
    ];
    assert_eq!(received(&whole, Limits::default()), Ok(vec![Message::text("€")]));
    let cut = compressed(hex("00 02 00 fd ff e2 82 00"));
    assert_eq!(received(&[cut], Limits::default()), Err(ProtocolError::InvalidText));
}

#[test]
fn a_bomb_stops_at_the_limit() {
    const LIMIT: usize = 100_000;
    let limits = Limits::default().max_message(LIMIT);
    let too_big = ProtocolError::InflatedTooBig { limit: LIMIT };
    assert_eq!(too_big.close_code(), CloseCode::TOO_BIG);
    for agreed in [DeflateAgreement::default(), no_takeover()] {
        for (len, expected) in
            [(LIMIT, Ok(LIMIT)), (LIMIT + 1, Err(too_big)), (50 * LIMIT, Err(too_big))]
        {
            let mut server = deflating(Role::Server, Limits::default(), agreed);
            let bomb = sent(&mut server, Message::binary(vec![0; len]));
            assert!(bomb.payload.len() < len / 100);
            let wire = bytes(Role::Server, bomb.clone());
            let mut receiver = Receiver::new(limits, agreed);
            let found = receiver.messages([&wire[..]]).map(|it| match &it[..] {
                [Message::Binary(bytes)] => bytes.len(),
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{len} bytes");
            // All fragments together.
            let half = bomb.payload.len() / 2;
            let parts = [
                Frame { fin: false, ..bomb.clone() },
                Frame::new(Opcode::Continuation, bomb.payload.slice(half..)),
            ];
            let parts = [
                Frame { payload: bomb.payload.slice(..half), ..parts[0].clone() },
                parts[1].clone(),
            ];
            let wire: Vec<u8> = parts.into_iter().flat_map(|it| bytes(Role::Server, it)).collect();
            let found = Receiver::new(limits, agreed).messages(wire.chunks(7));
            assert_eq!(found.map(|it| it.len()), expected.map(|_| 1), "{len} bytes in two");
        }
    }
}

/// What cannot be compressed is longer on the wire than it is, and passes all the same.
#[test]
fn the_limit_is_for_what_is_inflated() {
    let noise: Vec<u8> = {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..100_000).map(|_| next()).collect()
    };
    let mut server = deflating(Role::Server, Limits::default(), DeflateAgreement::default());
    let frame = sent(&mut server, Message::binary(noise.clone()));
    assert!(frame.rsv1 && frame.payload.len() > noise.len());
    let limits = Limits::default().max_message(noise.len());
    assert_eq!(received(&[frame], limits), Ok(vec![Message::binary(noise)]));
    // But bytes that give nothing have an end too.
    let empty = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(500);
    let mut one = empty.clone();
    one.push(0);
    assert_eq!(
        received(&[compressed(one.clone())], Limits::default()),
        Ok(vec![Message::text("")])
    );
    let limits = Limits::default().max_message(2000);
    match received(&[compressed(one)], limits) {
        Err(ProtocolError::FrameTooBig { declared: 2501, limit: 2000 }) => {}
        other => panic!("{other:?}"),
    }
}

/// Each block that says to be the last costs us more than its sender.
#[test]
fn a_message_has_only_so_many_last_blocks() {
    for (blocks, expected) in
        [(1024, Ok(vec![Message::text("")])), (1025, Err(ProtocolError::InvalidDeflate))]
    {
        let frame = compressed(hex("03 00").repeat(blocks));
        // They are counted per message.
        assert_eq!(received(std::slice::from_ref(&frame), Limits::default()), expected);
        let mut both = received(&[frame.clone(), frame], Limits::default());
        if let Ok(messages) = &mut both {
            assert_eq!(messages.pop(), Some(Message::text("")));
        }
        assert_eq!(both, expected);
    }
}

#[test]
fn every_window_and_level_goes_both_ways() {
    let text: String = (0..300).map(|n| format!("line {n} of {}\n", n % 7)).collect();
    for bits in 8..=15 {
        for level in 1..=9 {
            for takeover in [true, false] {
                let mut agreed = windows(bits);
                agreed.server_no_context_takeover = !takeover;
                let mut server = codec(Role::Server, Limits::default());
                server.set_deflate(eager().level(level), agreed);
                let mut receiver = Receiver::new(Limits::default(), agreed);
                for _ in 0..3 {
                    let frame = sent(&mut server, Message::text(text.clone()));
                    assert_eq!(frame.rsv1, bits > 8);
                    let wire = bytes(Role::Server, frame);
                    let found = receiver.messages([&wire[..]]);
                    assert_eq!(found, Ok(vec![Message::text(text.clone())]), "{bits} {level}");
                }
            }
        }
    }
}

#[tokio::test]
async fn both_ends_compress() {
    for (client, server) in [
        (eager(), eager()),
        (Deflate::default(), eager()),
        (eager(), Deflate::default().window_bits(9)),
        (eager().peer_window_bits(10).window_bits(11), eager().takeover(false)),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let accepting = async {
            let (io, _) = listener.accept().await.unwrap();
            wse_transport::accept(io, Config::default().deflate(Some(server))).await.unwrap()
        };
        let request = ClientRequest::new(&url).unwrap();
        let (accepted, connected) = tokio::join!(
            accepting,
            wse_transport::connect_with(&request, Config::default().deflate(Some(client)))
        );
        let (mut server, _) = accepted;
        let (mut client, response) = connected.unwrap();
        assert!(response.headers().contains_key("sec-websocket-extensions"));
        let text = Message::text("so es".repeat(1000));
        for _ in 0..3 {
            client.feed(text.clone()).await.unwrap();
            assert!(client.queued() < 1000);
            client.flush().await.unwrap();
            assert_eq!(server.next().await.transpose().unwrap(), Some(text.clone()));
            server.compress(false);
            server.feed(text.clone()).await.unwrap();
            let plain = server.queued();
            assert!(plain > 5000);
            server.compress(true);
            server.feed(text.clone()).await.unwrap();
            assert!(server.queued() < plain + 1000);
            server.flush().await.unwrap();
            for _ in 0..2 {
                assert_eq!(client.next().await.transpose().unwrap(), Some(text.clone()));
            }
        }
    }
}

#[tokio::test]
async fn who_was_not_asked_does_not_compress() {
    for (client, server) in [(Some(eager()), None), (None, Some(eager()))] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let accepting = async {
            let (io, _) = listener.accept().await.unwrap();
            wse_transport::accept(io, Config::default().deflate(server)).await.unwrap()
        };
        let connecting = wse_transport::connect(&url, Config::default().deflate(client));
        let ((mut server, _), connected) = tokio::join!(accepting, connecting);
        let (mut client, response) = connected.unwrap();
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        let message = Message::binary(vec![0; 2000]);
        client.feed(message.clone()).await.unwrap();
        server.feed(message).await.unwrap();
        assert!(client.queued() > 2000 && server.queued() > 2000);
    }
}

#[tokio::test]
async fn violations_close_with_their_code() {
    let corrupt = compressed(hex("06 00"));
    let bomb = compressed(
        sent(
            &mut deflating(Role::Server, Limits::default(), DeflateAgreement::default()),
            Message::binary(vec![0; 2 << 20]),
        )
        .payload,
    );
    for (frame, error, code) in [
        (corrupt, ProtocolError::InvalidDeflate, CloseCode::INVALID_PAYLOAD),
        (bomb, ProtocolError::InflatedTooBig { limit: 1 << 20 }, CloseCode::TOO_BIG),
    ] {
        let (mut socket, mut peer) = server(Config::default());
        socket.set_deflate(eager(), DeflateAgreement::default());
        peer.send(frame).await;
        assert_fails(&mut socket, peer, error, code).await;
    }
}

fn content() -> impl Strategy<Value = Message> {
    let words = proptest::collection::vec(prop_oneof![Just("wse"), Just("ä"), Just("{}")], 0..2000);
    prop_oneof![
        words.prop_map(|it| Message::text(it.concat())),
        any::<String>().prop_map(Message::text),
        proptest::collection::vec(any::<u8>(), 0..5000).prop_map(Message::binary),
        (any::<u8>(), 0..200_000_usize).prop_map(|(byte, len)| Message::binary(vec![byte; len])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_survive_compression_and_any_fragmentation(
        messages in proptest::collection::vec(
            (content(), any::<bool>(), proptest::collection::vec(any::<usize>(), 0..5)),
            0..8,
        ),
        sizes in proptest::collection::vec(1..4000_usize, 1..6),
        bits in 9..=15_u8,
        level in 1..=9_u8,
        takeover in any::<bool>(),
        threshold in 0..2000_usize,
    ) {
        let agreed = DeflateAgreement { server_no_context_takeover: !takeover, ..windows(bits) };
        let mut server = codec(Role::Server, Limits::default());
        server.set_deflate(eager().level(level).threshold(threshold), agreed);
        let mut wire = Vec::new();
        for (message, compress, cuts) in &messages {
            server.compress(*compress);
            let whole = sent(&mut server, message.clone());
            let (mut rest, mut opcode, mut rsv1) = (whole.payload, whole.opcode, whole.rsv1);
            for cut in cuts {
                let part = rest.split_to(cut % (rest.len() + 1));
                let frame = Frame { rsv1, ..Frame::fragment(opcode, part) };
                wire.extend_from_slice(&bytes(Role::Server, frame));
                (opcode, rsv1) = (Opcode::Continuation, false);
            }
            let frame = Frame { rsv1, ..Frame::new(opcode, rest) };
            wire.extend_from_slice(&bytes(Role::Server, frame));
        }
        let mut sizes = sizes.iter().cycle();
        let mut pieces = Vec::new();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            pieces.push(piece);
            rest = tail;
        }
        let found = Receiver::new(Limits::default(), agreed).messages(pieces);
        let expected: Vec<Message> = messages.into_iter().map(|(message, ..)| message).collect();
        prop_assert_eq!(found, Ok(expected));
    }

    /// Whatever comes, it ends with a message or an error, and within the limit.
    #[test]
    fn nothing_that_a_peer_sends_does_harm(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<usize>(),
    ) {
        let wire = bytes(Role::Server, Frame { opcode: Opcode::Binary, ..compressed(payload) });
        let (head, tail) = wire.split_at(cut % (wire.len() + 1));
        let limits = Limits::default().max_message(3000);
        let mut whole = Receiver::new(limits, DeflateAgreement::default());
        let mut parts = Receiver::new(limits, DeflateAgreement::default());
        let found = whole.messages([&wire[..]]);
        prop_assert_eq!(&found, &parts.messages([head, tail]));
        if let Ok(messages) = found
            && let [Message::Binary(bytes)] = &messages[..]
        {
            prop_assert!(bytes.len() <= 3000);
        }
    }
}

#[tokio::test]
async fn messages_go_back_and_forth_through_small_pipes() {
    // Two ends that answer each other through small pipes, so that frames arrive in pieces.
    let (one, other) = duplex(100);
    let mut client = WebSocket::new(one, Role::Client, Config::default());
    let mut server = WebSocket::new(other, Role::Server, Config::default());
    client.set_deflate(eager(), DeflateAgreement::default());
    server.set_deflate(eager(), DeflateAgreement::default());
    let echo = async {
        while let Some(message) = server.next().await {
            if let Ok(message @ Message::Text(_)) = message {
                server.send(message).await.unwrap();
            }
        }
    };
    let ask = async {
        for n in 0..50 {
            let text = Message::text(format!("{n}: {}", "lorem ipsum ".repeat(n)));
            client.send(text.clone()).await.unwrap();
            assert_eq!(client.next().await.transpose().unwrap(), Some(text));
        }
        client.close(None);
        while client.next().await.is_some() {}
    };
    tokio::join!(echo, ask);
}

#[test]
fn compression_turned_off_before_it_is_agreed_upon_is_off() {
    let mut server = Codec::server(Limits::default());
    server.compress(false);
    server.set_deflate(eager(), no_takeover());
    let mut wire = BytesMut::new();
    server.encode(Frame::new(Opcode::Text, "secret ".repeat(100)), &mut wire).unwrap();
    assert_eq!(wire[0], 0x81);
    server.compress(true);
    wire.clear();
    server.encode(Frame::new(Opcode::Text, "public ".repeat(100)), &mut wire).unwrap();
    assert_eq!(wire[0], 0xC1);
}

/// To several connections each, of both sides and all sorts, one message after the other.
#[tokio::test]
async fn what_is_prepared_arrives_as_what_is_sent() {
    let long = "all work and no play ".repeat(1000);
    let messages = [
        Message::text(""),
        Message::text("κόσμε"),
        Message::binary(vec![7; 4096]),
        Message::binary(vec![7; 4097]),
        Message::text(long),
        Message::Ping("p".into()),
        Message::Close(Some(CloseCode::NORMAL.into())),
    ];
    let prepared = messages.clone().map(PreparedMessage::new);
    let alone = Deflate::default().threshold(0);
    for role in [Role::Server, Role::Client] {
        for deflate in [
            None,
            Some((alone, no_takeover())),
            Some((alone, no_takeover())),
            Some((eager(), windows(15))),
        ] {
            let (one, other) = duplex(1 << 20);
            let mut here = WebSocket::new(one, role, Config::default());
            let mut there =
                WebSocket::new(other, crate::support::ws::other(role), Config::default());
            if let Some((deflate, agreed)) = deflate {
                here.set_deflate(deflate, agreed);
                there.set_deflate(deflate, agreed);
            }
            for prepared in &prepared {
                here.feed_prepared(prepared).await.unwrap();
            }
            assert!(here.feed_prepared(&prepared[0]).await.is_err(), "closed");
            here.flush().await.unwrap();
            for message in &messages {
                assert_eq!(there.next().await.unwrap().unwrap(), *message);
            }
        }
    }
    assert_eq!(prepared.map(|it| it.message().clone()), messages, "never masked in place");
}
