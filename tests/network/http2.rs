//! WebSocket over HTTP/2 (RFC 8441): real streams of a real connection, our own client on top.

use std::net::SocketAddr;

use crate::support::endpoints::{Log, Raw, server, welcome};
use crate::support::web::*;
use futures::{SinkExt, StreamExt};
use h2::Reason;
use h2::ext::Protocol;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use tokio::sync::mpsc;
use wse_codecs::JsonArray;
use wse_transport::handshake::{Rejection, Upgrade};
use wse_transport::upgrade::{HttpStream, WebSocketUpgrade};
use wse_transport::ws::{self, Closing, Config, Deflate, Limits, Message, Role, WebSocket};

/// What servers saw of their sockets, in order.
type Seen = mpsc::UnboundedReceiver<String>;

/// Echoes until the end, and tells what came besides messages.
async fn echo(mut socket: WebSocket<HttpStream>, seen: mpsc::UnboundedSender<String>) {
    while let Some(message) = socket.next().await {
        match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                let _ = socket.send(message).await;
            }
            Ok(Message::Close(Some(frame))) => {
                let _ = seen.send(format!("close {}", u16::from(frame.code)));
            }
            Ok(other) => drop(seen.send(format!("{other:?}"))),
            Err(ws::Error::Io(_)) => drop(seen.send("transport".to_owned())),
            Err(ws::Error::Protocol(error)) => {
                let _ = seen.send(format!("violation {}", u16::from(error.close_code())));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    let _ = seen.send("end".to_owned());
}

/// A server of bare sockets that speak `echo` or nothing.
async fn echoing(config: Config) -> (SocketAddr, Seen) {
    let (sender, seen) = mpsc::unbounded_channel();
    let addr = serve(move |request| {
        let sender = sender.clone();
        async move {
            match WebSocketUpgrade::new(request) {
                Ok(upgrade) => upgrade
                    .protocols(["echo", "other"])
                    .config(config)
                    .header(HeaderName::from_static("x-served-by"), HeaderValue::from_static("us"))
                    .on_upgrade(|socket| echo(socket, sender)),
                Err(rejection) => rejection.to_response().map(Body::from),
            }
        }
    })
    .await;
    (addr, seen)
}

async fn echoes(socket: &mut WebSocket<H2Stream>, text: &str) {
    socket.send(Message::text(text.to_owned())).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text(text.to_owned()));
}

fn header(request: &mut Request<()>, name: &'static str, value: &'static str) {
    request.headers_mut().insert(name, HeaderValue::from_static(value));
}

#[tokio::test]
async fn two_sockets_share_a_connection_and_end_apart() {
    let (addr, mut seen) = echoing(Config::default()).await;
    let http = Http2::connect(addr).await;
    let mut one = http.open("/one", Config::default()).await;
    let mut two = http.open("/two", Config::default()).await;
    for text in ["a", "b", "c"] {
        echoes(&mut one, text).await;
        echoes(&mut two, text).await;
    }

    // The closing handshake ends one stream, and both sides know it.
    one.send(Message::Close(Some(ws::CloseCode::GOING_AWAY.into()))).await.unwrap();
    match soon(one.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1001),
        other => panic!("{other:?}"),
    }
    assert!(soon(one.next()).await.is_none());
    assert_eq!(one.closing(), Closing::Ended);
    assert_eq!(soon(seen.recv()).await.unwrap(), "close 1001");
    assert_eq!(soon(seen.recv()).await.unwrap(), "end");
    assert!(one.get_ref().recv.is_end_stream());

    echoes(&mut two, "still here").await;
    drop(one);
    echoes(&mut two, "and still").await;
}

/// A server that has ended a stream waits for the peer to end its side, and does not reset it.
#[tokio::test]
async fn a_stream_that_ends_in_order_is_not_reset() {
    let (addr, mut seen) = echoing(Config::default()).await;
    let http = Http2::connect(addr).await;
    for bare in [false, true] {
        let mut socket = http.open("/", Config::default()).await;
        echoes(&mut socket, "x").await;
        let frame = (!bare).then(|| ws::CloseCode::NORMAL.into());
        socket.send(Message::Close(frame)).await.unwrap();
        while soon(socket.next()).await.is_some() {}
        while soon(seen.recv()).await.unwrap() != "end" {}
        let mut io = socket.into_parts().io;
        let reset = std::future::poll_fn(|cx| io.send.poll_reset(cx));
        let reset = tokio::time::timeout(std::time::Duration::from_millis(300), reset).await;
        assert!(reset.is_err(), "{reset:?}");
        io.send.send_data(bytes::Bytes::new(), true).unwrap();
        let reset = std::future::poll_fn(|cx| io.send.poll_reset(cx));
        let reset = tokio::time::timeout(std::time::Duration::from_millis(100), reset).await;
        assert!(!matches!(reset, Ok(Ok(_))), "{reset:?}");
    }
}

#[tokio::test]
async fn the_answer_is_200_with_what_was_chosen_and_no_key() {
    let config = Config::default().deflate(Some(Deflate::default()));
    let (addr, _seen) = echoing(config).await;
    let http = Http2::connect(addr).await;
    let mut request = http.request("/");
    header(&mut request, "sec-websocket-protocol", "unknown, echo, other");
    header(&mut request, "sec-websocket-extensions", "permessage-deflate");
    let own = HeaderValue::try_from(format!("http://{addr}")).unwrap();
    request.headers_mut().insert("origin", own);
    let (response, stream) = http.send(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
    assert_eq!(
        response.headers()["sec-websocket-extensions"],
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    );
    assert_eq!(response.headers()["x-served-by"], "us");
    for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    // What was agreed upon holds: long texts come back compressed.
    let agreed = ws::DeflateAgreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Default::default()
    };
    let mut socket = WebSocket::new(stream, Role::Client, Config::default());
    socket.set_deflate(Deflate::default(), agreed);
    echoes(&mut socket, &"all the same ".repeat(1000)).await;
}

#[tokio::test]
async fn what_is_no_websocket_is_refused_and_harms_no_other_stream() {
    let (addr, _seen) = echoing(Config::default()).await;
    let http = Http2::connect(addr).await;
    let mut alive = http.open("/", Config::default()).await;
    type Change = fn(&mut Request<()>);
    let table: [(Change, u16); 9] = [
        (|it| drop(it.headers_mut().remove("sec-websocket-version")), 400),
        (|it| header(it, "sec-websocket-version", "12"), 400),
        (|it| header(it, "sec-websocket-protocol", "unknown"), 400),
        (|it| header(it, "sec-websocket-protocol", "a b"), 400),
        (|it| header(it, "origin", "https://evil.example"), 403),
        (|it| drop(it.extensions_mut().insert(Protocol::from_static("connect-udp"))), 501),
        // A tunnel, as for a proxy: without `:protocol`.
        (
            |it| {
                it.extensions_mut().remove::<Protocol>();
                let authority = it.uri().authority().unwrap().to_string();
                *it.uri_mut() = authority.parse().unwrap();
            },
            400,
        ),
        (
            |it| {
                it.extensions_mut().remove::<Protocol>();
                *it.method_mut() = Method::GET;
            },
            405,
        ),
        (
            |it| {
                it.extensions_mut().remove::<Protocol>();
                *it.method_mut() = Method::POST;
            },
            405,
        ),
    ];
    for (at, (change, status)) in table.into_iter().enumerate() {
        let mut request = http.request("/");
        change(&mut request);
        let response = http.refused(request).await;
        assert_eq!(response.status(), status, "{at}: {response:?}");
        assert!(!response.body().is_empty(), "{at}");
        for name in ["connection", "upgrade"] {
            assert!(!response.headers().contains_key(name), "{at}: {name}");
        }
        let version = response.headers().contains_key("sec-websocket-version");
        assert_eq!(version, at < 2, "{at}");
        echoes(&mut alive, "alive").await;
    }
}

#[tokio::test]
async fn any_refusal_comes_before_the_200() {
    let addr = serve(|request| async move {
        let status = request.uri().path()[1..].parse().unwrap();
        let rejection = Rejection::new(status, vec![0xff, 0])
            .header(HeaderName::from_static("x-why"), HeaderValue::from_static("because"));
        rejection.over(request.version()).to_response().map(Body::from)
    })
    .await;
    let http = Http2::connect(addr).await;
    for (asked, status) in [(401, 401), (302, 302), (503, 503), (200, 500), (204, 500), (103, 500)]
    {
        let (response, mut stream) = http.send(http.request(&format!("/{asked}"))).await;
        assert_eq!(response.status(), status, "{asked}");
        assert_eq!(response.headers()["x-why"], "because");
        let body = soon(stream.recv.data()).await.transpose().unwrap().unwrap_or_default();
        assert!(asked == 204 || body[..] == [0xff, 0], "{asked}: {body:?}");
    }
}

#[tokio::test]
async fn frames_are_masked_as_ever() {
    let (addr, mut seen) = echoing(Config::default()).await;
    let http = Http2::connect(addr).await;
    let (_, stream) = http.send(http.request("/")).await;
    // As a server this peer does not mask (RFC 6455 §5.1).
    let mut socket = WebSocket::new(stream, Role::Server, Config::default());
    socket.send(Message::text("unmasked")).await.unwrap();
    assert_eq!(soon(seen.recv()).await.unwrap(), "violation 1002");
    // The server waits for this peer to end, so that the close frame is not lost.
    drop(socket);
    assert_eq!(soon(seen.recv()).await.unwrap(), "end");
}

#[tokio::test]
async fn a_reset_is_no_close() {
    let (addr, mut seen) = echoing(Config::default()).await;
    let http = Http2::connect(addr).await;
    let mut alive = http.open("/", Config::default()).await;
    for (reason, told) in [
        // hyper shows what is cancelled as ended.
        (Reason::CANCEL, &["end"][..]),
        (Reason::INTERNAL_ERROR, &["transport", "end"]),
    ] {
        let mut socket = http.open("/", Config::default()).await;
        echoes(&mut socket, "x").await;
        socket.into_parts().io.send.send_reset(reason);
        for told in told {
            assert_eq!(soon(seen.recv()).await.unwrap(), *told, "{reason:?}");
        }
    }
    // The end of the stream without a close frame.
    let mut socket = http.open("/", Config::default()).await;
    echoes(&mut socket, "x").await;
    socket.into_parts().io.send.send_data(bytes::Bytes::new(), true).unwrap();
    assert_eq!(soon(seen.recv()).await.unwrap(), "end");
    echoes(&mut alive, "alive").await;
}

#[tokio::test]
async fn messages_may_be_larger_than_the_window_and_not_than_the_limit() {
    let limits = Limits::default().max_message(1 << 20).max_frame(1 << 20);
    let config = Config::default().limits(limits);
    let (addr, mut seen) = echoing(config).await;
    let http = Http2::connect(addr).await;
    let mut socket = http.open("/", Config::default().limits(Limits::unlimited())).await;
    let large = Message::binary(vec![7; 1 << 20]);
    soon(async {
        socket.send(large.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), large);
    })
    .await;
    let _ = socket.send(Message::binary(vec![7; (1 << 20) + 1])).await;
    match soon(socket.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1009),
        other => panic!("{other:?}"),
    }
    assert_eq!(soon(seen.recv()).await.unwrap(), "violation 1009");
}

#[tokio::test]
async fn endpoints_take_streams_as_they_take_connections() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let mounted = server.clone();
    let addr = serve(move |request: Request<hyper::body::Incoming>| {
        let peer = request.extensions().get::<SocketAddr>().copied();
        let response: Response<Body> = mounted.upgrade(request, peer);
        async move { response }
    })
    .await;
    let http = Http2::connect(addr).await;
    let mut raws = Vec::new();
    for user in ["ann", "bob"] {
        let mut request = http.request("/chat?room=7");
        header(&mut request, "sec-websocket-protocol", "wse-default-json");
        let (response, stream) = http.send(request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["sec-websocket-protocol"], "wse-default-json");
        let stream: Box<dyn wse::Transport> = Box::new(stream);
        let mut raw = Raw(WebSocket::new(stream, Role::Client, Config::default()));
        raw.greet(user).await;
        assert_eq!(soon(raw.hear()).await, welcome(user));
        raw.say(r#"["add",{"a":1,"b":2},"s"]"#).await;
        assert_eq!(soon(raw.hear()).await, r#"["~wse:response",3,"s"]"#);
        raws.push(raw);
    }
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.request().uri().path_and_query().unwrap(), "/chat?room=7");
    assert_eq!(conn.request().version(), Version::HTTP_2);
    assert!(conn.peer_addr().is_some_and(|addr| addr.ip().is_loopback()));

    // Refusals are refusals of HTTP/2.
    let mut request = http.request("/");
    header(&mut request, "sec-websocket-protocol", "wse-cbor");
    let response = http.refused(request).await;
    assert_eq!(response.status(), 400);
    assert!(!response.headers().contains_key("connection"));

    // One that is cut off, and one that the server says goodbye to.
    let cut = raws.remove(0);
    drop(cut);
    let mut events = server.events();
    while server.user("ann").is_connected() {
        soon(events.next()).await;
    }
    let stopping =
        tokio::spawn(async move { server.shutdown(crate::support::endpoints::secs(10)).await });
    assert_eq!(soon(raws[0].hear()).await, "close 1001 wse.by-server");
    assert_eq!(soon(raws[0].hear()).await, "end");
    assert!(soon(stopping).await.unwrap());
    let lines = log.lines();
    assert!(lines.contains(&"disconnected ann 1006".to_owned()), "{lines:?}");
    assert!(lines.contains(&"disconnected bob 1001 wse.by-server".to_owned()), "{lines:?}");

    let mut request = http.request("/");
    header(&mut request, "sec-websocket-protocol", "wse-default-json");
    assert_eq!(http.refused(request).await.status(), 503);
}

#[test]
fn requests_of_http2_are_checked_without_a_server() {
    let good = || {
        Request::builder()
            .method(Method::CONNECT)
            .uri("https://example.com/chat")
            .version(Version::HTTP_2)
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "a, b")
    };
    let check = |request: http::request::Builder, protocol: Option<&str>| {
        Upgrade::from_connect(&request.body(()).unwrap(), protocol)
            .map_err(|rejection| rejection.status().as_u16())
    };
    let upgrade = check(good(), Some("websocket")).unwrap();
    assert_eq!((upgrade.key(), upgrade.accept()), (None, None));
    assert_eq!(upgrade.subprotocols(), ["a", "b"]);
    let response = upgrade.response(Some("b"), &Default::default()).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.headers()["sec-websocket-protocol"], "b");

    assert!(check(good(), Some("WebSocket")).is_ok());
    assert!(check(good().version(Version::HTTP_3), Some("websocket")).is_ok());
    // RFC 8441 §5: it is not looked at.
    assert!(check(good().header("sec-websocket-key", "x"), Some("websocket")).is_ok());
    let table = [
        (check(good(), None), 400),
        (check(good(), Some("")), 501),
        (check(good(), Some("h2c")), 501),
        (check(good().version(Version::HTTP_11), Some("websocket")), 505),
        (check(good().method(Method::GET), Some("websocket")), 405),
        (check(good().uri("/chat"), Some("websocket")), 400),
        (check(good().header("upgrade", "websocket"), Some("websocket")), 400),
        (check(good().header("connection", "upgrade"), Some("websocket")), 400),
        (check(good().header("content-length", "5"), Some("websocket")), 400),
        (check(good().header("sec-websocket-version", "13"), Some("websocket")), 400),
        (check(good().header("sec-websocket-protocol", "a"), Some("websocket")), 400),
    ];
    for (at, (found, status)) in table.into_iter().enumerate() {
        assert_eq!(found.unwrap_err(), status, "{at}");
    }
    assert_eq!(Upgrade::from_request(&good().body(()).unwrap()).unwrap_err().status(), 505);
}
