//! The opening handshake, from both sides (RFC 6455 §4).

use std::time::Duration;

use crate::support::ws::*;
use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
    time::Instant,
};
use wse_transport::{
    handshake::{
        ClientRequest, Forwarded, HandshakeError, HeadError, HeadLimits, HeadScanner, OriginPolicy,
        Rejection, RequestError, ResponseError, Upgrade, accept_key, encode_request,
        encode_response, read_request, read_response,
    },
    ws::{Config, Message, Role, WebSocket},
};

/// The key of RFC 6455 §1.3.
const NONCE: [u8; 16] = *b"the sample nonce";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const GOOD: &[&str] = &[
    "GET /chat?x=1 HTTP/1.1",
    "Host: example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// [`GOOD`] with line `at` replaced by `lines`, which may be none.
fn with(at: usize, lines: &str) -> String {
    let mut head = String::new();
    for (n, line) in GOOD.iter().enumerate() {
        if n == at {
            head.push_str(lines);
        } else {
            head.push_str(line);
        }
        if n != at || !lines.is_empty() {
            head.push_str("\r\n");
        }
    }
    head + "\r\n"
}

/// [`GOOD`] with more lines.
fn plus(lines: &str) -> String {
    with(5, &format!("{}\r\n{lines}", GOOD[5]))
}

async fn read(head: &[u8]) -> Result<(Request<()>, BytesMut), HandshakeError> {
    read_request(&mut &*head, &HeadLimits::default()).await
}

async fn upgrade(head: &str) -> Result<Upgrade, Rejection> {
    match read(head.as_bytes()).await {
        Ok((request, _)) => Upgrade::from_request(&request),
        Err(HandshakeError::Rejected(rejection)) => Err(rejection),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn the_accept_value_of_the_rfc() {
    assert_eq!(accept_key(KEY), ACCEPT);
}

#[tokio::test]
async fn good_requests_are_upgraded() {
    let good = [
        with(99, ""),
        with(1, "host: [::1]:8080"),
        with(2, "upgrade: WebSocket"),
        with(2, "Upgrade: h2c, websocket"),
        with(2, "Upgrade: h2c\r\nUpgrade: websocket"),
        with(3, "Connection: keep-alive, Upgrade"),
        with(3, "Connection: keep-alive\r\nconnection: upgrade"),
        with(4, "Sec-WebSocket-Key:   AAAAAAAAAAAAAAAAAAAAAA==  "),
        plus("Content-Length: 0"),
        plus("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
        plus("X-Latin: caf\u{e9}"),
    ];
    for head in good {
        assert!(upgrade(&head).await.is_ok(), "{head}");
    }
    let upgrade = upgrade(&with(99, "")).await.unwrap();
    assert_eq!((upgrade.key(), upgrade.accept().as_deref()), (Some(KEY), Some(ACCEPT)));
}

#[tokio::test]
async fn bad_requests_are_rejected_with_their_status() {
    let long = "x".repeat(8 * 1024);
    let many = "A: b\r\n".repeat(124);
    let wide = format!("A: {}\r\n", "x".repeat(8000)).repeat(5);
    let table: Vec<(String, u16)> = vec![
        (with(0, "POST / HTTP/1.1"), 405),
        (with(0, "get / HTTP/1.1"), 405),
        (with(0, "GET / HTTP/1.0"), 505),
        (with(0, "GET / HTTP/2.0"), 400),
        (with(0, "GET  / HTTP/1.1"), 400),
        (with(0, "GET /\u{7f} HTTP/1.1"), 400),
        (with(0, "hello"), 400),
        (with(0, ""), 400),
        (with(0, &format!("GET /{long} HTTP/1.1")), 414),
        (with(1, ""), 400),
        (with(1, "Host:"), 400),
        (with(1, "Host: a\r\nHost: b"), 400),
        (with(1, "Host : a"), 400),
        (with(1, "Host: a\r\n folded"), 400),
        (with(1, "Host: a\nX: b"), 400),
        (with(1, "Host: a\0b"), 400),
        (with(1, "Host"), 400),
        (with(1, "Host: me@example.com"), 400),
        (with(1, "Host: example.com/x"), 400),
        (with(1, "Host: example.com:80:80"), 400),
        (with(1, "Host: a b"), 400),
        (with(1, &format!("Host: {}", "a".repeat(1025))), 400),
        (with(0, "GET ws://me@example.com/ HTTP/1.1"), 400),
        (with(2, ""), 426),
        (with(2, "Upgrade: websockets"), 426),
        (with(3, ""), 426),
        (with(3, "Connection: keep-alive"), 426),
        (with(4, ""), 400),
        (with(4, "Sec-WebSocket-Key:"), 400),
        (with(4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), 400),
        (with(4, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), 400),
        (with(4, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"), 400),
        (with(4, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400),
        (plus("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
        (with(5, ""), 426),
        (with(5, "Sec-WebSocket-Version: 8"), 426),
        (with(5, "Sec-WebSocket-Version: 13, 8"), 426),
        (plus("Sec-WebSocket-Version: 13"), 400),
        (plus("Sec-WebSocket-Protocol: a b"), 400),
        (plus("Sec-WebSocket-Protocol: a, a"), 400),
        (plus("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a"), 400),
        (plus("Content-Length: 5"), 400),
        (plus("Content-Length: 0\r\nContent-Length: 0"), 400),
        (plus("Transfer-Encoding: chunked"), 400),
        (plus(&format!("X: {long}")), 431),
        (plus(many.trim_end()), 431),
        (plus(wide.trim_end()), 431),
    ];
    for (head, status) in table {
        let short: String = head.chars().take(300).collect();
        let rejection = upgrade(&head).await.expect_err(&short);
        assert_eq!(rejection.status().as_u16(), status, "{short}");
        let response = rejection.to_response();
        assert_eq!(response.headers().contains_key("allow"), status == 405);
        assert_eq!(response.headers().contains_key("upgrade"), status == 426);
        assert_eq!(response.headers().contains_key("sec-websocket-version"), status == 426);
        assert_eq!(response.headers()["content-length"], response.body().len().to_string());
    }
}

#[tokio::test]
async fn limits_of_the_head_hold_exactly() {
    let line = |len: usize| plus(&format!("X: {}", "x".repeat(len - 3)));
    assert!(upgrade(&line(8192)).await.is_ok());
    assert_eq!(upgrade(&line(8193)).await.unwrap_err().status(), 431);
    let target = |len: usize| with(0, &format!("GET /{} HTTP/1.1", "x".repeat(len - 14)));
    assert!(upgrade(&target(8192)).await.is_ok());
    assert_eq!(upgrade(&target(8193)).await.unwrap_err().status(), 414);
    let fields = |n: usize| plus("A: b\r\n".repeat(n - 5).trim_end());
    assert!(upgrade(&fields(128)).await.is_ok());
    assert_eq!(upgrade(&fields(129)).await.unwrap_err().status(), 431);
}

#[tokio::test]
async fn an_endless_line_is_refused_while_it_arrives() {
    let mut endless = tokio::io::repeat(b'x');
    let found = read_request(&mut endless, &HeadLimits::default()).await;
    assert!(matches!(found, Err(HandshakeError::Rejected(it)) if it.status() == 414));
    let found = read_response(&mut endless, &HeadLimits::default()).await;
    let expected = HeadError::FirstLineTooLong;
    assert!(
        matches!(found, Err(HandshakeError::Response(ResponseError::Head(it))) if it == expected)
    );
}

#[tokio::test]
async fn heads_may_arrive_byte_by_byte_and_end_early() {
    let head = with(99, "") + "frames";
    let (mut near, mut far) = duplex(1);
    let sending = async {
        far.write_all(head.as_bytes()).await.unwrap();
        far
    };
    let limits = HeadLimits::default();
    let reading = async {
        let found = read_request(&mut near, &limits).await.unwrap();
        let mut rest = [0; 6];
        near.read_exact(&mut rest[found.1.len()..]).await.unwrap();
        found
    };
    let (_far, (request, _)) = futures::join!(sending, reading);
    assert_eq!(request.uri(), "/chat?x=1");
    for cut in [0, 1, 50, head.len() - 8] {
        assert!(matches!(read(&head.as_bytes()[..cut]).await, Err(HandshakeError::Io(_))));
    }
}

#[tokio::test]
async fn subprotocols_come_in_order_over_all_headers() {
    let head = plus("Sec-WebSocket-Protocol: c, b\r\nsec-websocket-protocol: a");
    let upgrade = upgrade(&head).await.unwrap();
    assert_eq!(upgrade.subprotocols(), ["c", "b", "a"]);

    let mut extra = HeaderMap::new();
    extra.append("set-cookie", HeaderValue::from_static("a=1"));
    extra.append("set-cookie", HeaderValue::from_static("b=2"));
    let response = upgrade.response(Some("b"), &extra).unwrap();
    let wire = encode_response(&response, "");
    let wire = std::str::from_utf8(&wire).unwrap();
    assert!(wire.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    assert!(wire.contains(&format!("sec-websocket-accept: {ACCEPT}\r\n")));
    assert!(wire.contains("sec-websocket-protocol: b\r\n"));
    assert_eq!(wire.matches("set-cookie").count(), 2);
    assert!(wire.ends_with("\r\n\r\n"));

    let unknown = upgrade.response(Some("d"), &HeaderMap::new());
    assert_eq!(unknown.unwrap_err(), ResponseError::SubprotocolNotOffered("d".into()));
    for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
        let name = HeaderName::from_static(name);
        let extra = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("x"))]);
        let refused = upgrade.response(None, &extra);
        assert_eq!(refused.unwrap_err(), ResponseError::ReservedHeader(name));
    }
}

#[test]
fn origins() {
    let list = OriginPolicy::List(vec!["https://app.example.com".into()]);
    let table = [
        // policy, Host, Origin, allowed
        (&OriginPolicy::SameHost, "example.com", None, true),
        (&OriginPolicy::SameHost, "example.com", Some("https://example.com"), true),
        (&OriginPolicy::SameHost, "Example.COM", Some("http://example.com"), true),
        (&OriginPolicy::SameHost, "example.com:443", Some("https://example.com"), true),
        (&OriginPolicy::SameHost, "localhost:3000", Some("http://localhost:3000"), true),
        (&OriginPolicy::SameHost, "[::1]:80", Some("http://[::1]"), true),
        (&OriginPolicy::SameHost, "localhost:3000", Some("http://localhost:3001"), false),
        (&OriginPolicy::SameHost, "example.com", Some("https://evil.com"), false),
        (&OriginPolicy::SameHost, "example.com", Some("https://example.com.evil.com"), false),
        (&OriginPolicy::SameHost, "example.com", Some("null"), false),
        (&OriginPolicy::SameHost, "example.com", Some("file://"), false),
        (&OriginPolicy::SameHost, "example.com", Some(""), false),
        (&OriginPolicy::SameHost, "example.com", Some("https://example.com/x"), false),
        (&OriginPolicy::SameHost, "example.com", Some("https://me@example.com"), false),
        (&OriginPolicy::SameHost, "example.com", Some("https://example.com?x"), false),
        (&OriginPolicy::SameHost, "x@example.com", Some("https://example.com"), false),
        (&OriginPolicy::SameHost, "example.com/x", Some("https://example.com"), false),
        (&OriginPolicy::SameHost, "example.com", Some("chrome-extension://example.com"), false),
        (&list, "x", Some("https://app.example.com"), true),
        (&list, "x", Some("https://app.example.com:8443"), false),
        (&list, "x", Some("http://app.example.com"), false),
        (&list, "x", None, true),
        (&OriginPolicy::Any, "x", Some("https://evil.com"), true),
    ];
    for (policy, host, origin, allowed) in table {
        let mut request = Request::builder().header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let found = policy.check(&request.body(()).unwrap());
        assert_eq!(found.is_ok(), allowed, "{policy:?} {host} {origin:?}");
        assert!(found.is_ok() || found.unwrap_err().status() == 403);
    }
    let twice = Request::builder().header("origin", "a").header("origin", "b").body(()).unwrap();
    assert!(OriginPolicy::SameHost.check(&twice).is_err());
}

#[test]
fn a_refused_origin_is_explained() {
    let body = |policy: &OriginPolicy, host: &str, origin: &str, forwarded: Option<&str>| {
        let request = Request::builder().header("host", host).header("origin", origin);
        let request = request.body(()).unwrap();
        let mut found = Forwarded::default();
        found.host = forwarded.map(str::to_owned);
        let rejection = policy.check_forwarded(&request, &found).unwrap_err();
        assert_eq!(rejection.to_string(), "request rejected with 403: origin not allowed");
        assert_eq!(rejection.to_response().headers()["content-type"], "text/plain; charset=utf-8");
        String::from_utf8(rejection.body().to_vec()).unwrap()
    };
    // What nginx's usual snippet makes of a request for app.example, and `$host` of a port.
    let same = &OriginPolicy::SameHost;
    for (host, origin) in
        [("backend:4200", "https://app.example"), ("app.example", "https://app.example:8443")]
    {
        let text = body(same, host, origin, None);
        assert!(text.contains(&format!("Origin is {origin}, and Host is {host}.")), "{text}");
        for advice in ["$http_host", "ProxyPreserveHost On", "X-Forwarded-Host"] {
            assert!(text.contains(advice), "{text}");
        }
    }
    let text = body(same, "backend", "https://app.example", Some("other.example"));
    let expected =
        "Origin is https://app.example, and the host that the proxy forwards is other.example.";
    assert!(text.contains(expected), "{text}");
    let list = &OriginPolicy::List(vec!["https://app.example".into()]);
    let text = body(list, "app.example", "null", None);
    assert!(text.contains("Origin is null, which is not in this server's list"), "{text}");
    // What the peer sent is cut, and harms no terminal.
    let text = body(same, "a", &"x".repeat(5000), None);
    assert!(text.len() < 1000 && text.contains("xxx…, "), "{text}");
    let text = body(same, "a", "\t\"<b>\\", None);
    assert!(text.contains(r#"\"<b>\\"#) && !text.contains('\t'), "{text}");

    let twice = Request::builder().header("origin", "a").header("origin", "b").body(()).unwrap();
    let rejection = same.check(&twice).unwrap_err();
    assert!(String::from_utf8_lossy(rejection.body()).contains("Origin is repeated"));
}

#[test]
fn client_requests() {
    let table = [
        // URL, Host, target, where to connect
        ("ws://example.com", "example.com", "/", ("example.com", 80)),
        ("ws://example.com:80/", "example.com", "/", ("example.com", 80)),
        ("ws://example.com:81?a=b", "example.com:81", "/?a=b", ("example.com", 81)),
        ("ws://127.0.0.1:9001/x/y?z", "127.0.0.1:9001", "/x/y?z", ("127.0.0.1", 9001)),
        ("ws://[::1]:9001/", "[::1]:9001", "/", ("::1", 9001)),
        ("wss://example.com", "example.com", "/", ("example.com", 443)),
        ("wss://example.com:443/", "example.com", "/", ("example.com", 443)),
        ("wss://example.com:80/", "example.com:80", "/", ("example.com", 80)),
        ("ws://example.com:443/", "example.com:443", "/", ("example.com", 443)),
        ("WS://EXAMPLE.com/ä b", "example.com", "/%C3%A4%20b", ("example.com", 80)),
    ];
    for (url, host, target, address) in table {
        let client = ClientRequest::new(url).unwrap();
        assert_eq!((client.host(), client.port()), address);
        let request = client.build(NONCE);
        assert_eq!(request.headers()["host"], host);
        assert_eq!(request.uri(), target);
        assert_eq!(request.headers()["sec-websocket-key"], KEY);
        // what we build, we accept
        assert!(Upgrade::from_request(&request).is_ok());
        let wire = encode_request(&request);
        assert!(wire.starts_with(format!("GET {target} HTTP/1.1\r\n").as_bytes()));
    }
    assert!(ClientRequest::new("wss://a").unwrap().is_secure());
    assert!(!ClientRequest::new("ws://a:443").unwrap().is_secure());
    let client = ClientRequest::new("ws://me:s%3Ae%20c@h/").unwrap();
    // base64 of "me:s:e c"
    assert_eq!(client.build(NONCE).headers()["authorization"], "Basic bWU6czplIGM=");
}

/// RFC 9112 §3.2.1: an empty path is written as "/".
#[test]
fn a_target_without_a_path_is_written_with_one() {
    for (uri, target) in [
        ("http://h?a=b", "/?a=b"),
        ("http://h", "/"),
        ("http://h/x?a", "/x?a"),
        ("/?", "/?"),
        ("*", "*"),
    ] {
        let wire = encode_request(&Request::get(uri).body(()).unwrap());
        assert!(wire.starts_with(format!("GET {target} HTTP/1.1\r\n").as_bytes()), "{uri}");
    }
}

#[test]
fn what_is_no_text_is_no_head() {
    let scan = |input: &[u8]| HeadScanner::default().scan(input, &HeadLimits::default());
    // The first byte of a TLS handshake and of a TLS alert, with no end of a line behind it.
    assert_eq!(scan(&[0x16]), Err(HeadError::Malformed));
    assert_eq!(scan(&[0x15, 3, 3]), Err(HeadError::Malformed));
    for begun in [&b""[..], b"\r", b"G", b"h"] {
        assert_eq!(scan(begun), Ok(None));
    }
}

#[test]
fn bad_client_requests() {
    let new = |url: &str| ClientRequest::new(url).map(drop).unwrap_err();
    assert_eq!(new("http://a"), RequestError::Scheme("http".into()));
    assert_eq!(new("ws://a/#b"), RequestError::Fragment);
    assert_eq!(new(&format!("ws://a/{}", "x".repeat(70_000))), RequestError::Target);
    assert!(matches!(new("ws://"), RequestError::Url(_)));
    assert!(matches!(new("a"), RequestError::Url(_)));

    let client = || ClientRequest::new("ws://a").unwrap();
    for name in ["", "a b", "a,b", "a\r\nb", "ä"] {
        let error = client().subprotocol(name).map(drop).unwrap_err();
        assert_eq!(error, RequestError::Subprotocol(name.into()));
    }
    assert!(client().subprotocol("a").and_then(|it| it.subprotocol("a")).is_err());
    for name in ["Host", "upgrade", "Connection", "Sec-WebSocket-Key", "Content-Length"] {
        let error = client().header(name, "x").map(drop).unwrap_err();
        assert!(matches!(error, RequestError::ReservedHeader(_)));
    }
    for (name, value) in
        [("X", "a\r\nY: b"), ("X", "a\nb"), ("X\r\n", "a"), ("X Y", "a"), ("", "a")]
    {
        let error = client().header(name, value).map(drop).unwrap_err();
        assert!(matches!(error, RequestError::MalformedHeader(_)));
    }
    assert_eq!(
        client().header("Origin", "http://a").unwrap().build(NONCE).headers()["origin"],
        "http://a"
    );
}

#[tokio::test]
async fn responses_are_verified() {
    use ResponseError as E;
    let good = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: WebSocket",
        "Connection: upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: a",
    ];
    type Row<'a> = (usize, &'a str, Result<Option<&'a str>, ResponseError>);
    let table: Vec<Row<'_>> = vec![
        (99, "", Ok(Some("a"))),
        (0, "HTTP/1.1 101", Ok(Some("a"))),
        (4, "sec-websocket-protocol: b", Ok(Some("b"))),
        (0, "HTTP/1.0 101 Switching", Err(E::Version)),
        (1, "X: y", Err(E::Upgrade)),
        (1, "Upgrade: h2c", Err(E::Upgrade)),
        (2, "X: y", Err(E::Connection)),
        (2, "Connection: close", Err(E::Connection)),
        (3, "X: y", Err(E::AcceptMismatch)),
        (3, "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Err(E::AcceptMismatch)),
        (4, "Sec-WebSocket-Protocol: c", Err(E::SubprotocolNotOffered("c".into()))),
        (4, "Sec-WebSocket-Protocol: a, b", Err(E::SubprotocolNotOffered("a, b".into()))),
        (4, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b", Err(E::SubprotocolMalformed)),
        (4, "X: y", Err(E::SubprotocolMissing)),
        (
            4,
            "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: permessage-deflate",
            Err(E::ExtensionNotOffered),
        ),
        (0, "HTTP/1.1 1o1 Switching", Err(E::Head(HeadError::Malformed))),
        (0, "ICY 101 OK", Err(E::Head(HeadError::Malformed))),
        (1, "Upgrade websocket", Err(E::Head(HeadError::Malformed))),
    ];
    let offer = ClientRequest::new("ws://h").unwrap();
    let offer = offer.subprotocol("a").unwrap().subprotocol("b").unwrap();
    for (at, line, expected) in table {
        let mut head = String::new();
        for (n, good) in good.iter().enumerate() {
            head += if n == at { line } else { good };
            head += "\r\n";
        }
        head += "\r\n";
        let found = match read_response(&mut head.as_bytes(), &HeadLimits::default()).await {
            Ok((response, _)) => offer.verify(NONCE, &response),
            Err(HandshakeError::Response(error)) => Err(error),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(found, expected.map(|it| it.map(str::to_owned)), "{head}");
    }

    let none =
        Upgrade::from_request(&offer.build(NONCE)).unwrap().response(None, &HeaderMap::new());
    let lenient = offer.clone().require_subprotocol(false);
    assert_eq!(lenient.verify(NONCE, none.as_ref().unwrap()), Ok(None));
    assert_eq!(offer.verify(NONCE, none.as_ref().unwrap()), Err(E::SubprotocolMissing));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_carries_status_headers_and_some_of_the_body() {
    let (mut near, mut far) = duplex(100_000);
    let body = "x".repeat(5000);
    far.write_all(format!("HTTP/1.1 403 Forbidden\r\nX-Why: no\r\n\r\n{body}").as_bytes())
        .await
        .unwrap();
    // The connection stays open, and the body has no declared end.
    match read_response(&mut near, &HeadLimits::default()).await {
        Err(HandshakeError::Refused(response)) => {
            assert_eq!(response.status(), 403);
            assert_eq!(response.headers()["x-why"], "no");
            assert_eq!(response.body().len(), 4096);
        }
        other => panic!("{other:?}"),
    }
    let (mut near, mut far) = duplex(1000);
    far.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone").await.unwrap();
    let start = Instant::now();
    let found = read_response(&mut near, &HeadLimits::default()).await;
    assert!(matches!(found, Err(HandshakeError::Refused(it)) if it.body() == "gone"));
    assert_eq!(start.elapsed(), Duration::ZERO);
    // a body that never comes is not waited for long
    far.write_all(b"HTTP/1.1 302 Found\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    let found = read_response(&mut near, &HeadLimits::default()).await;
    assert!(matches!(found, Err(HandshakeError::Refused(it)) if it.body().is_empty()));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test]
async fn the_first_frame_may_come_with_the_101() {
    let mut wire = BytesMut::from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    wire.extend_from_slice(&bytes(Role::Server, text("early")));
    let (mut near, mut far) = duplex(1000);
    far.write_all(&wire).await.unwrap();
    let (response, leftover) = read_response(&mut near, &HeadLimits::default()).await.unwrap();
    ClientRequest::new("ws://h").unwrap().verify(NONCE, &response).unwrap();
    let mut client = WebSocket::with_leftover(near, leftover, Role::Client, Config::default());
    assert_eq!(recv(&mut client).await, Some(Message::text("early")));
}

async fn answer(mut far: DuplexStream, request: String) -> String {
    far.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn accept_answers_whom_it_refuses() {
    for (request, status) in [
        (plus("Origin: https://evil.com"), "HTTP/1.1 403 Forbidden\r\n"),
        (with(5, ""), "HTTP/1.1 426 Upgrade Required\r\n"),
        (String::from("hello\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n"),
    ] {
        let (near, far) = duplex(10_000);
        let (accepted, answer) =
            futures::join!(wse_transport::accept(near, Config::default()), answer(far, request));
        assert!(matches!(accepted, Err(HandshakeError::Rejected(_))));
        assert!(answer.starts_with(status), "{answer}");
        assert!(answer.contains("connection: close\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn accept_is_bounded_in_time() {
    let (near, _far) = duplex(100);
    let start = Instant::now();
    let found = wse_transport::accept(near, Config::default()).await;
    assert!(matches!(found, Err(HandshakeError::Timeout)));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test]
async fn connect_and_accept_find_each_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/room?x=1", listener.local_addr().unwrap());
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let decide =
            |upgrade: &Upgrade, _: &Request<()>| Ok(upgrade.subprotocols().last().cloned());
        let (mut server, request) =
            wse_transport::accept_with(stream, Config::default(), decide).await.unwrap();
        assert_eq!(request.uri(), "/room?x=1");
        server.send(Message::text("hello")).await.unwrap();
        while server.next().await.is_some() {}
    };
    let calling = async {
        let request = ClientRequest::new(&url).unwrap();
        let request = request.subprotocol("a").unwrap().subprotocol("b").unwrap();
        let (mut client, response) =
            wse_transport::connect_with(&request, Config::default()).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "b");
        assert!(client.get_ref().tcp().nodelay().unwrap());
        let hello = client.next().await.unwrap().unwrap();
        assert_eq!(hello, Message::text("hello"));
        SinkExt::close(&mut client).await.unwrap();
    };
    futures::join!(serving, calling);
}
