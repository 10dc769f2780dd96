//! The WebSocket without I/O: every conversation in any chunking, and what is out of order.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use proptest::prelude::*;
use wse_transport::driver::{
    Driver, DriverError, DriverEvent, DriverOptions, DriverState, TransportUse,
};
use wse_transport::handshake::{HandshakeError, Rejection, is_websocket};
use wse_transport::ws::{CloseCode, CloseFrame, Config, Message, MisuseError, ProtocolError, Role};

use crate::support::driver::*;

const URL: &str = "ws://example.com/chat?room=7";

fn server() -> Driver {
    Driver::server(DriverOptions::default())
}

fn client() -> Driver {
    Driver::client(URL, DriverOptions::default()).unwrap()
}

/// Carries bytes both ways, in pieces, until nothing moves, and returns what each side was told.
fn converse(one: &mut Driver, other: &mut Driver, pieces: &[usize]) -> (Vec<String>, Vec<String>) {
    let mut told = (Vec::new(), Vec::new());
    let mut pieces = pieces.iter().copied().cycle();
    loop {
        told.0.extend(events(one));
        told.1.extend(events(other));
        let moved = carry(one, other, &mut told.1, &mut pieces)
            | carry(other, one, &mut told.0, &mut pieces);
        if !moved {
            told.0.extend(events(one));
            told.1.extend(events(other));
            return told;
        }
    }
}

/// Carries all bytes one way; returns whether there were any.
fn carry(
    from: &mut Driver,
    to: &mut Driver,
    told: &mut Vec<String>,
    pieces: &mut impl Iterator<Item = usize>,
) -> bool {
    let mut moved = false;
    while !from.output().is_empty() {
        let piece = pieces.next().unwrap().min(from.output().len());
        to.receive(&from.output()[..piece]);
        from.written(piece);
        told.extend(events(to));
        moved = true;
    }
    if from.transport() != TransportUse::Both {
        to.end();
    }
    moved
}

/// A request of one of the drafts.
fn draft(which: usize) -> String {
    let fields = [
        "",
        "Sec-WebSocket-Key1: 1 2\r\nSec-WebSocket-Key2: 3 4\r\n",
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ];
    let field = fields[which % fields.len()];
    format!("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n{field}\r\n")
}

/// A pair that has said hello.
fn open() -> (Driver, Driver) {
    let (mut client, mut server) = (client(), server());
    client.start().unwrap();
    let told = converse(&mut client, &mut server, &[usize::MAX]);
    assert_eq!(told, (vec!["open".into()], vec!["connect".into(), "open".into()]));
    (client, server)
}

proptest! {
    #[test]
    fn a_conversation_is_the_same_in_any_pieces(
        pieces in prop::collection::vec(1..200_usize, 1..20),
        sizes in prop::collection::vec(0..2000_usize, 1..6),
    ) {
        let (mut client, mut server) = (client(), server());
        client.start().unwrap();
        client.text("first").unwrap();
        server.text("welcome").unwrap();
        for size in &sizes {
            client.binary(vec![7; *size]).unwrap();
            server.text("é".repeat(*size)).unwrap();
        }
        client.ping("p", START).unwrap();
        let mut at_client: Vec<String> = vec!["open".into(), "text welcome".into()];
        let mut at_server: Vec<String> = vec!["connect".into(), "open".into(), "text first".into()];
        for size in &sizes {
            at_client.push(format!("text {}", "é".repeat(*size)));
            at_server.push(format!("binary {size}"));
        }
        let told = converse(&mut client, &mut server, &pieces);
        at_client.push("pong b\"p\" Some(0ns)".into());
        at_server.push("ping b\"p\"".into());
        // The pong overtakes what was not written, never what was.
        prop_assert_eq!(told.0.len(), at_client.len());
        prop_assert_eq!(&told.0[..2], &at_client[..2]);
        prop_assert_eq!(told.1, at_server);

        server.close(Some(CloseFrame::new(CloseCode::GOING_AWAY, "bye")));
        let told = converse(&mut client, &mut server, &pieces);
        prop_assert_eq!(told, (vec!["close 1001 bye".to_owned()], vec!["close 1001 bye".to_owned()]));
        prop_assert_eq!(client.transport(), TransportUse::Close);
        prop_assert_eq!(server.transport(), TransportUse::Close);
    }

    #[test]
    fn no_order_of_operations_panics(
        (is_server, drafts) in any::<(bool, bool)>(),
        operations in prop::collection::vec((0..13_u8, prop::collection::vec(any::<u8>(), 0..40)), 0..40),
    ) {
        let server = || Driver::server(DriverOptions::default().allow_drafts(drafts));
        let (mut driver, mut peer) = if is_server { (server(), client()) } else { (client(), server()) };
        if is_server && drafts {
            driver.receive(draft(operations.len()).as_bytes());
        }
        let mut now = START;
        let mut closed = 0;
        for (operation, bytes) in operations {
            match operation {
                0 => drop(driver.start()),
                1 => drop(peer.start()),
                2 => driver.receive(&bytes),
                3 => driver.receive(&peer.take_output()),
                4 => { peer.receive(&driver.take_output()); while peer.next_event(now).is_some() {} }
                5 => drop(driver.binary(bytes)),
                6 => drop(driver.ping(bytes, now)),
                7 => driver.close(Some(CloseFrame::new(CloseCode(u16::from(bytes.first().copied().unwrap_or(0)) * 20), ""))),
                8 => driver.end(),
                9 => now += Duration::from_secs(bytes.len() as u64),
                10 => driver.receive(draft(bytes.len()).as_bytes()),
                11 => drop(driver.reject(Rejection::new(StatusCode::FORBIDDEN, "no"))),
                _ => drop(peer.text("hi")),
            }
            while let Some(event) = driver.next_event(now) {
                prop_assert_eq!(closed, 0, "an event after the end: {:?}", event);
                if let DriverEvent::Close(_) = event {
                    closed += 1;
                }
            }
            let _ = (driver.transport(), driver.deadline(), driver.body(), driver.protocol());
        }
        // However it stands, it comes to an end.
        driver.end();
        driver.close(None);
        driver.take_output();
        for _ in 0..4 {
            now += Duration::from_secs(60);
            while let Some(event) = driver.next_event(now) {
                closed += usize::from(matches!(event, DriverEvent::Close(_)));
            }
            driver.take_output();
        }
        prop_assert_eq!(closed, 1);
        prop_assert_eq!(driver.state(), DriverState::Closed);
        prop_assert_eq!(driver.transport(), TransportUse::Close);
    }
}

#[test]
fn a_server_sees_the_request_and_the_client_the_response() {
    let mut server = Driver::server(DriverOptions::default().protocols(["mqtt", "wamp"]));
    let options = DriverOptions::default().protocols(["wamp", "mqtt"]);
    let mut client = Driver::client(URL, options).unwrap();
    client.set_header("X-Token", "42").unwrap();
    server.set_header("X-Node", "a1").unwrap();
    assert!(client.set_header("Sec-WebSocket-Key", "x").is_err());
    assert!(client.set_header("X", "a\r\nY: b").is_err());
    assert_eq!(server.start(), Err(MisuseError::NotReady));
    client.start().unwrap();
    assert_eq!(client.start(), Err(MisuseError::NotReady));

    server.receive(&client.take_output());
    assert!(matches!(server.next_event(START), Some(DriverEvent::Connect)));
    let request = server.request().unwrap();
    assert!(is_websocket(request));
    assert_eq!(
        (request.method().as_str(), request.uri().to_string()),
        ("GET", "/chat?room=7".into())
    );
    assert_eq!(request.headers()["x-token"], "42");
    assert_eq!(server.state(), DriverState::Connecting);
    server.start().unwrap();
    assert_eq!(server.start(), Err(MisuseError::NotReady));
    client.receive(&server.take_output());
    assert_eq!(events(&mut client), ["open"]);

    let response = client.response().unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["x-node"], "a1");
    // The server's own order decides.
    assert_eq!((client.protocol(), server.protocol()), (Some("mqtt"), Some("mqtt")));
    assert_eq!((client.version(), client.state()), ("hybi-13", DriverState::Open));
}

#[test]
fn a_request_parsed_elsewhere_is_answered_and_what_came_behind_it_is_read() {
    let mut client = client();
    client.start().unwrap();
    let (parts, ()) = client.request().unwrap().clone().into_parts();
    let request = Request::from_parts(parts, "a body of some kind");
    client.take_output();

    let mut server = Driver::from_request(&request, DriverOptions::default());
    server.start().unwrap();
    client.receive(&server.take_output());
    client.text("hi").unwrap();
    assert_eq!(events(&mut client), ["open"]);
    server.input().extend_from_slice(&client.take_output());
    assert_eq!(events(&mut server), ["open", "text hi"]);
}

#[test]
fn a_request_for_something_else_is_the_callers_with_its_body_so_far() {
    let mut server = server();
    server.receive(b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\na=1");
    assert!(matches!(server.next_event(START), Some(DriverEvent::Connect)));
    assert!(!is_websocket(server.request().unwrap()));
    assert_eq!(server.body(), b"a=1");
    server.receive(b"&b=2");
    assert_eq!(server.body(), b"a=1&b=2");
    assert!(server.output().is_empty());

    server.start().unwrap();
    assert!(server.output().starts_with(b"HTTP/1.1 405 "));
    assert_eq!(events(&mut server).len(), 2);
}

#[test]
fn a_refusal_has_any_status_and_waits_until_it_is_read() {
    let (mut client, mut server) = (client(), server());
    client.start().unwrap();
    server.receive(&client.take_output());
    assert!(matches!(server.next_event(START), Some(DriverEvent::Connect)));
    let retry = (HeaderName::from_static("retry-after"), HeaderValue::from_static("7"));
    let rejection = Rejection::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
    server.reject(rejection.header(retry.0, retry.1)).unwrap();
    assert_eq!(events(&mut server), ["error request rejected with 429: slow down", "close 1006 "]);
    assert_eq!(server.transport(), TransportUse::Both);
    let refusal = server.take_output();
    assert_eq!(server.transport(), TransportUse::ShutDownWrite);
    assert_eq!(server.text("x"), Err(MisuseError::Closed));

    client.receive(&refusal);
    let Some(DriverEvent::Error(DriverError::Handshake(HandshakeError::Refused(response)))) =
        client.next_event(START)
    else {
        panic!()
    };
    assert_eq!((response.status().as_u16(), &response.body()[..]), (429, &b"slow down"[..]));
    assert_eq!(client.response().unwrap().headers()["retry-after"], "7");
    assert_eq!(events(&mut client), ["close 1006 "]);
    assert_eq!(client.transport(), TransportUse::Close);

    let due = server.deadline().unwrap();
    assert_eq!(due - START, Config::default().close_timeout);
    assert!(server.next_event(due).is_none());
    assert_eq!(server.transport(), TransportUse::Close);
}

#[test]
fn what_is_no_head_is_refused_and_reported() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (bytes, status) in [("\x16\x03\x01\r\n\r\n", "400"), (&long, "414"), (&many, "431")] {
        let mut server = server();
        for byte in bytes.as_bytes() {
            server.receive(&[*byte]);
            if !events(&mut server).is_empty() {
                break;
            }
        }
        let output = String::from_utf8(server.take_output().to_vec()).unwrap();
        assert_eq!(&output[9..12], status, "{output}");
    }
    let mut client = client();
    client.start().unwrap();
    client.receive(b"SSH-2.0-OpenSSH_9\r\n\r\n");
    assert_eq!(events(&mut client), ["error head is malformed", "close 1006 "]);
}

#[test]
fn a_ping_is_matched_with_its_pong() {
    let (mut client, mut server) = open();
    client.ping("one", START).unwrap();
    client.ping("two", START + Duration::from_millis(10)).unwrap();
    server.receive(&client.take_output());
    // Both arrive before a pong can be written: only the latest is answered.
    server.text("busy").unwrap();
    assert_eq!(events(&mut server), ["ping b\"one\"", "ping b\"two\""]);
    client.receive(&server.take_output());
    client.receive(&server.take_output());
    let now = START + Duration::from_millis(35);
    assert!(matches!(client.next_event(now), Some(DriverEvent::Message(_))));
    let Some(DriverEvent::Pong { payload, latency }) = client.next_event(now) else { panic!() };
    assert_eq!((&payload[..], latency), (&b"two"[..], Some(Duration::from_millis(25))));
    assert!(client.next_event(now).is_none());

    server.send(Message::Pong(Bytes::from_static(b"one"))).unwrap();
    client.receive(&server.take_output());
    assert_eq!(events(&mut client), ["pong b\"one\" None"], "unsolicited");
    assert_eq!(client.ping(vec![0; 126], now), Err(MisuseError::ControlTooLong));
}

#[test]
fn a_violation_is_told_at_once_and_answered_with_its_code() {
    let (mut client, mut server) = open();
    server.receive(&[0x81, 0x01, b'a']); // not masked
    let Some(DriverEvent::Error(DriverError::Protocol(error))) = server.next_event(START) else {
        panic!()
    };
    assert_eq!(error, ProtocolError::Unmasked);
    assert_eq!((server.state(), server.transport()), (DriverState::Closing, TransportUse::Both));
    client.receive(&server.take_output());
    assert_eq!(events(&mut server), ["close 1002 "]);
    assert_eq!(server.transport(), TransportUse::ShutDownWrite);
    // The answer comes first.
    assert_eq!(events(&mut client), Vec::<String>::new());
    client.take_output();
    assert_eq!(events(&mut client), ["close 1002 frame without a mask"]);
    server.end();
    assert_eq!(events(&mut server), Vec::<String>::new());
    assert_eq!(server.transport(), TransportUse::Close);
}

#[test]
fn an_end_without_a_close_frame_is_1006_wherever_it_comes() {
    for cut in [0, 10, 200] {
        let (mut one, mut other) = (client(), server());
        one.start().unwrap();
        one.text("x".repeat(300)).unwrap();
        let head = one.take_output();
        if cut == 200 {
            other.receive(&head);
        } else {
            other.receive(&head[..cut]);
        }
        events(&mut other);
        other.end();
        let told = events(&mut other);
        assert_eq!(told.last().unwrap(), "close 1006 ", "{cut}");
        assert_eq!(other.transport(), TransportUse::Close);
    }
}

#[test]
fn handshakes_that_take_too_long_are_given_up() {
    let config = Config::default();
    let mut slow = server();
    slow.receive(b"GET / HTTP/1.1\r\n");
    assert!(slow.next_event(START).is_none());
    assert_eq!(slow.deadline(), Some(START + config.handshake_timeout));
    let late = slow.next_event(START + config.handshake_timeout);
    assert!(matches!(
        late,
        Some(DriverEvent::Error(DriverError::Handshake(HandshakeError::Timeout)))
    ));
    assert_eq!(events(&mut slow), ["close 1006 "]);

    let (mut client, _) = open();
    assert_eq!(client.deadline(), None);
    client.close(Some(CloseCode::NORMAL.into()));
    client.take_output();
    assert!(client.next_event(START).is_none());
    assert_eq!(client.text("late"), Err(MisuseError::Closed));
    let due = client.deadline().unwrap();
    assert!(client.next_event(due - Duration::from_millis(1)).is_none());
    let Some(DriverEvent::Close(frame)) = client.next_event(due) else { panic!() };
    assert_eq!(frame.code, CloseCode::ABNORMAL);
    assert_eq!((client.state(), client.transport()), (DriverState::Closed, TransportUse::Close));
}

#[test]
fn a_close_before_the_connection_is_open_ends_it_at_once() {
    let mut client = client();
    client.start().unwrap();
    client.text("never sent").unwrap();
    client.close(None);
    assert_eq!(events(&mut client), ["close 1006 "]);
    assert_eq!((client.state(), client.transport()), (DriverState::Closed, TransportUse::Close));
}

#[test]
fn a_driver_may_begin_behind_the_handshake() {
    let mut one = Driver::opened(Role::Client, DriverOptions::default());
    let mut other = Driver::opened(Role::Server, DriverOptions::default());
    one.text("hi").unwrap();
    other.receive(&one.take_output());
    assert_eq!(events(&mut other), ["text hi"]);
    one.close(None);
    let told = converse(&mut one, &mut other, &[3]);
    assert_eq!(told, (vec!["close 1005 ".to_owned()], vec!["close 1005 ".to_owned()]));
}

#[test]
fn a_page_of_another_host_is_refused() {
    let mut client = client();
    client.set_header(header::ORIGIN.as_str(), "https://evil.example").unwrap();
    client.start().unwrap();
    let mut server = server();
    server.receive(&client.take_output());
    let told = events(&mut server);
    assert_eq!(told[1], "error request rejected with 403: origin not allowed");
}
