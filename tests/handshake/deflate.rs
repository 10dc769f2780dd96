//! Which compression is agreed upon (RFC 7692 §5, §7.1).

use http::{HeaderValue, Request, Response, StatusCode, Version};
use wse_transport::{
    handshake::{ClientRequest, Rejection, ResponseError, Upgrade},
    ws::{Deflate, DeflateAgreement},
};

const EXTENSIONS: &str = "sec-websocket-extensions";

fn request(offers: &[&str]) -> Request<()> {
    let mut request = Request::get("/")
        .version(Version::HTTP_11)
        .header("Host", "example.com")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .unwrap();
    for offer in offers {
        let value = HeaderValue::from_bytes(offer.as_bytes()).unwrap();
        request.headers_mut().append(EXTENSIONS, value);
    }
    request
}

/// What a server answers to the fields of an offer.
fn answer(
    deflate: Deflate,
    offers: &[&str],
) -> Result<Option<(String, DeflateAgreement)>, Rejection> {
    let request = request(offers);
    let mut upgrade = Upgrade::from_request(&request).unwrap();
    let agreed = upgrade.deflate(&deflate, &request)?;
    let response = upgrade.response(None, &Default::default()).unwrap();
    let field = response.headers().get(EXTENSIONS).map(|it| it.to_str().unwrap().to_owned());
    assert_eq!(field.is_some(), agreed.is_some());
    Ok(field.zip(agreed))
}

fn answered(deflate: Deflate, offer: &str) -> Option<String> {
    answer(deflate, &[offer]).unwrap().map(|(field, _)| field)
}

/// A client's response to the fields of an answer, and what it makes of it.
fn verify(deflate: Deflate, answers: &[&str]) -> Result<Option<DeflateAgreement>, ResponseError> {
    let request = ClientRequest::new("ws://example.com").unwrap().deflate(Some(deflate));
    let response = response(answers);
    let verified = request.verify(*b"the sample nonce", &response);
    let agreed = request.negotiated(&response).map(|it| it.deflate);
    assert_eq!(verified.err(), agreed.clone().err());
    Ok(agreed?.map(|(_, agreed)| agreed))
}

fn response(answers: &[&str]) -> Response<()> {
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .version(Version::HTTP_11)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        .body(())
        .unwrap();
    for answer in answers {
        response.headers_mut().append(EXTENSIONS, HeaderValue::from_str(answer).unwrap());
    }
    response
}

/// Every context is taken over, so that nothing is in an answer but what the offer asks for.
fn open() -> Deflate {
    Deflate::default().takeover(true).peer_takeover(true)
}

#[test]
fn offers_are_answered() {
    let table = [
        ("permessage-deflate", Some("permessage-deflate")),
        // Browsers, and JavaScript's ws.
        ("permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
        (
            "permessage-deflate; client_max_window_bits=15",
            Some("permessage-deflate; client_max_window_bits=15"),
        ),
        (
            "permessage-deflate;client_max_window_bits = \"1\\0\"",
            Some("permessage-deflate; client_max_window_bits=10"),
        ),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (
            "permessage-deflate; server_max_window_bits=8",
            Some("permessage-deflate; server_max_window_bits=8"),
        ),
        // §5.2: the first that is acceptable.
        (
            "permessage-deflate; server_max_window_bits=12, permessage-deflate",
            Some("permessage-deflate; server_max_window_bits=12"),
        ),
        (
            "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=\"11\"",
            Some("permessage-deflate; server_max_window_bits=11"),
        ),
        (", x-webkit-deflate-frame; a=b,, permessage-deflate ,", Some("permessage-deflate")),
        // Other extensions, and none.
        ("x-webkit-deflate-frame", None),
        ("permessage-bzip2; method=\"a-b\"", None),
        ("Permessage-Deflate", None),
        ("", None),
        // §7.1: unknown, repeated and invalid parameters decline the offer.
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=9", None),
        ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", None),
        ("permessage-deflate; server_no_context_takeover=true", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=08", None),
        ("permessage-deflate; server_max_window_bits=1", None),
        ("permessage-deflate; server_max_window_bits=1+", None),
        ("permessage-deflate; server_max_window_bits=110", None),
        ("permessage-deflate; client_max_window_bits=0", None),
        ("permessage-deflate; Client_Max_Window_Bits", None),
    ];
    for (offer, expected) in table {
        assert_eq!(answered(open(), offer).as_deref(), expected, "{offer}");
    }
}

#[test]
fn offers_may_be_spread_over_fields() {
    let offers =
        ["x-unknown", "permessage-deflate; bad, permessage-deflate; client_max_window_bits"];
    let (field, agreed) = answer(open().peer_window_bits(12), &offers).unwrap().unwrap();
    assert_eq!(field, "permessage-deflate; client_max_window_bits=12");
    assert_eq!(agreed, DeflateAgreement { client_max_window_bits: 12, ..Default::default() });
}

#[test]
fn a_malformed_offer_fails_the_handshake() {
    for offer in [
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b c\"",
        "permessage-deflate; a=\"b\\",
        "permessage-deflate; a=\"b\"c",
        "permessage-deflate; =b",
        "permessage-deflate a",
        "permessage-deflate=1",
        "; a",
        "per(message",
        "permessage-deflate, x; \u{e4}",
    ] {
        let rejection = answer(open(), &[offer]).unwrap_err();
        assert_eq!(rejection.status(), StatusCode::BAD_REQUEST, "{offer}");
    }
}

#[test]
fn a_server_says_what_it_wants_itself() {
    let offer = "permessage-deflate; client_max_window_bits";
    let table = [
        (
            Deflate::default(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (open().takeover(false), "permessage-deflate; server_no_context_takeover"),
        (open().peer_takeover(false), "permessage-deflate; client_no_context_takeover"),
        (open().window_bits(10), "permessage-deflate; server_max_window_bits=10"),
        (open().peer_window_bits(9), "permessage-deflate; client_max_window_bits=9"),
    ];
    for (deflate, expected) in table {
        assert_eq!(answered(deflate, offer).as_deref(), Some(expected));
    }
    // The lower of two bounds.
    let offer = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    let expected = "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11";
    let deflate = open().window_bits(11).peer_window_bits(11);
    assert_eq!(answered(deflate, offer).as_deref(), Some(expected));
    let deflate = open().window_bits(14).peer_window_bits(14);
    assert_eq!(answered(deflate, offer).as_deref(), Some(offer));
    // §7.1.2.2: who does not offer it must not be told, and the next offer may do.
    let small = open().peer_window_bits(10);
    assert_eq!(answered(small, "permessage-deflate"), None);
    assert_eq!(
        answered(small, "permessage-deflate, permessage-deflate; client_max_window_bits"),
        Some("permessage-deflate; client_max_window_bits=10".to_owned()),
    );
}

#[test]
fn the_offer_says_what_the_client_wants() {
    let table = [
        (open(), "permessage-deflate; client_max_window_bits"),
        (
            Deflate::default(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits",
        ),
        (
            open().window_bits(9).peer_window_bits(10),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
        ),
    ];
    for (deflate, expected) in table {
        let request = ClientRequest::new("ws://example.com").unwrap().deflate(Some(deflate));
        assert_eq!(request.build([0; 16]).headers()[EXTENSIONS], expected);
    }
    let request = ClientRequest::new("ws://example.com").unwrap();
    assert!(!request.build([0; 16]).headers().contains_key(EXTENSIONS));
}

#[test]
fn there_are_no_other_windows() {
    for (bits, expected) in [(0, 9), (8, 9), (16, 15), (255, 15)] {
        let mut deflate = open();
        deflate.window_bits = bits;
        let offer = "permessage-deflate; server_max_window_bits=15";
        let (_, agreed) = answer(deflate, &[offer]).unwrap().unwrap();
        assert_eq!(agreed.server_max_window_bits, expected);
    }
}

#[test]
fn answers_are_verified() {
    let plain = DeflateAgreement::default();
    let good = [
        (open(), "permessage-deflate", plain),
        (
            open(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; \
             client_no_context_takeover; client_max_window_bits=\"9\"",
            DeflateAgreement {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                server_max_window_bits: 8,
                client_max_window_bits: 9,
            },
        ),
        (
            open().peer_takeover(false),
            "permessage-deflate; server_no_context_takeover",
            DeflateAgreement { server_no_context_takeover: true, ..plain },
        ),
        (
            open().peer_window_bits(12),
            "permessage-deflate; server_max_window_bits=12",
            DeflateAgreement { server_max_window_bits: 12, ..plain },
        ),
        (open().window_bits(12), "permessage-deflate", plain),
    ];
    for (deflate, field, expected) in good {
        assert_eq!(verify(deflate, &[field]), Ok(Some(expected)), "{field}");
    }
    assert_eq!(verify(open(), &[]), Ok(None));

    let (beyond, malformed) =
        (ResponseError::ExtensionNotOffered, ResponseError::ExtensionMalformed);
    let bad = [
        (open(), "permessage-bzip2", &beyond),
        (open(), "permessage-deflate, permessage-deflate", &beyond),
        (open(), "permessage-deflate, x", &beyond),
        (open().peer_takeover(false), "permessage-deflate", &beyond),
        (open().peer_window_bits(12), "permessage-deflate", &beyond),
        (open().peer_window_bits(12), "permessage-deflate; server_max_window_bits=13", &beyond),
        (open().window_bits(12), "permessage-deflate; client_max_window_bits=13", &beyond),
        (open(), "permessage-deflate; unknown", &malformed),
        (open(), "permessage-deflate; client_max_window_bits", &malformed),
        (open(), "permessage-deflate; server_max_window_bits", &malformed),
        (open(), "permessage-deflate; server_max_window_bits=16", &malformed),
        (open(), "permessage-deflate; server_no_context_takeover=1", &malformed),
        (
            open(),
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            &malformed,
        ),
        (open(), "permessage-deflate;", &malformed),
    ];
    for (deflate, field, expected) in bad {
        assert_eq!(verify(deflate, &[field]).as_ref(), Err(expected), "{field}");
    }
    assert_eq!(verify(open(), &["permessage-deflate"; 2]), Err(beyond));
}

#[test]
fn whoever_offers_nothing_accepts_nothing() {
    let request = ClientRequest::new("ws://example.com").unwrap();
    let found = request.verify(*b"the sample nonce", &response(&["permessage-deflate"]));
    assert_eq!(found, Err(ResponseError::ExtensionNotOffered));
    let offered = self::request(&["permessage-deflate;;;"]);
    let response = Upgrade::from_request(&offered).unwrap().response(None, &Default::default());
    assert!(!response.unwrap().headers().contains_key(EXTENSIONS));
}

/// Both sides understand each other, whatever they want.
#[test]
fn what_is_answered_is_verified() {
    for mask in 0..1 << 8 {
        let bit = |at: u32| mask >> at & 1 == 1;
        let bits = |at| if bit(at) { 10 } else { 15 };
        let one = Deflate::default().takeover(bit(0)).peer_takeover(bit(1)).window_bits(bits(2));
        let one = one.peer_window_bits(bits(3));
        let other = Deflate::default().takeover(bit(4)).peer_takeover(bit(5)).window_bits(bits(6));
        let other = other.peer_window_bits(bits(7));
        let client = ClientRequest::new("ws://example.com").unwrap().deflate(Some(one));
        let offer = client.build([0; 16]).headers()[EXTENSIONS].to_str().unwrap().to_owned();
        let (field, agreed) = answer(other, &[&offer]).unwrap().unwrap();
        assert_eq!(verify(one, &[&field]), Ok(Some(agreed)), "{offer}: {field}");
    }
}
