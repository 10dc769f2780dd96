//! Calls, and all that may become of them.

use futures::future::join_all;
use wse::{CallError, Close, CloseReason};
use wse_proto::{ErrorCode, Fault};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

fn fault<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Fault {
    match outcome {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

pub async fn calls_both_ways_at_once<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    // The longer they take the earlier they were made.
    let wait = |n: i64| async move {
        tokio::time::sleep(ms(100 - n.unsigned_abs())).await;
        wse::Ok(n)
    };
    let (_server, ann, conn) = pair(
        &protocol,
        |server| server.procedure("wait", move |_, n| wait(n)),
        |client| client.procedure("wait", move |_, n| wait(n)),
    )
    .await;
    let (ann, conn) = (&ann, &conn);
    let there = (0..50).map(|n| async move { ann.call::<i64, i64>("wait", &n).await });
    let back = (0..50).map(|n| async move { conn.call::<i64, i64>("wait", &n).await });
    let (there, back) = (join_all(there), join_all(back));
    let ((there, back), took) = timed(async { tokio::join!(there, back) }).await;
    for outcomes in [there, back] {
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert!(outcomes.into_iter().eq(0..50));
    }
    assert!(took < ms(110), "{took:?}");
    // Absent both ways.
    ann.procedure("nothing", |_, ()| async { wse::Ok(()) });
    conn.call::<_, ()>("nothing", &()).await.unwrap();
}

pub async fn a_handler_calls_back<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let (_server, ann, _) = pair(
        &protocol,
        |server| {
            server.procedure("ask me", |conn, question: Note| async move {
                let answer: Note = conn.call("answer", &question).await?;
                wse::Ok(note(format!("you said {}", answer.text)))
            })
        },
        |client| {
            client.procedure("answer", |ann, Note { text }: Note| async move {
                let sum: i64 = ann.call("add", &Add { a: 20, b: 22 }).await?;
                wse::Ok(note(format!("{text} {sum}")))
            })
        },
    )
    .await;
    let told: Note = ann.call("ask me", &note("how many?")).await.unwrap();
    assert_eq!(told, note("you said how many? 42"));
}

pub async fn fault_with_details<P: Talk>(protocol: P, cell: Cell) {
    let (_server, ann, conn) = pair(
        &protocol,
        |server| {
            server
                .procedure("whole", |conn, ()| async move {
                    let details = conn.encode(&Add { a: 1, b: 2 }).unwrap();
                    Err::<(), _>(Fault::new("shop.sold-out").message("no more").details(details))
                })
                .procedure("bare", |_, ()| async { Err::<(), _>(Fault::new("shop.closed")) })
        },
        |client| {
            client.procedure("whole", |ann, ()| async move {
                let details = ann.encode(&Add { a: 1, b: 2 }).unwrap();
                Err::<(), _>(Fault::new("shop.sold-out").message("no more").details(details))
            })
        },
    )
    .await;
    let whole = [
        fault(ann.call::<_, ()>("whole", &()).await),
        fault(conn.call::<_, ()>("whole", &()).await),
    ];
    for fault in whole {
        assert_eq!(fault.code.as_str(), "shop.sold-out");
        assert_eq!(fault.message.as_deref(), Some("no more"));
        match cell {
            Cell::Yes => {
                assert_eq!(conn.decode::<Add>(&fault.details).unwrap(), Add { a: 1, b: 2 });
            }
            _ => {
                assert_eq!(cell, Cell::No);
                assert!(fault.details.is_empty());
            }
        }
    }
    let bare = fault(ann.call::<_, ()>("bare", &()).await);
    assert_eq!(bare.code.as_str(), "shop.closed");
    assert!(bare.details.is_empty());
}

pub async fn unknown_procedure<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let (_server, ann, conn) = pair(&protocol, |server| server, |client| client).await;
    assert_eq!(fault(ann.call::<_, ()>("nix", &()).await).code, ErrorCode::NotRegistered);
    assert_eq!(fault(conn.call::<_, ()>("nix", &()).await).code, ErrorCode::NotRegistered);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

pub async fn payload_of_a_wrong_type<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let log = Log::default();
    let (_server, ann, conn) = pair(
        &protocol,
        |server| log.events(server.on("count", |_, _: i64| async {})),
        |client| client.procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) }),
    )
    .await;
    log.take();
    let wrong = fault(ann.call::<_, i64>("add", &note("5 + 3")).await);
    assert_eq!(wrong.code, ErrorCode::InvalidPayload);
    assert!(wrong.message.is_some());
    assert_eq!(log.take(), ["error ann add wse.server.rp.failed"]);
    let wrong = fault(conn.call::<_, i64>("add", &note("5 + 3")).await);
    assert_eq!(wrong.code, ErrorCode::InvalidPayload);
    ann.send("count", &note("five")).unwrap();
    // The answer is of another type than the caller wants.
    let odd = ann.call::<_, Note>("add", &Add { a: 1, b: 2 }).await;
    assert!(matches!(odd, Err(CallError::Decode(_))), "{odd:?}");
    assert_eq!(log.take(), ["error ann count wse.server.msg-processing-error"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

pub async fn call_timeout_and_late_answer<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let slow = |seconds: i64| async move {
        tokio::time::sleep(secs(seconds.unsigned_abs())).await;
        wse::Ok(seconds)
    };
    let (server, ann, conn) = pair(
        &protocol,
        |server| server.procedure("slow", move |_, n| slow(n)).call_timeout(secs(5)),
        |client| client.procedure("slow", move |_, n| slow(n)),
    )
    .await;
    let (outcome, took) = timed(ann.call::<_, i64>("slow", &21)).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    assert_eq!(took.as_secs(), 20);
    let (outcome, took) = timed(conn.call::<_, i64>("slow", &7)).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    assert_eq!(took.as_secs(), 5);
    let (outcome, took) = timed(ann.call_within::<_, i64>(Some(ms(300)), "slow", &1)).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    assert_eq!(took.as_millis() / 10, 30);
    // The answers come, mean nothing any more, and harm nobody.
    tokio::time::sleep(secs(3)).await;
    assert_eq!(ann.counts().unknown_answers, 2);
    assert_eq!(server.counts().unknown_answers, 1);
    assert_eq!(ann.call_within::<_, i64>(None, "slow", &60).await.unwrap(), 60);
}

pub async fn disconnect_fails_calls<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let cable = Cable::default();
    let never = || std::future::pending::<Result<(), Fault>>();
    let server = hosting(&protocol).procedure("never", move |_, ()| never()).build();
    for how in ["server", "client", "nobody"] {
        let client = visiting(&protocol, &server, "ann")
            .connector(cable.to(&server))
            .procedure("never", move |_, ()| never());
        let (ann, conn) = meet(client, &server).await;
        let end = async {
            settle().await;
            match how {
                "server" => conn.close(Close::new(4001, "maintenance")),
                "client" => ann.close(),
                _ => cable.cut(),
            }
        };
        let ((there, back, ()), took) =
            timed(async { tokio::join!(ann.call("never", &()), conn.call("never", &()), end) })
                .await;
        let expected = match how {
            "server" => Close::new(4001, "maintenance"),
            "client" => Close::normal(CloseReason::ByClient),
            _ => Close::VANISHED,
        };
        assert_eq!(disconnected::<()>(there), expected, "{how}");
        assert_eq!(disconnected::<()>(back), expected, "{how}");
        assert!(took < ms(10), "{how}: {took:?}");
        assert!(matches!(ann.call::<_, ()>("never", &()).await, Err(CallError::NotReady)));
        assert!(matches!(conn.call::<_, ()>("never", &()).await, Err(CallError::NotReady)));
    }
}
