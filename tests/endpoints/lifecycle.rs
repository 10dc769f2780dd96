//! Who comes and goes: events, devices, closing, broadcasts and the end of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::endpoints::*;
use futures::StreamExt;
use tokio::io::AsyncReadExt;
use wse::{Client, Close, CloseReason, ConnectError, Server, ServerEvent, Status, memory};
use wse_codecs::JsonArray;
use wse_proto::Fault;

crate::over_every_protocol! {
    callbacks_and_stream_tell_the_same_in_order
    each_callback_gets_its_own_events
    a_user_joins_and_leaves_once_with_two_devices
    one_connection_too_many_evicts_the_oldest
    a_message_to_a_user_reaches_all_its_devices
    closing_a_user_closes_all_its_devices
    a_broadcast_reaches_everybody_but_who_is_left_out
    callbacks_may_use_the_server
    a_panicking_callback_harms_nobody
    a_slow_reader_of_events_is_told_what_it_missed
    a_shutdown_closes_everybody_and_waits
    a_handler_that_never_ends_is_cancelled_by_the_shutdown
    what_was_sent_before_a_close_arrives_before_it
}

async fn callbacks_and_stream_tell_the_same_in_order<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let mut stream = server.events();
    let ann = device(&protocol, &server, "ann", "phone").await;
    ann.close();
    ann.closed().await;
    settle().await;
    let bob = device(&protocol, &server, "bob", "desk").await;
    bob.close_with(Close::new(4100, "bye"));
    bob.closed().await;
    settle().await;
    let expected = [
        "joined ann/phone",
        "connected ann/phone",
        "disconnected ann/phone 1000 wse.by-client",
        "left ann 1000 wse.by-client",
        "joined bob/desk",
        "connected bob/desk",
        "disconnected bob/desk 4100 bye",
        "left bob 4100 bye",
    ];
    assert_eq!(log.lines(), expected);
    for line in expected {
        assert_eq!(crate::support::endpoints::line(&stream.next().await.unwrap()), line);
    }
}

async fn each_callback_gets_its_own_events<P: Talk>(protocol: P) {
    let log = Log::default();
    let [joined, connected, disconnected, left, error] = [(); 5].map(|()| log.clone());
    let server = server(&protocol)
        .on_joined(move |conn| joined.add(format!("joined {}", conn.user_id())))
        .on_connected(move |conn| connected.add(format!("connected {}", conn.user_id())))
        .on_disconnected(move |conn, close| {
            disconnected.add(format!("disconnected {} {close}", conn.user_id()));
        })
        .on_left(move |user, close| left.add(format!("left {user} {close}")))
        .on_error(move |it| error.add(format!("error {} {}", it.code, it.message)))
        .on("fail", |_, ()| async { Err::<(), _>(Fault::new("my-app.no").message("no")) })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    ann.send("fail", &()).unwrap();
    ann.close();
    ann.closed().await;
    settle().await;
    let expected = [
        "joined ann",
        "connected ann",
        "error my-app.no my-app.no: no",
        "disconnected ann 1000 wse.by-client",
        "left ann 1000 wse.by-client",
    ];
    assert_eq!(log.lines(), expected);
}

async fn a_user_joins_and_leaves_once_with_two_devices<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).connections_per_user(2).build();
    let phone = device(&protocol, &server, "ann", "phone").await;
    let desk = device(&protocol, &server, "ann", "desk").await;
    let ids: Vec<_> = server.user("ann").connections().iter().map(|conn| conn.id()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.is_sorted() && ids[0] != ids[1]);
    phone.close();
    phone.closed().await;
    settle().await;
    assert!(server.user("ann").is_connected());
    desk.close_with(Close::new(4100, "bye"));
    desk.closed().await;
    settle().await;
    assert!(!server.user("ann").is_connected());
    let expected = [
        "joined ann/phone",
        "connected ann/phone",
        "connected ann/desk",
        "disconnected ann/phone 1000 wse.by-client",
        "disconnected ann/desk 4100 bye",
        "left ann 4100 bye",
    ];
    assert_eq!(log.lines(), expected);
}

async fn one_connection_too_many_evicts_the_oldest<P: Talk>(protocol: P) {
    for limit in [1, 2] {
        let log = Log::default();
        let server = log.events(server(&protocol)).connections_per_user(limit).build();
        let mut devices = Vec::new();
        for n in 0..limit {
            devices.push(device(&protocol, &server, "ann", &n.to_string()).await);
        }
        log.take();
        let newest = device(&protocol, &server, "ann", "new").await;
        let evicted = devices.remove(0);
        let close = evicted.closed().await.unwrap();
        assert_eq!(close, Close::normal(CloseReason::ClientsConcurrency));
        settle().await;
        let expected = ["disconnected ann/0 1000 wse.clients-concurrency", "connected ann/new"];
        assert_eq!(log.take(), expected);
        for ann in devices.iter().chain([&newest]) {
            assert_eq!(adds(ann).await.unwrap(), 3);
        }
        assert_eq!(server.user("ann").connections().len(), limit);
    }
}

/// Writes down the notes that a client gets.
fn notes<P: Talk>(client: &Client<P>, log: &Log, name: &'static str) {
    let log = log.clone();
    client.on("note", move |_, Note { text }: Note| {
        log.add(format!("{name} {text}"));
        async {}
    });
}

async fn a_message_to_a_user_reaches_all_its_devices<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).connections_per_user(2).build();
    let clients = [
        ("phone", device(&protocol, &server, "ann", "phone").await),
        ("desk", device(&protocol, &server, "ann", "desk").await),
        ("bob", device(&protocol, &server, "bob", "").await),
    ];
    for (name, client) in &clients {
        notes(client, &log, name);
    }
    assert_eq!(server.user("ann").send("note", &note("1")).unwrap(), 2);
    assert_eq!(server.user("bob").send("note", &note("2")).unwrap(), 1);
    assert_eq!(server.user("eve").send("note", &note("3")).unwrap(), 0);
    assert_eq!(server.user("eve").id(), "eve");
    settle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["bob 2", "desk 1", "phone 1"]);
}

async fn closing_a_user_closes_all_its_devices<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).connections_per_user(2).build();
    let phone = device(&protocol, &server, "ann", "phone").await;
    let desk = device(&protocol, &server, "ann", "desk").await;
    let bob = client(&protocol, &server, "bob").connect().await.unwrap();
    log.take();
    assert_eq!(server.close_user("ann", Close::new(4003, "banned")), 2);
    assert_eq!(server.close_user("eve", Close::new(4003, "banned")), 0);
    for client in [phone, desk] {
        assert_eq!(client.closed().await, Some(Close::new(4003, "banned")));
        assert_eq!(client.status(), Status::Offline);
    }
    settle().await;
    let lines = log.take();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[2], "left ann 4003 banned");
    assert_eq!(adds(&bob).await.unwrap(), 3);
    let users: Vec<_> = server.users().iter().map(|user| user.id().to_owned()).collect();
    assert_eq!(users, ["bob"]);
}

async fn a_broadcast_reaches_everybody_but_who_is_left_out<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).connections_per_user(2).build();
    assert_eq!(server.all().send("note", &note("0")).unwrap(), 0);
    let clients = [
        ("phone", device(&protocol, &server, "ann", "phone").await),
        ("desk", device(&protocol, &server, "ann", "desk").await),
        ("bob", device(&protocol, &server, "bob", "").await),
    ];
    for (name, client) in &clients {
        notes(client, &log, name);
    }
    assert_eq!(server.all().send("note", &note("1")).unwrap(), 3);
    settle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["bob 1", "desk 1", "phone 1"]);
    assert_eq!(server.all().except_user("ann").send("note", &note("2")).unwrap(), 1);
    settle().await;
    assert_eq!(log.take(), ["bob 2"]);
}

async fn callbacks_may_use_the_server<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let (all, extra) = (server.clone(), log.clone());
    server.on_event(move |event| match event {
        ServerEvent::Connected(conn) if conn.user_id() == "mallory" => {
            all.all().send("note", &note("beware")).unwrap();
            assert_eq!(all.users().len(), 2);
            assert!(all.user("mallory").is_connected());
            all.close_user("mallory", Close::new(4003, "banned"));
            let extra = extra.clone();
            all.on_event(move |event| extra.add(format!("also {}", line(event))));
        }
        ServerEvent::Left(..) => {
            all.user("ann").send("note", &note("gone")).unwrap();
        }
        _ => {}
    });
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    notes(&ann, &log, "ann");
    log.take();
    let mallory = client(&protocol, &server, "mallory").connect().await.unwrap();
    assert_eq!(mallory.closed().await, Some(Close::new(4003, "banned")));
    settle().await;
    let mut lines = log.take();
    let position = |line: &str| lines.iter().position(|it| it == line).expect(line);
    assert!(position("ann beware") < position("ann gone"));
    assert!(position("connected mallory") < position("disconnected mallory 4003 banned"));
    lines.retain(|line| line.starts_with("also"));
    assert_eq!(lines, ["also disconnected mallory 4003 banned", "also left mallory 4003 banned"]);
}

async fn a_panicking_callback_harms_nobody<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).on_event(|event| panic!("at {}", line(event)));
    let server = log.events(server).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    ann.close();
    ann.closed().await;
    settle().await;
    // Each panic is an error event for the other callbacks.
    let who = ["ann", "ann", "ann", "nobody"];
    let happened = ["joined ann", "connected ann", "disconnected ann ", "left ann "];
    let lines = log.lines();
    assert_eq!(lines.len(), 8);
    for (n, pair) in lines.chunks(2).enumerate() {
        assert!(pair[0].starts_with(happened[n]), "{pair:?}");
        assert_eq!(pair[1], format!("error {} on_event wse.server.rp.failed", who[n]));
    }
    assert!(server.shutdown(secs(1)).await);
}

async fn a_slow_reader_of_events_is_told_what_it_missed<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .on("fail", |_, ()| async { Err::<(), _>(Fault::new("my-app.no")) })
        .build();
    let mut events = server.events();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    for _ in 0..30 {
        for _ in 0..100 {
            ann.send("fail", &()).unwrap();
        }
        adds(&ann).await.unwrap();
    }
    let first = events.next().await.unwrap();
    // 3,002 events, of which it may fall 1,024 behind.
    assert!(matches!(first, ServerEvent::Missed(1978)), "{first:?}");
    assert!(matches!(events.next().await.unwrap(), ServerEvent::Error(_)));
}

async fn a_shutdown_closes_everybody_and_waits<P: Talk>(protocol: P) {
    let log = Log::default();
    let done = log.clone();
    let server = log
        .events(server(&protocol))
        .on("work", move |_, ()| {
            let done = done.clone();
            async move {
                tokio::time::sleep(secs(3)).await;
                done.add("worked");
            }
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let bob = client(&protocol, &server, "bob").connect().await.unwrap();
    ann.send("work", &()).unwrap();
    settle().await;
    log.take();
    let (ended, took) = timed(server.shutdown(secs(60))).await;
    assert!(ended);
    assert!((secs(2)..secs(4)).contains(&took), "{took:?}");
    for client in [&ann, &bob] {
        assert_eq!(client.closed().await, Some(Close::new(1001, CloseReason::ByServer)));
    }
    let mut lines = log.take();
    lines.sort();
    let expected = [
        "disconnected ann 1001 wse.by-server",
        "disconnected bob 1001 wse.by-server",
        "left ann 1001 wse.by-server",
        "left bob 1001 wse.by-server",
        "worked",
    ];
    assert_eq!(lines, expected);
    // Nobody comes in any more, and a second shutdown has nothing to do.
    let refused = client(&protocol, &server, "eve").connect().await;
    assert!(matches!(refused, Err(ConnectError::Handshake(_))), "{refused:?}");
    let (ended, took) = timed(server.shutdown(secs(60))).await;
    assert!(ended && took < ms(10), "{took:?}");
}

/// Tells when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn a_handler_that_never_ends_is_cancelled_by_the_shutdown<P: Talk>(protocol: P) {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let server = server(&protocol)
        .on("work", move |_, ()| {
            let guard = Guard(Arc::clone(&flag));
            async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    ann.send("work", &()).unwrap();
    settle().await;
    let (ended, took) = timed(server.shutdown(secs(5))).await;
    assert!(!ended);
    assert_eq!(took.as_secs(), 5);
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(ann.status(), Status::Offline);
}

async fn what_was_sent_before_a_close_arrives_before_it<P: Talk>(protocol: P) {
    let log = Log::default();
    let (seen, back) = (log.clone(), log.clone());
    let server = log
        .events(server(&protocol))
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    log.take();
    for n in 0..100 {
        ann.send("note", &note(n.to_string())).unwrap();
    }
    ann.close();
    // After `closed` the program may end: nothing is lost.
    assert_eq!(ann.closed().await, Some(Close::normal(CloseReason::ByClient)));
    let mut lines = log.take();
    assert_eq!(lines.len(), 102, "{lines:?}");
    let ends = ["disconnected ann 1000 wse.by-client", "left ann 1000 wse.by-client"];
    assert_eq!(lines.split_off(100), ends);

    let bob = client(&protocol, &server, "bob")
        .on("note", move |_, Note { text }: Note| {
            back.add(text);
            async {}
        })
        .connect()
        .await
        .unwrap();
    log.take();
    let conn = server.user("bob").connections().remove(0);
    for n in 0..100 {
        conn.send("note", &note(n.to_string())).unwrap();
    }
    conn.close(Close::new(4001, "enough"));
    assert_eq!(bob.closed().await, Some(Close::new(4001, "enough")));
    settle().await;
    let lines = log.take();
    let notes: Vec<_> = lines.iter().filter(|line| !line.contains("bob")).collect();
    assert!(
        notes.into_iter().map(String::as_str).eq((0..100)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str))
    );
}

#[tokio::test(start_paused = true)]
async fn before_a_restart_clients_are_told_to_come_back() {
    let server = server(&JsonArray).build();
    let ann = client(&JsonArray, &server, "ann")
        .reconnect(wse::Backoff::default())
        .connect()
        .await
        .unwrap();
    let restart = Close::new(1012, "restart");
    assert!(server.shutdown_with(restart, secs(10)).await);
    settle().await;
    assert_eq!(ann.status(), wse::Status::Reconnecting);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_streams_of_events_and_lets_go_of_handlers() {
    let held = std::sync::Arc::new(());
    let server = server(&JsonArray).build();
    let (all, mine) = (server.clone(), held.clone());
    server.on("note", move |_, _: Note| {
        let _ = (&all, &mine);
        async {}
    });
    let mut events = server.events();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    assert!(server.shutdown(secs(10)).await);
    let mut left = false;
    while let Some(event) = events.next().await {
        left |= matches!(event, ServerEvent::Left(..));
    }
    assert!(left, "what happened until then is still told");
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
    drop(ann);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_who_never_spoke() {
    let server = server(&JsonArray).build();
    let mut silent = Raw::dial(&server).await;
    let mut stranger = Raw::stranger(&server).await;
    settle().await;
    let (ended, took) = timed(async {
        let (ended, heard) = tokio::join!(server.shutdown(secs(60)), stranger.hear_all());
        assert_eq!(heard, ["close 1001 wse.by-server", "end"]);
        ended
    })
    .await;
    assert!(ended);
    assert!(took < ms(100), "{took:?}");
    assert_eq!(silent.read(&mut [0; 10]).await.unwrap(), 0);
}

/// Connections that the application runs itself are the server's all the same.
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_connections_that_run_elsewhere() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let (near, far) = tokio::io::duplex(1000);
    let serving = tokio::spawn(server.clone().accept(far, None));
    let mut raw = Raw::upgrade(Box::new(near)).await;
    raw.greet("ann").await;
    raw.hear().await;
    log.take();
    // Its peer does not read, and so the closing handshake takes its time.
    let (ended, took) = timed(server.shutdown(secs(3))).await;
    assert!(!ended);
    assert_eq!(took.as_secs(), 3);
    assert_eq!(log.take().len(), 2);
    settle().await;
    assert!(serving.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_from_within_a_handler_ends() {
    let server = server(&JsonArray).build();
    let ended = Log::default();
    let (all, log) = (server.clone(), ended.clone());
    server.on("stop", move |_, ()| {
        let (all, log) = (all.clone(), log.clone());
        async move {
            log.add(all.shutdown(secs(3)).await.to_string());
        }
    });
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    ann.send("stop", &()).unwrap();
    let (close, took) = timed(ann.closed()).await;
    assert_eq!(close, Some(Close::new(1001, CloseReason::ByServer)));
    assert!(took < ms(100), "{took:?}");
    let (ended_by_itself, _) = timed(server.shutdown(secs(60))).await;
    // The handler waited for itself, and was cancelled.
    assert!(ended_by_itself);
    assert_eq!(ended.lines(), [""; 0]);
}

/// While its task is at work, in a handler that holds the thread: then nobody wakes it for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_a_connection_that_is_busy() {
    let (entered, mut at_work) = tokio::sync::mpsc::unbounded_channel();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let server = server(&JsonArray)
        .on("hold", move |_, ()| {
            entered.send(()).unwrap();
            held.lock().unwrap().recv().unwrap();
            async {}
        })
        .build();
    // Its peer never answers a close: without the end of the grace, that takes 10 s.
    let mut ann = Raw::user(&server, "ann").await;
    ann.say(r#"["hold"]"#).await;
    at_work.recv().await.unwrap();
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown(Duration::ZERO).await }
    });
    tokio::time::sleep(ms(50)).await;
    release.send(()).unwrap();
    let ended = tokio::time::timeout(secs(5), stopping).await.expect("in time").unwrap();
    assert!(!ended);
}

#[tokio::test(start_paused = true)]
async fn a_server_outlives_its_handles() {
    let server = server(&JsonArray).build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    drop(server);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_error_after_the_welcome_ends_only_its_connection() {
    let wrong =
        ["x", "{}", "[]", "[null]", "null", "5", r#"["",1]"#, r#"["~wse:hi",{"identity":"x"}]"#];
    for wrong in wrong {
        let log = Log::default();
        let server = log.events(server(&JsonArray)).build();
        let bob = client(&JsonArray, &server, "bob").connect().await.unwrap();
        let mut raw = Raw::user(&server, "ann").await;
        log.take();
        raw.say(wrong).await;
        let _ = raw.try_say(r#"["add",{"a":1,"b":2},"s"]"#).await;
        assert_eq!(raw.hear_all().await, ["close 1000 wse.protocol-error", "end"], "{wrong}");
        let lines = log.take();
        assert!(lines[0].starts_with("error ann - wse.server."), "{lines:?}");
        let ends = ["disconnected ann 1000 wse.protocol-error", "left ann 1000 wse.protocol-error"];
        assert_eq!(lines[1..], ends, "{wrong}");
        assert_eq!(adds(&bob).await.unwrap(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_may_say_less_than_users() {
    let server: Server<_> = server(&JsonArray).max_unauthenticated_message(100).build();
    let mut raw = Raw::stranger(&server).await;
    raw.greet(&"x".repeat(100)).await;
    assert_eq!(raw.hear().await, "close 1009 message over 100 bytes in one frame");
    let ann = Client::builder(JsonArray, memory::URL)
        .connector(memory::connector(&server))
        .identity("secret of ann".to_owned())
        .connect()
        .await
        .unwrap();
    ann.send("note", &note("x".repeat(1000))).unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}
