//! What a client writes into the fields of proxies before a trusted proxy appends its own word.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use wse_transport::handshake::{ProxyHeaders, TrustedProxies};

use super::input::Input;

/// `flags, what the client writes`
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let Ok(theirs) = HeaderValue::from_bytes(input.rest()) else { return };
    let (name, word) = match flags & 1 {
        0 => ("forwarded", "for=192.0.2.7"),
        _ => ("x-forwarded-for", "192.0.2.7"),
    };
    let mut headers = HeaderMap::new();
    if flags & 2 == 0 {
        headers.append(name, theirs);
        headers.append(name, HeaderValue::from_static(word));
    } else {
        let line = [theirs.as_bytes(), b", ", word.as_bytes()].concat();
        headers.append(name, HeaderValue::from_bytes(&line).expect("a line with more behind it"));
    }
    for other in ["x-forwarded-host", "x-forwarded-proto"] {
        if flags & 4 != 0
            && let Ok(value) = HeaderValue::from_bytes(input.rest())
        {
            headers.append(HeaderName::from_static(other), value);
        }
    }
    let peer: SocketAddr = "10.0.0.2:4711".parse().expect("an address");
    let nets = || TrustedProxies::new(["10.0.0.0/8".parse().expect("a net")]);
    let client = Some("192.0.2.7:0".parse().expect("an address"));
    let kind = if flags & 1 == 0 { ProxyHeaders::Forwarded } else { ProxyHeaders::XForwarded };
    for proxies in [nets(), nets().headers(kind)] {
        let found = proxies.forwarded(Some(peer), &headers);
        assert_eq!(found.addr, client, "the proxy's word counts, and not the client's");
        assert!(found.host.is_none_or(|host| !host.is_empty()));
    }
    // No other address is trusted.
    let untrusted = Some("192.0.2.9:1".parse().expect("an address"));
    assert_eq!(nets().forwarded(untrusted, &headers).addr, untrusted);
    assert_eq!(nets().forwarded(None, &headers).addr, None);
}
