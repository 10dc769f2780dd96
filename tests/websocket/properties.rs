//! What holds for all messages, all fragmentations and all bytes.

use crate::support::ws::*;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::duplex;
use wse_transport::{
    handshake::{HeadLimits, HeadScanner, parse_request, parse_response},
    ws::{
        Assembler, CloseFrame, Config, Frame, Limits, Message, Opcode, Role, Utf8Validator,
        WebSocket,
    },
};

fn message() -> impl Strategy<Value = Message> {
    let small = || proptest::collection::vec(any::<u8>(), 0..126);
    prop_oneof![
        4 => any::<String>().prop_map(Message::text),
        4 => proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Message::binary),
        1 => small().prop_map(|it| Message::Ping(it.into())),
        1 => small().prop_map(|it| Message::Pong(it.into())),
    ]
}

/// The frames of a message, cut at `cuts`, with pings between.
fn fragments(message: Message, cuts: &[usize]) -> Vec<Frame> {
    let whole = message.into_frame();
    if whole.opcode.is_control() {
        return vec![whole];
    }
    let mut rest = whole.payload;
    let mut opcode = whole.opcode;
    let mut frames = Vec::new();
    for cut in cuts {
        let part = rest.split_to(cut % (rest.len() + 1));
        frames.push(Frame::fragment(opcode, part));
        frames.push(Frame::new(Opcode::Ping, "between"));
        opcode = Opcode::Continuation;
    }
    frames.push(Frame::new(opcode, rest));
    frames
}

/// Cuts bytes into pieces of the given sizes, over and over.
fn pieces<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let (piece, tail) = rest.split_at(rest.len().min(*sizes.next()?));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

proptest! {
    #[test]
    fn messages_survive_any_fragmentation_and_chunking(
        sender in role(),
        messages in proptest::collection::vec((message(), proptest::collection::vec(any::<usize>(), 0..5)), 0..8),
        sizes in proptest::collection::vec(1..4000_usize, 1..6),
    ) {
        let mut wire = Vec::new();
        for (message, cuts) in &messages {
            for frame in fragments(message.clone(), cuts) {
                wire.extend_from_slice(&bytes(sender, frame));
            }
        }
        let (frames, error) = decode(other(sender), Limits::default(), pieces(&wire, &sizes));
        prop_assert_eq!(error, None);
        let mut assembler = Assembler::default();
        let between = Message::Ping("between".into());
        let received: Vec<Message> = frames
            .into_iter()
            .filter_map(|frame| assembler.push(frame).unwrap())
            .filter(|it| *it != between)
            .collect();
        let sent: Vec<Message> = messages.into_iter().map(|it| it.0).collect();
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn what_is_decoded_does_not_depend_on_chunking(
        receiver in role(),
        wire in proptest::collection::vec(any::<u8>(), 0..300),
        sizes in proptest::collection::vec(1..20_usize, 1..5),
    ) {
        let limits = Limits::default().max_message(100);
        let whole = decode(receiver, limits, [&wire[..]]);
        prop_assert_eq!(decode(receiver, limits, pieces(&wire, &sizes)), whole);
    }

    #[test]
    fn utf8_agrees_with_the_standard_library(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            any::<String>().prop_map(String::into_bytes),
        ],
        sizes in proptest::collection::vec(1..10_usize, 1..4),
    ) {
        let mut check = Utf8Validator::default();
        let fed = pieces(&bytes, &sizes).try_for_each(|piece| check.feed(piece));
        prop_assert_eq!(fed.and_then(|()| check.finish()).is_ok(), std::str::from_utf8(&bytes).is_ok());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic_a_websocket(
        role in role(),
        wire in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut socket, mut peer) = with_peer(role, Config::default(), 1 << 16);
            peer.send_bytes(&wire).await;
            drop(peer);
            while socket.next().await.is_some() {}
            assert!(socket.next().await.is_none());
        });
    }

    #[test]
    fn arbitrary_bytes_do_not_panic_the_handshake(
        head in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            "(GET|POST) [ -~]{0,20} HTTP/1.[01]\r\n([A-Za-z-]{1,9}: ?[ -~]{0,20}\r\n){0,5}\r\n"
                .prop_map(String::into_bytes),
        ],
    ) {
        let limits = HeadLimits::default();
        let _ = HeadScanner::default().scan(&head, &limits);
        let _ = parse_request(&head, &limits);
        let _ = parse_response(&head, &limits);
    }

    #[test]
    fn close_reasons_stay_text_and_fit(code in 3000..5000_u16, reason in any::<String>()) {
        let payload = CloseFrame::new(code.into(), reason.clone()).to_payload();
        prop_assert!(payload.len() <= 125);
        let parsed = CloseFrame::parse(&payload).unwrap().unwrap();
        prop_assert_eq!(parsed.code.0, code);
        prop_assert!(reason.starts_with(parsed.reason.as_str()));
        prop_assert!(reason.len() - parsed.reason.len() < 4 || payload.len() > 121);
    }
}

#[tokio::test(start_paused = true)]
async fn big_messages_cross_small_pipes() {
    for capacity in [1, 7, 1000, 100_000] {
        let (one, other) = duplex(capacity);
        let config = Config::default().limits(Limits::unlimited());
        let mut client = WebSocket::new(one, Role::Client, config);
        let mut server = WebSocket::new(other, Role::Server, config);
        let len = if capacity < 10 { 10_000 } else { 3_000_000 };
        let payload: Bytes = (0..len).map(|n: u32| n as u8).collect();
        let sending = client.send(Message::Binary(payload.clone()));
        let (sent, received) = futures::join!(sending, recv(&mut server));
        sent.unwrap();
        assert_eq!(received, Some(Message::Binary(payload)));
    }
}
