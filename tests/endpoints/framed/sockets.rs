//! Servers and clients over real TCP and Unix sockets.

use tokio::net::TcpListener;
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
