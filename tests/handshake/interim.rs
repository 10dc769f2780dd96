//! Responses with a status of 1xx before the final one (RFC 9110 §15.2), in every dialogue of a client.

use std::time::Duration;

use bytes::BytesMut;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wse_transport::{
    connect_over,
    driver::{Driver, DriverEvent, DriverOptions},
    handshake::{
        ClientRequest, HandshakeError, HeadError, HeadLimits, ResponseError, Upgrade,
        encode_response, parse_request, read_response,
    },
    proxy::{Connect, Proxy, ProxyFailure, Step},
    ws::Config,
};

/// What may come before the final response.
const INTERIM: [&str; 5] = [
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n",
    "HTTP/1.1 199 Unheard\r\n\r\n",
];

/// More than a client takes.
fn endless() -> String {
    INTERIM[2].repeat(1 + 32 * 1024 / INTERIM[2].len())
}

/// The 101 to a request on the wire.
fn switching(request: &[u8]) -> BytesMut {
    let request = parse_request(request, &HeadLimits::default()).unwrap();
    let upgrade = Upgrade::from_request(&request).unwrap();
    encode_response(&upgrade.response(None, &HeaderMap::new()).unwrap(), "")
}

/// Connects to a server that sends `before`, and then its 101.
async fn connected(before: &str) -> Result<(), HandshakeError> {
    let (near, mut far) = duplex(64 * 1024);
    let server = async {
        let mut head = BytesMut::new();
        while !head.ends_with(b"\r\n\r\n") {
            far.read_buf(&mut head).await.unwrap();
        }
        far.write_all(before.as_bytes()).await.unwrap();
        let _ = far.write_all(&switching(&head)).await;
        far
    };
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let client = connect_over(&request, near, Config::default());
    tokio::join!(client, server).0.map(drop)
}

#[tokio::test]
async fn a_client_waits_for_the_final_response() {
    for before in INTERIM {
        connected(before).await.unwrap();
        // A refusal behind it is a refusal.
        let wire = format!("{before}HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
        match read_response(&mut wire.as_bytes(), &HeadLimits::default()).await {
            Err(HandshakeError::Refused(response)) => {
                assert_eq!((response.status().as_u16(), &response.body()[..]), (503, &b"busy"[..]));
            }
            other => panic!("{other:?}"),
        }
    }
    match connected(&endless()).await {
        Err(HandshakeError::Response(ResponseError::Head(HeadError::TooLong))) => {}
        other => panic!("{other:?}"),
    }
    // Only servers ignore empty lines.
    match connected("\r\n").await {
        Err(HandshakeError::Response(ResponseError::Head(HeadError::Malformed))) => {}
        other => panic!("{other:?}"),
    }
}

/// What a driver makes of `before` and a 101, in pieces of this length.
fn driven(before: &str, piece: usize) -> DriverEvent {
    let mut driver = Driver::client("ws://example.com/", DriverOptions::default()).unwrap();
    driver.start().unwrap();
    let mut wire = BytesMut::from(before);
    wire.extend_from_slice(&switching(&driver.take_output()));
    for piece in wire.chunks(piece) {
        driver.receive(piece);
        if let Some(event) = driver.next_event(Duration::ZERO) {
            return event;
        }
    }
    panic!("no event")
}

#[test]
fn a_driver_waits_for_the_final_response() {
    for before in INTERIM {
        for piece in [1, 7, usize::MAX] {
            let event = driven(before, piece);
            assert!(matches!(event, DriverEvent::Open), "{before:?}: {event:?}");
        }
    }
    let event = driven(&endless(), 100);
    assert!(matches!(event, DriverEvent::Error(_)), "{event:?}");
}

#[test]
fn a_tunnel_waits_for_the_final_response() {
    let asked = |wire: &str, piece: usize| {
        let proxy = Proxy::new("http://proxy.example").unwrap();
        let mut connect = Connect::new(&proxy, "example.com", 443).unwrap();
        let mut received = BytesMut::new();
        connect.step(&mut received).unwrap();
        for piece in wire.as_bytes().chunks(piece) {
            received.extend_from_slice(piece);
            let step = connect.step(&mut received)?;
            if step != Step::Receive {
                return Ok(step);
            }
        }
        Ok::<_, ProxyFailure>(Step::Receive)
    };
    for before in INTERIM {
        for piece in [1, 7, usize::MAX] {
            let open = asked(&format!("{before}HTTP/1.1 200 OK\r\n\r\n"), piece);
            assert_eq!(open.unwrap(), Step::Open, "{before:?}");
            let refused = asked(&format!("{before}HTTP/1.1 101 No\r\n\r\n"), piece);
            assert!(matches!(refused, Err(ProxyFailure::Refused(_))), "{refused:?}");
        }
    }
    let failed = asked(&endless(), 100);
    assert!(matches!(failed, Err(ProxyFailure::Head(HeadError::TooLong))), "{failed:?}");
}
