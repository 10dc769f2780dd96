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
    lists(request, &upgrade);
    origins(request);
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

/// The lists of the request, read without a shortcut.
fn lists(request: &Request<()>, upgrade: &Upgrade) {
    let elements = |name: &str| {
        let mut elements = Vec::new();
        for value in request.headers().get_all(name) {
            let (mut element, mut quoted, mut escaped) = (String::new(), false, false);
            for char in value.to_str().unwrap_or_default().chars() {
                match char {
                    ',' if !quoted => elements.push(std::mem::take(&mut element)),
                    _ => element.push(char),
                }
                quoted ^= char == '"' && !escaped;
                escaped = quoted && char == '\\' && !escaped;
            }
            elements.push(element);
        }
        let trimmed = elements.iter().map(|it| it.trim_matches([' ', '\t']).to_owned());
        trimmed.filter(|it| !it.is_empty()).collect::<Vec<_>>()
    };
    let has = |name, item: &str| elements(name).iter().any(|it| it.eq_ignore_ascii_case(item));
    assert!(has("upgrade", "websocket") && has("connection", "upgrade"));
    let offered = elements("sec-websocket-protocol");
    assert_eq!(upgrade.subprotocols(), offered);
    assert!(offered.len() <= 64);
    assert!(offered.iter().all(|it| !it.contains([',', ' ', '"', ';', '\t'])));
}

/// Origins are compared as browsers write them.
fn origins(request: &Request<()>) {
    let check = |entry: &str| OriginPolicy::List(vec![entry.to_owned()]).check(request);
    let mut values = request.headers().get_all("origin").iter();
    let (Some(origin), None) = (values.next(), values.next()) else { return };
    let Ok(origin) = origin.to_str().map(str::trim) else { return };
    let allowed = check(origin).is_ok();
    assert_eq!(check(&origin.to_ascii_uppercase()).is_ok(), allowed, "{origin}");
    if let Err(rejection) = check("https://else.example") {
        let text = String::from_utf8_lossy(rejection.to_response().body()).into_owned();
        assert!(text.len() < 4096 && !text.contains(|c: char| c.is_control() && c != '\n'));
    }
    if OriginPolicy::SameHost.check(request).is_ok() {
        assert!(allowed, "{origin} is the origin of the host");
    }
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
