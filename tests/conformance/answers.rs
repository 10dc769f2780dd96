//! Receipts of what procedures answer.

use std::future::Future;

use wse::{Call, CallError, CallOptions, Close, ReceiptError};
use wse_proto::{Fault, Head, ReceiptOf, SessionMessage};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

/// Writes down what became of a receipt.
fn told(log: &Log, who: &'static str, receipt: impl Future<Output = Receipt> + Send + 'static) {
    let log = log.clone();
    tokio::spawn(async move {
        log.add(match receipt.await {
            Ok(()) => format!("{who} received"),
            Err(error) => format!("{who} {error:?}"),
        });
    });
}

type Receipt = Result<(), ReceiptError>;

/// Answers at once or after a while, with a fault for 0, and wants a receipt.
async fn answer(who: &'static str, log: Log, call: Call<i64>) -> Result<i64, Fault> {
    told(&log, who, call.want_receipt(None));
    if call.payload < 0 {
        tokio::time::sleep(secs(1)).await;
    }
    match call.payload {
        0 => Err(Fault::new("no")),
        n => Ok(n),
    }
}

async fn both_ways<P: Talk>(protocol: P, cell: Cell, payloads: [i64; 2]) {
    let log = Log::default();
    let (there, back) = (log.clone(), log.clone());
    let (server, ann, conn) = pair(
        &protocol,
        |server| server.procedure_with("do", move |_, call| answer("server", there.clone(), call)),
        |client| client.procedure_with("do", move |_, call| answer("client", back.clone(), call)),
    )
    .await;
    let check = |payload: i64, outcome: Result<i64, CallError>| match (payload, outcome) {
        (0, Err(CallError::Fault(fault))) => assert_eq!(fault.code.as_str(), "no"),
        (n, outcome) => assert_eq!(outcome.unwrap(), n),
    };
    for payload in payloads {
        check(payload, ann.call("do", &payload).await);
        check(payload, conn.call("do", &payload).await);
        // Both receipts at once: of the call, and of its answer.
        let mut acked = ann.call_acked(CallOptions::default(), "do", &payload).unwrap();
        check(payload, acked.result().await);
        assert_eq!(acked.receipt().await.is_ok(), cell == Cell::Yes);
        settle().await;
        if cell == Cell::Lost {
            // Nobody asked the peer for it.
            assert_eq!(log.take(), [""; 0]);
            tokio::time::sleep(secs(5)).await;
        }
        let outcome = match cell {
            Cell::Yes => "received",
            Cell::No => "Unsupported",
            Cell::Lost => "TimedOut",
        };
        let mut lines = log.take();
        lines.sort();
        assert_eq!(lines, ["client", "server", "server"].map(|who| format!("{who} {outcome}")));
    }
    for metrics in [server.counts(), ann.counts()] {
        assert_eq!((metrics.unknown_receipts, metrics.unknown_answers), (0, 0));
    }
}

pub async fn receipt_of_a_reply<P: Talk>(protocol: P, cell: Cell) {
    both_ways(protocol.clone(), cell, [1, -1]).await;

    // A caller that gives none, and one that goes before it could.
    let log = Log::default();
    let there = log.clone();
    let server = hosting(&protocol)
        .procedure_with("do", move |_, call| answer("server", there.clone(), call))
        .build();
    let mut peer = Peer::user(&protocol, &server, "ann").await;
    let payload = peer.encode(&1_i64);
    peer.say(SessionMessage::raw(Head::call("do", "s1".into()), payload.clone())).await;
    let reply = peer.hear_message().await;
    assert_eq!(reply.head, Head::Reply { stamp: "s1".into(), receipt: cell == Cell::Yes });
    let _ = tokio::time::timeout(secs(6), peer.hear()).await;
    if cell == Cell::No {
        assert_eq!(log.take(), ["server Unsupported"]);
        return;
    }
    assert_eq!(log.take(), ["server TimedOut"]);
    let receipt = Head::Receipt { stamp: "s1".into(), of: ReceiptOf::Answer };
    peer.say(SessionMessage::raw(receipt, Default::default())).await;
    peer.say(SessionMessage::raw(Head::call("do", "s2".into()), payload)).await;
    peer.hear_message().await;
    assert_eq!(server.counts().unknown_receipts, 1);
    server.close_user("ann", Close::new(4001, "maintenance"));
    settle().await;
    assert_eq!(log.take().len(), 1, "it ends with the connection");
}

pub async fn receipt_of_a_fault<P: Talk>(protocol: P, cell: Cell) {
    both_ways(protocol.clone(), cell, [0, 0]).await;

    // No answer, no receipt: the caller has gone.
    let log = Log::default();
    let there = log.clone();
    let (_server, ann, conn) = pair(
        &protocol,
        |server| server.procedure_with("do", move |_, call| answer("server", there.clone(), call)),
        |client| client,
    )
    .await;
    let end = async {
        settle().await;
        conn.close(Close::new(4001, "maintenance"));
    };
    let (outcome, ()) = tokio::join!(ann.call::<_, i64>("do", &-1), end);
    disconnected(outcome);
    tokio::time::sleep(secs(2)).await;
    assert_eq!(log.take(), ["server NotReady"]);
}
