//! Settings at their ends, and errors as newcomers print them.

use std::time::Duration;

use crate::support::endpoints::*;
use wse::{
    CallError, Client, CodecError, ConnectError, Heartbeat, JsonArray, ReceiptError, SendError,
    SendQueue, Server,
};

/// Pings without a pause are what the peer takes for a flood.
#[tokio::test]
async fn a_heartbeat_of_zero_is_no_flood() {
    let zero = Heartbeat::fixed(Duration::ZERO, secs(20));
    let server = server(&JsonArray).heartbeat(zero).build();
    let ann = client(&JsonArray, &server, "ann").heartbeat(zero).connect().await.unwrap();
    let start = std::time::Instant::now();
    while start.elapsed() < secs(2) {
        assert_eq!(adds(&ann).await.unwrap(), 3);
        tokio::time::sleep(ms(20)).await;
    }
    let pings = ann.liveness().unwrap().pings;
    assert!((5..60).contains(&pings), "{pings} pings in 2 s");
}

/// It would be bound, and refuse all clients.
#[tokio::test]
async fn listening_behind_a_shutdown_is_an_error() {
    let server: Server<JsonArray> = server(&JsonArray).bind("127.0.0.1:0").await.unwrap();
    server.shutdown(secs(1)).await;
    let error = server.listen("127.0.0.1:0").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    assert!(error.to_string().contains("shut down"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_send_queue_of_zero_lets_clients_in() {
    let zero = SendQueue::default().messages(0).bytes(0);
    let server = server(&JsonArray).send_queue(zero).build();
    let ann = client(&JsonArray, &server, "ann").send_queue(zero).connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

/// `{:#}` shows an error with its causes on one line, `{}` without.
#[tokio::test]
async fn errors_show_their_causes_when_asked() {
    let error = Client::builder(JsonArray, "ws://127.0.0.1:1")
        .identity("me".to_owned())
        .connect()
        .await
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "the WebSocket handshake failed");
    let shown = format!("{error:#}");
    let start = "the WebSocket handshake failed: transport failed during the websocket handshake: ";
    assert!(shown.starts_with(start) && shown.len() > start.len(), "{shown}");
    let boxed: wse::BoxError = error.into();
    assert_eq!(format!("{boxed:#}"), shown);

    let error = Client::builder(JsonArray, "http://a").identity(String::new()).connect().await;
    let shown = format!("{:#}", error.err().unwrap());
    assert!(
        shown.contains(": websocket request cannot be sent: caller gave a url with"),
        "{shown}"
    );

    let codec = || CodecError::value("a payload", "no map");
    let cause = codec().to_string();
    let cases: [(Box<dyn std::error::Error>, &str); 4] = [
        (Box::new(SendError::Encode(codec())), "the payload cannot be encoded"),
        (Box::new(CallError::Decode(codec())), "the answer is not of the type asked for"),
        (Box::new(ReceiptError::Encode(codec())), "the payload cannot be encoded"),
        (Box::new(ConnectError::Encode(codec())), "the identity or meta cannot be encoded"),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
        assert_eq!(format!("{error:#}"), format!("{text}: {cause}"));
    }
    // One without a cause is the same both ways.
    assert_eq!(format!("{:#}", CallError::Timeout), CallError::Timeout.to_string());
}
