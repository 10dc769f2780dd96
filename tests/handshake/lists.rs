//! Fields that are lists (RFC 9110 §5.6.1), the origins and hosts that are compared, and what may stand before a head.

use bytes::BytesMut;
use http::Request;
use wse_transport::{
    driver::{Driver, DriverEvent, DriverOptions},
    handshake::{
        HandshakeError, HeadError, HeadLimits, HeadScanner, OriginPolicy, Rejection, Upgrade,
        is_websocket, read_request,
    },
    sse::{self, Wanted},
    ws::Deflate,
};

const FIELDS: &str = "Host: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn request(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\n{FIELDS}{fields}\r\n")
}

async fn read(head: &str) -> Result<Request<()>, Rejection> {
    match read_request(&mut head.as_bytes(), &HeadLimits::default()).await {
        Ok((request, _)) => Ok(request),
        Err(HandshakeError::Rejected(rejection)) => Err(rejection),
        Err(error) => panic!("{error:?}"),
    }
}

async fn upgrade(fields: &str) -> Result<Upgrade, Rejection> {
    read(&request(fields)).await.and_then(|request| Upgrade::from_request(&request))
}

/// RFC 9110 §5.6.1.2: a recipient MUST parse and ignore a reasonable number of empty list elements.
#[tokio::test]
async fn empty_elements_of_lists_are_ignored() {
    let none: &[&str] = &[];
    let cases = [
        ("Sec-WebSocket-Protocol: chat,\r\n", &["chat"][..]),
        ("Sec-WebSocket-Protocol: ,chat\r\n", &["chat"]),
        ("Sec-WebSocket-Protocol: chat,, superchat\r\n", &["chat", "superchat"]),
        ("Sec-WebSocket-Protocol: ,\t, chat ,\t,superchat , ,\r\n", &["chat", "superchat"]),
        ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol:\r\n", &["a"]),
        ("Sec-WebSocket-Protocol:\r\n", none),
        ("Sec-WebSocket-Protocol: ,,\r\n", none),
    ];
    for (fields, expected) in cases {
        assert_eq!(upgrade(fields).await.unwrap().subprotocols(), expected, "{fields}");
    }
    for bad in ["a b", "a, b c", "a;b", "a,,a", "a/b", "\"a\""] {
        let rejection = upgrade(&format!("Sec-WebSocket-Protocol: {bad}\r\n")).await.unwrap_err();
        assert_eq!(rejection.status(), 400, "{bad}");
    }

    for lists in [
        "Upgrade: ,websocket\r\nConnection: Upgrade,",
        "Upgrade: websocket,, h2c\r\nConnection: ,, upgrade",
    ] {
        let head = request("").replace("Upgrade: websocket\r\nConnection: Upgrade", lists);
        let request = read(&head).await.unwrap();
        assert!(is_websocket(&request) && Upgrade::from_request(&request).is_ok(), "{lists}");
        assert_eq!(Wanted::of(&request), Wanted::WebSocket);
    }

    let offer = "Sec-WebSocket-Extensions: ,, permessage-deflate; client_max_window_bits,\r\n";
    let request = read(&request(offer)).await.unwrap();
    let agreed = Upgrade::from_request(&request).unwrap().deflate(&Deflate::default(), &request);
    assert!(agreed.unwrap().is_some());
}

/// A comma in a quoted string does not separate (RFC 9110 §5.6.4).
#[tokio::test]
async fn quoted_commas_do_not_separate() {
    for (accept, wanted) in [
        ("text/html, ,text/event-stream", true),
        (r#"text/html;p="a, b", text/event-stream"#, true),
        (r#"text/html;p="a, text/event-stream""#, false),
        (r#"text/html;p="\", text/event-stream, ""#, false),
        (r#"text/event-stream;p="a,b";q=0"#, false),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n");
        assert_eq!(sse::is_event_source(&read(&head).await.unwrap()), wanted, "{accept}");
    }
}

/// 64 subprotocols are offered at most.
#[tokio::test]
async fn offers_are_bounded() {
    let names = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>();
    let offer = |count| format!("Sec-WebSocket-Protocol: {}\r\n", names(count).join(",,"));
    assert_eq!(upgrade(&offer(64)).await.unwrap().subprotocols(), names(64));
    let rejection = upgrade(&offer(65)).await.unwrap_err();
    assert_eq!(
        (rejection.status().as_u16(), rejection.body()),
        (400, &b"Sec-WebSocket-Protocol offers more than 64 subprotocols"[..],)
    );
    let deflated = |names: Vec<String>| async move {
        let field = format!("Sec-WebSocket-Extensions: {}\r\n", names.join(", "));
        let request = read(&request(&field)).await.unwrap();
        Upgrade::from_request(&request).unwrap().deflate(&Deflate::default(), &request)
    };
    assert!(deflated(names(64)).await.is_ok());
    assert_eq!(deflated(names(65)).await.unwrap_err().status(), 400);
    let params = |count| vec![format!("a; {}", names(count).join("; "))];
    assert!(deflated(params(32)).await.is_ok());
    assert_eq!(deflated(params(33)).await.unwrap_err().status(), 400);
}

/// Both sides of the comparison are written as browsers write origins.
#[tokio::test]
async fn origins_of_a_list_are_normalised_on_both_sides() {
    let id = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";
    let cases = [
        // an entry of the list, what browsers send for it, and what they do not
        ("file://", "file://", "null"),
        ("file:///", "file://", "https://file"),
        ("https://a.example:443", "https://a.example", "http://a.example"),
        ("https://a.example", "https://a.example:443", "https://a.example:80"),
        ("http://a.example:80/", "http://a.example", "https://a.example"),
        ("HTTPS://A.Example/", "https://a.example", "https://b.a.example"),
        ("https://a.example:8443", "https://a.example:8443", "https://a.example"),
        ("https://a.example/app?x#y", "https://a.example", "https://a.example/app"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example", "https://bcher.example"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]", "http://[::2]"),
        ("http://127.1", "http://127.0.0.1", "http://127.0.0.2"),
        (id, id, "chrome-extension://bbcdefghijklmnopabcdefghijklmnop"),
        ("app://localhost/", "app://localhost", "app://localhost:1"),
        ("capacitor://LOCALHOST", "capacitor://localhost", "ionic://localhost"),
        ("null", "null", "file://"),
    ];
    for (entry, sent, other) in cases {
        let policy = OriginPolicy::List(vec!["https://first.example".into(), entry.into()]);
        let check = |origin: &str| {
            policy.check(&Request::builder().header("origin", origin).body(()).unwrap())
        };
        assert!(check(sent).is_ok(), "{entry}: {sent}");
        for other in [
            other,
            "",
            "https://",
            "https://a.example/x",
            "https://u@a.example",
            "https://a.example?x",
        ] {
            assert!(check(other).is_err(), "{entry}: {other}");
        }
    }
}

/// RFC 9112 §3.2.2: the host of an absolute target replaces `Host`.
#[tokio::test]
async fn an_absolute_target_names_the_host() {
    let cases = [
        ("ws://example.com/chat", "other.example", "https://example.com", true),
        ("http://example.com:8080/", "x", "http://example.com:8080", true),
        ("http://example.com", "evil.example", "https://evil.example", false),
        ("/chat", "example.com", "https://example.com", true),
    ];
    for (target, host, origin, allowed) in cases {
        let head = request(&format!("Origin: {origin}\r\n"))
            .replacen("GET /", &format!("GET {target}"), 1)
            .replace("Host: example.com", &format!("Host: {host}"));
        let request = read(&head).await.unwrap();
        assert!(Upgrade::from_request(&request).is_ok(), "{target}");
        assert_eq!(OriginPolicy::SameHost.check(&request).is_ok(), allowed, "{target} {host}");
    }
    let missing = request("").replace("Host: example.com\r\n", "").replacen("/", "ws://h/", 1);
    let found = Upgrade::from_request(&read(&missing).await.unwrap());
    assert_eq!(found.unwrap_err().status(), 400, "RFC 9112 §3.2: also with an absolute target");
}

/// RFC 9112 §2.2: a server SHOULD ignore at least one empty line before the request line.
#[tokio::test]
async fn empty_lines_before_a_request_are_ignored() {
    for lines in ["\r\n", "\r\n\r\n"] {
        let head = format!("{lines}{}frames", request(""));
        let (found, rest) =
            read_request(&mut head.as_bytes(), &HeadLimits::default()).await.unwrap();
        assert!(Upgrade::from_request(&found).is_ok());
        assert_eq!(rest, "frames");
        // However it is cut.
        for cut in 0..lines.len() + 3 {
            let mut scanner = HeadScanner::default();
            assert_eq!(scanner.scan(&head.as_bytes()[..cut], &HeadLimits::default()), Ok(None));
            let len = scanner.scan(head.as_bytes(), &HeadLimits::default()).unwrap();
            assert_eq!(len, Some(head.len() - 6), "{cut}");
        }
        let mut driver = Driver::server(DriverOptions::default());
        driver.receive(head.as_bytes());
        let event = driver.next_event(std::time::Duration::ZERO);
        assert!(matches!(event, Some(DriverEvent::Connect)), "{event:?}");
        assert_eq!(driver.body(), b"frames");
    }
    // They have a bound too.
    let flood = "\r\n".repeat(16 * 1024 + 1);
    let found = HeadScanner::default().scan(flood.as_bytes(), &HeadLimits::default());
    assert_eq!(found, Err(HeadError::TooLong));
}

/// A `HeaderMap` panics beyond its capacity, and so does a vector.
#[tokio::test]
async fn any_limit_of_fields_is_safe() {
    let limits =
        HeadLimits::default().max_headers(usize::MAX).max_head(usize::MAX).max_line(usize::MAX);
    let found = read_request(&mut request("").as_bytes(), &limits).await;
    assert!(found.is_ok(), "{found:?}");
    for (names, status) in [(16_000, None), (16_385, Some(431)), (33_000, Some(431))] {
        let fields: BytesMut =
            (0..names - 5).flat_map(|n| format!("X-{n}: y\r\n").into_bytes()).collect();
        let head = request(std::str::from_utf8(&fields).unwrap());
        let found = match read_request(&mut head.as_bytes(), &limits).await {
            Ok((request, _)) => Upgrade::from_request(&request).map(drop),
            Err(HandshakeError::Rejected(rejection)) => Err(rejection),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(found.err().map(|it| it.status().as_u16()), status, "{names}");
    }
    let same = "X: y\r\n".repeat(33_000);
    let found = read_request(&mut request(&same).as_bytes(), &limits).await;
    assert!(matches!(found, Err(HandshakeError::Rejected(it)) if it.status() == 431));
    let none = read_request(&mut request("").as_bytes(), &limits.max_headers(0)).await;
    assert!(matches!(none, Err(HandshakeError::Rejected(it)) if it.status() == 431));
}
