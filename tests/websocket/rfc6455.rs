//! What RFC 6455 demands and no other test shows; `rfc.md` lists all of it.

use std::{collections::HashSet, time::Duration};

use crate::support::ws::*;
use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request};
use tokio::{
    io::{AsyncReadExt, duplex},
    net::TcpListener,
};
use wse_transport::driver::{Driver, DriverEvent, DriverOptions, DriverState, TransportUse};
use wse_transport::handshake::{
    ClientRequest, HandshakeError, HeadLimits, Upgrade, encode_response, parse_request,
    read_request, read_response,
};
use wse_transport::ws::{
    self, Closing, Config, Frame, FrameHeader, Limits, Message, Opcode, ProtocolError, Role,
    WebSocket,
};

const NOW: Duration = Duration::from_secs(1000);
const NONCE: [u8; 16] = *b"the sample nonce";

/// RFC 6455 §1.2, with the key of §1.3.
const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://server.example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\r\n";

fn events(driver: &mut Driver) -> Vec<DriverEvent> {
    std::iter::from_fn(|| driver.next_event(NOW)).collect()
}

fn parsed(head: &str) -> Request<()> {
    parse_request(head.as_bytes(), &HeadLimits::default()).unwrap()
}

#[test]
fn the_request_of_section_1_2_is_answered_wherever_it_is_cut() {
    let wire = [REQUEST.as_bytes(), &bytes(Role::Client, text("first"))].concat();
    for cut in 0..=wire.len() {
        let mut server = Driver::server(DriverOptions::default().protocols(["chat"]));
        let mut told = Vec::new();
        for piece in [&wire[..cut], &wire[cut..]] {
            server.receive(piece);
            while let Some(event) = server.next_event(NOW) {
                if let DriverEvent::Connect = event {
                    server.start().unwrap();
                }
                told.push(event);
            }
        }
        let answer = String::from_utf8(server.take_output().to_vec()).unwrap();
        assert_eq!(answer.to_lowercase(), RESPONSE.to_lowercase(), "cut at {cut}");
        let [DriverEvent::Connect, DriverEvent::Open, DriverEvent::Message(first)] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!(first, &Message::text("first"));
    }
}

#[tokio::test]
async fn the_response_of_section_1_2_is_read_wherever_it_is_cut() {
    let wire = [RESPONSE.as_bytes(), &bytes(Role::Server, text("first"))].concat();
    let client = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let client = client.subprotocol("chat").unwrap().subprotocol("superchat").unwrap();
    for cut in 0..=wire.len() {
        let mut io = wire[..cut].chain(&wire[cut..]);
        let (response, leftover) = read_response(&mut io, &HeadLimits::default()).await.unwrap();
        assert_eq!(client.verify(NONCE, &response), Ok(Some("chat".to_owned())), "cut at {cut}");
        let mut socket = WebSocket::with_leftover(
            tokio::io::join(io, tokio::io::sink()),
            leftover,
            Role::Client,
            Config::default(),
        );
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("first"));
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let found = wse_transport::connect(&url, Config::default()).await;
    assert!(matches!(found, Err(HandshakeError::Io(_))), "{found:?}");
}

#[tokio::test]
async fn a_client_of_tls_names_the_server_before_it_asks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let calling = wse_transport::connect(&url, Config::default());
    let listening = async {
        let (mut io, _) = listener.accept().await.unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        loop {
            let mut piece = [0; 1024];
            let len = io.read(&mut piece).await.unwrap();
            assert_ne!(len, 0);
            acceptor.read_tls(&mut &piece[..len]).unwrap();
            if let Some(accepted) = acceptor.accept().unwrap() {
                return accepted.client_hello().server_name().map(str::to_owned);
            }
        }
    };
    let (found, name) = futures::join!(calling, listening);
    assert!(matches!(found, Err(HandshakeError::Io(_) | HandshakeError::Tls(_))), "{found:?}");
    assert_eq!(name.as_deref(), Some("localhost"));
}

fn key(request: &Request<()>) -> String {
    Upgrade::from_request(request).unwrap().key().unwrap().to_owned()
}

#[tokio::test]
async fn each_connection_has_a_key_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut keys = HashSet::new();
    for _ in 0..20 {
        let serving = async {
            let (mut io, _) = listener.accept().await.unwrap();
            read_request(&mut io, &HeadLimits::default()).await.unwrap().0
        };
        let (found, request) =
            futures::join!(wse_transport::connect(&url, Config::default()), serving);
        assert!(found.is_err());
        keys.insert(key(&request));

        let mut driver = Driver::client(&url, DriverOptions::default()).unwrap();
        driver.start().unwrap();
        keys.insert(key(driver.request().unwrap()));
    }
    assert_eq!(keys.len(), 40);
}

#[test]
fn a_client_sends_nothing_before_it_has_the_response() {
    let mut client = Driver::client("ws://example.com", DriverOptions::default()).unwrap();
    client.start().unwrap();
    client.text("early").unwrap();
    client.ping("early", NOW).unwrap();
    assert!(client.take_output().ends_with(b"\r\n\r\n"));
    let upgrade = Upgrade::from_request(client.request().unwrap()).unwrap();
    let response = encode_response(&upgrade.response(None, &HeaderMap::new()).unwrap(), "");
    for byte in &response[..response.len() - 1] {
        client.receive(&[*byte]);
        assert!(events(&mut client).is_empty());
        assert!(client.output().is_empty());
        assert_eq!(client.state(), DriverState::Connecting);
    }
    client.receive(b"\n");
    assert!(matches!(events(&mut client)[..], [DriverEvent::Open]));
    let (frames, error) = decode(Role::Server, Limits::default(), [client.output()]);
    assert_eq!((frames, error), (vec![text("early"), ping("early")], None));
}

#[tokio::test]
async fn white_space_around_the_accept_value_is_ignored() {
    let accept = "Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let client = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let client = client.subprotocol("chat").unwrap();
    for spaced in ["Accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &format!("{accept} \t ")] {
        let wire = RESPONSE.replace(accept, spaced);
        let found = read_response(&mut wire.as_bytes(), &HeadLimits::default()).await;
        assert!(client.verify(NONCE, &found.unwrap().0).is_ok(), "{wire}");
    }
}

#[test]
fn the_order_of_header_fields_does_not_matter() {
    let lines: Vec<&str> = REQUEST.trim_end().split("\r\n").collect();
    let expected = Upgrade::from_request(&parsed(REQUEST)).unwrap();
    let mut fields = lines[1..].to_vec();
    for _ in 0..fields.len() {
        fields.rotate_left(1);
        let swapped: Vec<&str> = fields.iter().rev().copied().collect();
        for order in [&fields, &swapped] {
            let head = format!("{}\r\n{}\r\n\r\n", lines[0], order.join("\r\n"));
            assert_eq!(Upgrade::from_request(&parsed(&head)), Ok(expected.clone()), "{head}");
        }
    }
}

#[test]
fn without_an_agreement_no_subprotocol_is_answered() {
    let none = "Sec-WebSocket-Protocol: chat, superchat\r\n";
    for (ours, head) in [
        (vec!["mqtt"], REQUEST.to_owned()),
        (vec![], REQUEST.to_owned()),
        (vec!["chat"], REQUEST.replace(none, "")),
        (vec!["chat"], REQUEST.replace("chat, superchat", "CHAT")),
    ] {
        let options = DriverOptions::default().protocols(ours);
        let mut server = Driver::from_request(&parsed(&head), options);
        server.start().unwrap();
        let response = server.response().unwrap();
        assert_eq!(response.status(), 101);
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
        assert_eq!(server.protocol(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_close_upon_a_frame_masked_wrongly() {
    for (role, error) in
        [(Role::Server, ProtocolError::Unmasked), (Role::Client, ProtocolError::Masked)]
    {
        for frame in [text("x"), ping("x"), Frame::new(Opcode::Close, "")] {
            let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
            // As the socket itself would send it.
            peer.send_bytes(&bytes(role, frame)).await;
            assert_fails(&mut socket, peer, error, error.close_code()).await;
        }
    }
}

/// Frames of a client, and the masks in their headers.
fn masks(mut wire: &[u8]) -> Vec<[u8; 4]> {
    let mut masks = Vec::new();
    while let Some((header, len)) = FrameHeader::parse(wire).unwrap() {
        masks.push(header.mask.expect("clients mask"));
        wire = &wire[len + usize::try_from(header.payload_len).unwrap()..];
    }
    masks
}

#[tokio::test]
async fn each_frame_of_a_client_has_a_fresh_unpredictable_mask() {
    let mut driver = Driver::opened(Role::Client, DriverOptions::default());
    let (near, mut far) = duplex(1 << 20);
    let mut socket = WebSocket::new(near, Role::Client, Config::default());
    for _ in 0..1000 {
        driver.text("the same").unwrap();
        socket.feed(Message::text("the same")).await.unwrap();
    }
    driver.ping("", NOW).unwrap();
    driver.close(None);
    socket.send(Message::Ping("".into())).await.unwrap();
    socket.close(None);
    let _ = futures::future::poll_immediate(socket.next()).await;
    drop(socket);
    let mut wire = Vec::new();
    far.read_to_end(&mut wire).await.unwrap();
    for masks in [masks(driver.output()), masks(&wire)] {
        assert_eq!(masks.len(), 1002);
        let fresh: HashSet<_> = masks.iter().collect();
        assert!(fresh.len() > 995, "{} of 1002", fresh.len());
        // No counter, and nothing that stands still: each bit flips about every other time.
        for bit in 0..32 {
            let at = |mask: [u8; 4]| u32::from_be_bytes(mask) >> bit & 1;
            let flips = masks.windows(2).filter(|pair| at(pair[0]) != at(pair[1])).count();
            assert!((350..650).contains(&flips), "bit {bit} flips {flips} times");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_ping_is_answered_by_its_own_bytes() {
    for role in [Role::Server, Role::Client] {
        let config = Config::default().control_rate(None);
        let (mut socket, mut peer) = with_peer(role, config, 1024);
        for len in 0..=125_u8 {
            let payload: Vec<u8> = (0..len).map(|n| n.wrapping_mul(151)).collect();
            peer.send(Frame::new(Opcode::Ping, payload.clone())).await;
            assert_eq!(recv(&mut socket).await, Some(Message::Ping(payload.clone().into())));
            assert_eq!(peer.recv().await, Some(Frame::new(Opcode::Pong, payload)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_behind_a_close_frame_is_not_answered() {
    for role in [Role::Server, Role::Client] {
        let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
        peer.send(Frame::new(Opcode::Close, "")).await;
        peer.send(ping("late")).await;
        assert_eq!(recv(&mut socket).await, Some(Message::Close(None)));
        let _ = futures::future::poll_immediate(socket.next()).await;
        drop(socket);
        assert_eq!(peer.recv().await, Some(Frame::new(Opcode::Close, "")));
        assert_eq!(peer.recv().await, None);
    }
}

#[test]
fn after_a_violation_nothing_is_processed_not_even_a_close_frame() {
    for role in [Role::Server, Role::Client] {
        let peer = other(role);
        let behind = [text("late"), ping("late"), Frame::new(Opcode::Close, &b"\x03\xe8"[..])];
        let behind: BytesMut = behind.into_iter().flat_map(|it| bytes(peer, it)).collect();
        for cut in 0..=behind.len() {
            let mut driver = Driver::opened(role, DriverOptions::default());
            driver.receive(&bytes(peer, Frame { rsv2: true, ..text("x") }));
            driver.receive(&behind[..cut]);
            let mut told = events(&mut driver);
            let mut sent = driver.take_output().to_vec();
            driver.receive(&behind[cut..]);
            told.extend(events(&mut driver));
            sent.extend(driver.take_output());
            driver.end();
            told.extend(events(&mut driver));
            let [DriverEvent::Error(_), DriverEvent::Close(frame)] = &told[..] else {
                panic!("{told:?}");
            };
            assert_eq!(frame.code.0, 1002);
            let close = Frame::new(Opcode::Close, &b"\x03\xeareserved bit set"[..]);
            assert_eq!(decode(peer, Limits::default(), [&sent[..]]), (vec![close], None));
            assert_eq!(driver.transport(), TransportUse::Close);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_but_what_the_state_allows() {
    for role in [Role::Server, Role::Client] {
        let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
        socket.close(None);
        assert_eq!(socket.closing(), Closing::CloseSent);
        for message in [
            Message::text("x"),
            Message::binary("x"),
            Message::Ping("x".into()),
            Message::Close(None),
        ] {
            assert!(socket.send(message).await.is_err());
        }
        let _ = futures::future::poll_immediate(socket.next()).await;
        drop(socket);
        assert_eq!(peer.recv().await, Some(Frame::new(Opcode::Close, "")));
        assert_eq!(peer.recv().await, None);
    }
}

/// Interleaved with control frames, cut at every byte, by both sides.
#[test]
fn messages_in_fragments_come_out_whole_wherever_they_are_cut() {
    for role in [Role::Server, Role::Client] {
        let frames = [
            Frame::fragment(Opcode::Text, "a\u{20ac}".as_bytes()[..2].to_vec()),
            ping("1"),
            Frame::fragment(Opcode::Continuation, ""),
            Frame::new(Opcode::Continuation, "a\u{20ac}".as_bytes()[2..].to_vec()),
            text("unfragmented"),
            Frame::fragment(Opcode::Binary, "b"),
            Frame::new(Opcode::Continuation, "c"),
        ];
        let wire: BytesMut = frames.into_iter().flat_map(|it| bytes(other(role), it)).collect();
        let expected = [
            Message::Ping("1".into()),
            Message::text("a\u{20ac}"),
            Message::text("unfragmented"),
            Message::binary("bc"),
        ];
        for cut in 0..=wire.len() {
            let (frames, error) = decode(role, Limits::default(), [&wire[..cut], &wire[cut..]]);
            assert_eq!(error, None);
            let mut assembler = ws::Assembler::default();
            let found = frames.into_iter().filter_map(|frame| assembler.push(frame).unwrap());
            assert_eq!(found.collect::<Vec<_>>(), expected, "{role:?} cut at {cut}");
        }
    }
}
