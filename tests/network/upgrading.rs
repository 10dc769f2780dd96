//! Bare WebSockets inside hyper, and the tower service that upgrades on its path.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use crate::support::endpoints::{Raw, server, welcome};
use crate::support::web::*;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tower_service::Service;
use wse::Transport;
use wse_codecs::JsonArray;
use wse_transport::handshake::{
    ClientRequest, HandshakeError, HeadLimits, Rejection, read_response, write_request,
};
use wse_transport::upgrade::{UpgradeService, WebSocketUpgrade};
use wse_transport::ws::{Config, Message, Role, WebSocket};

#[test]
fn a_rejection_is_any_response_that_refuses() {
    let value = HeaderValue::from_static;
    let rejection = |status| {
        Rejection::new(StatusCode::from_u16(status).unwrap(), vec![0xff, 0])
            .header(header::CONTENT_TYPE, value("application/octet-stream"))
            .header(header::SET_COOKIE, value("a=1"))
            .header(header::SET_COOKIE, value("b=2"))
            .header(header::CONTENT_LENGTH, value("99"))
            .header(header::TRANSFER_ENCODING, value("chunked"))
    };
    for (status, version, expected) in [
        (403, Version::HTTP_11, 403),
        (302, Version::HTTP_2, 302),
        (200, Version::HTTP_11, 200),
        // These would not refuse.
        (200, Version::HTTP_2, 500),
        (101, Version::HTTP_11, 500),
        (103, Version::HTTP_2, 500),
    ] {
        let response = rejection(status).over(version).to_response();
        assert_eq!(response.status(), expected);
        assert_eq!(response.body()[..], [0xff, 0]);
        let all = |name| response.headers().get_all(name).into_iter().collect::<Vec<_>>();
        assert_eq!(all("content-type"), ["application/octet-stream"]);
        assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(all("content-length"), ["2"]);
        assert!(all("transfer-encoding").is_empty());
        assert_eq!(all("connection").len(), usize::from(version == Version::HTTP_11));
    }
    let plain = Rejection::new(StatusCode::GONE, "no more").to_response();
    assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
    assert!(!rejection(204).to_response().headers().contains_key("content-length"));
    assert_eq!(rejection(410).to_string(), "request rejected with 410");
}

#[tokio::test]
async fn the_future_of_a_socket_is_the_callers() {
    let (sender, mut sockets) = tokio::sync::mpsc::unbounded_channel();
    let addr = serve(move |request| {
        let upgrade = WebSocketUpgrade::new(request).unwrap();
        assert_eq!(upgrade.offered(), ["chat"]);
        let (response, upgrading) = upgrade.protocols(["chat"]).accept().unwrap();
        sender.send(upgrading).unwrap();
        async move { response }
    })
    .await;
    let request = ClientRequest::new(&format!("ws://{addr}/")).unwrap();
    let request = request.subprotocol("chat").unwrap();
    let (mut client, response) =
        soon(wse_transport::connect_with(&request, Config::default())).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    let mut socket = soon(soon(sockets.recv()).await.unwrap()).await.unwrap();
    socket.send(Message::text("hi")).await.unwrap();
    assert_eq!(soon(client.next()).await.unwrap().unwrap(), Message::text("hi"));

    client.close(None);
    let (heard, answered) =
        soon(futures::future::join(socket.collect::<Vec<_>>(), client.collect::<Vec<_>>())).await;
    for messages in [heard, answered] {
        assert!(matches!(messages[..], [Ok(Message::Close(None))]), "{messages:?}");
    }
}

/// What stands behind: it answers 200 and says which path it got.
#[derive(Clone)]
struct Pages;

impl Service<Request<Incoming>> for Pages {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let body = format!("page {}", request.uri().path());
        ready(Ok(Response::new(Body::from(body))))
    }
}

#[tokio::test]
async fn a_service_upgrades_on_its_path_and_passes_the_rest_on() {
    let chat = server(&JsonArray).build();
    let stack = UpgradeService::new(Pages, "/echo", |upgrade: WebSocketUpgrade| async move {
        if upgrade.request().headers().contains_key("x-unwanted") {
            return Rejection::new(StatusCode::FORBIDDEN, "unwanted").to_response();
        }
        upgrade.on_upgrade(|socket| async move {
            let (sink, stream) = socket.split();
            let _ = stream.forward(sink).await;
        })
    });
    let server = chat.clone();
    let stack = UpgradeService::unchecked(stack, "/chat", move |request| {
        let peer_addr = request.extensions().get().copied();
        std::future::ready(server.upgrade(request, peer_addr))
    });
    let addr = serve(move |request| {
        let mut stack = stack.clone();
        async move { stack.call(request).await.unwrap() }
    })
    .await;

    // A bare socket, over both versions.
    let url = format!("ws://{addr}/echo?x=1");
    let (mut one, _) = soon(wse_transport::connect(&url, Config::default())).await.unwrap();
    let http = Http2::connect(addr).await;
    let mut two = http.open("/echo?x=1", Config::default()).await;
    one.send(Message::text("one")).await.unwrap();
    assert_eq!(soon(one.next()).await.unwrap().unwrap(), Message::text("one"));
    two.send(Message::text("two")).await.unwrap();
    assert_eq!(soon(two.next()).await.unwrap().unwrap(), Message::text("two"));

    // Endpoints, over both versions.
    let mut io: Box<dyn Transport> = Box::new(tokio::net::TcpStream::connect(addr).await.unwrap());
    let request = ClientRequest::new(&format!("ws://{addr}/chat")).unwrap();
    let request = request.subprotocol("wse-default-json").unwrap();
    write_request(&mut io, &request.build([7; 16])).await.unwrap();
    let (_, rest) = soon(read_response(&mut io, &HeadLimits::default())).await.unwrap();
    let ann = WebSocket::with_leftover(io, rest, Role::Client, Config::default());
    let mut request = http.request("/chat");
    let name = HeaderValue::from_static("wse-default-json");
    request.headers_mut().insert("sec-websocket-protocol", name);
    let io: Box<dyn Transport> = Box::new(http.send(request).await.1);
    let bob = WebSocket::new(io, Role::Client, Config::default());
    let mut raws = [("ann", Raw(ann)), ("bob", Raw(bob))];
    for (user, raw) in &mut raws {
        raw.greet(user).await;
        assert_eq!(soon(raw.hear()).await, welcome(user));
        let conn = chat.user(*user).connections().remove(0);
        assert!(conn.peer_addr().is_some_and(|addr: SocketAddr| addr.ip().is_loopback()));
    }

    // What asks for no WebSocket, or elsewhere, is not ours.
    for path in ["/", "/echo", "/chat", "/echo/more"] {
        let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = http1(addr, &get).await;
        assert!(answer.ends_with(&format!("page {path}")), "{answer}");
    }
    let elsewhere = soon(wse_transport::connect(&format!("ws://{addr}/"), Config::default())).await;
    match elsewhere {
        Err(HandshakeError::Refused(response)) => assert_eq!(response.body(), "page /"),
        other => panic!("{other:?}"),
    }
    let mut get = http.request("/echo");
    get.extensions_mut().remove::<h2::ext::Protocol>();
    *get.method_mut() = http::Method::GET;
    assert_eq!(http.refused(get).await.body(), "page /echo");

    // What asks wrongly, or is not wanted, is.
    let wrong = "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                 Connection: upgrade, close\r\nSec-WebSocket-Version: 12\r\n\r\n";
    let answer = http1(addr, wrong).await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    let unwanted = ClientRequest::new(&url).unwrap().header("X-Unwanted", "1").unwrap();
    match soon(wse_transport::connect_with(&unwanted, Config::default())).await {
        Err(HandshakeError::Refused(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}
