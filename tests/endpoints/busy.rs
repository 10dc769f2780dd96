//! A connection whose handlers are all busy: what starts no handler is processed, the rest waits within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::endpoints::*;
use futures::{SinkExt, StreamExt};
use tokio::task::JoinSet;
use wse::{Call, Conn, Server, ServerBuilder};
use wse_codecs::JsonArray;
use wse_transport::ws;

crate::over_every_protocol! {
    any_number_of_procedures_may_call_back
    what_waits_is_handled_in_order
}

/// Far more calls at once than handlers, each of which needs an answer from its caller.
async fn any_number_of_procedures_may_call_back<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .max_handlers(4)
        .procedure("ask", |conn: Conn<P>, n: i64| async move {
            let more: i64 = conn.call("more", &n).await?;
            wse::Ok(more)
        })
        .build();
    let ann = client(&protocol, &server, "ann")
        .max_calls(5000)
        .max_handlers(3)
        .procedure("more", |_, n: i64| async move {
            tokio::task::yield_now().await;
            wse::Ok(n + 1)
        })
        .connect()
        .await
        .unwrap();
    let mut calls = JoinSet::new();
    for n in 0..900_i64 {
        let ann = ann.clone();
        calls.spawn(async move { assert_eq!(ann.call::<_, i64>("ask", &n).await.unwrap(), n + 1) });
    }
    let ((), took) =
        timed(async { while calls.join_next().await.is_some_and(|it| it.is_ok()) {} }).await;
    assert!(calls.is_empty() && took < secs(1), "{} left after {took:?}", calls.len());
}

async fn what_waits_is_handled_in_order<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol)
        .max_handlers(1)
        .on("note", move |_, n: i64| {
            seen.add(n.to_string());
            tokio::time::sleep(ms(10))
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    for n in 0..50_i64 {
        ann.send("note", &n).unwrap();
    }
    settle().await;
    assert_eq!(log.lines(), ["0"]);
    ann.close();
    ann.closed().await;
    settle().await;
    // They were sent before the close.
    assert_eq!(log.lines(), (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// A server whose one handler is taken for 600 s.
fn busy(log: &Log) -> ServerBuilder<JsonArray> {
    let seen = log.clone();
    log.events(server(&JsonArray)).max_handlers(1).procedure_with(
        "slow",
        move |_, call: Call<i64>| {
            seen.add(format!(
                "slow {} {:?}",
                call.payload,
                call.remaining().map(|it| it.as_secs())
            ));
            async move {
                tokio::select! {
                    () = tokio::time::sleep(secs(600)) => {}
                    () = call.cancelled() => {}
                }
                wse::Ok(call.payload)
            }
        },
    )
}

#[tokio::test(start_paused = true)]
async fn pings_cancels_and_receipts_pass_what_waits() {
    let log = Log::default();
    let server = busy(&log).build();
    let mut raw = Raw::user(&server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    log.take();
    for n in 1..=3 {
        raw.say(&format!(r#"["slow",{n},"s{n}"]"#)).await;
    }
    raw.say(r#"["~wse:ping",1,null]"#).await;
    let pong = raw.hear().await;
    assert!(pong.contains("~wse:pong"), "{pong}");
    // A receipt of the peer is heard.
    let sent = tokio::spawn(async move { conn.send_acked("news", &1_i64).await });
    let news = raw.hear().await;
    let stamp = news.split(',').nth(2).unwrap();
    raw.say(&format!(r#"["~wse:receipt",null,{stamp},2]"#)).await;
    sent.await.unwrap().unwrap();
    // A call that waits is forgotten, one that runs is cancelled.
    raw.say(r#"["~wse:cancel",null,"s2"]"#).await;
    raw.say(r#"["~wse:cancel",null,"s1"]"#).await;
    settle().await;
    assert_eq!(log.take(), ["slow 1 None", "slow 3 None"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_has_less_time_left() {
    let log = Log::default();
    let server = busy(&log).heartbeat(None).build();
    let mut raw = Raw::user(&server, "ann").await;
    log.take();
    raw.say(r#"["slow",1,"s1"]"#).await;
    raw.say(r#"["slow",2,"s2",0,90000]"#).await;
    tokio::time::sleep(secs(30)).await;
    raw.say(r#"["~wse:cancel",null,"s1"]"#).await;
    settle().await;
    assert_eq!(log.take(), ["slow 1 None", "slow 2 Some(60)"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_is_noticed_at_once() {
    for close in [true, false] {
        let log = Log::default();
        let server = busy(&log).build();
        let mut raw = Raw::user(&server, "ann").await;
        log.take();
        for n in 1..=3 {
            raw.say(&format!(r#"["slow",{n},"s{n}"]"#)).await;
        }
        settle().await;
        let left = if close {
            raw.close(4100, "bye").await;
            "4100 bye"
        } else {
            drop(raw);
            "1006"
        };
        settle().await;
        let lines = log.take();
        assert!(lines.contains(&format!("left ann {left}")), "{lines:?}");
        // Nobody waits for the calls that did not start.
        assert_eq!(lines.iter().filter(|it| it.starts_with("slow")).count(), 1, "{lines:?}");
        assert!(server.shutdown(secs(1)).await);
    }
}

/// What waits has no receipt yet, so that nothing is lost when this side closes.
#[tokio::test(start_paused = true)]
async fn what_waits_gets_its_receipt_when_it_starts() {
    let log = Log::default();
    let server = busy(&log).build();
    let mut raw = Raw::user(&server, "ann").await;
    raw.say(r#"["slow",1,"s1"]"#).await;
    raw.say(r#"["note",1,"r1",11]"#).await;
    assert_eq!(raw.hear_all().await, [""; 0]);
    raw.say(r#"["~wse:cancel",null,"s1"]"#).await;
    settle().await;
    assert_eq!(raw.hear_all().await, [r#"["~wse:receipt",null,"r1",2]"#]);
}

/// Sends calls, and counts those that the server has taken.
fn flood(
    raw: Raw,
    calls: usize,
    payload: usize,
) -> (Arc<AtomicUsize>, tokio::task::JoinHandle<Raw>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let flooding = tokio::spawn(async move {
        let Raw(socket) = raw;
        let (mut sink, stream) = socket.split();
        let text = "x".repeat(payload);
        for n in 0..calls {
            let call = format!(r#"["keep",{{"text":"{text}"}},"k{n}"]"#);
            sink.send(ws::Message::text(call)).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
        Raw(sink.reunite(stream).unwrap())
    });
    (taken, flooding)
}

fn keeping(builder: ServerBuilder<JsonArray>) -> Server<JsonArray> {
    builder
        .procedure("keep", |_, note: Note| async move {
            tokio::time::sleep(secs(1)).await;
            wse::Ok(note.text.len() as i64)
        })
        .build()
}

#[tokio::test(start_paused = true)]
async fn payloads_that_are_handled_are_bounded_in_bytes() {
    const LEN: usize = 1_000_000;
    for (bytes, least, most) in [(None, 8, 11), (Some(2_000_000), 2, 5), (Some(0), 1, 4)] {
        let mut builder = server(&JsonArray);
        if let Some(bytes) = bytes {
            builder = builder.max_handled_bytes(bytes);
        }
        let server = keeping(builder);
        let raw = Raw::user(&server, "ann").await;
        let (taken, flooding) = flood(raw, 60, LEN);
        settle().await;
        let taken = taken.load(Ordering::Relaxed);
        assert!((least..=most).contains(&taken), "{bytes:?}: {taken}");
        // All are answered in the end.
        let mut raw = flooding.await.unwrap();
        for _ in 0..60 {
            assert!(raw.hear().await.contains("1000000"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn small_messages_that_wait_are_bounded_too() {
    let builder = server(&JsonArray).max_handlers(1).max_handled_bytes(64 * 1024);
    let server = keeping(builder);
    let raw = Raw::user(&server, "ann").await;
    let (taken, flooding) = flood(raw, 20_000, 1);
    settle().await;
    // 128 wait, and the pipe takes 64 KiB.
    let taken = taken.load(Ordering::Relaxed);
    assert!((128..10_000).contains(&taken), "{taken}");
    drop(flooding);
    assert!(server.counts() == Default::default());
}

/// Calls of a peer that reads no answers: once the procedure is known to give large ones, few of them start.
#[tokio::test(start_paused = true)]
async fn answers_to_come_are_bounded_in_bytes() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let server = server(&JsonArray)
        .max_handled_bytes(800_000)
        .procedure("big", move |_, ()| {
            count.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(secs(1)).await;
                wse::Ok("x".repeat(100_000))
            }
        })
        .build();
    let count_of_all = Arc::clone(&started);
    for most in [200, 20, 20] {
        let mut raw = Raw::user(&server, "ann").await;
        for n in 0..300 {
            raw.say(&format!(r#"["big",null,"b{n}"]"#)).await;
        }
        tokio::time::sleep(secs(5)).await;
        let started = started.load(Ordering::Relaxed);
        assert!((1..=most).contains(&started), "{started} of at most {most}");
        // It reads at last, and gets all.
        for _ in 0..300 {
            assert!(raw.hear().await.contains("xxx"));
        }
        count_of_all.store(0, Ordering::Relaxed);
    }
}
