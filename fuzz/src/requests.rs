//! What an untrusted client asks a server.

use http::{HeaderMap, Request, Response, StatusCode};
use wse_transport::handshake::{
    HeadLimits, OriginPolicy, Rejection, Upgrade, encode_request, encode_response, is_websocket,
    parse_request, parse_response,
};

use super::{
    decode::{deflate, head_limits, scan, scan_any_way},
    input::Input,
};

/// `flags, sizes of pieces, the request`
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let limits = head_limits(flags);
    let whole = scan_any_way(&mut input, &limits);

    let request = match whole {
        Ok(None) => return,
        Ok(Some(len)) => {
            assert!(len <= limits.max_head);
            parse_request(&input.rest()[..len], &limits).map_err(Rejection::from)
        }
        Err(error) => Err(error.into()),
    };
    match request.and_then(|request| {
        written_again(&request);
        answer(&request, flags).inspect(|_| assert!(is_websocket(&request)))
    }) {
        Ok(response) => {
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            said(&response, b"");
        }
        Err(rejection) => {
            let (parts, body) = rejection.to_response().into_parts();
            assert!(parts.status.is_client_error() || parts.status.is_server_error());
            said(&Response::from_parts(parts, ()), &body);
        }
    }
}

/// As a server answers it.
fn answer(request: &Request<()>, flags: u8) -> Result<Response<()>, Rejection> {
    let mut upgrade = Upgrade::from_request(request)?;
    let _ = OriginPolicy::List(vec!["http://example.com/".to_owned()]).check(request);
    OriginPolicy::SameHost.check(request)?;
    let deflate = deflate(flags);
    if flags & 0x80 == 0
        && let Some(agreed) = upgrade.deflate(&deflate, request)?
    {
        assert!((8..=deflate.window_bits).contains(&agreed.server_max_window_bits));
        assert!((8..=deflate.peer_window_bits).contains(&agreed.client_max_window_bits));
        assert!(deflate.takeover || agreed.server_no_context_takeover);
        assert!(deflate.peer_takeover || agreed.client_no_context_takeover);
    }
    let selected = upgrade.subprotocols().last().map(String::as_str);
    let response = upgrade.response(selected, &HeaderMap::new());
    Ok(response.expect("what was offered can be selected"))
}

/// What was parsed is the same when it is written and parsed again.
fn written_again(request: &Request<()>) {
    let again = parse_request(&encode_request(request), &HeadLimits::default());
    let again = again.expect("what was parsed can be written");
    assert_eq!(again.method(), request.method());
    assert_eq!(again.headers(), request.headers());
    let uri = |request: &Request<()>| {
        let query = request.uri().query().map(str::to_owned);
        (request.uri().path().to_owned(), query)
    };
    // That of CONNECT has none.
    let (path, query) = uri(request);
    assert_eq!(uri(&again), (if path.is_empty() { "/".to_owned() } else { path }, query));
}

/// The answer can be read.
fn said(response: &Response<()>, body: &[u8]) {
    let limits = HeadLimits::default();
    let wire = encode_response(response, body);
    let len = scan([&wire[..]], &limits).expect("a head").expect("a whole head");
    assert_eq!(&wire[len..], body);
    let again = parse_response(&wire[..len], &limits).expect("the answer can be parsed");
    assert_eq!(again.status(), response.status());
    assert_eq!(again.headers(), response.headers());
}
