//! Sockets that were opened elsewhere, and are passed on.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wse::{Accept, Client, Close, Drain, Hello, JsonArray, Refuse, Server};

/// A server whose welcome is its name.
fn named(name: &'static str) -> Server<JsonArray> {
    Server::builder(JsonArray)
        .identify(move |hello: Hello<String>| async move {
            Ok::<_, Refuse>(Accept::user(hello.identity).welcome(name.to_owned()))
        })
        .connections_per_user(1000)
        .build()
}

async fn connect(url: &str) -> (Client<JsonArray>, String) {
    let client =
        Client::builder(JsonArray, url).identity("ann".to_owned()).connect().await.unwrap();
    let name = client.welcome().unwrap();
    (client, name)
}

#[tokio::test]
async fn the_next_server_takes_the_socket_and_nobody_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let [old, new] = ["old", "new"].map(named);
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    old.on_event(move |event| {
        if let wse::ServerEvent::Refused(_) = event {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let addr = old.listen_on(listener.try_clone().unwrap()).unwrap();
    let url = format!("ws://{addr}");
    assert_eq!(old.url().as_deref(), Some(&*url));
    let (ann, name) = connect(&url).await;
    assert_eq!(name, "old");

    new.listen_on(listener).unwrap();
    let drain = Drain::default().after(Duration::from_millis(300)).spread(Duration::from_millis(1));
    let draining = {
        let old = old.clone();
        tokio::spawn(async move { old.drain(drain.close_listeners()).await })
    };
    tokio::task::yield_now().await;
    for _ in 0..50 {
        assert_eq!(connect(&url).await.1, "new");
    }
    draining.await.unwrap();
    assert_eq!(ann.closed().await.unwrap(), Close::new(1012, "wse.drain"));
    assert_eq!(connect(&url).await.1, "new");
    assert_eq!(refused.load(Ordering::Relaxed), 0);
    old.shutdown(Duration::from_secs(5)).await;
    assert_eq!(connect(&url).await.1, "new");
}

#[tokio::test]
async fn without_a_successor_nobody_listens_any_more() {
    let server = named("only");
    let addr = server.listen_on(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    server.drain(Drain::default().close_listeners().spread(Duration::ZERO)).await;
    // The listening task ends when it is polled next.
    tokio::task::yield_now().await;
    let refused = tokio::net::TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    for _ in 0..2 {
        let late = server.listen_on(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::NotConnected);
        server.shutdown(Duration::ZERO).await;
    }
}

#[test]
fn outside_a_runtime_listening_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = named("nobody").listen_on(listener).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}
