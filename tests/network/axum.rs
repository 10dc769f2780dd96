//! The extractor inside axum: one route for HTTP/1.1 and HTTP/2.

use std::net::SocketAddr;

use crate::support::web::*;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::{SinkExt, Stream, StreamExt};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tokio::net::TcpListener;
use wse_transport::handshake::{
    ClientRequest, HandshakeError, OriginPolicy, ProxyNet, Rejection, TrustedProxies,
};
use wse_transport::upgrade::HttpStream;
use wse_transport::upgrade::axum::WebSocketUpgrade;
use wse_transport::ws::{self, Config, Deflate, Limits, Message, WebSocket};

async fn start(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn echo(mut socket: WebSocket<HttpStream>) {
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            let _ = socket.send(message).await;
        }
    }
}

fn request(addr: SocketAddr, path: &str) -> ClientRequest {
    ClientRequest::new(&format!("ws://{addr}{path}")).unwrap()
}

async fn echoes<S>(socket: &mut S, text: &str)
where
    S: Stream<Item = Result<Message, ws::Error>>
        + futures::Sink<Message, Error = ws::Error>
        + Unpin,
{
    socket.send(Message::text(text.to_owned())).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text(text.to_owned()));
}

/// The response of a refusal.
async fn refused(request: &ClientRequest) -> http::Response<bytes::Bytes> {
    match soon(wse_transport::connect_with(request, Config::default())).await {
        Err(HandshakeError::Refused(response)) => *response,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn one_route_serves_both_versions() {
    let handler = |upgrade: WebSocketUpgrade| async move {
        let version = format!("{:?}", upgrade.request().version());
        let chosen = upgrade.protocols(["b", "a"]);
        let told = format!("{version} {}", chosen.protocol().unwrap_or("none"));
        chosen.on_upgrade(|mut socket| async move {
            socket.send(Message::text(told)).await.unwrap();
            echo(socket).await;
        })
    };
    let addr = start(Router::new().route("/echo", any(handler))).await;

    let offer = request(addr, "/echo?x=1").subprotocol("a").unwrap().subprotocol("b").unwrap();
    let (mut old, response) = wse_transport::connect_with(&offer, Config::default()).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "a");
    assert_eq!(soon(old.next()).await.unwrap().unwrap(), Message::text("HTTP/1.1 a"));

    let http = Http2::connect(addr).await;
    let mut new = http.open("/echo?x=1", Config::default()).await;
    assert_eq!(soon(new.next()).await.unwrap().unwrap(), Message::text("HTTP/2.0 none"));
    echoes(&mut old, "over 1.1").await;
    echoes(&mut new, "over 2").await;

    // Without a word in common there is no socket; without an offer there is one.
    let other = request(addr, "/echo").subprotocol("c").unwrap();
    let response = refused(&other).await;
    assert_eq!(response.status(), 400);
    assert!(response.body().ends_with(b"spoken here: b, a"), "{response:?}");
    assert!(wse_transport::connect_with(&request(addr, "/echo"), Config::default()).await.is_ok());
}

#[tokio::test]
async fn handlers_refuse_with_any_status_and_body() {
    async fn handler(upgrade: WebSocketUpgrade) -> Result<Response, Rejection> {
        match upgrade.request().uri().query() {
            Some("rejection") => {
                Err(Rejection::new(StatusCode::UNAUTHORIZED, r#"{"error":"who?"}"#)
                    .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
                    .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
                    .over(upgrade.request().version()))
            }
            Some("response") => Ok((StatusCode::IM_A_TEAPOT, "short and stout").into_response()),
            _ => Ok(upgrade.on_upgrade(echo)),
        }
    }
    let addr = start(Router::new().route("/", any(handler))).await;
    let response = refused(&request(addr, "/?rejection")).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers().get_all("content-type").iter().count(), 1);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(response.body(), r#"{"error":"who?"}"#);
    assert_eq!(refused(&request(addr, "/?response")).await.status(), 418);

    let http = Http2::connect(addr).await;
    let response = http.refused(http.request("/?rejection")).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.body(), r#"{"error":"who?"}"#);
    assert_eq!(http.refused(http.request("/?response")).await.status(), 418);
    echoes(&mut http.open("/", Config::default()).await, "let in").await;
}

#[tokio::test]
async fn what_does_not_ask_for_a_websocket_is_answered() {
    let handler = |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(echo) };
    let addr = start(Router::new().route("/", any(handler))).await;
    let answer = http1(addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
    // A handler may want to see to it itself.
    let page = |upgrade: Result<WebSocketUpgrade, Rejection>| async move {
        upgrade.map_or_else(|_| "a page".into_response(), |it| it.on_upgrade(echo))
    };
    let pages = start(Router::new().route("/", any(page))).await;
    let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(http1(pages, get).await.ends_with("a page"));
    assert!(wse_transport::connect_with(&request(pages, "/"), Config::default()).await.is_ok());

    let answer = http1(addr, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn settings_of_the_route_hold() {
    let handler = |upgrade: WebSocketUpgrade| async move {
        let config = Config::default()
            .limits(Limits::default().max_message(2000))
            .deflate(Some(Deflate::default()));
        upgrade
            .config(config)
            .origins(OriginPolicy::List(vec!["https://app.example.com".into()]))
            .header(HeaderName::from_static("x-served-by"), HeaderValue::from_static("us"))
            .on_upgrade(echo)
    };
    let addr = start(Router::new().route("/", any(handler))).await;
    let own = request(addr, "/").header("Origin", "https://app.example.com").unwrap();
    let config = Config::default().deflate(Some(Deflate::default()));
    let (mut socket, response) = wse_transport::connect_with(&own, config).await.unwrap();
    assert_eq!(response.headers()["x-served-by"], "us");
    assert!(response.headers()["sec-websocket-extensions"].as_bytes().starts_with(b"permessage"));
    echoes(&mut socket, &"x".repeat(2000)).await;
    socket.send(Message::text("x".repeat(2001))).await.unwrap();
    match soon(socket.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1009),
        other => panic!("{other:?}"),
    }
    for origin in ["https://evil.example", &format!("http://{addr}")] {
        let foreign = request(addr, "/").header("Origin", origin).unwrap();
        assert_eq!(refused(&foreign).await.status(), 403, "{origin}");
    }
}

#[tokio::test]
async fn a_reserved_header_is_a_mistake_of_the_server() {
    let handler = |upgrade: WebSocketUpgrade| async move {
        let value = HeaderValue::from_static("x");
        upgrade.header(header::SEC_WEBSOCKET_ACCEPT, value).on_upgrade(echo)
    };
    let addr = start(Router::new().route("/", any(handler))).await;
    assert_eq!(refused(&request(addr, "/")).await.status(), 500);
}

#[tokio::test]
async fn a_layer_that_takes_the_upgrade_leaves_a_500() {
    let handler = |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(echo) };
    let strip = |mut request: Request, next: axum::middleware::Next| async move {
        request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
        next.run(request).await
    };
    let app = Router::new().route("/", any(handler)).layer(axum::middleware::from_fn(strip));
    let addr = start(app).await;
    assert_eq!(refused(&request(addr, "/")).await.status(), 500);
}

#[tokio::test]
async fn a_listed_proxy_tells_who_the_client_is() {
    async fn handler(
        State(proxies): State<TrustedProxies>,
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        upgrade: WebSocketUpgrade,
    ) -> Response {
        let upgrade = upgrade.trusted_proxies(peer, &proxies);
        let client = upgrade.forwarded().addr.unwrap().ip();
        upgrade.on_upgrade(move |mut socket| async move {
            let _ = socket.send(Message::text(client.to_string())).await;
        })
    }
    for (net, status) in [("127.0.0.1", None), ("10.0.0.0/8", Some(403))] {
        let net: ProxyNet = net.parse().unwrap();
        let app = Router::new().route("/", any(handler)).with_state(TrustedProxies::from([net]));
        let addr = start(app).await;
        let mut behind = request(addr, "/");
        for (name, value) in [
            ("Forwarded", "for=6.6.6.6, for=\"[2001:db8::7]\";host=example.com"),
            ("Origin", "https://example.com"),
        ] {
            behind = behind.header(name, value).unwrap();
        }
        if let Some(status) = status {
            assert_eq!(refused(&behind).await.status(), status);
        } else {
            let (mut socket, _) =
                wse_transport::connect_with(&behind, Config::default()).await.unwrap();
            assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("2001:db8::7"));
        }
    }
}
