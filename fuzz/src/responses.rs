//! What a server answers a client.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use wse_transport::driver::{Driver, DriverEvent, DriverOptions};
use wse_transport::handshake::{
    ClientRequest, HandshakeError, HeadLimits, encode_response, parse_response,
};

use super::{
    decode::{deflate, head_limits, scan, scan_any_way},
    input::{Input, pieces},
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
    let mut dialogue = Input::new(input.rest());
    let sizes = dialogue.sizes();
    open(dialogue.rest(), &sizes);

    let whole = scan_any_way(&mut input, &limits);
    let Ok(Some(len)) = whole else { return };
    let Ok(response) = parse_response(&input.rest()[..len], &limits) else { return };
    written_again(&response);
    verify(flags, &response);
    waits(response);
}

/// A refusal says how long to wait only if it is worth another attempt, and in digits or against its own date.
fn waits(response: Response<()>) {
    let status = response.status();
    let field = |name| {
        let mut values = response.headers().get_all(name).iter();
        let first = values.next().and_then(|it| it.to_str().ok()).map(|it| it.trim().to_owned());
        first.filter(|_| values.next().is_none())
    };
    let after = field("retry-after");
    let refused = HandshakeError::Refused(Box::new(response.map(|()| Bytes::new())));
    let found = refused.retry_after();
    let digits = after.as_ref().and_then(|it| it.parse::<u32>().ok().filter(|_| !it.contains('+')));
    match (status.as_u16(), digits) {
        (429 | 503, Some(seconds)) => {
            assert_eq!(found, Some(Duration::from_secs(seconds.into())));
        }
        // A date, or more seconds than that.
        (429 | 503, None) => assert!(found.is_none() || after.is_some()),
        _ => assert_eq!(found, None),
    }
}

/// What a client is told of all bytes of a server, until these end: the same however they are cut.
fn open(wire: &[u8], sizes: &[usize]) {
    let whole = ask([wire], wire);
    assert_eq!(ask(pieces(wire, sizes), wire), whole, "the same however it is cut");
}

fn ask<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, wire: &[u8]) -> Vec<String> {
    const NOW: Duration = Duration::from_secs(1000);
    let options = DriverOptions::default().protocols(SUBPROTOCOLS);
    let mut driver = Driver::client("ws://example.com/chat", options).expect("a url");
    driver.start().expect("it starts");
    driver.take_output();
    let mut told = Vec::new();
    let mut listen = |driver: &mut Driver| {
        while let Some(event) = driver.next_event(NOW) {
            told.push(match event {
                DriverEvent::Error(_) => "error".to_owned(),
                other => format!("{other:?}"),
            });
        }
        told.len()
    };
    let last = pieces.into_iter().fold(0, |_, piece| {
        driver.receive(piece);
        listen(&mut driver)
    });
    match final_status(wire) {
        None => assert_eq!(last, 0, "it waits for the final response"),
        Some(Err(())) => assert!(last > 0, "it fails at once"),
        Some(Ok(_)) => {}
    }
    driver.end();
    assert!(listen(&mut driver) > 0, "it ends");
    told
}

/// The status of the final response: those of 1xx before it are skipped, but 101 is final. An error if there is none, `None`
/// if it has not come.
fn final_status(mut wire: &[u8]) -> Option<Result<StatusCode, ()>> {
    let mut limits = HeadLimits::default();
    loop {
        if wire.first() == Some(&b'\r') {
            return Some(Err(()));
        }
        let len = match scan([wire], &limits) {
            Ok(len) => len?,
            Err(_) => return Some(Err(())),
        };
        let Ok(response) = parse_response(&wire[..len], &limits) else { return Some(Err(())) };
        let status = response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Some(Ok(status));
        }
        wire = &wire[len..];
        match limits.max_head.checked_sub(len) {
            Some(left) => limits.max_head = left,
            None => return Some(Err(())),
        }
    }
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
