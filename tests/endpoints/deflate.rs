//! Compression between whole endpoints.

use crate::support::endpoints::*;
use wse::{Accept, Client, Hello, Server, ServerBuilder, ServerEvent, memory};
use wse_codecs::JsonArray;
use wse_transport::ws::Deflate;

fn echoing() -> ServerBuilder<JsonArray> {
    Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("echo", |_, text: String| async move { wse::Ok(text) })
}

/// How many bytes go up and down when a client has a large text echoed.
async fn traffic(server: Option<Deflate>, client: Option<Deflate>) -> (u64, u64) {
    let mut builder = echoing();
    if let Some(deflate) = server {
        builder = builder.deflate(deflate);
    }
    let server = builder.build();
    let (dial, mut arrivals) = dialled();
    let mut builder =
        Client::builder(JsonArray, memory::URL).connector(dial).identity("ann".to_owned());
    if let Some(deflate) = client {
        builder = builder.deflate(deflate);
    }
    let wire = async {
        let mut near = arrivals.dialled().await;
        let mut far = Raw::dial(&server).await;
        tokio::io::copy_bidirectional(&mut near, &mut far).await.unwrap()
    };
    let talk = async {
        let client = builder.connect().await.unwrap();
        let text = "all work and no play ".repeat(1000);
        for _ in 0..3 {
            let echo: String = client.call("echo", &text).await.unwrap();
            assert_eq!(echo, text);
        }
        client.close();
        client.closed().await;
    };
    within(async { tokio::join!(wire, talk).0 }).await
}

#[tokio::test(start_paused = true)]
async fn endpoints_compress_when_both_ask_for_it() {
    let deflate = Some(Deflate::default());
    for (server, client) in [(None, None), (deflate, None), (None, deflate)] {
        let (up, down) = traffic(server, client).await;
        assert!(up > 60_000 && down > 60_000, "{up} {down}");
    }
    let (up, down) = traffic(deflate, deflate).await;
    assert!(up < 3000 && down < 3000, "{up} {down}");
}

/// The limit of an unauthenticated connection applies to the decompressed size of its messages.
#[tokio::test(start_paused = true)]
async fn a_stranger_cannot_send_a_bomb() {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&JsonArray)
        .on_event(move |event| {
            if let ServerEvent::Error(error) = event {
                seen.add(error.message.clone());
            }
        })
        .deflate(Deflate::default())
        .max_unauthenticated_message(4000)
        .build();
    let client = client(&JsonArray, &server, &"a".repeat(10_000)).deflate(Deflate::default());
    assert!(within(client.connect()).await.is_err());
    settle().await;
    assert_eq!(log.take(), ["peer sent a message that inflates to more than 4000 bytes"]);
}

/// Whatever each of them agreed upon: they share what the server has compressed, or not.
#[tokio::test]
async fn a_broadcast_reaches_those_who_compress_and_those_who_do_not() {
    let deflate = Deflate::default();
    let server = echoing().deflate(deflate.takeover(true)).build();
    let text = "all work and no play ".repeat(1000);
    let mut clients = Vec::new();
    for wanted in [
        None,
        Some(deflate),
        Some(deflate),
        Some(deflate.peer_window_bits(9)),
        Some(deflate.peer_takeover(true)),
    ] {
        let builder = Client::builder(JsonArray, memory::URL)
            .connector(memory::connector(&server))
            .identity(format!("user {}", clients.len()));
        let builder = match wanted {
            Some(deflate) => builder.deflate(deflate),
            None => builder,
        };
        let (heard, news) = tokio::sync::mpsc::unbounded_channel();
        let client = builder
            .on("news", move |_, news: String| {
                let _ = heard.send(news);
                async {}
            })
            .connect()
            .await
            .unwrap();
        clients.push((client, news));
    }
    for _ in 0..3 {
        assert_eq!(server.all().send("news", &text).unwrap(), clients.len());
        for (_, news) in &mut clients {
            assert_eq!(within(news.recv()).await.unwrap(), text);
        }
    }
}
