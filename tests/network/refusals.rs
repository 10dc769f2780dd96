//! Refused connections at a port of several servers, behind a proxy, and inside an HTTP server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wse::{Listener, Refused, RefusedAt};
use wse_codecs::JsonArray;

use crate::support::endpoints::server;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the test hangs")
}

fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

async fn response(addr: SocketAddr, request: &str) -> String {
    let mut io = TcpStream::connect(addr).await.unwrap();
    io.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    soon(io.read_to_string(&mut response)).await.unwrap();
    response
}

/// The only refusal since the last time.
#[track_caller]
fn only(told: &mpsc::Receiver<Refused>) -> Refused {
    let all: Vec<_> = told.try_iter().collect();
    let [refused] = &all[..] else { panic!("{all:?}") };
    refused.clone()
}

#[tokio::test]
async fn a_port_of_several_servers_reports_what_reaches_none() {
    let (tell, told) = mpsc::channel();
    let (tell_server, told_server) = mpsc::channel();
    let server = server(&JsonArray)
        .on_refused(move |refused| tell_server.send(refused.clone()).unwrap())
        .build();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let listener = listener.mount("/chat", &server).on_refused(move |refused| {
        tell.send(refused.clone()).unwrap();
        assert_ne!(refused.stage, RefusedAt::Upgrade, "a callback that panics harms nothing");
    });
    tokio::spawn(listener.run());
    assert!(response(addr, &request("/game", "")).await.starts_with("HTTP/1.1 404 "));
    let refused = only(&told);
    assert_eq!(refused.to_string(), "refused at upgrade with status 404: no server at this path");
    assert!(refused.peer_addr.is_some_and(|it| it.ip().is_loopback()));
    assert!(response(addr, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(only(&told).stage, RefusedAt::Request);
    assert!(response(addr, &request("/chat", "")).await.starts_with("HTTP/1.1 400 "));
    assert!(only(&told_server).cause.contains("no common subprotocol"));
    assert_eq!(server.counts().refused_upgrades, 1);
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn the_address_is_the_one_that_a_trusted_proxy_reports() {
    let (tell, told) = mpsc::channel();
    let server = server(&JsonArray)
        .trusted_proxies([wse::handshake::ProxyNet::from(Ipv4Addr::LOCALHOST)])
        .on_refused(move |refused| tell.send(refused.clone()).unwrap())
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let table = [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7\r\nSec-WebSocket-Protocol: chat\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7\r\nOrigin: https://evil.example\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7\r\nContent-Length: 1\r\n", "192.0.2.7"),
    ];
    for (fields, expected) in table {
        response(addr, &request("/", fields)).await;
        let refused = only(&told);
        assert_eq!(refused.peer_addr.map(|it| it.ip().to_string()).as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn an_upgrade_inside_an_http_server_is_refused_with_one_event() {
    let (tell, told) = mpsc::channel();
    let server =
        server(&JsonArray).on_refused(move |refused| tell.send(refused.clone()).unwrap()).build();
    let request = |name: &str, value: &str| {
        Request::builder()
            .header("host", "example.com")
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13")
            .header(name, value)
            .body(())
            .unwrap()
    };
    let peer = SocketAddr::from(([192, 0, 2, 7], 4000));
    let table = [
        ("sec-websocket-protocol", "chat", 400),
        ("origin", "https://evil.example", 403),
        ("content-length", "1", 400),
        // A request that hyper has not prepared to be upgraded.
        ("sec-websocket-protocol", "wse-default-json", 500),
    ];
    for (name, value, status) in table {
        let response: Response<Bytes> = server.upgrade(request(name, value), Some(peer));
        assert_eq!(response.status(), status);
        let refused = only(&told);
        assert_eq!(refused.peer_addr, Some(peer));
        assert_eq!(refused.stage, RefusedAt::Upgrade);
        assert_eq!(refused.with.to_string(), format!("status {status}"));
        assert!(!refused.cause.is_empty());
    }
    assert_eq!(server.counts().refused_upgrades, 4);
}
