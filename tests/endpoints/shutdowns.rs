//! Several shutdowns of one server.

use wse::{Close, Server};
use wse_codecs::JsonArray;

use crate::support::endpoints::*;

/// A server whose only handler runs for three seconds.
async fn busy() -> (Server<JsonArray>, Raw) {
    let server =
        server(&JsonArray).on("wait", |_, ()| async { tokio::time::sleep(secs(3)).await }).build();
    let mut raw = Raw::user(&server, "ann").await;
    raw.say(r#"["wait"]"#).await;
    settle().await;
    (server, raw)
}

#[tokio::test(start_paused = true)]
async fn shutdowns_at_once_return_the_same() {
    // In seconds: the two graces, and whether all ends in the shorter one.
    for (one, other, expected) in [
        (1, 10, false),
        (10, 1, false),
        (0, 10, false),
        (5, 10, true),
        (10, 5, true),
        (10, 10, true),
    ] {
        let (server, mut raw) = busy().await;
        let second = async {
            tokio::task::yield_now().await;
            server.shutdown_with(Close::new(1012, "other"), secs(other)).await
        };
        let hearing = async { raw.hear_all().await };
        let (first, second, _) = tokio::join!(server.shutdown(secs(one)), second, hearing);
        assert_eq!((first, second), (expected, expected), "{one} s, {other} s");
        assert_eq!(server.shutdown(secs(1)).await, expected, "a third one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_dropped_leaves_the_outcome_to_the_next() {
    let (server, mut raw) = busy().await;
    let dropped = tokio::time::timeout(secs(1), server.shutdown(secs(2))).await;
    assert!(dropped.is_err());
    let (ended, _) = tokio::join!(server.shutdown(secs(10)), raw.hear_all());
    assert!(ended);
}
