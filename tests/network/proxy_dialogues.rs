//! What is said to proxies, and which of them is chosen: all without sockets.

use crate::support::proxy::chain;
use bytes::BytesMut;
use proptest::prelude::*;
use wse_transport::proxy::{
    Connect, Login, Proxies, Proxy, ProxyConfigError, ProxyFailure, Socks5, SocksError, Step,
};

/// Everything that is said when the answer comes in these pieces: the steps, the error, and what is left.
fn dialogue<E: std::fmt::Debug>(
    mut step: impl FnMut(&mut BytesMut) -> Result<Step, E>,
    pieces: &[&[u8]],
) -> (Vec<Step>, Option<E>, BytesMut) {
    let (mut said, mut received) = (Vec::new(), BytesMut::new());
    for piece in [&[][..]].iter().chain(pieces) {
        received.extend_from_slice(piece);
        loop {
            match step(&mut received) {
                Ok(send @ Step::Send(_)) => said.push(send),
                Ok(step) => {
                    if step == Step::Open && said.last() != Some(&step) {
                        said.push(step);
                    }
                    break;
                }
                Err(error) => return (said, Some(error), received),
            }
        }
    }
    (said, None, received)
}

fn socks(login: bool, pieces: &[&[u8]]) -> (Vec<Step>, Option<SocksError>, BytesMut) {
    let login = login.then(|| Login::new("me", "secret").unwrap());
    let mut socks = Socks5::new("origin.test", 80, login).unwrap();
    dialogue(|received| socks.step(received), pieces)
}

fn connect(pieces: &[&[u8]]) -> (Vec<Step>, Option<ProxyFailure>, BytesMut) {
    let proxy = Proxy::new("http://proxy.test").unwrap();
    let mut connect = Connect::new(&proxy, "origin.test", 80).unwrap();
    dialogue(|received| connect.step(received), pieces)
}

#[test]
fn socks_answers_that_open_no_tunnel_say_why() {
    let cases: &[(bool, &[u8], SocksError)] = &[
        (false, &[4, 0], SocksError::Version(4)),
        (false, b"HTTP/1.1 400 Bad Request\r\n", SocksError::Version(b'H')),
        (false, &[5, 0xff], SocksError::LoginRequired),
        (false, &[5, 2], SocksError::LoginRequired),
        (false, &[5, 1], SocksError::MethodNotOffered(1)),
        (true, &[5, 0xff], SocksError::NoMethod),
        (true, &[5, 1], SocksError::MethodNotOffered(1)),
        (true, &[5, 2, 5, 0], SocksError::Version(5)),
        (true, &[5, 2, 1, 1], SocksError::Login),
        (true, &[5, 2, 1, 0xff], SocksError::Login),
        (false, &[5, 0, 0, 90], SocksError::Version(0)),
        (false, &[5, 0, 5, 1], SocksError::Refused(1)),
        (true, &[5, 2, 1, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], SocksError::Refused(5)),
        (false, &[5, 0, 5, 200], SocksError::Refused(200)),
        (false, &[5, 0, 5, 0, 0, 2, 0], SocksError::AddressType(2)),
    ];
    for (login, answer, expected) in cases {
        let bytes: Vec<_> = answer.chunks(1).collect();
        for pieces in [&[*answer][..], &bytes] {
            assert_eq!(socks(*login, pieces).1, Some(*expected), "{answer:?}");
        }
    }
    let asks = SocksError::LoginRequired.to_string();
    assert!(asks.contains("asks for a login, and none was given"), "{asks}");
    let name = "a".repeat(256);
    assert_eq!(Socks5::new(&name, 1, None).unwrap_err(), SocksError::HostTooLong);
    assert!(Socks5::new(&name[1..], 1, None).is_ok());
}

fn cut<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, rest) = bytes.split_at(bytes.len().min(*size));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

proptest! {
    #[test]
    fn any_pieces_of_a_response_to_connect_are_the_same(
        head in prop_oneof![
            Just("HTTP/1.1 200 OK\r\n\r\n"), Just("HTTP/1.1 100 \r\n\r\nHTTP/1.1 204 \r\na: b\r\n\r\n"),
            Just("HTTP/1.0 407 Who\r\nb: c\r\n\r\n"), Just("HTTP/9"), Just("\r\n"), Just(""),
        ],
        tail in proptest::collection::vec(any::<u8>(), 0..300),
        sizes in proptest::collection::vec(0..9_usize, 0..99),
    ) {
        let bytes = [head.as_bytes(), &tail].concat();
        let (steps, error, left) = connect(&[&bytes]);
        let (cut_steps, cut_error, cut_left) = connect(&cut(&bytes, &sizes));
        prop_assert_eq!(format!("{error:?}"), format!("{cut_error:?}"));
        if steps.last() == Some(&Step::Open) {
            prop_assert_eq!(&left[..], &tail[..]);
            prop_assert_eq!(&cut_left[..], &tail[..]);
        }
        prop_assert_eq!(steps, cut_steps);
    }

    #[test]
    fn any_pieces_of_a_socks_dialogue_are_the_same(
        login in any::<bool>(),
        start in prop_oneof![
            Just(vec![]), Just(vec![5, 0]), Just(vec![5, 2, 1, 0]), Just(vec![5, 0, 5, 0, 0]),
            Just(vec![5, 0, 5, 0, 0, 3]), Just(vec![5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            Just(vec![5, 0, 5, 0, 0, 4]),
        ],
        tail in proptest::collection::vec(any::<u8>(), 0..600),
        sizes in proptest::collection::vec(0..9_usize, 0..99),
    ) {
        let bytes = [start, tail].concat();
        let (steps, error, left) = socks(login, &[&bytes]);
        let (cut_steps, cut_error, cut_left) = socks(login, &cut(&bytes, &sizes));
        prop_assert_eq!(error, cut_error);
        if error.is_none() {
            prop_assert_eq!(left, cut_left);
        }
        prop_assert_eq!(steps, cut_steps);
    }
}

#[test]
fn what_is_no_proxy_is_refused() {
    let refused = |url: &str| Proxy::new(url).unwrap_err();
    assert!(matches!(refused(""), ProxyConfigError::Url(_)));
    assert!(matches!(refused("http://a:99999"), ProxyConfigError::Url(_)));
    assert_eq!(refused("ftp://a"), ProxyConfigError::Scheme("ftp".to_owned()));
    assert_eq!(refused("socks4://a"), ProxyConfigError::Scheme("socks4".to_owned()));
    for url in ["http://a/b", "http://a?b", "http://a/#b", "socks5://a/b"] {
        assert_eq!(refused(url), ProxyConfigError::Path, "{url}");
    }
    let long = "x".repeat(256);
    for login in ["me@", "me:@", ":it@", &format!("{long}:it@"), &format!("me:{long}@")] {
        assert_eq!(refused(&format!("socks5://{login}a")), ProxyConfigError::Login, "{login}");
    }
    assert!(Proxy::new(&format!("socks5://{0}:{0}@a", &long[1..])).is_ok());

    let http = || Proxy::new("http://a").unwrap();
    for name in ["Host", "Connection", "Content-Length", "transfer-encoding", "Upgrade"] {
        let error = http().header(name, "x").unwrap_err();
        assert!(matches!(error, ProxyConfigError::ReservedHeader(_)), "{name}");
    }
    for (name, value) in
        [("a b", "c"), ("", "c"), ("a\r\nb", "c"), ("a", "b\r\nc: d"), ("a", "b\n")]
    {
        let error = http().header(name, value).unwrap_err();
        assert_eq!(error, ProxyConfigError::MalformedHeader(name.to_owned()));
    }
    let socks = Proxy::new("socks5://a").unwrap();
    assert_eq!(socks.header("a", "b").unwrap_err(), ProxyConfigError::NotHttp);

    for (url, shown) in [
        ("a", "http://a:80"),
        ("me:secret@a:3128", "http://a:3128"),
        ("HTTP://A:80/", "http://a:80"),
        ("https://a", "https://a:443"),
        ("socks5://me:secret@A:80", "socks5://a:80"),
        ("socks5h://[::1]", "socks5h://[::1]:1080"),
        ("socks5://bücher.example", "socks5://xn--bcher-kva.example:1080"),
    ] {
        let proxy = Proxy::new(url).unwrap();
        assert_eq!(proxy.to_string(), shown);
        assert!(!format!("{proxy:?}").contains("secret"));
    }
}

/// The proxies of an environment, for ws and wss.
fn environment(variables: &[(&str, &str)]) -> (Option<String>, Option<String>) {
    let proxies = Proxies::from_variables(|name| {
        variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap();
    let chosen = |secure| proxies.choose(secure, "a.com", 80).map(ToString::to_string);
    (chosen(false), chosen(true))
}

#[test]
fn the_environment_chooses_by_scheme() {
    let (a, b, c) = ("http://a:80", "http://b:80", "socks5h://c:1080");
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (&[], None, None),
        (&[("https_proxy", a)], None, Some(a)),
        (&[("HTTPS_PROXY", a)], None, Some(a)),
        (&[("https_proxy", a), ("HTTPS_PROXY", b)], None, Some(a)),
        (&[("https_proxy", " "), ("HTTPS_PROXY", b)], None, Some(b)),
        (&[("http_proxy", a)], Some(a), None),
        (&[("HTTP_PROXY", a)], None, None),
        (&[("http_proxy", a), ("REQUEST_METHOD", "GET")], None, None),
        (&[("ALL_PROXY", c)], Some(c), Some(c)),
        (&[("all_proxy", c), ("ALL_PROXY", b)], Some(c), Some(c)),
        (&[("all_proxy", c), ("http_proxy", a), ("https_proxy", b)], Some(a), Some(b)),
        (&[("all_proxy", "b")], Some(b), Some(b)),
        (&[("all_proxy", c), ("no_proxy", "b.com, .a.com")], None, None),
        (&[("all_proxy", c), ("NO_PROXY", "*")], None, None),
        (&[("all_proxy", c), ("no_proxy", "b.com"), ("NO_PROXY", "*")], Some(c), Some(c)),
    ];
    for (variables, ws, wss) in cases {
        let (for_ws, for_wss) = environment(variables);
        assert_eq!((for_ws.as_deref(), for_wss.as_deref()), (*ws, *wss), "{variables:?}");
    }
    let bad = Proxies::from_variables(|name| {
        (name == "https_proxy").then(|| "ftp://me:secret@a".to_owned())
    });
    let error = chain(&bad.unwrap_err());
    assert!(error.starts_with("environment variable https_proxy is no proxy: caller gave a proxy"));
    assert!(!error.contains("secret"));
}
