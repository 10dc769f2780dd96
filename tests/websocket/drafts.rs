//! The drafts before RFC 6455, as a server's driver speaks them when they are allowed.

use http::{Request, header};
use proptest::prelude::*;
use wse_transport::driver::{
    Driver, DriverError, DriverEvent, DriverOptions, DriverState, TransportUse,
};
use wse_transport::handshake::{HandshakeError, OriginPolicy, accept_key};
use wse_transport::ws::{
    CloseCode, CloseFrame, Config, Limits, Message, MisuseError, ProtocolError, Role,
};

use crate::support::driver::*;

const HIXIE_75: &str = "GET /demo?x=1 HTTP/1.1\r\n\
    Upgrade: WebSocket\r\n\
    Connection: Upgrade\r\n\
    Host: example.com\r\n\
    Origin: http://example.com\r\n\
    WebSocket-Protocol: sample\r\n\r\n";

/// The request of draft-ietf-hybi-thewebsocketprotocol-00 §1.2, without its body.
const HIXIE_76: &str = "GET /demo HTTP/1.1\r\n\
    Host: example.com\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\
    Sec-WebSocket-Protocol: sample\r\n\
    Upgrade: WebSocket\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
    Origin: http://example.com\r\n\r\n";
const BODY: &[u8; 8] = b"^n:ds[4U";
const DIGEST: &[u8; 16] = b"8jKS'y:G*Co,Wxa-";

fn hybi(version: u8) -> String {
    format!(
        "GET /chat HTTP/1.1\r\n\
        Host: server.example.com\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Origin: http://server.example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: {version}\r\n\r\n"
    )
}

fn allowed() -> DriverOptions {
    DriverOptions::default().allow_drafts(true)
}

fn limited(limits: Limits) -> DriverOptions {
    allowed().config(Config::default().limits(limits))
}

/// A server that has answered a request, and the answer.
fn answered(options: DriverOptions, request: impl AsRef<[u8]>) -> (Driver, Vec<u8>) {
    let mut server = Driver::server(options);
    server.receive(request.as_ref());
    events(&mut server);
    let answer = server.take_output().to_vec();
    (server, answer)
}

/// The same, open.
fn open_with(options: DriverOptions, version: &str) -> Driver {
    let request = match version {
        "hixie-75" => HIXIE_75.as_bytes().to_vec(),
        _ => [HIXIE_76.as_bytes(), BODY].concat(),
    };
    let (server, _) = answered(options, request);
    assert_eq!((server.version(), server.state()), (version, DriverState::Open));
    server
}

fn open(version: &str) -> Driver {
    open_with(allowed(), version)
}

/// The error that some bytes lead to, at the first that is wrong, and how many were fed until then.
fn failure(options: DriverOptions, version: &str, bytes: &[u8]) -> (ProtocolError, usize) {
    let mut server = open_with(options, version);
    for (index, byte) in bytes.iter().enumerate() {
        server.receive(&[*byte]);
        while let Some(event) = server.next_event(START) {
            if let DriverEvent::Error(DriverError::Protocol(error)) = event {
                let expected: &[u8] = if version == "hixie-76" { b"\xFF\0" } else { b"" };
                assert_eq!(server.take_output(), expected);
                let code = error.close_code();
                assert_eq!(events(&mut server), [format!("close {code} ")]);
                assert_eq!(server.transport(), TransportUse::ShutDownWrite);
                return (error, index + 1);
            }
        }
    }
    panic!("no failure")
}

fn status(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[9..12]).into()
}

#[test]
fn hixie_75_is_answered_to_the_letter() {
    let (server, answer) = answered(allowed().protocols(["other", "sample"]), HIXIE_75);
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        "HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
        Upgrade: WebSocket\r\n\
        Connection: Upgrade\r\n\
        WebSocket-Origin: http://example.com\r\n\
        WebSocket-Location: ws://example.com/demo?x=1\r\n\
        WebSocket-Protocol: sample\r\n\r\n"
    );
    assert_eq!((server.version(), server.protocol()), ("hixie-75", Some("sample")));
    assert_eq!(server.state(), DriverState::Open);
    let response = server.response().unwrap();
    assert_eq!(response.status().as_u16(), 101);
    assert_eq!(response.headers()["websocket-location"], "ws://example.com/demo?x=1");
}

#[test]
fn hixie_76_proves_that_it_has_read_the_keys_and_the_body() {
    let mut server = Driver::server(allowed().protocols(["sample"]).secure(true));
    server.set_header("X-Node", "a1").unwrap();
    server.receive(HIXIE_76.as_bytes());
    server.receive(BODY);
    assert_eq!(events(&mut server), ["connect", "open"]);
    let head = "HTTP/1.1 101 WebSocket Protocol Handshake\r\n\
        Upgrade: WebSocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Origin: http://example.com\r\n\
        Sec-WebSocket-Location: wss://example.com/demo\r\n\
        Sec-WebSocket-Protocol: sample\r\n\
        x-node: a1\r\n\r\n";
    assert_eq!(&server.take_output()[..], [head.as_bytes(), DIGEST].concat());
    assert_eq!((server.version(), server.protocol()), ("hixie-76", Some("sample")));

    // §1.2 and §5.2 of the draft: another example.
    let request = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\r\n\
        Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\r\n\r\nTm[K T2u";
    let (_, answer) = answered(allowed(), request);
    assert!(answer.ends_with(b"\r\n\r\nfQJ,fN/4F4!~K~MH"));
}

#[test]
fn a_request_of_hixie_76_may_be_parsed_elsewhere() {
    let request = Request::get("/demo")
        .header(header::HOST, "example.com")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "WebSocket")
        .header("Sec-WebSocket-Key1", "4 @1  46546xW%0l 1 5")
        .header("Sec-WebSocket-Key2", "12998 5 Y3 1  .P00")
        .body(())
        .unwrap();
    let mut server = Driver::from_request(&request, allowed());
    assert_eq!(server.version(), "hixie-76");
    server.input().extend_from_slice(BODY);
    server.start().unwrap();
    assert!(server.output().ends_with(DIGEST));
    assert_eq!(events(&mut server), ["open"]);
}

#[test]
fn a_body_behind_a_proxy_may_come_late() {
    let (mut server, head) = answered(allowed(), HIXIE_76);
    assert!(head.ends_with(b"\r\n\r\n"), "the proxy lets the body through when it has seen this");
    assert_eq!(status(&head), "101");
    assert_eq!(server.state(), DriverState::Connecting);
    server.text("queued").unwrap();
    for byte in &BODY[..7] {
        server.receive(&[*byte]);
        assert_eq!(events(&mut server), Vec::<String>::new());
    }
    assert!(server.output().is_empty());
    server.receive(&BODY[7..]);
    server.receive(b"\0hi\xFF");
    assert_eq!(events(&mut server), ["open", "text hi"]);
    assert_eq!(&server.take_output()[..], [&DIGEST[..], b"\0queued\xFF"].concat());
    assert_eq!(server.deadline(), None);
}

#[test]
fn a_body_that_does_not_come_ends_the_connection() {
    let (mut cut, _) = answered(allowed(), HIXIE_76);
    cut.receive(&BODY[..7]);
    cut.end();
    assert_eq!(events(&mut cut), ["error unexpected end of file", "close 1006 "]);
    assert_eq!(cut.transport(), TransportUse::Close);

    let (mut slow, _) = answered(allowed(), HIXIE_76);
    let due = slow.deadline().unwrap();
    assert_eq!(due - START, Config::default().handshake_timeout);
    let late = slow.next_event(due);
    assert!(matches!(
        late,
        Some(DriverEvent::Error(DriverError::Handshake(HandshakeError::Timeout)))
    ));
    assert_eq!(events(&mut slow), ["close 1006 "]);

    let (mut closed, _) = answered(allowed(), HIXIE_76);
    closed.close(None);
    closed.receive(BODY);
    assert_eq!(events(&mut closed), ["close 1006 "]);
    assert!(closed.output().is_empty());
}

#[test]
fn hybi_7_and_8_are_rfc_6455_by_another_number() {
    for (version, name) in [(7, "hybi-7"), (8, "hybi-8")] {
        let (mut server, answer) = answered(allowed().protocols(["superchat"]), hybi(version));
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        assert!(answer.contains(&accept_key("dGhlIHNhbXBsZSBub25jZQ==")), "{answer}");
        assert_eq!((server.version(), server.protocol()), (name, Some("superchat")));

        let mut client = Driver::opened(Role::Client, DriverOptions::default());
        client.text("hi").unwrap();
        client.binary(vec![1, 2, 3]).unwrap();
        client.ping("p", START).unwrap();
        client.close(Some(CloseFrame::new(CloseCode::GOING_AWAY, "bye")));
        server.receive(&client.take_output());
        assert_eq!(events(&mut server), ["text hi", "binary 3", "ping b\"p\""]);
        server.take_output();
        assert_eq!(events(&mut server), ["close 1001 bye"]);
    }
}

#[test]
fn drafts_are_refused_unless_they_are_allowed() {
    for request in [HIXIE_75, HIXIE_76, &hybi(7), &hybi(8)] {
        let mut server = Driver::server(DriverOptions::default());
        server.receive(request.as_bytes());
        let told = events(&mut server);
        assert!(told[1].starts_with("error request rejected with 426"), "{told:?}");
        assert_eq!((told.len(), server.version()), (3, "hybi-13"));
        let answer = String::from_utf8(server.take_output().to_vec()).unwrap();
        assert!(answer.contains("sec-websocket-version: 13\r\n") && !answer.contains("8, 7"));
    }
}

#[test]
fn versions_that_are_no_drafts_of_ours_are_refused_with_those_that_are() {
    for version in [0, 6, 9, 12, 14] {
        let (server, answer) = answered(allowed(), hybi(version));
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("version: 13\r\nsec-websocket-version: 8, 7\r\n"), "{answer}");
        assert_eq!(server.version(), "hybi-13");
    }
    let (_, answer) = answered(allowed(), hybi(13).replace("Sec-WebSocket-Version", "X-Version"));
    assert_eq!(status(&answer), "426", "a key without a version is no hixie-75");
    let (server, answer) = answered(allowed(), hybi(13));
    assert_eq!((server.version(), &*status(&answer)), ("hybi-13", "101"));
}

#[test]
fn what_is_no_websocket_is_none_by_a_draft_either() {
    let plain = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let http_10 = HIXIE_75.replace("HTTP/1.1", "HTTP/1.0");
    let no_host = HIXIE_75.replace("Host:", "Guest:");
    let body = HIXIE_75.replace("Origin:", "Content-Length: 5\r\nOrigin:");
    let posted = HIXIE_76.replace("GET", "POST");
    let two = HIXIE_75
        .replace("WebSocket-Protocol: sample", "WebSocket-Protocol: a\r\nWebSocket-Protocol: b");
    for (request, expected) in [
        (plain, "426"),
        (&http_10, "505"),
        (&no_host, "400"),
        (&body, "400"),
        (&posted, "405"),
        (&two, "400"),
    ] {
        let (server, answer) = answered(allowed(), request);
        assert_eq!(status(&answer), expected, "{request}");
        assert_eq!(server.state(), DriverState::Closed);
    }
}

#[test]
fn keys_without_a_number_are_refused() {
    for key in ["", "12345", "1 2 3", "none at all", "4294967296 0 "] {
        let request = HIXIE_76.replace("4 @1  46546xW%0l 1 5", key);
        let (_, answer) = answered(allowed(), [request.as_bytes(), BODY].concat());
        assert_eq!(status(&answer), "400", "{key:?}");
    }
    let (_, answer) = answered(allowed(), HIXIE_76.replace("-Key2", "-Key3"));
    assert_eq!(status(&answer), "400");
}

#[test]
fn pages_of_other_hosts_are_refused_in_every_draft() {
    let evil = |request: &str| request.replace("Origin: http://", "Origin: http://evil.");
    for request in [evil(HIXIE_75), evil(HIXIE_76), evil(&hybi(7)), evil(&hybi(8))] {
        let (_, answer) = answered(allowed(), &request);
        assert_eq!(status(&answer), "403", "{request}");
        let (server, _) = answered(allowed().origins(OriginPolicy::Any), &request);
        assert_ne!(server.state(), DriverState::Closed, "{request}");
    }
    let field = "Sec-WebSocket-Origin: http://server.example.com";
    let both = hybi(8).replace(field, &format!("{field}\r\nOrigin: http://evil.example.com"));
    assert_eq!(status(&answered(allowed(), both).1), "403");
    let same = format!("{field}\r\nOrigin: http://server.example.com");
    assert_eq!(status(&answered(allowed(), hybi(8).replace(field, &same)).1), "101");
}

#[test]
fn hixie_has_only_text() {
    let mut early = Driver::server(allowed());
    assert_eq!(early.binary(vec![1]), Err(MisuseError::NotReady), "who knows what will be spoken");
    assert_eq!(early.text("hello"), Ok(()));
    early.receive(HIXIE_75.as_bytes());
    assert!(matches!(early.next_event(START), Some(DriverEvent::Connect)));
    assert_eq!(early.binary(vec![1]), Err(MisuseError::Unsupported));

    for version in ["hixie-75", "hixie-76"] {
        let mut server = open(version);
        assert_eq!(server.binary(vec![1]), Err(MisuseError::Unsupported));
        assert_eq!(server.ping("", START), Err(MisuseError::Unsupported));
        assert_eq!(server.send(Message::Pong("".into())), Err(MisuseError::Unsupported));
        assert!(server.output().is_empty());
        server.text("né").unwrap();
        server.text("").unwrap();
        assert_eq!(&server.take_output()[..], b"\0n\xC3\xA9\xFF\0\xFF");
    }
}

#[test]
fn hixie_76_closes_with_ff_00_both_ways() {
    let mut server = open("hixie-76");
    server.text("last").unwrap();
    server.close(Some(CloseFrame::new(CloseCode::GOING_AWAY, "never sent")));
    server.close(None);
    assert_eq!(&server.take_output()[..], b"\0last\xFF\xFF\0");
    assert_eq!(
        (server.state(), server.text("x")),
        (DriverState::Closing, Err(MisuseError::Closed))
    );
    server.receive(b"\0on its way\xFF\xFF");
    assert_eq!(events(&mut server), Vec::<String>::new());
    server.receive(b"\0");
    assert_eq!(events(&mut server), ["close 1005 "]);
    assert!(server.output().is_empty(), "answered once");
    assert_eq!(server.transport(), TransportUse::Close);

    let mut server = open("hixie-76");
    server.receive(b"\0bye\xFF\xFF\0\0late\xFF");
    assert_eq!(events(&mut server), ["text bye"]);
    assert_eq!(&server.take_output()[..], b"\xFF\0");
    assert_eq!(events(&mut server), ["close 1005 "]);
    assert_eq!(server.transport(), TransportUse::Close);

    let mut server = open("hixie-76");
    server.close(None);
    server.take_output();
    server.end();
    assert_eq!(events(&mut server), ["close 1006 "]);
}

#[test]
fn hixie_75_closes_with_tcp() {
    let mut server = open("hixie-75");
    server.text("last").unwrap();
    server.close(Some(CloseFrame::new(CloseCode::GOING_AWAY, "never sent")));
    assert_eq!(events(&mut server), Vec::<String>::new(), "not written yet");
    assert_eq!(&server.take_output()[..], b"\0last\xFF");
    server.receive(b"\0late\xFF");
    assert_eq!(events(&mut server), ["close 1005 "]);
    assert_eq!(server.state(), DriverState::Closed);
    // To close it with bytes that nobody has read would destroy what was written last.
    assert_eq!(server.transport(), TransportUse::ShutDownWrite);
    server.end();
    assert_eq!(events(&mut server), Vec::<String>::new());
    assert_eq!(server.transport(), TransportUse::Close);

    let mut waiting = open("hixie-75");
    waiting.close(None);
    assert_eq!(events(&mut waiting), ["close 1005 "]);
    let due = waiting.deadline().unwrap();
    assert!(waiting.next_event(due).is_none());
    assert_eq!(waiting.transport(), TransportUse::Close);

    let mut server = open("hixie-75");
    server.receive(b"\0bye\xFF\xFF\0\0not closed\xFF");
    server.end();
    assert_eq!(events(&mut server), ["text bye", "text not closed", "close 1006 "]);
}

#[test]
fn frames_without_a_meaning_are_skipped() {
    for version in ["hixie-75", "hixie-76"] {
        let mut server = open(version);
        // With a length of 3, 0, 129 and 2, the last written in three bytes, and one that ends with FF.
        let mut bytes = b"\0a\xFF\x80\x03\0\xFF\0\x80\x00\x91\x81\x01".to_vec();
        bytes.extend([0xFF; 129]);
        bytes.extend(b"\0b\xFF\xFF\x80\x80\x02zz\x7F\x80\x00not utf-8\xFF\0c\xFF");
        server.receive(&bytes);
        assert_eq!(events(&mut server), ["text a", "text b", "text c"], "{version}");
        assert_eq!(server.state(), DriverState::Open);
    }
}

#[test]
fn lengths_have_bounds() {
    let limits = Limits::default().max_message(1000);
    for version in ["hixie-75", "hixie-76"] {
        let (error, fed) = failure(limited(limits), version, b"\x80\xFF\xFF\x7F");
        assert_eq!(error, ProtocolError::FrameTooBig { declared: 16383, limit: 1000 });
        assert_eq!(fed, 3, "as soon as it is known");
        let (error, fed) = failure(limited(limits), version, &[0x80; 100]);
        assert_eq!((error, fed), (ProtocolError::LengthTooLarge, 11));
        let (error, fed) = failure(limited(Limits::unlimited()), version, &[0xFF; 100]);
        assert_eq!((error, fed), (ProtocolError::LengthTooLarge, 11));
    }
    let mut server = open_with(limited(limits), "hixie-75");
    server.receive(&[&b"\x80\x87\x68"[..], &[0; 1000], b"\0x\xFF"].concat());
    assert_eq!(events(&mut server), ["text x"], "exactly the limit passes");
}

#[test]
fn messages_have_bounds_that_do_not_wait_for_their_end() {
    let limits = Limits::default().max_message(4);
    let mut server = open_with(limited(limits), "hixie-76");
    server.receive(b"\0four\xFF\x01four\xFF\0four\xFF");
    assert_eq!(events(&mut server), ["text four", "text four"]);
    for bytes in [b"\0fives", b"\x01fives"] {
        let (error, fed) = failure(limited(limits), "hixie-76", bytes);
        assert_eq!(error, ProtocolError::FrameTooBig { declared: 5, limit: 4 });
        assert_eq!(fed, 6);
    }
    let (error, _) = failure(limited(limits.max_frame(9)), "hixie-75", b"\0fives");
    assert_eq!(error, ProtocolError::MessageTooBig { declared: 5, limit: 4 });
}

#[test]
fn text_that_is_not_utf_8_fails_at_its_first_wrong_byte() {
    for version in ["hixie-75", "hixie-76"] {
        for (bytes, at) in [
            (&b"\0abc\x80def\xFF"[..], 5),
            (b"\0\xED\xA0\x80\xFF", 3),
            (b"\0\xF4\x90", 3),
            (b"\0caf\xC3\xFF", 6),
            (b"\0\xFE", 2),
        ] {
            let failed = failure(allowed(), version, bytes);
            assert_eq!(failed, (ProtocolError::InvalidText, at), "{bytes:?}");
        }
    }
}

#[test]
fn a_close_after_a_violation_does_not_hide_it() {
    for version in ["hixie-75", "hixie-76"] {
        let mut server = open(version);
        server.text("unwritten").unwrap();
        server.receive(b"\0\xFE");
        assert_eq!(events(&mut server), ["error peer sent a text message that is not utf-8"]);
        server.close(None);
        server.take_output();
        assert_eq!(events(&mut server), ["close 1007 "]);
    }
}

#[test]
fn an_end_within_a_frame_is_1006() {
    for bytes in [&b"\0cut"[..], b"\x80", b"\x80\x05ab", b"\x01x"] {
        let mut server = open("hixie-76");
        server.receive(bytes);
        server.end();
        assert_eq!(events(&mut server), ["close 1006 "]);
    }
}

/// A conversation from its first byte to its last, and what is told and sent of it.
fn conversation(version: &str) -> (Vec<u8>, Vec<String>, Vec<u8>) {
    let mut bytes = match version {
        "hixie-75" => HIXIE_75.as_bytes().to_vec(),
        _ => [HIXIE_76.as_bytes(), BODY].concat(),
    };
    // U+0000 and U+00FF, the latter in other bytes, are text like any other.
    bytes.extend("\0one\0\u{FF}".as_bytes());
    bytes.extend(b"\xFF\0\xFF\x80\x02\xFF\0\x05x\0\xFF\0");
    bytes.extend("né 漢字 🦀".as_bytes());
    bytes.extend(b"\xFF\x81\x00\0end\xFF");
    let mut told: Vec<String> =
        ["connect", "open", "text one\0\u{FF}", "text ", "text né 漢字 🦀", "text end"]
            .map(str::to_owned)
            .to_vec();
    let mut sent = answered(allowed(), &bytes).1;
    if version == "hixie-76" {
        bytes.extend(b"\xFF\0");
        sent.extend(b"\xFF\0");
        told.push("close 1005 ".into());
    } else {
        told.push("close 1006 ".into());
    }
    (bytes, told, sent)
}

fn in_pieces(version: &str, pieces: impl IntoIterator<Item = usize>) {
    let (bytes, expected, answer) = conversation(version);
    let mut server = Driver::server(allowed());
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    let mut rest = &bytes[..];
    for piece in pieces {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        server.receive(now);
        rest = later;
        told.extend(events(&mut server));
        sent.extend(server.take_output());
        told.extend(events(&mut server));
        if rest.is_empty() {
            break;
        }
    }
    assert!(rest.is_empty());
    server.end();
    told.extend(events(&mut server));
    assert_eq!((told, sent), (expected, answer), "{version}");
    assert_eq!(server.transport(), TransportUse::Close);
}

#[test]
fn a_conversation_is_the_same_byte_by_byte_and_cut_anywhere() {
    for version in ["hixie-75", "hixie-76"] {
        in_pieces(version, std::iter::repeat(1));
        for cut in 0..conversation(version).0.len() {
            in_pieces(version, [cut, usize::MAX]);
        }
    }
}

proptest! {
    #[test]
    fn a_conversation_is_the_same_in_any_pieces(
        pieces in prop::collection::vec(1..60_usize, 1..20),
    ) {
        for version in ["hixie-75", "hixie-76"] {
            in_pieces(version, pieces.iter().copied().cycle());
        }
    }

    #[test]
    fn whatever_a_client_sends_is_told_alike_in_any_pieces_and_ends(
        is_76 in any::<bool>(),
        bytes in prop::collection::vec(
            prop_oneof![Just(0), Just(0xFF), Just(0x80), Just(2), Just(b'a'), Just(0xC3), any::<u8>()],
            0..60,
        ),
        pieces in prop::collection::vec(1..9_usize, 1..9),
    ) {
        let limits = Limits::default().max_message(20);
        let mut outcomes = Vec::new();
        for pieces in [&pieces[..], &[usize::MAX]] {
            let mut server = open_with(limited(limits), if is_76 { "hixie-76" } else { "hixie-75" });
            let mut told = Vec::new();
            let mut rest = &bytes[..];
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                server.receive(now);
                rest = later;
                told.extend(events(&mut server));
                server.take_output();
                if rest.is_empty() {
                    break;
                }
            }
            server.end();
            told.extend(events(&mut server));
            prop_assert!(told.last().unwrap().starts_with("close "));
            prop_assert_eq!(server.transport(), TransportUse::Close);
            outcomes.push(told.into_iter().map(|it| match it.split_once(" of ") {
                // How much had come depends on the pieces.
                Some((start, _)) => start.to_owned(),
                None => it,
            }).collect::<Vec<_>>());
        }
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
    }
}
