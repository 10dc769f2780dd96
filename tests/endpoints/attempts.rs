//! What a client does before each attempt, while it waits for the next one, and when it is told to look.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use tokio::time::Instant;
use wse::{Backoff, Client, ClientEvent, Close, CloseReason, ConnectError, JsonArray, Status};

use crate::resume::{Cable, quick, resumable};
use crate::support::endpoints::*;

/// A function that counts its calls from 1.
fn counting() -> impl Fn() -> usize + Send + Sync + Clone + 'static {
    let calls = Arc::new(AtomicUsize::new(0));
    move || calls.fetch_add(1, Ordering::Relaxed) + 1
}

#[tokio::test(start_paused = true)]
async fn url_and_header_fields_are_asked_for_before_each_attempt() {
    let (dial, mut arrivals) = dialled();
    let (url, token) = (counting(), counting());
    let ann = json_client(dial)
        .reconnect(Backoff::default())
        .retry_first(true)
        .header("x-fixed", "yes")
        .url_with(move || {
            let n = url();
            async move { wse::Ok(format!("ws://{n}.example/chat")) }
        })
        .headers_with(move || {
            let n = token();
            async move {
                tokio::time::sleep(ms(10)).await;
                wse::Ok([("authorization", format!("Bearer {n}"))])
            }
        })
        .build();
    let asking = async {
        for n in 1..4 {
            let request = arrivals.refused(503).await;
            let field = |name| request.headers()[name].to_str().unwrap();
            let fields = [field("host"), field("authorization"), field("x-fixed")];
            assert_eq!(fields, [&format!("{n}.example"), &format!("Bearer {n}"), "yes"]);
        }
        // The URL of a migration replaces the function. It may be the server's, so it gets no credentials.
        let migrating = ann.migrate("ws://other.example/");
        let (_, request) = tokio::join!(migrating.map(drop), async {
            let request = arrivals.refused(403).await;
            ann.close();
            request
        });
        assert_eq!(request.headers()["host"], "other.example");
        assert!(!request.headers().contains_key("authorization"));
    };
    let (connected, ()) = tokio::join!(ann.connect(), asking);
    assert!(matches!(connected, Err(ConnectError::Closed)), "{connected:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_provided_is_an_error_that_is_tried_again() {
    for panics in [false, true] {
        let (dial, mut arrivals) = dialled();
        let tries = counting();
        let ann = json_client(dial)
            .reconnect(Backoff::default().attempts(2))
            .headers_with(move || {
                let n = tries();
                async move {
                    assert!(!panics, "no");
                    match n {
                        3.. => wse::Ok([("x-n", n.to_string())]),
                        _ => Err("no token".into()),
                    }
                }
            })
            .build();
        let failed = ann.connect().await.unwrap_err();
        assert!(matches!(failed, ConnectError::Provided(_)), "{failed:?}");
        let expected = if panics { "panicked" } else { "no token" };
        assert!(format!("{failed:#}").contains(expected), "{failed:#}");
        assert!(arrivals.none());
        if !panics {
            let (connected, _) = tokio::join!(ann.connect(), arrivals.welcomed());
            connected.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_does_not_return_ends_the_attempt() {
    let (dial, _arrivals) = dialled();
    let ann = json_client(dial)
        .connect_timeout(secs(3))
        .url_with(|| async {
            std::future::pending::<()>().await;
            wse::Ok(String::new())
        })
        .build();
    let (failed, time) = timed(ann.connect()).await;
    assert!(matches!(failed, Err(ConnectError::Timeout)), "{failed:?}");
    assert_eq!(time, secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_next_attempt_is_told() {
    let (dial, mut arrivals) = dialled();
    let log = Log::default();
    let told = log.clone();
    let ann = json_client(dial)
        .reconnect(Backoff::default().base(secs(8)).cap(secs(64)))
        .on_event(move |event| {
            if let ClientEvent::Retrying { after, .. } = event {
                told.add(format!("{after:?}"));
            }
        })
        .build();
    assert_eq!(ann.next_attempt(), None);
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    assert_eq!(ann.next_attempt(), None);
    server.close(1012, "restart").await;
    settle().await;
    let at = ann.next_attempt().expect("an attempt to come");
    let after = at.saturating_duration_since(Instant::now().into_std());
    assert_eq!(log.take(), [format!("{:?}", after + ms(1))]);
    let (server, waited) = timed(arrivals.welcomed()).await;
    assert!(waited >= after, "{waited:?}");
    settle().await;
    assert_eq!((ann.next_attempt(), ann.status()), (None, Status::Ready));
    // A client that is closed while it waits has none.
    drop(server);
    settle().await;
    assert!(ann.next_attempt().is_some());
    ann.close();
    ann.closed().await;
    assert_eq!(ann.next_attempt(), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_connects_when_it_is_told_to_look() {
    let (dial, mut arrivals) = dialled();
    let hour = secs(3600);
    let ann = json_client(dial).reconnect(Backoff::default().base(hour).cap(hour * 99)).build();
    // Nothing to look at.
    ann.check_now();
    assert_eq!(ann.status(), Status::Idle);
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    for _ in 0..3 {
        server.close(1012, "restart").await;
        settle().await;
        assert!(ann.next_attempt().is_some());
        ann.check_now();
        let waited;
        (server, waited) = timed(arrivals.welcomed()).await;
        assert_eq!(waited, ms(0));
        settle().await;
    }
    ann.close();
    settle().await;
    ann.check_now();
    assert_eq!(ann.status(), Status::Offline);
}

/// A client whose cable can lose everything.
async fn cabled(log: &Log) -> (Client<JsonArray>, Cable<JsonArray>, wse::Server<JsonArray>) {
    let server = resumable(log, server(&JsonArray)).build();
    let cable = Cable::new(&server);
    let events = log.clone();
    let ann = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        // The defaults ping every 2 s, and wait for 10 s.
        .heartbeat(wse::Heartbeat::fixed(secs(20), secs(60)))
        .reconnect(quick())
        .on_suspended({
            let events = events.clone();
            move |close: &Close| events.add(format!("ann suspended {close}"))
        })
        .on_resumed(move |how| events.add(format!("ann {how:?}")))
        .connect()
        .await
        .unwrap();
    (ann, cable, server)
}

#[tokio::test(start_paused = true)]
async fn a_lost_server_is_noticed_soon_when_a_client_is_told_to_look() {
    let log = Log::default();
    let (ann, cable, _server) = cabled(&log).await;
    // While the server answers, nothing happens, however often it is asked.
    for _ in 0..200 {
        ann.check_now();
        tokio::time::sleep(ms(5)).await;
    }
    tokio::time::sleep(secs(9)).await;
    assert!(!log.take().iter().any(|line| line.contains("suspended")));
    cable.stall();
    tokio::time::sleep(secs(9)).await;
    assert!(!log.take().iter().any(|line| line.contains("suspended")));
    let before = Instant::now();
    while !log.lines().iter().any(|line| line.starts_with("ann Full")) {
        assert!(before.elapsed() < secs(4), "{:?}", log.lines());
        // Asking again does not put it off.
        ann.check_now();
        tokio::time::sleep(ms(10)).await;
    }
    assert!(before.elapsed() >= secs(3));
    let lost = Close::new(1006, CloseReason::HeartbeatTimeout);
    assert!(log.take().contains(&format!("ann suspended {lost}")));
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_heartbeat_there_is_nothing_to_look_at() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).heartbeat(None).reconnect(quick()).build();
    let (connected, _server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    ann.check_now();
    tokio::time::sleep(secs(99)).await;
    assert_eq!(ann.status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_client_keeps_only_what_it_may() {
    let log = Log::default();
    let server = resumable(&log, server(&JsonArray)).build();
    let cable = Cable::new(&server);
    let ann = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .heartbeat(None)
        .resume_messages(3)
        .connect()
        .await
        .unwrap();
    cable.stall();
    for n in 0..9 {
        let sent = ann.send("note", &note(n.to_string()));
        settle().await;
        assert_eq!(sent.is_ok(), n < 3, "{n}: {sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_url_or_field_is_tried_again() {
    for url in [true, false] {
        let (dial, mut arrivals) = dialled();
        let (urls, fields) = (counting(), counting());
        let ann =
            json_client(dial)
                .reconnect(quick())
                .url_with(move || {
                    let bad = url && urls() == 2;
                    async move {
                        wse::Ok(if bad { String::new() } else { "ws://a.example/".to_owned() })
                    }
                })
                .header("Authorization", "fixed")
                .headers_with(move || {
                    let bad = !url && fields() == 2;
                    async move { wse::Ok([("authorization", if bad { "a\nb" } else { "asked" })]) }
                })
                .build();
        let (connected, server) = tokio::join!(ann.connect(), arrivals.welcomed());
        connected.unwrap();
        drop(server);
        let request = arrivals.refused(503).await;
        let found: Vec<_> = request.headers().get_all("authorization").iter().collect();
        assert_eq!(found, ["asked"], "a field of the function replaces the fixed one");
        assert_eq!(ann.status(), Status::Reconnecting);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_during_an_attempt_shortens_the_next_wait() {
    let (dial, mut arrivals) = dialled();
    let hour = secs(3600);
    let backoff = Backoff::default().base(secs(1)).cap(hour);
    let ann = json_client(dial).heartbeat(None).connect_timeout(secs(2)).reconnect(backoff).build();
    let (connected, server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    drop(server);
    // The waits grow.
    for _ in 0..14 {
        drop(arrivals.dialled().await);
    }
    let silent = arrivals.dialled().await;
    settle().await;
    ann.check_now();
    let (_next, waited) = timed(arrivals.dialled()).await;
    assert!(waited <= secs(2) + secs(1), "{waited:?}");
    drop(silent);
}
