//! How connections that can be resumed end, and what is sent before that; and large replays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use wse::{Close, CloseReason, ResumeLimits, SendQueue, Status};

use crate::resume::{Cable, conn, connect, quick, resumable};
use crate::support::endpoints::*;

crate::over_every_protocol! {
    what_was_sent_before_a_close_arrives
    a_procedure_that_closes_its_connection_is_answered
    a_close_that_lets_the_client_come_back_does_not_end_the_handling_of_calls
    a_migration_ends_the_session
    an_end_after_which_the_client_does_not_come_back_is_told
    large_replays_in_both_directions_do_not_wait_for_each_other
    messages_that_wait_for_handlers_are_handled_while_away
    calls_that_are_given_up_while_away_are_not_made
    a_full_queue_of_a_lost_session_is_no_slow_peer
    nothing_is_lost_while_a_close_waits_for_answers
    calls_of_a_lost_session_are_not_answered_in_the_next_one
}

async fn what_was_sent_before_a_close_arrives<P: Talk>(protocol: P) {
    let (log, heard, client_log) = (Log::default(), Log::default(), Log::default());
    let notes = heard.clone();
    let server = resumable(&log, server(&protocol))
        .on("note", move |_, note: Note| {
            notes.add(note.text);
            async {}
        })
        .build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &client_log).await;
    conn(&server).send("note", &note("last words")).unwrap();
    conn(&server).close(Close::normal(CloseReason::ByServer));
    let (close, took) = timed(ann.closed()).await;
    assert!(took < secs(1), "{took:?}");
    assert_eq!(close.map(|it| it.code), Some(1000));
    assert_eq!(client_log.lines(), ["ready", "last words", "closed 1000"]);
    settle().await;
    assert_eq!(log.lines(), ["joined", "connected", "disconnected 1000", "left"]);

    let bob = connect(&protocol, &cable, &Log::default()).await;
    bob.send("note", &note("mine")).unwrap();
    bob.close();
    let (_, took) = timed(bob.closed()).await;
    assert!(took < secs(1), "{took:?}");
    settle().await;
    assert_eq!(heard.lines(), ["mine"]);
}

async fn a_procedure_that_closes_its_connection_is_answered<P: Talk>(protocol: P) {
    let server = resumable(&Log::default(), server(&protocol))
        .procedure("bye", |conn: wse::Conn<P>, n: i64| async move {
            conn.close(Close::normal(CloseReason::ByServer));
            wse::Ok(n)
        })
        .build();
    let ann = connect(&protocol, &Cable::new(&server), &Log::default()).await;
    let (answer, took) = timed(ann.call::<_, i64>("bye", &7_i64)).await;
    assert!(took < secs(1), "{took:?}");
    assert_eq!(answer.unwrap(), 7);
}

/// A close with 1012 is one after which clients come back, so the connection lives on.
async fn a_close_that_lets_the_client_come_back_does_not_end_the_handling_of_calls<P: Talk>(
    protocol: P,
) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = resumable(&log, server(&protocol)).build();
    let ann = connect(&protocol, &Cable::new(&server), &client_log).await;
    conn(&server).close_after_answers(Close::new(1012, CloseReason::ByServer));
    tokio::time::sleep(ms(300)).await;
    assert_eq!(client_log.lines(), ["ready", "suspended 1012", "resumed Full"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1012", "resumed Full"]);
    // The same while it is away.
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &client_log).await;
    cable.unplug();
    settle().await;
    conn(&server).close_after_answers(Close::new(1012, CloseReason::ByServer));
    settle().await;
    cable.plug();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn a_migration_ends_the_session<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = resumable(&log, server(&protocol)).build();
    let ann = connect(&protocol, &Cable::new(&server), &client_log).await;
    ann.migrate(wse::memory::URL).await.unwrap();
    assert_eq!(client_log.lines(), ["ready", "closed 4000", "ready"]);
    assert_eq!(ann.status(), Status::Ready);
    assert_eq!(adds(&ann).await.unwrap(), 3);
    ann.close_with(Close::new(4000, "later"));
    ann.closed().await;
    settle().await;
    assert_eq!(client_log.lines()[3..], ["closed 4000"]);
}

async fn an_end_after_which_the_client_does_not_come_back_is_told<P: Talk>(protocol: P) {
    let server = resumable(&Log::default(), server(&protocol)).build();
    let (cable, log) = (Cable::new(&server), Log::default());
    let events = log.clone();
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .reconnect_when(|close| close.code != 1006)
        .on_event(move |event| events.add(format!("{event:?}")))
        .connect()
        .await
        .unwrap();
    log.take();
    cable.cut();
    assert_eq!(ann.closed().await.map(|it| it.code), Some(1006));
    settle().await;
    let lines = log.lines();
    assert!(lines.len() == 1 && lines[0].starts_with("Closed"), "{lines:?}");
}

async fn large_replays_in_both_directions_do_not_wait_for_each_other<P: Talk>(protocol: P) {
    const MANY: usize = 2000;
    let (heard, log) = (Arc::new(AtomicUsize::new(0)), Log::default());
    let count = heard.clone();
    let queue = SendQueue::default().messages(100).bytes(20_000);
    let server = resumable(&log, server(&protocol))
        .resume(ResumeLimits::default().window(secs(60)).ring_bytes(16 << 20))
        .send_queue(queue)
        .on("note", move |_, note: Note| {
            let expected = count.fetch_add(1, Ordering::Relaxed);
            assert!(note.text.starts_with(&format!("{expected} ")), "{expected}");
            async {}
        })
        .build();
    let cable = Cable::new(&server);
    let events = log.clone();
    let got = Arc::new(AtomicUsize::new(0));
    let count = got.clone();
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .send_queue(queue)
        .on("note", move |_, note: Note| {
            let expected = count.fetch_add(1, Ordering::Relaxed);
            assert!(note.text.starts_with(&format!("{expected} ")), "{expected}");
            async {}
        })
        .on_event(move |event| events.add(format!("client {event:?}")))
        .connect()
        .await
        .unwrap();
    let there = conn(&server);
    // The peers hear nothing of what the other says.
    cable.stall();
    for n in 0..MANY {
        let text = note(format!("{n} {}", "x".repeat(200)));
        there.send("note", &text).unwrap();
        ann.send("note", &text).unwrap();
        settle().await;
    }
    assert_eq!((heard.load(Ordering::Relaxed), got.load(Ordering::Relaxed)), (0, 0));
    log.take();
    cable.cut();
    settle().await;
    cable.narrow();
    tokio::time::sleep(secs(5)).await;
    assert_eq!((heard.load(Ordering::Relaxed), got.load(Ordering::Relaxed)), (MANY, MANY));
    let lines = log.take();
    assert!(!lines.iter().any(|it| it.contains("Slow")), "{lines:?}");
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn messages_that_wait_for_handlers_are_handled_while_away<P: Talk>(protocol: P) {
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (notes, waits) = (log.clone(), gate.clone());
    let server = resumable(&Log::default(), server(&protocol))
        .max_handlers(1)
        .on("note", move |_, note: Note| {
            let (notes, waits) = (notes.clone(), waits.clone());
            async move {
                if note.text == "0" {
                    let _ = waits.acquire().await;
                }
                notes.add(note.text);
            }
        })
        .build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &Log::default()).await;
    for n in 0..5 {
        ann.send("note", &note(n.to_string())).unwrap();
    }
    settle().await;
    cable.cut();
    settle().await;
    assert_eq!(log.lines().len(), 0);
    gate.add_permits(1);
    settle().await;
    assert_eq!(log.lines(), ["0", "1", "2", "3", "4"]);
    tokio::time::sleep(ms(300)).await;
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(log.lines().len(), 5);
}

async fn calls_that_are_given_up_while_away_are_not_made<P: Talk>(protocol: P) {
    let made = Log::default();
    let calls = made.clone();
    let server = resumable(&Log::default(), server(&protocol))
        .procedure("slow", move |_, n: i64| {
            calls.add(n.to_string());
            async move {
                tokio::time::sleep(ms(50)).await;
                wse::Ok(n)
            }
        })
        .build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &Log::default()).await;
    cable.unplug();
    settle().await;
    let waits = ms(20);
    let dropped = tokio::time::timeout(waits, ann.call::<_, i64>("slow", &1_i64)).await;
    assert!(dropped.is_err());
    let late = ann.call_within::<_, i64>(Some(waits), "slow", &2_i64).await;
    assert!(matches!(late, Err(wse::CallError::Timeout)), "{late:?}");
    cable.plug();
    assert_eq!(ann.call::<_, i64>("slow", &3_i64).await.unwrap(), 3);
    assert_eq!(made.lines(), ["3"]);
}

async fn a_full_queue_of_a_lost_session_is_no_slow_peer<P: Talk>(protocol: P) {
    let server = resumable(&Log::default(), server(&protocol))
        .resume(ResumeLimits::default().window(ms(5)))
        .build();
    let (cable, log) = (Cable::new(&server), Log::default());
    let events = log.clone();
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .send_queue(SendQueue::default().messages(3))
        .on_event(move |event| match event {
            wse::ClientEvent::Retrying { .. } => {}
            other => events.add(format!("{other:?}").split(['(', ' ']).next().unwrap()),
        })
        .connect()
        .await
        .unwrap();
    cable.unplug();
    settle().await;
    let call = || {
        let ann = ann.clone();
        tokio::spawn(async move { ann.call::<_, i64>("slow", &1_i64).await })
    };
    let calls = [call(), call(), call()];
    settle().await;
    assert!(tokio::time::timeout(secs(1), ann.writable()).await.is_err(), "it is full");
    tokio::time::sleep(secs(20)).await;
    cable.plug();
    tokio::time::sleep(secs(20)).await;
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
    assert_eq!(log.lines(), ["Ready", "Suspended", "Closed", "Ready"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn nothing_is_lost_while_a_close_waits_for_answers<P: Talk>(protocol: P) {
    let (log, heard) = (Log::default(), Log::default());
    let notes = heard.clone();
    let server = resumable(&log, server(&protocol))
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(ms(300)).await;
            wse::Ok(n)
        })
        .on("note", move |_, note: Note| {
            notes.add(note.text);
            async {}
        })
        .build();
    let ann = connect(&protocol, &Cable::new(&server), &Log::default()).await;
    let calling = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.call::<_, i64>("slow", &1_i64).await })
    };
    let there = conn(&server);
    let asked = tokio::spawn(async move { there.call::<_, i64>("ask", &1_i64).await });
    settle().await;
    conn(&server).close_after_answers(Close::new(1012, CloseReason::ByServer));
    // Before the client's answer, which is handled.
    ann.send("note", &note("meanwhile")).unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), 2);
    ann.send("note", &note("then")).unwrap();
    assert_eq!(calling.await.unwrap().unwrap(), 1);
    tokio::time::sleep(ms(500)).await;
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(heard.lines(), ["meanwhile", "then"]);
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1012", "resumed Full"]);
}

/// Both sessions number the calls of the server from 1.
async fn calls_of_a_lost_session_are_not_answered_in_the_next_one<P: Talk>(protocol: P) {
    let server = resumable(&Log::default(), server(&protocol))
        .resume(ResumeLimits::default().window(ms(50)))
        .build();
    let cable = Cable::new(&server);
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .max_handlers(2)
        .procedure("wait", |_, n: i64| async move {
            tokio::time::sleep(ms(n.unsigned_abs())).await;
            wse::Ok(n)
        })
        .connect()
        .await
        .unwrap();
    // The first is answered while the client is away, the second in the next session, and the third waits for a place.
    let calls = [100_i64, 2000, 300].map(|n| {
        let there = conn(&server);
        tokio::spawn(async move { there.call::<_, i64>("wait", &n).await })
    });
    settle().await;
    cable.unplug();
    tokio::time::sleep(ms(200)).await;
    for call in calls {
        disconnected(call.await.unwrap());
    }
    cable.plug();
    tokio::time::sleep(ms(200)).await;
    let there = conn(&server);
    let (one, two, three) = tokio::join!(
        there.call::<_, i64>("wait", &3000_i64),
        there.call::<_, i64>("wait", &3001_i64),
        there.call::<_, i64>("wait", &3002_i64),
    );
    assert_eq!((one.unwrap(), two.unwrap(), three.unwrap()), (3000, 3001, 3002));
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

/// What arrives at the end of the time is a close, not a busy loop.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_does_not_keep_a_closed_connection_busy() {
    let log = Log::default();
    let queue = SendQueue::default().messages(4).slow_peer(wse::SlowPeer::Close { after: secs(1) });
    let server = resumable(&log, server(&wse::JsonArray)).send_queue(queue).build();
    let mut ann = Raw::stranger(&server).await;
    ann.say(r#"["~wse:hi",{"identity":"secret of ann","meta":{},"resume":true},null,1]"#).await;
    ann.hear().await;
    ann.hear().await;
    let there = conn(&server);
    let large = note("x".repeat(100_000));
    while there.send("note", &large).is_ok() {
        settle().await;
    }
    there.close(Close::normal(CloseReason::ByServer));
    tokio::time::sleep(secs(60)).await;
    assert_eq!(log.lines().len(), 5, "{:?}", log.lines());
    assert_eq!(log.lines()[3..], ["disconnected 1000", "left"]);
}
