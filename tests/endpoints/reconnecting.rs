//! How a client comes back, goes elsewhere, and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::endpoints::*;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use wse::{
    CallError, Client, ClientEvent, Close, CloseReason, ConnectError, SendError, Server, Status,
};
use wse_codecs::JsonArray;
use wse_proto::session::Backoff;
use wse_proto::{ErrorCode, Fault};

crate::over_every_protocol! {
    a_lost_connection_comes_back
    a_refusal_is_final
    the_offline_queue_is_sent_behind_the_next_welcome
    credentials_are_asked_anew_each_time
    connecting_twice_is_an_error
}

fn quick() -> Backoff {
    Backoff::default().base(ms(10)).cap(ms(10))
}

/// The statuses of a client, one line each.
fn watch<P: Talk>(client: &Client<P>) -> Log {
    let log = Log::default();
    let mut statuses = client.statuses();
    let lines = log.clone();
    tokio::spawn(async move {
        while let Some(status) = statuses.next().await {
            lines.add(format!("{status:?}"));
        }
    });
    log
}

async fn a_lost_connection_comes_back<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let ann = client(&protocol, &server, "ann").reconnect(quick()).build();
    let statuses = watch(&ann);
    settle().await;
    ann.connect().await.unwrap();
    settle().await;
    for code in [1011, 1012, 1013, 1014, 4000] {
        server.close_user("ann", Close::new(code, "again"));
        tokio::time::sleep(ms(20)).await;
        assert_eq!(adds(&ann).await.unwrap(), 3, "{code}");
    }
    server.close_user("ann", Close::normal(CloseReason::ByServer));
    assert_eq!(ann.closed().await, Some(Close::normal(CloseReason::ByServer)));
    settle().await;
    let mut expected = vec!["Idle", "Connecting", "Ready"];
    for _ in 0..5 {
        expected.extend(["Reconnecting", "Ready"]);
    }
    expected.push("Offline");
    assert_eq!(statuses.lines(), expected);
    assert_eq!(log.lines().iter().filter(|line| *line == "joined ann").count(), 6);
}

async fn a_refusal_is_final<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann =
        client(&protocol, &server, "ann").identity("guess".to_owned()).reconnect(quick()).build();
    let (outcome, took) = timed(ann.connect()).await;
    assert!(matches!(outcome, Err(ConnectError::Refused(_))), "{outcome:?}");
    assert!(took < ms(1));
    assert_eq!(ann.status(), Status::Offline);
    // Another connect is another try.
    let outcome = ann.connect().await;
    assert!(matches!(outcome, Err(ConnectError::Refused(_))), "{outcome:?}");
}

async fn the_offline_queue_is_sent_behind_the_next_welcome<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol)
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        })
        .build();
    let ann = client(&protocol, &server, "ann").reconnect(quick()).offline_queue(3).build();
    // Before the first connection too.
    ann.send("note", &note("0")).unwrap();
    ann.connect().await.unwrap();
    ann.send("note", &note("1")).unwrap();
    adds(&ann).await.unwrap();
    assert_eq!(log.take(), ["0", "1"]);

    server.close_user("ann", Close::new(1012, ""));
    settle().await;
    assert_eq!(ann.status(), Status::Reconnecting);
    for n in 2..5 {
        ann.send("note", &note(n.to_string())).unwrap();
    }
    assert!(matches!(ann.send("note", &note("x")), Err(SendError::QueueFull)));
    // Calls are never kept.
    assert!(matches!(adds(&ann).await, Err(CallError::NotReady)));
    tokio::time::sleep(ms(20)).await;
    ann.send("note", &note("5")).unwrap();
    adds(&ann).await.unwrap();
    assert_eq!(log.take(), ["2", "3", "4", "5"]);
}

async fn credentials_are_asked_anew_each_time<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ann = client(&protocol, &server, "nobody")
        .credentials(move || {
            let n = count.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                match n {
                    // A token server that is away for a moment.
                    1 => Err(Fault::new("away")),
                    n => Ok((format!("secret of ann{n}"), Meta { device: n.to_string() })),
                }
            }
        })
        .reconnect(quick())
        .connect()
        .await
        .unwrap();
    assert_eq!(log.take(), ["joined ann0/0", "connected ann0/0"]);
    server.close_user("ann0", Close::new(1012, ""));
    tokio::time::sleep(ms(50)).await;
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(log.take()[2..], ["joined ann2/2", "connected ann2/2"]);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

async fn connecting_twice_is_an_error<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann").build();
    let (first, second) = tokio::join!(ann.connect(), ann.connect());
    first.unwrap();
    assert!(matches!(second, Err(ConnectError::AlreadyConnected)), "{second:?}");
    let third = ann.connect().await;
    assert!(matches!(third, Err(ConnectError::AlreadyConnected)), "{third:?}");
    assert_eq!(adds(&ann).await.unwrap(), 3);
    // After the end it may.
    ann.close();
    ann.closed().await;
    ann.connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn close_codes_decide_whether_it_comes_back() {
    let table = [
        (Some(1000), false),
        (Some(1001), false),
        (Some(1002), false),
        (Some(1003), false),
        (Some(1007), false),
        (Some(1008), false),
        (Some(1009), false),
        (Some(1010), false),
        (Some(1011), true),
        (Some(1012), true),
        (Some(1013), true),
        (Some(1014), true),
        (Some(3000), false),
        (Some(4000), true),
        (Some(4001), false),
        (Some(4999), false),
        // 1005 and 1006.
        (Some(0), true),
        (None, true),
    ];
    for (code, comes_back) in table {
        let (dial, mut arrivals) = dialled();
        let ann = json_client(dial).reconnect(quick()).build();
        let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
        connected.unwrap();
        match code {
            Some(0) => server.0.close(None),
            Some(code) => server.close(code, "why").await,
            None => {}
        }
        if code.is_some() {
            server.hear_all().await;
        }
        drop(server);
        settle().await;
        let status = if comes_back { Status::Reconnecting } else { Status::Offline };
        assert_eq!(ann.status(), status, "{code:?}");
        tokio::time::sleep(secs(1)).await;
        assert_eq!(arrivals.none(), !comes_back, "{code:?}");
        // Without leave to, it never does.
        let (dial, mut arrivals) = dialled();
        let bob = json_client(dial).build();
        let (connected, server) = tokio::join!(bob.connect(), arrivals.welcomed());
        connected.unwrap();
        drop(server);
        tokio::time::sleep(secs(3600)).await;
        assert_eq!(bob.status(), Status::Offline);
        assert!(arrivals.none());
    }
}

/// The waits between failed attempts of a client that had been connected, in virtual time.
async fn waits(backoff: Backoff, attempts: usize) -> Vec<Duration> {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(backoff).build();
    let (connected, server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    drop(server);
    let mut waits = Vec::new();
    let mut last = Instant::now();
    for _ in 0..attempts {
        drop(arrivals.dialled().await);
        waits.push(last.elapsed());
        last = Instant::now();
        settle().await;
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn attempts_back_off_with_full_jitter_up_to_the_cap() {
    let mut longest = [Duration::ZERO; 8];
    for _ in 0..40 {
        let waits = waits(Backoff::default().cap(secs(16)), 8).await;
        for (n, wait) in waits.into_iter().enumerate() {
            let most = secs(16.min(1 << n)) + ms(2);
            assert!(wait <= most, "wait {n} is {wait:?}");
            longest[n] = longest[n].max(wait);
        }
    }
    // By chance only one run in 2^40 stays below the half.
    for (n, longest) in longest.into_iter().enumerate() {
        assert!(longest > secs(16.min(1 << n)) / 2, "the longest wait {n} is {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_after_so_many_failed_attempts() {
    for most in [0, 1, 3] {
        // The first connection fails.
        let (dial, mut arrivals) = dialled();
        let ann = json_client(dial).reconnect(quick().attempts(most)).build();
        let failing = async {
            let mut attempts = 0;
            while let Ok(io) = tokio::time::timeout(secs(60), arrivals.dialled()).await {
                drop(io);
                attempts += 1;
            }
            attempts
        };
        let (outcome, attempts) = tokio::join!(ann.connect(), failing);
        assert!(matches!(outcome, Err(ConnectError::Handshake(_))), "{outcome:?}");
        assert_eq!(attempts, most.max(1), "at first, of {most}");
        assert_eq!(ann.status(), Status::Offline);

        // It is lost, and then they fail; a success between them resets the count.
        for _ in 0..2 {
            let (dial, mut arrivals) = dialled();
            let ann = json_client(dial).reconnect(quick().attempts(most)).build();
            let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
            connected.unwrap();
            for _ in 1..most {
                drop(server);
                for _ in 1..most {
                    drop(arrivals.dialled().await);
                }
                server = arrivals.welcomed().await;
                // Longer than any wait: otherwise it is no success.
                tokio::time::sleep(ms(20)).await;
            }
            drop(server);
            for _ in 0..most {
                drop(arrivals.dialled().await);
            }
            assert_eq!(ann.closed().await.unwrap().code, 1006);
            tokio::time::sleep(secs(3600)).await;
            assert!(arrivals.none(), "after a success, of {most}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_statuses_of_a_hard_beginning() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(quick()).retry_first(true).build();
    let statuses = watch(&ann);
    settle().await;
    let mut events = ann.events();
    let server = async {
        for _ in 0..3 {
            drop(arrivals.dialled().await);
        }
        arrivals.welcomed().await
    };
    let (connected, _server) = tokio::join!(ann.connect(), server);
    connected.unwrap();
    settle().await;
    // It reconnects only once it has been connected.
    assert_eq!(statuses.lines(), ["Idle", "Connecting", "Ready"]);
    for _ in 0..3 {
        match events.next().await.unwrap() {
            ClientEvent::Retrying { error, after, .. } => {
                assert!(error.starts_with("the WebSocket handshake failed"), "{error}");
                assert!(after <= ms(10));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(events.next().await.unwrap(), ClientEvent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_lost_connection() {
    let server = server(&JsonArray).build();
    let ann = client(&JsonArray, &server, "ann").reconnect(quick()).build();
    let mut events = ann.events();
    ann.connect().await.unwrap();
    server.close_user("ann", Close::new(1012, "restart"));
    tokio::time::sleep(ms(50)).await;
    let mut lines = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        lines.push(match event {
            ClientEvent::Ready(_) => "ready".to_owned(),
            ClientEvent::Closed(close) => format!("closed {close}"),
            ClientEvent::Retrying { error, .. } => format!("retrying: {error}"),
            other => format!("{other:?}"),
        });
    }
    let expected = [
        "ready",
        "closed 1012 restart",
        "retrying: the connection was lost: 1012 restart",
        "ready",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_without_an_offline_queue() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(quick()).build();
    assert!(matches!(ann.send("note", &()), Err(SendError::NotReady)));
    let (connected, server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    ann.send("note", &()).unwrap();
    drop(server);
    settle().await;
    assert!(matches!(ann.send("note", &()), Err(SendError::NotReady)));
    let outcome = ann.call::<_, ()>("call", &()).await;
    assert!(matches!(outcome, Err(CallError::NotReady)), "{outcome:?}");
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::NotReady);
    let mut server = arrivals.welcomed().await;
    assert_eq!(server.hear_all().await, [""; 0]);
}

/// The loop that `room` is made for, while there is no connection.
#[tokio::test(start_paused = true)]
async fn room_waits_for_the_offline_queue_too() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(quick()).offline_queue(2).build();
    let (connected, server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    drop(server);
    settle().await;
    let sending = tokio::spawn({
        let ann = ann.clone();
        async move {
            let mut tries = 0;
            for n in 0..6 {
                while ann.send("note", &n).is_err() {
                    tries += 1;
                    assert!(tries < 1000, "`room` does not wait");
                    ann.writable().await;
                }
            }
        }
    });
    tokio::time::sleep(secs(1)).await;
    assert!(!sending.is_finished());
    let mut server = arrivals.welcomed().await;
    sending.await.unwrap();
    let expected: Vec<_> = (0..6).map(|n| format!(r#"["note",{n},null]"#)).collect();
    assert_eq!(server.hear_all().await, expected);
    // A client that has ended has nothing to wait for.
    ann.close();
    server.hear_all().await;
    drop(server);
    ann.closed().await;
    ann.writable().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_has_a_time_limit() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).connect_timeout(secs(4)).build();
    // Neither a silent TCP nor a silent WebSocket is waited for.
    let (outcome, took) = timed(async { tokio::join!(ann.connect(), arrivals.dialled()).0 }).await;
    assert!(matches!(outcome, Err(ConnectError::Timeout | ConnectError::Handshake(_))));
    assert!(took <= secs(4));
    let silent = async {
        let (mut server, greeting) = arrivals.greeted().await;
        assert_eq!(greeting, r#"["~wse:hi",{"identity":"me","meta":{}},null,1]"#);
        assert_eq!(server.hear().await, "close 1000 wse.by-client");
    };
    let (outcome, took) = timed(async { tokio::join!(ann.connect(), silent).0 }).await;
    assert!(matches!(outcome, Err(ConnectError::Timeout)), "{outcome:?}");
    assert_eq!(took.as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn close_ends_an_attempt() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(Backoff::default()).build();
    let closing = async {
        let (mut server, _) = arrivals.greeted().await;
        ann.close();
        assert_eq!(server.hear().await, "close 1000 wse.by-client");
    };
    let (outcome, ()) = tokio::join!(ann.connect(), closing);
    assert!(matches!(outcome, Err(ConnectError::Closed)), "{outcome:?}");
    assert_eq!(ann.status(), Status::Offline);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes() {
    let log = Log::default();
    let server = log
        .events(server(&JsonArray))
        .procedure("slow", |_, ()| async {
            tokio::time::sleep(secs(5)).await;
            wse::Ok(())
        })
        .build();
    let ann = client(&JsonArray, &server, "ann").reconnect(quick()).connect().await.unwrap();
    let other = ann.clone();
    log.take();
    drop(ann);
    settle().await;
    assert_eq!(log.take(), [""; 0]);
    drop(other);
    settle().await;
    let ends = ["disconnected ann 1000 wse.by-client", "left ann 1000 wse.by-client"];
    assert_eq!(log.take(), ends);

    // A handler's handle counts while it runs.
    let bob = client(&JsonArray, &server, "bob")
        .on("work", |bob, ()| async move { bob.call::<_, ()>("slow", &()).await })
        .connect()
        .await
        .unwrap();
    server.user("bob").send("work", &()).unwrap();
    settle().await;
    drop(bob);
    tokio::time::sleep(secs(4)).await;
    assert!(server.user("bob").is_connected());
    tokio::time::sleep(secs(2)).await;
    assert!(!server.user("bob").is_connected());
}

/// After `closed` the program may end: everything is written, the close frame too.
#[tokio::test(start_paused = true)]
async fn closed_waits_until_all_is_written() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).build();
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    for _ in 0..200 {
        ann.send("note", &note("x".repeat(1024))).unwrap();
    }
    ann.close();
    let closed = tokio::spawn({
        let ann = ann.clone();
        async move { ann.closed().await }
    });
    tokio::time::sleep(secs(1)).await;
    assert_eq!(ann.status(), Status::Offline);
    assert!(!closed.is_finished(), "the server has not read a word");
    let heard = server.hear_all().await;
    assert_eq!(heard.len(), 202);
    assert_eq!(heard[200..], ["close 1000 wse.by-client", "end"]);
    assert_eq!(closed.await.unwrap(), Some(Close::normal(CloseReason::ByClient)));

    // A server that never reads is not waited for longer than the handshake may take.
    let (dial, mut arrivals) = dialled();
    let bob = json_client(dial).close_timeout(secs(3)).build();
    let (connected, _server) = tokio::join!(bob.connect(), arrivals.welcomed());
    connected.unwrap();
    bob.close();
    let (_, took) = timed(bob.closed()).await;
    assert_eq!(took.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_panic_end_the_attempt() {
    let server: Server<_> = server(&JsonArray).build();
    let ann = client(&JsonArray, &server, "ann")
        .credentials(|| async {
            assert!(tokio::time::Instant::now().elapsed() > secs(1), "no idea");
            wse::Ok((String::new(), Meta::default()))
        })
        .build();
    let outcome = within(ann.connect()).await;
    assert!(outcome.is_err());
    assert_eq!(ann.status(), Status::Offline);
    within(ann.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn a_jump_takes_the_place_of_what_is_under_way() {
    let (dial, mut arrivals) = dialled();
    let ann =
        json_client(dial).reconnect(Backoff::default().base(secs(3600)).cap(secs(3600))).build();
    let statuses = watch(&ann);
    settle().await;
    // While it connects.
    let jumping = async {
        let (mut first, _) = arrivals.greeted().await;
        let (jumped, (heard, second)) = tokio::join!(ann.migrate("ws://memory/2"), async {
            (first.hear().await, arrivals.welcomed().await)
        });
        assert_eq!(heard, "close 1000 wse.by-client");
        jumped.unwrap();
        second
    };
    let (connected, second) = tokio::join!(ann.connect(), jumping);
    assert!(matches!(connected, Err(ConnectError::Closed)), "{connected:?}");
    // While it waits for the next attempt.
    drop(second);
    settle().await;
    let ((jumped, _third), took) =
        timed(async { tokio::join!(ann.migrate("ws://memory/3"), arrivals.welcomed()) }).await;
    jumped.unwrap();
    assert!(took < secs(1), "{took:?}");
    settle().await;
    let expected = ["Idle", "Connecting", "Reconnecting", "Ready", "Reconnecting", "Ready"];
    assert_eq!(statuses.lines(), expected);
    // While there is nothing: it connects.
    ann.close_with(Close::new(4100, "bye"));
    settle().await;
    let (jumped, _fourth) = tokio::join!(ann.migrate("ws://memory/4"), arrivals.welcomed());
    jumped.unwrap();
}
