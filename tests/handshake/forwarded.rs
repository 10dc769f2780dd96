//! Whom proxies speak for, and who only says that he is one (RFC 7239, `X-Forwarded-For`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::support::endpoints::{Raw, server, welcome};
use crate::support::web::soon;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use tokio::net::TcpStream;
use wse_codecs::JsonArray;
use wse_transport::handshake::{
    ClientRequest, Forwarded, HeadLimits, OriginPolicy, ProxyHeaders, ProxyNet, TrustedProxies,
    read_response, write_request,
};
use wse_transport::ws::{Config, Role, WebSocket};

/// Proxies of 10.0.0.0/8 and one of IPv6.
fn proxies() -> TrustedProxies {
    TrustedProxies::new(["10.0.0.0/8", "fd00::1"].map(|net| net.parse().unwrap()))
}

const PEER: &str = "10.0.0.1:4711";

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

fn from(peer: &str, lines: &[(&'static str, &str)]) -> Forwarded {
    proxies().forwarded(Some(peer.parse().unwrap()), &fields(lines))
}

fn addr(forwarded: &Forwarded) -> String {
    forwarded.addr.unwrap().to_string()
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
    let table = [
        ("192.0.2.7", "192.0.2.7:0"),
        (" 192.0.2.7 ", "192.0.2.7:0"),
        ("192.0.2.7, 10.0.0.2", "192.0.2.7:0"),
        ("192.0.2.7,10.0.0.2,fd00::1,10.0.0.3", "192.0.2.7:0"),
        ("6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7:0"),
        ("10.6.6.6, 192.0.2.7", "192.0.2.7:0"),
        ("garbage\", 192.0.2.7", "192.0.2.7:0"),
        ("\u{fe}, 192.0.2.7", "192.0.2.7:0"),
        ("192.0.2.7:5000", "192.0.2.7:5000"),
        ("2001:db8::7", "[2001:db8::7]:0"),
        ("[2001:db8::7]", "[2001:db8::7]:0"),
        ("[2001:db8::7]:5000", "[2001:db8::7]:5000"),
        ("::ffff:192.0.2.7", "192.0.2.7:0"),
        ("192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7:0"),
        // Nothing but proxies: the farthest.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3:0"),
        (",192.0.2.7,,", "192.0.2.7:0"),
        // Who does not tell leaves us with the proxy that does not.
        ("unknown", PEER),
        ("6.6.6.6, unknown", PEER),
        ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2:0"),
        ("6.6.6.6, _hidden, 10.0.0.2", "10.0.0.2:0"),
        ("", PEER),
        ("nonsense", PEER),
        ("6.6.6.6, nonsense", PEER),
        ("192.0.2.7:", PEER),
        ("192.0.2.7:65536", PEER),
        ("192.0.2.7:+1", PEER),
        ("192.0.2", PEER),
        ("192.0.2.07", PEER),
        ("[2001:db8::7", PEER),
        ("[192.0.2.7]", PEER),
        ("fe80::1%eth0", PEER),
    ];
    for (value, client) in table {
        assert_eq!(addr(&from(PEER, &[("x-forwarded-for", value)])), client, "{value}");
    }
    let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7, 10.0.0.2")];
    assert_eq!(addr(&from(PEER, &lines)), "192.0.2.7:0");
}

#[test]
fn the_standard_field_is_read_the_same_way() {
    let table = [
        ("for=192.0.2.7", "192.0.2.7:0"),
        ("For=\"192.0.2.7:5000\"", "192.0.2.7:5000"),
        ("for=\"[2001:db8::7]:5000\"", "[2001:db8::7]:5000"),
        ("for=\"[2001:db8::7]\"; proto=https ;by=_x", "[2001:db8::7]:0"),
        ("for=\"192.0.2.7:_port\"", "192.0.2.7:0"),
        ("for=\"\\192.0.2.7\"", "192.0.2.7:0"),
        ("for=6.6.6.6, for=192.0.2.7;proto=http, for=10.0.0.2", "192.0.2.7:0"),
        // What a client begins does not swallow what the proxy says.
        ("for=\"6.6.6.6, for=192.0.2.7", "192.0.2.7:0"),
        ("for=\"6.6.6.6, for=\"[2001:db8::7]:1\"", "[2001:db8::7]:1"),
        ("for=\"6.6.6.6\\, for=\"[2001:db8::7]:1\"", "[2001:db8::7]:1"),
        ("for=6.6.6.6;;;=\"\", for=192.0.2.7;ext=\"a,\\\"b\\\\\"", "192.0.2.7:0"),
        (" , for=192.0.2.7, ", "192.0.2.7:0"),
        (";for=192.0.2.7;", "192.0.2.7:0"),
        ("for=6.6.6.6, for=unknown", PEER),
        ("for=6.6.6.6, for=_hidden, for=10.0.0.2", "10.0.0.2:0"),
        ("for=6.6.6.6, proto=https", PEER),
        ("for=192.0.2.7;for=6.6.6.6", PEER),
        // A colon is no character of a token.
        ("for=192.0.2.7:5000", PEER),
        ("for = 192.0.2.7", PEER),
        ("for=\"192.0.2.7", PEER),
        ("for=\"192.0.2.7\"x", PEER),
        ("for", PEER),
        ("=192.0.2.7", PEER),
    ];
    for (value, client) in table {
        assert_eq!(addr(&from(PEER, &[("forwarded", value)])), client, "{value}");
    }
}

#[test]
fn reading_takes_time_in_proportion_to_length() {
    let mut parameters = String::from("for=192.0.2.7");
    for extension in 0..15 {
        parameters += &format!(";e{extension}=x");
    }
    assert_eq!(addr(&from(PEER, &[("forwarded", &parameters)])), "192.0.2.7:0");
    assert_eq!(addr(&from(PEER, &[("forwarded", &(parameters + ";more=x"))])), PEER);

    let start = std::time::Instant::now();
    let long = |piece: &str| piece.repeat((64 << 10) / piece.len());
    let many: String = (0..30_000).map(|n| format!("e{n}=x;")).collect();
    let pieces = ["\"", "\\", "\\\"", ",", ";", "=", "for=10.0.0.2,", "a"];
    for value in pieces.map(long).into_iter().chain([many]) {
        assert!(from(PEER, &[("forwarded", &value)]).addr.is_some());
    }
    for value in [",", "10.0.0.2,", ":", "["].map(long) {
        assert!(from(PEER, &[("x-forwarded-for", &value)]).addr.is_some());
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn nobody_is_believed_who_is_not_listed() {
    let lines = [
        ("forwarded", "for=192.0.2.7;host=evil.example"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
    ];
    for peer in ["11.0.0.1:1", "[fd00::2]:1", "127.0.0.1:1", "[::ffff:11.0.0.1]:1"] {
        let forwarded = from(peer, &lines);
        assert_eq!(addr(&forwarded), peer);
        assert_eq!((forwarded.host, forwarded.proto), (None, None));
    }
    let direct = TrustedProxies::default().forwarded(Some(PEER.parse().unwrap()), &fields(&lines));
    assert_eq!(addr(&direct), PEER);
    assert_eq!(proxies().forwarded(None, &fields(&lines)), Forwarded::default());
    // A socket for both versions of IP shows a listed proxy like this.
    assert_eq!(addr(&from("[::ffff:10.0.0.1]:1", &lines)), "192.0.2.7:0");
}

#[test]
fn two_kinds_of_fields_must_agree_unless_one_is_chosen() {
    let spoofed = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.7")];
    assert_eq!(addr(&from(PEER, &spoofed)), PEER);
    let peer = Some(PEER.parse().unwrap());
    let only = |headers| proxies().headers(headers).forwarded(peer, &fields(&spoofed));
    assert_eq!(addr(&only(ProxyHeaders::XForwarded)), "192.0.2.7:0");
    assert_eq!(addr(&only(ProxyHeaders::Forwarded)), "6.6.6.6:0");
    let none = proxies().headers(ProxyHeaders::Forwarded);
    assert_eq!(addr(&none.forwarded(peer, &fields(&spoofed[1..]))), PEER);

    let both = [
        ("forwarded", "for=\"192.0.2.7:5000\";proto=HTTPS"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-host", "example.com"),
    ];
    let forwarded = from(PEER, &both);
    assert_eq!(addr(&forwarded), "192.0.2.7:5000");
    assert_eq!(forwarded.host.as_deref(), Some("example.com"));
    assert_eq!(forwarded.proto.as_deref(), Some("https"));
}

#[test]
fn host_and_scheme_are_those_that_the_outermost_proxy_saw() {
    let found = |lines: &[(&'static str, &str)]| {
        let Forwarded { host, proto, .. } = from(PEER, lines);
        (host.unwrap_or_default(), proto.unwrap_or_default())
    };
    let is = |host: &str, proto: &str| (host.to_owned(), proto.to_owned());
    let client = ("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.2");
    let table = [
        ("example.com", "https", is("example.com", "https")),
        ("fake, example.com, inner", "fake, https, http", is("example.com", "https")),
        // Nobody knows whose these are.
        ("example.com, inner", "https, http", is("", "")),
        ("a/b", "://", is("", "")),
        ("user@example.com", "HTTPS", is("", "https")),
        ("[::1]:8080", "", is("[::1]:8080", "")),
    ];
    for (host, proto, expected) in table {
        let lines = [client, ("x-forwarded-host", host), ("x-forwarded-proto", proto)];
        assert_eq!(found(&lines), expected, "{host} {proto}");
    }
    for (value, expected) in [
        (
            "host=fake;for=6.6.6.6, for=192.0.2.7;host=example.com;proto=https, \
             for=10.0.0.2;host=inner;proto=http",
            is("example.com", "https"),
        ),
        ("for=192.0.2.7;host=\"example.com:8080\"", is("example.com:8080", "")),
        ("for=192.0.2.7, for=10.0.0.2;host=inner;proto=http", is("inner", "http")),
        ("for=unknown;host=example.com", is("example.com", "")),
    ] {
        assert_eq!(found(&[("forwarded", value)]), expected, "{value}");
    }
}

#[test]
fn pages_of_the_host_that_a_trusted_proxy_names_may_connect() {
    let request = |lines: &[(&'static str, &str)]| {
        let mut request = Request::new(());
        *request.headers_mut() = fields(lines);
        request
    };
    let lines = [
        ("host", "backend:8080"),
        ("origin", "https://example.com"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-host", "example.com"),
    ];
    let request = request(&lines);
    let policy = OriginPolicy::SameHost;
    assert_eq!(policy.check(&request).unwrap_err().status(), 403);
    assert!(policy.check_forwarded(&request, &from(PEER, &lines)).is_ok());
    assert!(policy.check_forwarded(&request, &from("11.0.0.1:1", &lines)).is_err());
}

#[test]
fn nets_are_addresses_or_cidr() {
    let contains = |net: &str, addr: &str| {
        net.parse::<ProxyNet>().unwrap().contains(addr.parse::<IpAddr>().unwrap())
    };
    let table = [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/8", "10.9.9.9", true),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("::ffff:10.0.0.0/104", "10.0.0.1", true),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
        ("0.0.0.0/0", "192.0.2.7", true),
        ("0.0.0.0/0", "2001:db8::7", false),
        ("::/0", "2001:db8::7", true),
        ("::/0", "192.0.2.7", false),
        ("2001:db8::/33", "2001:db8:7fff::", true),
        ("2001:db8::/33", "2001:db8:8000::", false),
        ("127.0.0.1", "127.0.0.2", false),
    ];
    for (net, addr, expected) in table {
        assert_eq!(contains(net, addr), expected, "{net} {addr}");
    }
    for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10/8", "example.com", "10.0.0.0/8/8"] {
        let error = text.parse::<ProxyNet>().unwrap_err().to_string();
        assert!(error.contains("caller") && error.contains(&format!("{text:?}")), "{error}");
    }
}

/// Anything that a header may hold.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(prop_oneof![Just(9), 32..=126u8, 128..=255u8], 0..12),
        prop_oneof![
            Just("for="),
            Just("192.0.2.7"),
            Just("10.0.0.2"),
            Just("\""),
            Just("\\"),
            Just(","),
            Just(";"),
            Just("="),
            Just("["),
            Just("]"),
            Just(":"),
            Just("host="),
            Just("proto="),
            Just("unknown"),
            Just("fd00::1"),
            Just("_x"),
            Just(" "),
        ]
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn map(lines: &[(&'static str, Vec<u8>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

proptest! {
    #[test]
    fn nothing_in_the_fields_panics_or_hides_from_an_unlisted_peer(
        values in proptest::collection::vec((0..4usize, value()), 0..6),
    ) {
        let names = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        let lines: Vec<_> = values.into_iter().map(|(at, value)| (names[at], value)).collect();
        let headers = map(&lines);
        for kind in [ProxyHeaders::Either, ProxyHeaders::Forwarded, ProxyHeaders::XForwarded] {
            let proxies = proxies().headers(kind);
            let found = proxies.forwarded(Some(PEER.parse().unwrap()), &headers);
            prop_assert!(found.addr.is_some());
            let stranger: SocketAddr = "192.0.2.1:9".parse().unwrap();
            let direct = proxies.forwarded(Some(stranger), &headers);
            prop_assert_eq!(direct.addr, Some(stranger));
            prop_assert_eq!((direct.host, direct.proto), (None, None));
        }
    }

    /// What a client wrote changes nothing about what the proxy appended.
    #[test]
    fn what_stands_before_the_entry_of_the_proxy_is_ignored(
        client in value(),
        same_line in any::<bool>(),
        inner in any::<bool>(),
    ) {
        for (name, said, chain) in [
            ("forwarded", "for=\"[2001:db8::7]:9\";host=\"a:1\";proto=https", ", for=10.0.0.2"),
            ("forwarded", "for=192.0.2.9", ", for=\"10.0.0.2:80\";by=\"a,\\\"\\\\\""),
            ("x-forwarded-for", "192.0.2.9", ", 10.0.0.2"),
            ("x-forwarded-for", "[2001:db8::7]:9", ",10.0.0.2:1"),
        ] {
            let said = format!("{said}{}", if inner { chain } else { "" });
            let alone = map(&[(name, said.clone().into_bytes())]);
            let behind = if same_line {
                map(&[(name, [&client[..], b",", said.as_bytes()].concat())])
            } else {
                map(&[(name, client.clone()), (name, said.into_bytes())])
            };
            let peer = Some(PEER.parse().unwrap());
            let expected = proxies().forwarded(peer, &alone);
            prop_assert!(!proxies().contains(expected.addr.unwrap().ip()));
            prop_assert_eq!(proxies().forwarded(peer, &behind), expected);
        }
    }
}

/// Over TCP, as a proxy on this machine would connect.
async fn connect(to: SocketAddr, headers: &[(&str, &str)]) -> Option<Raw> {
    let mut io: Box<dyn wse::Transport> = Box::new(TcpStream::connect(to).await.unwrap());
    let mut request = ClientRequest::new("ws://backend:8080").unwrap();
    for (name, value) in headers {
        request = request.header(name, value).unwrap();
    }
    let request = request.subprotocol("wse-default-json").unwrap();
    write_request(&mut io, &request.build([7; 16])).await.unwrap();
    let (_, rest) = soon(read_response(&mut io, &HeadLimits::default())).await.ok()?;
    let mut raw = Raw(WebSocket::with_leftover(io, rest, Role::Client, Config::default()));
    raw.greet("ann").await;
    assert_eq!(soon(raw.hear()).await, welcome("ann"));
    Some(raw)
}

#[tokio::test]
async fn connections_report_the_client_behind_a_listed_proxy_only() {
    let headers = [
        ("X-Forwarded-For", "6.6.6.6, 192.0.2.7"),
        ("X-Forwarded-Host", "example.com"),
        ("Origin", "https://example.com"),
    ];
    let local: ProxyNet = "127.0.0.0/8".parse().unwrap();
    let behind = server(&JsonArray).trusted_proxies([local]).bind("127.0.0.1:0").await.unwrap();
    let _raw = connect(behind.local_addrs()[0], &headers).await.expect("the origin is its own");
    let conn = behind.user("ann").connections().remove(0);
    assert_eq!(conn.peer_addr(), Some("192.0.2.7:0".parse().unwrap()));
    let forwarded = conn.request().extensions().get::<Forwarded>().unwrap();
    assert_eq!(forwarded.host.as_deref(), Some("example.com"));

    // By default the fields are a client's, and nobody's word.
    let direct = server(&JsonArray).bind("127.0.0.1:0").await.unwrap();
    assert!(connect(direct.local_addrs()[0], &headers).await.is_none());
    let _raw = connect(direct.local_addrs()[0], &headers[..2]).await.expect("no origin");
    let conn = direct.user("ann").connections().remove(0);
    assert!(conn.peer_addr().is_some_and(|addr| addr.ip().is_loopback() && addr.port() != 0));
    assert!(conn.request().extensions().get::<Forwarded>().is_none());
}
