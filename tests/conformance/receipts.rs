//! Receipts of messages and of calls.

use wse::{CallError, CallOptions, Close, ReceiptError};
use wse_proto::{Fault, Head, ReceiptOf, SessionMessage, Stamp};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

pub async fn receipt_of_a_message<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let (there, back, mistaken) = (log.clone(), log.clone(), log.clone());
    let handle = |log: &Log, who: &'static str, Note { text }: Note| {
        log.add(format!("{who} has {text}"));
        tokio::time::sleep(secs(60))
    };
    let (_server, ann, conn) = pair(
        &protocol,
        |server| {
            server.on("note", move |_, note| handle(&there, "server", note)).procedure(
                "note",
                move |_, Note { text }: Note| {
                    mistaken.add(format!("server is asked {text}"));
                    async { wse::Ok(()) }
                },
            )
        },
        |client| client.on("note", move |_, note| handle(&back, "client", note)),
    )
    .await;
    // It does not wait for the handler, and needs none.
    let ((first, second, third), took) = timed(async {
        let first = ann.send_acked("note", &note("1")).await;
        let second = conn.send_acked("note", &note("2")).await;
        (first, second, ann.send_acked("nobody wants it", &note("3")).await)
    })
    .await;
    assert!(took < ms(10), "{took:?}");
    for outcome in [first, second, third] {
        match cell {
            Cell::Yes => outcome.unwrap(),
            Cell::No | Cell::Lost => {
                let error = outcome.unwrap_err();
                assert!(matches!(error, ReceiptError::Unsupported), "{error:?}");
                assert_eq!(error.status_code(), None);
            }
        }
    }
    match cell {
        Cell::Yes => assert_eq!(log.take(), ["server has 1", "client has 2"]),
        // Nothing was sent.
        Cell::No => assert_eq!(log.take(), [""; 0]),
        // The peer takes it for a call; if of a procedure that it does not have, nobody gets it.
        Cell::Lost => assert_eq!(log.take(), ["server is asked 1"]),
    }
    // As plain messages they arrive in any case.
    ann.send("note", &note("4")).unwrap();
    conn.send("note", &note("5")).unwrap();
    settle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["client has 5", "server has 4"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

/// The stamp of a message that a peer got, and that asks for a receipt.
fn asking(message: &SessionMessage, cell: Cell) -> Stamp {
    match (&message.head, cell) {
        (Head::Message { receipt: Some(stamp), .. }, Cell::Yes) => stamp.clone(),
        // It has lost its flags.
        (Head::Call { stamp, receipt: false, .. }, Cell::Lost) => stamp.clone(),
        other => panic!("it asks for nothing: {other:?}"),
    }
}

pub async fn receipt_that_does_not_come<P: Talk>(protocol: P, cell: Cell) {
    let server = hosting(&protocol).build();
    let mut peer = Peer::user(&protocol, &server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    let sending = async { timed(conn.send_acked("note", &note("1"))).await };
    let hearing = async {
        match cell {
            Cell::No => assert_eq!(peer.hear_all().await, []),
            Cell::Yes | Cell::Lost => {
                let stamp = asking(&peer.hear_message().await, cell);
                // Its socket answers pings meanwhile, so that it counts as there.
                assert!(tokio::time::timeout(secs(6), peer.hear()).await.is_err());
                peer.say(SessionMessage::raw(
                    Head::Receipt { stamp, of: ReceiptOf::Message },
                    Default::default(),
                ))
                .await;
                settle().await;
            }
        }
    };
    let ((outcome, took), ()) = tokio::join!(sending, hearing);
    let error = outcome.unwrap_err();
    if cell == Cell::No {
        assert!(matches!(error, ReceiptError::Unsupported), "{error:?}");
        assert!(took < ms(1), "{took:?}");
    } else {
        assert!(matches!(error, ReceiptError::TimedOut), "{error:?}");
        assert_eq!(error.status_code(), Some("2"));
        assert_eq!(took.as_secs(), 5);
        // The one that came too late is dropped.
        assert_eq!(server.counts().unknown_receipts, 1);

        let sending = async { timed(conn.send_acked_within(None, "note", &note("2"))).await };
        let closing = async {
            peer.hear_message().await;
            conn.close(Close::new(4001, "maintenance"));
        };
        let ((outcome, took), ()) = tokio::join!(sending, closing);
        match outcome.unwrap_err() {
            error @ ReceiptError::Closed(_) => {
                assert_eq!(error.status_code(), Some("1"));
                assert!(error.to_string().ends_with("4001 maintenance"));
            }
            other => panic!("{other:?}"),
        }
        assert!(took < ms(10), "{took:?}");
    }
    conn.close(Close::new(4001, "maintenance"));
    let error = conn.send_acked("note", &note("3")).await.unwrap_err();
    assert!(matches!(error, ReceiptError::NotReady), "{error:?}");
    assert_eq!(error.status_code(), Some("3"));
}

pub async fn receipt_of_a_call<P: Talk>(protocol: P, cell: Cell) {
    let slow = |n: i64| async move {
        tokio::time::sleep(secs(3)).await;
        match n {
            0 => Err(Fault::new("no")),
            n => Ok(n),
        }
    };
    let (_server, ann, conn) = pair(
        &protocol,
        |server| server.procedure("slow", move |_, n| slow(n)),
        |client| client.procedure("slow", move |_, n| slow(n)),
    )
    .await;
    let options = CallOptions::default();
    let calls = [
        (1, ann.call_acked::<_, i64>(options, "slow", &1).unwrap()),
        (2, conn.call_acked(options, "slow", &2).unwrap()),
        (0, ann.call_acked(options, "slow", &0).unwrap()),
    ];
    for (n, mut call) in calls {
        let (receipt, took) = timed(call.receipt()).await;
        match cell {
            Cell::Yes => receipt.unwrap(),
            Cell::No | Cell::Lost => {
                let error = receipt.unwrap_err();
                assert!(matches!(error, ReceiptError::Unsupported), "{error:?}");
            }
        }
        // Of the lost one it is known once there is an answer.
        let early = if cell == Cell::Lost && n == 1 { 2999 } else { 0 };
        assert!((ms(early)..ms(early + 10)).contains(&took), "{n}: {took:?}");
        match (n, call.result().await) {
            (0, Err(CallError::Fault(fault))) => {
                assert_eq!(fault.code.as_str(), "no");
                assert_eq!(call.status_code(&CallError::Fault(fault)).await, None);
            }
            (n, outcome) => assert_eq!(outcome.unwrap(), n),
        }
        // It can still be asked, and the result is gone.
        assert_eq!(call.receipt().await.is_ok(), cell == Cell::Yes);
        assert!(matches!(call.result().await, Err(CallError::NotReady)));
    }
}

pub async fn receipt_of_a_call_too_late<P: Talk>(protocol: P, cell: Cell) {
    let server = hosting(&protocol).build();
    let mut peer = Peer::user(&protocol, &server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    let options = CallOptions::default().receipt_timeout(secs(2));
    let mut call = conn.call_acked::<_, i64>(options, "slow", &1).unwrap();
    let Head::Call { stamp, receipt, .. } = peer.hear_message().await.head else { panic!() };
    assert_eq!(receipt, cell == Cell::Yes);
    let (late, took) = timed(call.receipt()).await;
    let late = late.unwrap_err();
    if cell == Cell::No {
        assert!(matches!(late, ReceiptError::Unsupported), "{late:?}");
        assert!(took < ms(1), "{took:?}");
    } else {
        assert!(matches!(late, ReceiptError::TimedOut), "{late:?}");
        assert_eq!(took.as_secs(), 2);
        let receipt = Head::Receipt { stamp: stamp.clone(), of: ReceiptOf::Call };
        peer.say(SessionMessage::raw(receipt, Default::default())).await;
        settle().await;
        assert_eq!(server.counts().unknown_receipts, 1);
    }
    // The call is none the worse for it.
    let payload = peer.encode(&1_i64);
    peer.say(SessionMessage::raw(Head::reply(stamp), payload)).await;
    assert_eq!(call.result().await.unwrap(), 1);
    assert!(call.receipt().await.is_err());
}

/// What becomes of a call that is never answered.
pub async fn status_codes_of_a_call<P: Talk>(protocol: P, cell: Cell) {
    let table = [
        // How it ends, its receipt, the code, and the code without receipts.
        ("close", "none", "1.2", "1"),
        ("close", "in time", "1.1", "1"),
        ("close", "late", "1.3", "1"),
        ("timeout", "none", "2.2", "2"),
        ("timeout", "in time", "2.1", "2"),
        ("timeout", "late", "2.3", "2"),
    ];
    for (end, receipt, code, plain) in table {
        let server = hosting(&protocol).build();
        let mut peer = Peer::user(&protocol, &server, "ann").await;
        let conn = server.user("ann").connections().remove(0);
        let mut options = CallOptions::default().timeout(secs(9));
        if receipt == "late" {
            options = options.receipt_timeout(secs(1));
        }
        let mut call = conn.call_acked::<_, i64>(options, "never", &1).unwrap();
        let message = peer.hear_message().await;
        let Head::Call { stamp, receipt: asked, .. } = message.head else { panic!("{message:?}") };
        assert_eq!(asked, cell == Cell::Yes);
        if receipt == "in time" && cell != Cell::No {
            let receipt = Head::Receipt { stamp, of: ReceiptOf::Call };
            peer.say(SessionMessage::raw(receipt, Default::default())).await;
        }
        let hearing = async {
            // Meanwhile pings are answered.
            let _ = tokio::time::timeout(secs(2), peer.hear()).await;
            if end == "close" {
                conn.close(Close::new(4001, "maintenance"));
            }
            let _ = tokio::time::timeout(secs(20), peer.hear()).await;
        };
        let ((outcome, took), ()) = tokio::join!(timed(call.result()), hearing);
        let receipt_came = call.receipt().await.is_ok();
        let case = format!("{end}, receipt {receipt}");
        let error = outcome.unwrap_err();
        match (&error, end) {
            (CallError::Disconnected(close), "close") => assert_eq!(close.code, 4001, "{case}"),
            (CallError::Timeout, "timeout") => assert_eq!(took.as_secs(), 9, "{case}"),
            other => panic!("{case}: {other:?}"),
        }
        let expected = if cell == Cell::No { plain } else { code };
        assert_eq!(call.status_code(&error).await, Some(expected), "{case}");
        assert_eq!(receipt_came, receipt == "in time" && cell != Cell::No, "{case}");
    }
}
