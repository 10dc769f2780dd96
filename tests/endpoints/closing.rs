//! What arrives although its connection closes: answers of running procedures, and messages that have a receipt.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::endpoints::*;
use tokio::task::JoinSet;
use wse::{CallError, Close, CloseReason, Conn, Reliable, SendError};
use wse_codecs::JsonArray;
use wse_proto::Fault;

crate::over_every_protocol! {
    a_shutdown_lets_running_procedures_answer
    a_shutdown_lets_procedures_call_back
    a_procedure_that_outlasts_the_grace_ends_with_a_close
    a_procedure_that_closes_its_connection_is_answered
    a_close_from_outside_waits_for_nobody
    a_close_after_answers_takes_no_new_calls
    a_client_that_closes_answers_first
    close_now_in_a_procedure_loses_its_answer
    a_handler_of_a_reliable_message_outlasts_the_grace
    closes_of_several_procedures_wait_for_each_of_them
}

/// Ten calls of 300 ms.
async fn a_shutdown_lets_running_procedures_answer<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(ms(300)).await;
            wse::Ok(n)
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let idle = client(&protocol, &server, "idle").connect().await.unwrap();
    let mut calls = JoinSet::new();
    for n in 0..10_i64 {
        let ann = ann.clone();
        calls.spawn(async move { ann.call::<_, i64>("slow", &n).await.unwrap() });
    }
    settle().await;
    let (ended, took) = timed(server.shutdown(secs(5))).await;
    assert!(ended && took < secs(1), "{took:?}");
    let mut answers = calls.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, (0..10).collect::<Vec<_>>());
    for client in [ann, idle] {
        assert_eq!(client.closed().await, Some(Close::new(1001, CloseReason::ByServer)));
    }
}

async fn a_shutdown_lets_procedures_call_back<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("ask", |conn: Conn<P>, n: i64| async move {
            tokio::time::sleep(secs(1)).await;
            conn.send("progress", &n)?;
            let more: i64 = conn.call("more", &n).await?;
            wse::Ok(more)
        })
        .build();
    let log = Log::default();
    let seen = log.clone();
    let ann = client(&protocol, &server, "ann")
        .on("progress", move |_, n: i64| {
            seen.add(n.to_string());
            async {}
        })
        .procedure("more", |_, n: i64| async move { wse::Ok(n + 1) })
        .connect()
        .await
        .unwrap();
    let call = async { ann.call::<_, i64>("ask", &1_i64).await };
    let stop = async {
        settle().await;
        server.shutdown(secs(5)).await
    };
    let (answer, ended) = tokio::join!(call, stop);
    assert_eq!(answer.unwrap(), 2);
    assert!(ended);
    assert_eq!(log.lines(), ["1"]);
}

async fn a_procedure_that_outlasts_the_grace_ends_with_a_close<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("endless", |_, ()| async {
            std::future::pending::<()>().await;
            wse::Ok(())
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let call = async { disconnected(ann.call::<_, ()>("endless", &()).await) };
    let stop = async {
        settle().await;
        timed(server.shutdown(secs(5))).await
    };
    let (close, (ended, took)) = tokio::join!(call, stop);
    assert_eq!(close, Close::new(1001, CloseReason::ByServer));
    assert!(!ended);
    assert!((secs(5)..ms(5100)).contains(&took), "{took:?}");
}

async fn a_procedure_that_closes_its_connection_is_answered<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("bye", |conn: Conn<P>, wait: i64| async move {
            if wait == 0 {
                conn.close(Close::new(4001, "bye"));
                return wse::Ok(7);
            }
            tokio::time::sleep(secs(1)).await;
            conn.close(Close::new(4001, "bye"));
            assert!(matches!(conn.send("late", &wait), Err(SendError::NotReady)));
            tokio::time::sleep(secs(1)).await;
            wse::Ok(7)
        })
        .procedure("fail", |conn: Conn<P>, ()| async move {
            conn.close(Close::new(4001, "bye"));
            Err::<i64, _>(Fault::new("my-app.no"))
        })
        .build();
    for wait in [0, 1] {
        let ann = client(&protocol, &server, "ann").connect().await.unwrap();
        assert_eq!(ann.call::<_, i64>("bye", &wait).await.unwrap(), 7, "{wait}");
        assert_eq!(ann.closed().await, Some(Close::new(4001, "bye")));
    }
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let failed = ann.call::<_, i64>("fail", &()).await;
    assert!(matches!(failed, Err(CallError::Fault(_))), "{failed:?}");
    assert_eq!(ann.closed().await, Some(Close::new(4001, "bye")));
}

async fn a_close_from_outside_waits_for_nobody<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .on("work", |_, ()| async { tokio::time::sleep(secs(8)).await })
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(secs(2)).await;
            wse::Ok(n)
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    ann.send("work", &()).unwrap();
    let call = timed(ann.call::<_, i64>("slow", &1_i64));
    let close = async {
        settle().await;
        server.close_user("ann", Close::new(4001, "bye"));
    };
    let ((outcome, took), ()) = tokio::join!(call, close);
    assert_eq!(disconnected(outcome), Close::new(4001, "bye"));
    assert!(took < ms(100), "{took:?}");
}

async fn a_close_after_answers_takes_no_new_calls<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol)
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(secs(2)).await;
            wse::Ok(n)
        })
        .procedure("count", move |_, ()| {
            seen.add("counted");
            async { wse::Ok(()) }
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    let first = async { ann.call::<_, i64>("slow", &1_i64).await };
    let then = async {
        settle().await;
        conn.close_after_answers(Close::new(4001, "bye"));
        assert!(matches!(conn.send("late", &1_i64), Err(SendError::NotReady)));
        settle().await;
        disconnected(ann.call::<_, ()>("count", &()).await)
    };
    let (first, then) = tokio::join!(first, then);
    assert_eq!(first.unwrap(), 1);
    assert_eq!(then, Close::new(4001, "bye"));
    assert_eq!(log.lines(), [""; 0]);
}

async fn closes_of_several_procedures_wait_for_each_of_them<P: Talk>(protocol: P) {
    for shutdown in [false, true] {
        let server = server(&protocol)
            .procedure("bye", |conn: Conn<P>, n: i64| async move {
                tokio::time::sleep(ms(10)).await;
                // More than once, in one poll and in another one.
                conn.close(Close::new(4001, "bye"));
                conn.server().close_user(conn.user_id(), Close::new(4002, "again"));
                tokio::time::sleep(secs(n.unsigned_abs())).await;
                conn.close(Close::new(4003, "again"));
                tokio::time::sleep(ms(10)).await;
                wse::Ok(n)
            })
            .build();
        let ann = client(&protocol, &server, "ann").connect().await.unwrap();
        let calls = async {
            let call = async |n: i64| ann.call::<_, i64>("bye", &n).await;
            tokio::join!(call(1), call(2))
        };
        let stop = async {
            tokio::time::sleep(ms(50)).await;
            if shutdown {
                assert!(server.shutdown(secs(10)).await);
            }
        };
        let ((first, second), ()) = tokio::join!(calls, stop);
        assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
        assert_eq!(ann.closed().await, Some(Close::new(4001, "bye")));
    }
}

async fn a_handler_of_a_reliable_message_outlasts_the_grace<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&protocol)
        .cancel_handlers(true)
        .on("work", move |_, n: i64| {
            let seen = seen.clone();
            async move {
                tokio::time::sleep(secs(3)).await;
                seen.add(n.to_string());
            }
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    ann.send("work", &1_i64).unwrap();
    ann.send_reliable(Reliable::default(), "work", &2_i64).await.unwrap();
    let (ended, took) = timed(server.shutdown(secs(1))).await;
    assert!(!ended && took < ms(1100), "{took:?}");
    tokio::time::sleep(secs(5)).await;
    assert_eq!(log.lines(), ["2"]);
}

async fn close_now_in_a_procedure_loses_its_answer<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("bye", |conn: Conn<P>, ()| async move {
            conn.close_now(Close::new(4001, "now"));
            wse::Ok(7)
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let close = disconnected(ann.call::<_, i64>("bye", &()).await);
    assert_eq!(close, Close::new(4001, "now"));
}

async fn a_client_that_closes_answers_first<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann")
        .procedure("bye", |ann: wse::Client<P>, ()| async move {
            ann.close();
            tokio::time::sleep(secs(1)).await;
            wse::Ok(7)
        })
        .connect()
        .await
        .unwrap();
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.call::<_, i64>("bye", &()).await.unwrap(), 7);
    ann.closed().await;
}

/// Reliable messages through closes of all kinds, on real threads: what has a receipt has reached its handler, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_has_a_receipt_has_reached_its_handler() {
    for way in ["close", "close after answers", "evict"] {
        let handled = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&handled);
        let server = server(&JsonArray)
            .cancel_handlers(true)
            .on("count", move |_, n: i64| {
                let seen = Arc::clone(&seen);
                async move {
                    tokio::task::yield_now().await;
                    seen.lock().unwrap().push(n);
                }
            })
            .build();
        let acks = Arc::new(AtomicUsize::new(0));
        let mut acknowledged = Vec::new();
        for round in 0..20 {
            let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
            let conn = server.user("ann").connections().pop().unwrap();
            let enough = acks.load(Ordering::Relaxed) + round as usize * 8;
            let mut sending = JoinSet::new();
            for n in round * 200..round * 200 + 200_i64 {
                let (ann, acks) = (ann.clone(), Arc::clone(&acks));
                sending.spawn(async move {
                    ann.send_reliable(Reliable::default(), "count", &n).await.ok()?;
                    acks.fetch_add(1, Ordering::Relaxed);
                    Some(n)
                });
            }
            // Let some of them be under way.
            while acks.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(ms(1)).await;
            }
            match way {
                "close" => conn.close(Close::new(4001, "bye")),
                "close after answers" => conn.close_after_answers(Close::new(4001, "bye")),
                _ => drop(client(&JsonArray, &server, "ann").connect().await.unwrap()),
            }
            acknowledged.extend(sending.join_all().await.into_iter().flatten());
        }
        assert!(server.shutdown(secs(5)).await);
        let mut handled = handled.lock().unwrap().clone();
        handled.sort_unstable();
        assert!(handled.is_sorted_by(|a, b| a < b), "{way}: one was handled twice");
        let lost = acknowledged.iter().filter(|it| handled.binary_search(it).is_err()).count();
        assert_eq!(lost, 0, "{way}: of {}", acknowledged.len());
        assert!(acknowledged.len() > 100, "{way}: {}", acknowledged.len());
    }
}
