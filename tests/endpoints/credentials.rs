//! Where credentials go, and that they are not shown.

use std::time::Duration;

use crate::support::endpoints::*;
use http::{HeaderMap, HeaderName, HeaderValue};
use wse::{Client, ConnectError, Hello, JsonArray, memory};
use wse_transport::driver::{Driver, DriverOptions};
use wse_transport::handshake::{ClientRequest, HeadLimits, Rejection, Upgrade, encode_response};
use wse_transport::sse;

/// The fields that have credentials, and one that has none.
const FIELDS: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token", "x-other"];

/// Which of [`FIELDS`] arrive where a client connects first, and then where it migrates.
async fn sent(home: &str, to: &str, share: bool) -> [Vec<&'static str>; 3] {
    let (dial, mut arrivals) = dialled();
    let mut builder = Client::builder(JsonArray, home).connector(dial).share_credentials(share);
    for name in FIELDS {
        builder = builder.header(name, "hunter2");
    }
    let client = builder.identity("me".to_owned()).build();
    let mut fields = [const { Vec::new() }; 3];
    for (sent, url) in fields.iter_mut().zip([None, Some(to), Some(home)]) {
        let connecting = async {
            match url {
                None => client.connect().await,
                Some(url) if share => client.migrate(url).await,
                Some(url) => client.migrate_as(url, "you".to_owned(), ()).await,
            }
        };
        let (outcome, request) = tokio::join!(connecting, arrivals.refused(403));
        assert!(matches!(outcome, Err(ConnectError::Handshake(_))), "{outcome:?}");
        sent.extend(FIELDS.into_iter().filter(|name| request.headers().contains_key(*name)));
    }
    fields
}

#[tokio::test(start_paused = true)]
async fn credentials_stay_with_the_origin_that_they_were_set_for() {
    let home = "ws://a.example/x";
    for to in [
        "ws://b.example/x",
        "ws://a.example:81/x",
        "ws://a.example.b.example/x",
        "ws://b.a.example/",
        "ws://you:there@b.example/",
    ] {
        let [first, there, back] = sent(home, to, false).await;
        assert_eq!((first, back), (FIELDS.to_vec(), FIELDS.to_vec()), "{to}");
        // The login of the new URL is its own.
        let login =
            if to.contains('@') { vec!["authorization", "x-other"] } else { vec!["x-other"] };
        assert_eq!(there, login, "{to}");
        assert_eq!(sent(home, to, true).await[1], FIELDS, "{to}");
    }
    for to in ["ws://a.example/y?z", "ws://A.example:80/", "ws://a.example"] {
        assert_eq!(sent(home, to, false).await[1], FIELDS, "{to}");
    }
}

/// The login of the builder's URL is a credential too.
#[tokio::test(start_paused = true)]
async fn the_login_of_a_url_goes_nowhere_else() {
    let (dial, mut arrivals) = dialled();
    let client = Client::builder(JsonArray, "ws://me:hunter2@a.example/")
        .connector(dial)
        .identity("me".to_owned())
        .build();
    for (url, expected) in [(None, true), (Some("ws://b.example/"), false)] {
        let connecting = async {
            match url {
                None => client.connect().await,
                Some(url) => client.migrate(url).await,
            }
        };
        let (_, request) = tokio::join!(connecting, arrivals.refused(403));
        assert_eq!(request.headers().contains_key("authorization"), expected);
    }
}

const SECRET: &str = "hunter2";

fn hides(shown: &str) {
    assert!(!shown.contains(SECRET), "{shown}");
    // Nor as a list of bytes, nor in base64.
    assert!(!shown.contains("104, 117, 110"), "{shown}");
    assert!(!shown.contains("aHVudGVyM"), "{shown}");
}

#[test]
fn debug_shows_no_secrets() {
    let url = "ws://me:hunter2@a.example/x?token=hunter2";
    let builder = Client::builder(JsonArray, url)
        .header("Authorization", SECRET)
        .identity(SECRET.to_owned())
        .meta(SECRET.to_owned());
    hides(&format!("{builder:?}"));
    hides(&format!("{:?}", builder.build()));

    let mut request = ClientRequest::new(url).unwrap().subprotocol("token.hunter2").unwrap();
    for name in FIELDS {
        request = request.header(name, SECRET).unwrap();
    }
    hides(&format!("{request:?}"));
    assert!(format!("{request:?}").contains("a.example"));

    let mut driver = Driver::client_with(request.clone(), DriverOptions::default());
    driver.set_header("X-Api-Key", SECRET).unwrap();
    driver.start().unwrap();
    hides(&format!("{driver:?}"));
    let mut server = Driver::server(DriverOptions::default());
    server.receive(driver.output());
    hides(&format!("{server:?}"));
    server.next_event(Duration::ZERO);
    hides(&format!("{server:?}"));

    // Of the request itself only the target remains, and the fields without credentials.
    let received = server.request().unwrap();
    let mut shown = received.headers().clone();
    shown.remove("x-other");
    shown.remove("sec-websocket-protocol");
    hides(&format!("{shown:?}"));
    hides(&format!("{:?}", Upgrade::from_request(received).unwrap()));

    let name = HeaderName::from_static("set-cookie");
    let cookie = HeaderValue::from_static(SECRET);
    hides(&format!(
        "{:?}",
        Rejection::new(http::StatusCode::OK, "").header(name.clone(), cookie.clone())
    ));
    hides(&format!("{:?}", sse::Config::default().header(name.clone(), cookie.clone()).unwrap()));
    let response = encode_response(&server_response(HeaderMap::from_iter([(name, cookie)])), "");
    let response =
        wse_transport::handshake::parse_response(&response, &HeadLimits::default()).unwrap();
    hides(&format!("{response:?}"));

    let mut hello = Hello::<String>::default();
    hello.identity = SECRET.to_owned();
    hides(&format!("{hello:?}"));
}

fn server_response(headers: HeaderMap) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.headers_mut() = headers;
    response
}

#[tokio::test]
async fn errors_show_no_secrets() {
    for url in [
        "tcp://me:hunter2@a.example",
        "ws://me:hunter2@a.example/?hunter2",
        "me:hunter2@a.example",
        "nothing?hunter2",
    ] {
        let client = Client::builder(JsonArray, url).framed().identity(String::new()).build();
        let error = client.connect().await.unwrap_err();
        hides(&format!("{error:?} {error} {error:#}"));
        let client = Client::builder(JsonArray, url.replacen("ws:", "xs:", 1)).build();
        let error = client.connect().await.unwrap_err();
        hides(&format!("{error:?} {error} {error:#}"));
    }
}

/// The request that a server's connection keeps is shown without its credentials.
#[tokio::test(start_paused = true)]
async fn the_request_of_a_connection_hides_its_credentials() {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&JsonArray)
        .on("show", move |conn, ()| {
            seen.add(format!("{:?}", conn.request().headers()));
            async {}
        })
        .build();
    let ann = Client::builder(JsonArray, memory::URL)
        .connector(memory::connector(&server))
        .identity("secret of ann".to_owned())
        .header("Cookie", SECRET)
        .header("X-Other", "shown")
        .connect()
        .await
        .unwrap();
    ann.send("show", &()).unwrap();
    adds(&ann).await.unwrap();
    let [shown] = log.take().try_into().unwrap();
    assert!(shown.contains("cookie") && shown.contains("shown"), "{shown}");
    hides(&shown);
}
