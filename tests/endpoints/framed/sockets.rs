//! Servers and clients over real TCP and Unix sockets.

use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wse::session::Backoff;
use wse::{Client, Close, ConnectError, JsonArray, Server};

use crate::support::endpoints::*;

/// Serves the connections of a TCP listener; its URL.
async fn listen<P: Talk>(server: &Server<P>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let server = server.clone();
    tokio::spawn(async move {
        while let Ok((io, peer)) = listener.accept().await {
            tokio::spawn(server.clone().serve_framed(io, Some(peer)));
        }
    });
    url
}

async fn works<P: Talk>(protocol: P, server: &Server<P>, url: &str) {
    let ann = Client::builder(protocol.clone(), url)
        .framed()
        .identity("secret of ann".to_owned())
        .procedure("twice", |_, n: i64| async move { wse::Ok(2 * n) })
        .reconnect(Backoff::default().base(ms(1)))
        .connect()
        .await
        .unwrap();
    assert_eq!(ann.welcome::<Note>().unwrap(), note("hi, ann"));
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.call::<i64, i64>("twice", &21).await.unwrap(), 42);
    let long = note("x".repeat(500_000));
    ann.send_acked("note", &long).await.unwrap();
    server.close_user("ann", Close::new(1012, "restart"));
    ann.send_reliable(wse::Reliable::default(), "note", &note("hi")).await.unwrap();
    ann.close();
    ann.closed().await;
    let mallory = Client::builder(protocol, url).framed();
    let refused = mallory.identity("a guess".to_owned()).connect().await;
    assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    assert!(server.shutdown(secs(5)).await);
}

#[tokio::test]
async fn tcp_carries_text_and_binary() {
    let lines = server(&JsonArray).build();
    works(JsonArray, &lines, &listen(&lines).await).await;
    let binary = server(&wse::Cbor).build();
    works(wse::Cbor, &binary, &listen(&binary).await).await;
}

/// As with `nc`: the peer sends its calls, ends its direction, and reads the answers.
#[tokio::test]
async fn a_peer_that_ends_its_direction_gets_the_answers() {
    let server = server(&JsonArray).build();
    let url = listen(&server).await;
    let mut io = BufReader::new(TcpStream::connect(&url[6..]).await.unwrap());
    io.write_all(b"[\"~wse:hi\",{\"identity\":\"secret of ann\",\"meta\":{}}]\n").await.unwrap();
    let mut welcome = String::new();
    io.read_line(&mut welcome).await.unwrap();
    let call = "[\"add\",{\"a\":1,\"b\":2},\"s\"]\n";
    io.write_all(call.repeat(100).as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let mut answers = String::new();
    io.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers, "[\"~wse:response\",3,\"s\"]\n".repeat(100));
}

/// The error does not wait for a server that is silent.
#[tokio::test]
async fn a_greeting_that_cannot_be_framed_ends_the_attempt() {
    let two_lines = RawValue::from_string("[1,\n2]".to_owned()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let connecting = Client::builder(JsonArray, url).framed().identity(two_lines).connect();
    let connected = tokio::time::timeout(secs(2), connecting).await.expect("no silence");
    assert!(connected.is_err(), "{connected:?}");
}

#[tokio::test]
async fn a_tcp_peer_has_an_address() {
    let server = server(&JsonArray).build();
    let url = listen(&server).await;
    let ann = Client::builder(JsonArray, url).framed().identity("secret of ann".to_owned());
    let _ann = ann.connect().await.unwrap();
    assert!(server.user("ann").connections()[0].peer_addr().unwrap().ip().is_loopback());
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_may_be_tried_again() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("tcp://{}", listener.local_addr().unwrap())
    };
    let refused = Client::builder(JsonArray, url).framed().identity(String::new()).connect().await;
    match refused {
        Err(error @ ConnectError::Transport(_)) => assert!(error.is_transient()),
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_has_a_path() {
    let folder = std::env::temp_dir().join(format!("wse-framed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = server(&JsonArray).build();
    let serving = server.clone();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            tokio::spawn(serving.clone().serve_framed(io, None));
        }
    });
    works(JsonArray, &server, &format!("unix:{}", path.display())).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
