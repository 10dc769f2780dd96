//! What a server answers a client.

use http::{Response, StatusCode};
use wse_transport::handshake::{ClientRequest, HeadLimits, encode_response, parse_response};

use super::{
    decode::{deflate, head_limits, scan_any_way},
    input::Input,
};

/// The key that the client sent: its `Sec-WebSocket-Accept` is `ICX+Yqv66kxgM0FcWaLWlFLwTAI=`.
pub const KEY: [u8; 16] = [0; 16];

/// What the client offered.
pub const SUBPROTOCOLS: [&str; 2] = ["chat", "superchat"];

/// `flags, sizes of pieces, the response`
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let limits = head_limits(flags);
    let whole = scan_any_way(&mut input, &limits);
    let Ok(Some(len)) = whole else { return };
    let Ok(response) = parse_response(&input.rest()[..len], &limits) else { return };
    written_again(&response);
    verify(flags, &response);
}

fn verify(flags: u8, response: &Response<()>) {
    let deflate = deflate(flags);
    let mut request = ClientRequest::new("ws://example.com/chat").expect("a url");
    for name in SUBPROTOCOLS {
        request = request.subprotocol(name).expect("a subprotocol");
    }
    let request = request
        .deflate((flags & 0x80 == 0).then_some(deflate))
        .require_subprotocol(flags & 0x20 == 0);
    let verified = request.verify(KEY, response);
    let agreed = request.negotiated(response).map(|it| it.deflate);
    let Ok(selected) = verified else { return };
    assert!(flags & 0x20 != 0 || selected.is_some());
    assert!(selected.is_none_or(|name| SUBPROTOCOLS.contains(&&*name)));
    assert_eq!(response.headers()["sec-websocket-accept"], "ICX+Yqv66kxgM0FcWaLWlFLwTAI=");
    if let Some((asked, agreed)) = agreed.expect("verify checks the same") {
        assert_eq!(asked, deflate);
        assert!((8..=deflate.peer_window_bits).contains(&agreed.server_max_window_bits));
        assert!((8..=15).contains(&agreed.client_max_window_bits));
        assert!(deflate.peer_takeover || agreed.server_no_context_takeover);
    }
}

/// What was parsed is the same when it is written and parsed again.
fn written_again(response: &Response<()>) {
    let again = parse_response(&encode_response(response, ""), &HeadLimits::default());
    let again = again.expect("what was parsed can be written");
    assert_eq!(again.status(), response.status());
    assert_eq!(again.headers(), response.headers());
    assert!(again.status() >= StatusCode::CONTINUE);
}
