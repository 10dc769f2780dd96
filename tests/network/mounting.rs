//! Servers on real sockets: on a port of their own, several on one port, and inside axum.

use std::time::Duration;

use crate::support::endpoints::*;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wse::{Client, ClientBuilder, ConnectError, Listener, Server};
use wse_codecs::{Cbor, JsonArray, Protobuf};
use wse_transport::handshake::HandshakeError;

/// Long for a test, and never waited for unless it fails.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the test hangs")
}

fn at<P: Talk>(protocol: P, url: &str, user: &str) -> ClientBuilder<P> {
    Client::builder(protocol, url).identity(format!("secret of {user}"))
}

#[tokio::test]
async fn a_server_listens_on_ports_of_its_own() {
    let server = server(&JsonArray).connections_per_user(2).bind("127.0.0.1:0").await.unwrap();
    let second = server.listen("127.0.0.1:0").await.unwrap();
    let url = server.url().unwrap();
    assert_eq!(server.local_addrs().len(), 2);
    assert_eq!(url, format!("ws://{}", server.local_addrs()[0]));
    for url in [url, format!("ws://{second}/any/path?x=1")] {
        let ann = soon(at(JsonArray, &url, "ann").connect()).await.unwrap();
        assert_eq!(soon(adds(&ann)).await.unwrap(), 3);
        let conn = server.user("ann").connections().pop().unwrap();
        assert!(conn.peer_addr().is_some_and(|addr| addr.ip().is_loopback()));
        if url.contains('?') {
            assert_eq!(conn.request().uri(), "/any/path?x=1");
        }
        std::mem::forget(ann);
    }
    assert!(soon(server.shutdown(secs(10))).await);
    // The port is free again.
    TcpListener::bind(second).await.unwrap();
    let gone = soon(at(JsonArray, &format!("ws://{second}"), "ann").connect()).await;
    assert!(matches!(gone, Err(ConnectError::Handshake(_))), "{gone:?}");
}

#[tokio::test]
async fn the_request_and_its_headers_reach_the_server() {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::builder(JsonArray)
        .identify_with(move |stranger, hello: wse::Hello<String>| {
            let token = stranger.request().headers().get("authorization").unwrap();
            seen.add(format!("{} {}", token.to_str().unwrap(), stranger.peer_addr().is_some()));
            async move { wse::Ok(wse::Accept::user(hello.identity)) }
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let ann = Client::builder(JsonArray, server.url().unwrap())
        .identity("ann".to_owned())
        .header("Authorization", "Bearer x")
        .connect();
    soon(ann).await.unwrap();
    assert_eq!(log.lines(), ["Bearer x true"]);
    let reserved = Client::builder(JsonArray, server.url().unwrap())
        .identity("ann".to_owned())
        .header("Sec-WebSocket-Key", "x")
        .connect();
    let reserved = soon(reserved).await;
    assert!(
        matches!(reserved, Err(ConnectError::Handshake(HandshakeError::Request(_)))),
        "{reserved:?}"
    );
}

#[tokio::test]
async fn several_servers_share_a_port_by_path() {
    let (json, binary) = (Log::default(), Log::default());
    let chat = json.events(server(&JsonArray)).build();
    let game = binary.events(server(&Cbor)).build();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let listening = tokio::spawn(listener.mount("/chat", &chat).mount("/game", &game).run());

    let ann = soon(at(JsonArray, &format!("ws://{addr}/chat?room=7"), "ann").connect()).await;
    let ann = ann.unwrap();
    let bob = soon(at(Cbor, &format!("ws://{addr}/game"), "bob").connect()).await.unwrap();
    assert_eq!(soon(adds(&ann)).await.unwrap(), 3);
    assert_eq!(soon(adds(&bob)).await.unwrap(), 3);
    assert_eq!(json.lines(), ["joined ann", "connected ann"]);
    assert_eq!(binary.lines(), ["joined bob", "connected bob"]);
    assert_eq!(chat.all().send("note", &note("x")).unwrap(), 1);

    for path in ["/", "/chat/", "/chats", "/Chat"] {
        let lost = soon(at(JsonArray, &format!("ws://{addr}{path}"), "eve").connect()).await;
        match lost {
            Err(ConnectError::Handshake(HandshakeError::Refused(response))) => {
                assert_eq!(response.status(), 404, "{path}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    // Another's protocol is not spoken here.
    let wrong = soon(at(Protobuf, &format!("ws://{addr}/chat"), "eve").connect()).await;
    match wrong {
        Err(ConnectError::Handshake(HandshakeError::Refused(response))) => {
            assert_eq!(response.status(), 400);
        }
        other => panic!("{other:?}"),
    }

    // One that shuts down leaves the other alone; so does the end of the listener.
    assert!(soon(chat.shutdown(secs(10))).await);
    assert_eq!(soon(ann.closed()).await.unwrap().code, 1001);
    let late = soon(at(JsonArray, &format!("ws://{addr}/chat"), "ann").connect()).await;
    assert!(matches!(late, Err(ConnectError::Handshake(_))), "{late:?}");
    listening.abort();
    assert!(listening.await.unwrap_err().is_cancelled());
    assert_eq!(soon(adds(&bob)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_server_inside_axum() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let mounted = server.clone();
    let app = Router::new().route("/health", get(|| async { "ok" })).route(
        "/ws/{room}",
        any(move |ConnectInfo(addr): ConnectInfo<std::net::SocketAddr>, request: Request| async move {
            mounted.upgrade::<_, axum::body::Body>(request, Some(addr))
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let ann = soon(at(JsonArray, &format!("ws://{addr}/ws/7?x=1"), "ann").connect()).await.unwrap();
    assert_eq!(soon(adds(&ann)).await.unwrap(), 3);
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.request().uri(), "/ws/7?x=1");
    assert!(conn.peer_addr().is_some_and(|addr| addr.ip().is_loopback()));

    // What is no upgrade is answered like any request.
    for (path, status) in [("/health", "200"), ("/ws/7", "426"), ("/nothing", "404")] {
        let answer = http(addr, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    let wrong = soon(at(Cbor, &format!("ws://{addr}/ws/7"), "ann").connect()).await;
    match wrong {
        Err(ConnectError::Handshake(HandshakeError::Refused(response))) => {
            assert_eq!(response.status(), 400);
        }
        other => panic!("{other:?}"),
    }

    assert!(soon(server.shutdown(secs(10))).await);
    assert_eq!(soon(ann.closed()).await.unwrap().to_string(), "1001 wse.by-server");
    let late = soon(at(JsonArray, &format!("ws://{addr}/ws/7"), "ann").connect()).await;
    match late {
        Err(ConnectError::Handshake(HandshakeError::Refused(response))) => {
            assert_eq!(response.status(), 503);
        }
        other => panic!("{other:?}"),
    }
    let ends = ["disconnected ann 1001 wse.by-server", "left ann 1001 wse.by-server"];
    let refused = ["refused upgrade status 426", "refused upgrade status 400"];
    assert_eq!(log.lines()[2..4], refused);
    assert_eq!(log.lines()[4..], ends);
}

#[tokio::test]
async fn what_middleware_found_out_reaches_identify() {
    #[derive(Clone)]
    struct Session(&'static str);
    let server = Server::builder(JsonArray)
        .identify_with(|stranger, _: wse::Hello<String>| async move {
            let session = stranger.request().extensions().get::<Session>().cloned();
            let Session(user) = session.ok_or_else(wse::Refuse::not_authorized)?;
            wse::Ok(wse::Accept::user(user))
        })
        .build();
    let all = server.clone();
    let upgrade = |mut request: Request| async move {
        request.extensions_mut().insert(Session("ann of the cookie"));
        all.upgrade::<_, axum::body::Body>(request, None)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    let app = Router::new().route("/chat", any(upgrade));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let _client = soon(at(JsonArray, &url, "nobody").connect()).await.unwrap();
    assert!(server.user("ann of the cookie").is_connected());
    serving.abort();
}

/// A plain GET.
async fn http(addr: std::net::SocketAddr, path: &str) -> String {
    let mut io = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(io.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// Over TCP, where the system tells: a peer that resets, and one that goes without a word.
#[tokio::test]
async fn a_peer_that_vanishes_leaves() {
    let server = server(&JsonArray).bind("127.0.0.1:0").await.unwrap();
    let mut events = server.events();
    for reset in [false, true] {
        let io = TcpStream::connect(server.local_addrs()[0]).await.unwrap();
        if reset {
            #[allow(deprecated)] // resets, and so does not block
            io.set_linger(Some(Duration::ZERO)).unwrap();
        }
        let mut raw = Raw::upgrade(Box::new(io)).await;
        raw.greet("ann").await;
        assert_eq!(raw.hear().await, welcome("ann"));
        drop(raw);
        for expected in ["joined ann", "connected ann", "disconnected ann 1006", "left ann 1006"] {
            let event = soon(futures::StreamExt::next(&mut events)).await.unwrap();
            assert_eq!(line(&event), expected, "{reset}");
        }
    }
}
