//! Whatever this side sends, this side can read.

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use proptest::prelude::*;
use wse_transport::driver::{Driver, DriverOptions};
use wse_transport::handshake::{
    ClientRequest, HeadLimits, HeadScanner, Rejection, RequestError, Upgrade, encode_request,
    encode_response, parse_request, parse_response,
};
use wse_transport::sse::{Event, EventError, last_event_id};
use wse_transport::ws::Extension;

/// Heads of any length.
fn limits() -> HeadLimits {
    HeadLimits::default().max_line(usize::MAX).max_head(usize::MAX).max_headers(usize::MAX)
}

/// Reads what a request is written as.
fn again(request: &Request<()>) -> Request<()> {
    let wire = encode_request(request);
    let len = HeadScanner::default().scan(&wire, &limits()).unwrap().expect("a whole head");
    assert_eq!(len, wire.len(), "nothing breaks out of the head");
    parse_request(&wire, &limits()).expect("what was written can be read")
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,12}";
    let value = prop_oneof![
        "[ -~]{0,20}",
        "[ \t]{0,3}[ -~\t]{0,10}[ \t]{0,3}",
        "\\PC{0,10}",
        proptest::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
    ];
    proptest::collection::vec((name, value), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_read_as_they_were_written(
        target in "\\PC{0,30}",
        fields in fields(),
        names in proptest::collection::btree_set("[a-z.]{1,8}", 0..5),
    ) {
        let Ok(mut request) = ClientRequest::new(&format!("ws://example.com/{target}")) else {
            return Ok(());
        };
        for (name, value) in fields {
            if let Ok(more) = request.clone().header(&name, &value) {
                request = more;
            }
        }
        for name in &names {
            request = request.subprotocol(name).unwrap();
        }
        let request = request.build([7; 16]);
        let read = again(&request);
        prop_assert_eq!(read.uri(), request.uri());
        prop_assert_eq!(read.headers(), request.headers());
        let upgrade = Upgrade::from_request(&read).expect("what we ask for we accept");
        prop_assert_eq!(upgrade.subprotocols(), names.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn rejections_are_read_as_they_were_written(
        status in 100..1000_u16,
        fields in fields(),
        body in "\\PC{0,20}",
    ) {
        let mut rejection = Rejection::new(StatusCode::from_u16(status).unwrap(), body);
        for (name, value) in fields {
            let value = value.trim_matches([' ', '\t']);
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                rejection = rejection.header(name, value);
            }
        }
        let (parts, body) = rejection.to_response().into_parts();
        let response = http::Response::from_parts(parts, ());
        let wire = encode_response(&response, &body);
        let len = HeadScanner::default().scan(&wire, &limits()).unwrap().expect("a whole head");
        prop_assert_eq!(&wire[len..], &body[..]);
        let read = parse_response(&wire[..len], &limits()).expect("what was written can be read");
        prop_assert_eq!(read.status(), response.status());
        prop_assert_eq!(read.headers(), response.headers());
    }

    /// A browser sends the id back in a header field, without the whitespace around it.
    #[test]
    fn ids_of_events_come_back(id in prop_oneof![
        "\\PC{0,20}",
        "[ \t]{0,2}[a-z]{0,3}[\u{1}-\u{1f}\u{7f}]{0,2}[ \t]{0,2}",
        proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
    ]) {
        if Event::new("x").id(&id).is_ok() {
            let wire = format!("GET / HTTP/1.1\r\nHost: h\r\nLast-Event-ID: {id}\r\n\r\n");
            let request = parse_request(wire.as_bytes(), &HeadLimits::default()).unwrap();
            prop_assert_eq!(last_event_id(&request), Some(&*id).filter(|id| !id.is_empty()));
        }
    }
}

#[test]
fn ids_that_could_not_come_back_are_refused() {
    let long = "x".repeat(4097);
    for id in ["\u{1}", "a\u{7}b", "a\u{7f}", "\u{1b}[0m", " 7", "7 ", "\t7", "7\t", " ", &long] {
        assert_eq!(Event::new("x").id(id), Err(EventError::Id), "{id:?}");
    }
    for id in ["", "7", "a b", "a\tb", "\u{e4}\u{1f600}", "\u{85}\u{2028}", &long[1..]] {
        assert!(Event::new("x").id(id).is_ok(), "{id:?}");
    }
}

#[test]
fn whitespace_around_a_value_is_not_part_of_it() {
    let request = ClientRequest::new("ws://h").unwrap().header("X", " \t a b\t ").unwrap();
    assert_eq!(request.build([0; 16]).headers()["x"], "a b");
    let mut driver = Driver::client("ws://h", DriverOptions::default()).unwrap();
    driver.set_header("X", "\ta ").unwrap();
    driver.start().unwrap();
    assert_eq!(driver.request().unwrap().headers()["x"], "a");
}

/// A server takes 64 offers.
#[test]
fn a_client_offers_no_more_than_a_server_takes() {
    #[derive(Debug)]
    struct Named(String);
    impl Extension for Named {
        fn name(&self) -> &str {
            &self.0
        }
        fn answer(
            &self,
            _: &wse_transport::ws::ExtensionParams,
        ) -> Option<(wse_transport::ws::ExtensionParams, Box<dyn wse_transport::ws::FrameExtension>)>
        {
            None
        }
        fn agree(
            &self,
            _: &wse_transport::ws::ExtensionParams,
        ) -> Option<Box<dyn wse_transport::ws::FrameExtension>> {
            None
        }
    }

    let mut request = ClientRequest::new("ws://h").unwrap();
    for n in 0..64 {
        request = request.subprotocol(&format!("p{n}")).unwrap();
        request = request.extension(std::sync::Arc::new(Named(format!("x{n}")))).unwrap();
    }
    let read = again(&request.build([0; 16]));
    let mut upgrade = Upgrade::from_request(&read).unwrap();
    assert_eq!(upgrade.subprotocols().len(), 64);
    upgrade.extend(&[std::sync::Arc::new(Named("y".into()))], &read).unwrap();
    let more = request.clone().subprotocol("p64").unwrap_err();
    assert_eq!(more, RequestError::TooManyOffers);
    let more = request.extension(std::sync::Arc::new(Named("x64".into()))).unwrap_err();
    assert_eq!(more, RequestError::TooManyOffers);
}

/// The fields of an upgrade, and those that the caller adds.
#[test]
fn upgrades_are_read_as_they_were_written() {
    let request = ClientRequest::new("ws://h").unwrap().subprotocol("a").unwrap();
    let asked = request.build([1; 16]);
    let mut extra = HeaderMap::new();
    for value in [&b"caf\xe9"[..], b"a\tb", b"\"quoted, text\"", "\u{1f600}".as_bytes()] {
        extra.append(header::SET_COOKIE, HeaderValue::from_bytes(value).unwrap());
    }
    let response = Upgrade::from_request(&asked).unwrap().response(Some("a"), &extra).unwrap();
    let read = parse_response(&encode_response(&response, ""), &HeadLimits::default()).unwrap();
    assert_eq!(read.headers(), response.headers());
    assert_eq!(request.verify([1; 16], &read), Ok(Some("a".to_owned())));
}
