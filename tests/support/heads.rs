//! Request heads of any length that are as much work as a client can make them, and all that is done to a head before its
//! client is known. For the tests and for `benches/instructions.rs`.

use std::time::Duration;

use http::Request;
use wse::IdentityFrom;
use wse_transport::driver::{Driver, DriverEvent, DriverOptions};
use wse_transport::handshake::{
    HeadLimits, HeadScanner, OriginPolicy, ProxyNet, TrustedProxies, Upgrade, parse_request,
};
use wse_transport::sse::{self, Wanted};
use wse_transport::ws::Deflate;

/// A kind of head, and what makes one of about so many bytes.
pub type Kind = (&'static str, fn(usize) -> String);

/// Every kind. Each stresses one reader of a field, a list or a line.
pub const KINDS: &[Kind] = &[
    ("many subprotocols", |n| field("Sec-WebSocket-Protocol", n, |i| format!("p{i}, "))),
    ("long subprotocols", |n| {
        field("Sec-WebSocket-Protocol", n, |i| format!("{}{i:02}, ", "x".repeat(n / 70)))
    }),
    ("empty subprotocols", |n| field("Sec-WebSocket-Protocol", n, |_| ", ".to_owned())),
    ("fields of subprotocols", |n| lines(n, |i| format!("Sec-WebSocket-Protocol: p{i}\r\n"))),
    ("many extensions", |n| field("Sec-WebSocket-Extensions", n, |i| format!("x{i}; a=b, "))),
    ("offers of compression", |n| {
        field("Sec-WebSocket-Extensions", n, |_| "permessage-deflate; x, ".to_owned())
    }),
    ("many parameters", |n| field("Sec-WebSocket-Extensions", n, |i| format!("x;p{i}=\"a\";"))),
    ("a long quoted parameter", |n| {
        field("Sec-WebSocket-Extensions", n, |i| {
            if i == 0 { "x; a=\"".to_owned() } else { "\\b".to_owned() }
        })
    }),
    ("a long origin", |n| {
        field("Origin", n, |i| if i == 0 { "https://".into() } else { "a.".into() })
    }),
    ("an international origin", |n| {
        let label = |i| format!("xn--{}-{i}.", "a".repeat(50.min(n)));
        field("Origin", n, move |i| if i == 0 { "https://".into() } else { label(i) })
    }),
    ("an origin of one label", |n| {
        field("Origin", n, |i| if i == 0 { "https://xn--".into() } else { "bcher-kva".into() })
    }),
    ("a long host", |_| String::new()),
    ("Forwarded", |n| field("Forwarded", n, |_| "for=10.0.0.1;host=a, ".to_owned())),
    ("Forwarded with quotes", |n| field("Forwarded", n, |_| "\\\\\"".to_owned())),
    ("Forwarded with backslashes", |n| {
        field("Forwarded", n, |i| if i == 0 { "\"".into() } else { "\\".into() })
    }),
    ("Forwarded with parameters", |n| field("Forwarded", n, |i| format!("p{i}=x;"))),
    ("fields of Forwarded", |n| lines(n, |_| "Forwarded: for=10.0.0.1\r\n".to_owned())),
    ("X-Forwarded-For", |n| field("X-Forwarded-For", n, |_| "10.0.0.1, ".to_owned())),
    ("X-Forwarded-Host", |n| {
        format!(
            "X-Forwarded-For: 10.0.0.1\r\n{}",
            field("X-Forwarded-Host", n, |_| "a,".to_owned())
        )
    }),
    ("Accept", |n| field("Accept", n, |_| "text/html;q=0.1, ".to_owned())),
    ("Accept with quotes", |n| field("Accept", n, |_| "a;b=\"\\\",\"".to_owned())),
    ("Connection", |n| field("Connection", n, |_| "close, ".to_owned())),
    ("Upgrade", |n| field("Upgrade", n, |_| "h2c, ".to_owned())),
    ("Cookie", |n| field("Cookie", n, |i| format!("a{i}=b; "))),
    ("Authorization", |n| lines(n, |_| "Authorization: Basic x\r\n".to_owned())),
    ("fields of many names", |n| lines(n, |i| format!("X-{i}: y\r\n"))),
    ("fields of one name", |n| lines(n, |_| "X: y\r\n".to_owned())),
    ("drafts", |n| lines(n, |i| format!("Sec-WebSocket-Origin: http://{i}\r\n"))),
    ("keys of drafts", |n| field("Sec-WebSocket-Key1", n, |_| "1 ".to_owned())),
    ("one long line", |n| format!("X: {}\r\n", "x".repeat(n))),
];

/// A field whose value is made of so many parts.
fn field(name: &str, bytes: usize, part: impl Fn(usize) -> String) -> String {
    format!("{name}: {}\r\n", lines(bytes, part).trim_end())
}

/// So many bytes of parts.
fn lines(bytes: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for n in 0.. {
        let part = part(n);
        if text.len() + part.len() > bytes || part.is_empty() {
            break;
        }
        text.push_str(&part);
    }
    text
}

/// A whole head of about so many bytes, which begins with the good fields of RFC 6455, and may spoil them.
pub fn head((name, make): Kind, bytes: usize) -> String {
    let version = if name == "drafts" { 8 } else { 13 };
    let fields = make(bytes);
    let mut host = "h".to_owned();
    if name == "a long host" {
        host = "a.".repeat(bytes / 2);
    }
    format!(
        "GET /?token=a HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n{fields}\r\n"
    )
}

/// Receives a head in pieces, and does all that a server does to it before the client is known, whatever its settings.
pub fn judge(head: &[u8]) {
    let limits = HeadLimits::default();
    let limits = limits.max_line(usize::MAX).max_head(usize::MAX).max_headers(usize::MAX);
    let mut scanner = HeadScanner::default();
    let cuts = (0..head.len()).step_by(1460).chain([head.len()]);
    let scanned = cuts.map(|cut| scanner.scan(&head[..cut], &limits)).last();
    if let Some(Ok(Some(len))) = scanned
        && let Ok(request) = parse_request(&head[..len], &limits)
    {
        judge_request(&request);
    }
    let options = DriverOptions::default().head_limits(limits).allow_drafts(true);
    let mut driver = Driver::server(options);
    for piece in head.chunks(1460) {
        driver.receive(piece);
        if let Some(DriverEvent::Connect) = driver.next_event(Duration::ZERO) {
            let _ = driver.start();
        }
    }
}

fn judge_request(request: &Request<()>) {
    let net: ProxyNet = "10.0.0.0/8".parse().expect("a network");
    let proxies = TrustedProxies::new([net]);
    let peer = "10.0.0.9:1".parse().ok();
    let forwarded = proxies.forwarded(peer, request.headers());
    let list = OriginPolicy::List(vec!["https://a.example".to_owned()]);
    for policy in [OriginPolicy::SameHost, list] {
        let _ = policy.check_forwarded(request, &forwarded);
    }
    if let Ok(mut upgrade) = Upgrade::from_request(request) {
        let _ = upgrade.negotiate(request, Some(Deflate::default()), &[]);
    }
    let _ = (Wanted::of(request), sse::is_event_source(request), sse::last_event_id(request));
    let places = [
        IdentityFrom::bearer(),
        IdentityFrom::cookie("session"),
        IdentityFrom::query("other"),
        IdentityFrom::subprotocol("token."),
    ];
    for place in places {
        let _ = place.find(request);
    }
}
