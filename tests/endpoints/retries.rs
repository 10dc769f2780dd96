//! How often a client comes back, and when it gives up: a server in trouble must not be made worse.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::endpoints::*;
use futures::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wse::session::reconnects;
use wse::{Backoff, Client, ClientEvent, ConnectError, JsonArray, Status};

/// The number of connections that were welcomed and dropped after `life`, `within` this time.
async fn welcomed_and_dropped(
    backoff: Backoff,
    life: Duration,
    within: Duration,
) -> (usize, Status) {
    let (dial, mut arrivals) = dialled();
    // The servers here answer no pings.
    let ann = json_client(dial).heartbeat(None).reconnect(backoff).build();
    let (connected, server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    tokio::time::sleep(life).await;
    drop(server);
    let mut connections = 1;
    let serving = async {
        loop {
            let server = arrivals.welcomed().await;
            connections += 1;
            tokio::time::sleep(life).await;
            drop(server);
        }
    };
    let ended = ann.closed();
    tokio::select! {
        _ = tokio::time::timeout(within, serving) => {}
        _ = ended => {}
    }
    (connections, ann.status())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_welcomes_and_drops_is_left_in_peace() {
    // With full jitter the waits are 15 s on average, once they have grown.
    let (connections, status) = welcomed_and_dropped(Backoff::default(), ms(1), secs(3600)).await;
    assert!((60..600).contains(&connections), "{connections}");
    assert_ne!(status, Status::Offline);
    // One that lasts longer than the last wait is a success.
    let quick = Backoff::default().base(ms(10)).cap(ms(20));
    let (connections, _) = welcomed_and_dropped(quick.attempts(3), secs(60), secs(3600)).await;
    assert!(connections >= 59, "{connections}");
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_not_last_count_as_attempts() {
    for most in 0..4_usize {
        let backoff = Backoff::default().attempts(u32::try_from(most).unwrap());
        let found = welcomed_and_dropped(backoff, ms(1), secs(3600)).await;
        assert_eq!(found, (1 + most, Status::Offline), "{most}");
    }
}

#[tokio::test(start_paused = true)]
async fn neither_a_base_nor_a_cap_of_zero_spins() {
    let zero = Duration::ZERO;
    // The waits double from 10 ms on.
    let base = Backoff::default().base(zero);
    let (connections, _) = welcomed_and_dropped(base, zero, secs(100)).await;
    assert!(connections < 60, "{connections}");
    // They stay below 10 ms, and are 5 ms on average.
    let (connections, _) = welcomed_and_dropped(base.cap(zero), zero, secs(1)).await;
    assert!(connections < 400, "{connections}");
}

/// The wait after a refusal with these header fields.
async fn wait_after(status: u16, fields: &str, backoff: Backoff) -> Duration {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(backoff).retry_first(true).build();
    let mut events = ann.events();
    let refusing = async {
        let mut io = arrivals.dialled().await;
        let mut head = [0; 4096];
        let _ = io.read(&mut head).await.unwrap();
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{fields}\r\n");
        io.write_all(answer.as_bytes()).await.unwrap();
        drop(io);
        let start = Instant::now();
        let _again = arrivals.dialled().await;
        start.elapsed()
    };
    let (_, wait) = tokio::select! {
        outcome = ann.connect() => panic!("{outcome:?}"),
        wait = refusing => ((), wait),
    };
    match events.next().now_or_never().unwrap().unwrap() {
        ClientEvent::Retrying { after, .. } => assert!(wait.abs_diff(after) < ms(10)),
        other => panic!("{other:?}"),
    }
    wait
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_heeded() {
    let date =
        "Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Sat, 01 Jan 2000 00:01:00 GMT\r\n";
    let cases = [
        // the answer, and the bounds of the wait in seconds
        (503, "Retry-After: 120\r\n", 120..122),
        (429, "Retry-After: 7\r\n", 7..9),
        (503, date, 120..122),
        (503, "Retry-After: 999999999999999999999\r\n", 3600..3602),
        (503, "Retry-After: soon\r\n", 0..2),
        (503, "", 0..2),
        (500, "Retry-After: 120\r\n", 0..2),
    ];
    for (status, fields, bounds) in cases {
        let wait = wait_after(status, fields, Backoff::default()).await;
        assert!(bounds.contains(&wait.as_secs()), "{status} {fields}: {wait:?}");
    }
    let patient = Backoff::default().cap(secs(7200));
    let wait = wait_after(503, "Retry-After: 7200\r\n", patient).await;
    assert!((7200..7202).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn which_closes_reconnect_is_a_setting() {
    for (code, comes_back) in
        [(1001, true), (1006, true), (1011, true), (1012, false), (1000, false)]
    {
        let (dial, mut arrivals) = dialled();
        let ann = json_client(dial)
            .reconnect(Backoff::default())
            .reconnect_when(|close| {
                assert_ne!(close.code, 1000, "a panic is a no");
                close.code == 1001 || (reconnects(close.code) && close.code != 1012)
            })
            .build();
        let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
        connected.unwrap();
        if code != 1006 {
            server.close(code, "").await;
            server.hear_all().await;
        }
        drop(server);
        settle().await;
        let status = if comes_back { Status::Reconnecting } else { Status::Offline };
        assert_eq!(ann.status(), status, "{code}");
        tokio::time::sleep(secs(2)).await;
        assert_eq!(arrivals.none(), !comes_back, "{code}");
    }
    // A close before the welcome is judged by the same.
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial)
        .reconnect(Backoff::default())
        .retry_first(true)
        .reconnect_when(|close| close.code == 1001)
        .build();
    let serving = async {
        let (mut server, _) = arrivals.greeted().await;
        server.close(1001, "restart").await;
        server.hear_all().await;
        drop(server);
        let (mut server, _) = arrivals.greeted().await;
        server.close(1012, "restart").await;
        server.hear_all().await;
    };
    let (outcome, ()) = tokio::join!(ann.connect(), serving);
    assert!(matches!(outcome, Err(ConnectError::Refused(close)) if close.code == 1012));
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_fails_fast() {
    let dead = |client: &Client<JsonArray>| {
        let client = client.clone();
        async move { tokio::time::timeout(secs(3600), client.connect()).await }
    };
    let (dial, arrivals) = dialled();
    drop(arrivals);
    let ann = json_client(dial).reconnect(Backoff::default()).build();
    let (outcome, took) = timed(dead(&ann)).await;
    assert!(matches!(outcome, Ok(Err(ConnectError::Handshake(_)))), "{outcome:?}");
    assert!(took < ms(100));
    assert_eq!(ann.status(), Status::Offline);
    // A later `connect` is a first one too, and so is migrating without a connection.
    let again = dead(&ann).await;
    assert!(matches!(again, Ok(Err(ConnectError::Handshake(_)))), "{again:?}");
    let migrated = ann.migrate("ws://a.example").await;
    assert!(matches!(migrated, Err(ConnectError::Handshake(_))), "{migrated:?}");

    // Asked to, it retries: so often, or as long as it takes.
    let (dial, arrivals) = dialled();
    drop(arrivals);
    let ann = json_client(dial).reconnect(Backoff::default().attempts(4)).build();
    let events = ann.events();
    let outcome = dead(&ann).await;
    assert!(matches!(outcome, Ok(Err(ConnectError::Handshake(_)))), "{outcome:?}");
    let retries = events
        .filter(|event| futures::future::ready(matches!(event, ClientEvent::Retrying { .. })));
    assert_eq!(retries.take(3).collect::<Vec<_>>().await.len(), 3);
    let (dial, arrivals) = dialled();
    drop(arrivals);
    let ann = json_client(dial).reconnect(Backoff::default()).retry_first(true).build();
    assert!(dead(&ann).await.is_err(), "it goes on");
}

/// Keeps the level and the message of each event of `tracing`.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("wse::client")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line<'a>(&'a mut String);
        impl tracing::field::Visit for Line<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut line = event.metadata().level().to_string();
        event.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_retry_is_a_warning() {
    let events = Events::default();
    let _guard = tracing::subscriber::set_default(events.clone());
    let (dial, arrivals) = dialled();
    drop(arrivals);
    let ann = json_client(dial).reconnect(Backoff::default().attempts(3)).build();
    ann.connect().await.unwrap_err();
    let lines = events.0.lock().unwrap().clone();
    let [first, second, last] = lines.try_into().unwrap();
    for line in [&first, &second] {
        assert!(line.starts_with("WARN message=connecting again error="), "{line}");
        assert!(line.contains(" after="), "{line}");
    }
    assert!(last.starts_with("WARN message=connecting is given up error="), "{last}");
    assert!(last.ends_with(" attempts=3"), "{last}");
}
