//! Redirects of the opening handshake: followed by choice alone, and never to where less is safe.

use crate::support::endpoints::{adds, server};
use crate::support::proxy::*;
use wse::{Client, ConnectError};
use wse_codecs::JsonArray;
use wse_transport::dial::Dial;
use wse_transport::handshake::{ClientRequest, HandshakeError, RedirectError};
use wse_transport::proxy::Proxy;
use wse_transport::ws::Config;

/// A server that redirects.
async fn redirects(status: u16, location: &str) -> Listening {
    let head =
        format!("HTTP/1.1 {status} Away\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    says(head, 1000).await
}

fn redirect_error<T>(outcome: Result<T, HandshakeError>) -> RedirectError {
    match outcome.map(drop) {
        Err(HandshakeError::Redirect(error)) => error,
        other => panic!("not an error of a redirect: {other:?}"),
    }
}

#[tokio::test]
async fn a_redirect_is_a_refusal_unless_it_is_asked_for() {
    let origin = echo_server(LOCAL, None).await;
    for status in [301, 302, 303, 307, 308] {
        let first = redirects(status, &format!("http://{}/there?a#b", origin.addr)).await;
        let refused = dialled(&first.url("ws://"), &Dial::default()).await;
        let Err(HandshakeError::Refused(response)) = refused else { panic!("{refused:?}") };
        assert_eq!(response.status().as_u16(), status);
        assert!(origin.asked().is_empty());

        let socket = dialled(&first.url("ws://"), &Dial::default().redirects(1)).await.unwrap();
        assert_eq!(socket.get_ref().tcp().peer_addr().unwrap(), origin.addr);
        talk(socket).await;
        assert_eq!(origin.asked(), ["/there"]);
    }
    // Of 3xx these alone say where else.
    for status in [300, 304, 305] {
        let first = redirects(status, &origin.url("ws://")).await;
        let refused = dialled(&first.url("ws://"), &Dial::default().redirects(1)).await;
        assert!(matches!(refused, Err(HandshakeError::Refused(_))), "{status}");
    }
}

#[tokio::test]
async fn their_number_is_limited() {
    let circle = redirects(302, "/again").await;
    let error = redirect_error(dialled(&circle.url("ws://"), &Dial::default().redirects(3)).await);
    assert_eq!(error, RedirectError::TooMany(3));
    let asked = circle.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked[0].starts_with("GET / "), "{}", asked[0]);
    assert!(asked[1..].iter().all(|it| it.starts_with("GET /again ")));

    let origin = echo_server(LOCAL, None).await;
    let second = redirects(307, &origin.url("ws://")).await;
    let first = redirects(307, &second.url("ws://")).await;
    talk(dialled(&first.url("ws://"), &Dial::default().redirects(2)).await.unwrap()).await;
    let error = redirect_error(dialled(&first.url("ws://"), &Dial::default().redirects(1)).await);
    assert_eq!(error, RedirectError::TooMany(1));
}

#[tokio::test]
async fn credentials_stay_with_the_origin_that_they_are_for() {
    let other = redirects(404, "/").await;
    let same = redirects(302, "/").await;
    let away = redirects(302, &format!("http://you:known@{}/", other.addr)).await;
    let ask = async |from: &Listening| {
        let request = ClientRequest::new(&from.url("ws://me:secret@")).unwrap();
        let request = request.header("Cookie", "secret").unwrap().header("X-App", "1").unwrap();
        let request = request.header("Proxy-Authorization", "secret").unwrap();
        let dial = Dial::default().redirects(1);
        soon(wse_transport::connect_dial(&request, &dial, Config::default())).await.unwrap_err()
    };
    assert!(matches!(ask(&away).await, HandshakeError::Refused(_)));
    let (first, last) = (away.asked().remove(0), other.asked().remove(0));
    assert!(
        first.contains("authorization: Basic bWU6c2VjcmV0") && first.contains("cookie: secret")
    );
    assert!(!last.contains("uthorization") && !last.contains("secret"), "{last}");
    assert!(last.contains("\r\nx-app: 1\r\n"), "{last}");
    assert!(last.contains(&format!("\r\nhost: {}\r\n", other.addr)), "{last}");

    redirect_error::<()>(Err(ask(&same).await));
    for asked in same.asked() {
        assert!(asked.contains("cookie: secret") && asked.contains("bWU6c2VjcmV0"), "{asked}");
    }
}

#[tokio::test]
async fn from_wss_to_ws_is_never_followed_and_the_other_way_is() {
    let authority = Authority::new();
    let secure = echo_server(LOCAL, Some(authority.server("127.0.0.1"))).await;
    let dial = Dial::default().redirects(5).tls(authority.trusted());
    let up = redirects(301, &secure.url("https://")).await;
    let socket = dialled(&up.url("ws://"), &dial).await.unwrap();
    assert!(socket.get_ref().tls().is_some());

    let plain = echo_server(LOCAL, None).await;
    for scheme in ["ws://", "http://"] {
        let away = plain.url(scheme);
        let answer = format!("HTTP/1.1 302 Away\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n");
        let down = says_over(Some(authority.server("127.0.0.1")), answer, 1000).await;
        let error = redirect_error(dialled(&down.url("wss://"), &dial).await);
        assert_eq!(error, RedirectError::Downgrade);
    }
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn the_client_follows_with_its_proxies() {
    let server = server(&JsonArray).bind(LOCAL).await.unwrap();
    let port = server.local_addrs()[0].port();
    let first = redirects(307, &format!("http://origin.test:{port}/")).await;
    let proxy = http_proxy(None).await;
    let ann = || {
        Client::builder(JsonArray, first.url("ws://"))
            .identity("secret of ann".to_owned())
            .proxy(Proxy::new(&proxy.url("http://")).unwrap())
    };
    let connected = soon(ann().redirects(1).connect()).await.unwrap();
    assert_eq!(adds(&connected).await.unwrap(), 3);
    let targets: Vec<_> =
        proxy.asked().iter().map(|it| it.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(targets, [first.addr.to_string(), format!("origin.test:{port}")]);

    let refused = soon(ann().connect()).await.unwrap_err();
    assert!(matches!(&refused, ConnectError::Handshake(HandshakeError::Refused(_))));
    assert!(!refused.is_transient());
}
