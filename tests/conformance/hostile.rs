//! What a peer says that means nothing: it is dropped and counted, and harms nobody.

use std::future::pending;

use bytes::Bytes;
use futures::{FutureExt, poll};
use wse::{CallOptions, Conn, Heartbeat};
use wse_proto::{Body, Fault, Head, ReceiptOf, SessionMessage, Stamp};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

const OF_ALL: [ReceiptOf; 3] = [ReceiptOf::Message, ReceiptOf::Call, ReceiptOf::Answer];

fn receipt(stamp: &Stamp, of: ReceiptOf) -> SessionMessage {
    SessionMessage::raw(Head::Receipt { stamp: stamp.clone(), of }, Bytes::new())
}

fn nonsense() -> Vec<Stamp> {
    let mut stamps: Vec<Stamp> =
        ["nobody", "1", "-1", " ", "\u{1F980}", "\"],[\\"].map(Stamp::from).into();
    stamps.push("x".repeat(60_000).as_str().into());
    // 0 would be no stamp.
    stamps.extend([1, -1, i64::MAX, i64::MIN].map(Stamp::Int));
    stamps
}

/// A message that waits for its receipt, and the stamp under which it does.
async fn waits<P: Talk>(
    conn: &Conn<P>,
    peer: &mut Peer<P>,
) -> (impl Future<Output = bool> + use<P>, Stamp) {
    let conn = conn.clone();
    let mut sending = Box::pin(async move {
        conn.send_acked_within(Some(secs(1000)), "note", &note("1")).await.is_ok()
    });
    assert!(poll!(sending.as_mut()).is_pending());
    let stamp = match peer.hear_message().await.head {
        Head::Message { receipt: Some(stamp), .. } => stamp,
        other => panic!("it asks for nothing: {other:?}"),
    };
    (sending, stamp)
}

pub async fn receipts_for_nothing<P: Talk>(protocol: P, cell: Cell) {
    let server = hosting(&protocol).heartbeat(None).build();
    let (bob, _) = meet(visiting(&protocol, &server, "bob").heartbeat(None), &server).await;
    let mut mallory = Peer::user(&protocol, &server, "mallory").await;
    let mut said = 0;
    for stamp in nonsense() {
        for receipt in OF_ALL.map(|of| receipt(&stamp, of)) {
            if mallory.written(&receipt).is_empty() {
                assert_eq!(cell, Cell::No, "{receipt:?} cannot be said");
                continue;
            }
            mallory.say(receipt).await;
            said += 1;
        }
        settle().await;
        assert_eq!(server.counts().unknown_receipts, said, "{stamp:?}");
    }
    assert_eq!(adds(&bob).await.unwrap(), 3);
    assert!(server.user("mallory").is_connected());
    if cell != Cell::Yes {
        return;
    }

    // What another connection waits for, and what this one waits for as something else.
    let mut ann = Peer::user(&protocol, &server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    let (mut received, message) = waits(&conn, &mut ann).await;
    let options = CallOptions::default().timeout(secs(1000)).receipt_timeout(secs(1000));
    let mut calling = conn.call_acked::<_, i64>(options, "never", &1).unwrap();
    let Head::Call { stamp: call, .. } = ann.hear_message().await.head else { panic!("no call") };
    let mallorys = server.user("mallory").connections().remove(0);
    let (mut mallory_received, _) = waits(&mallorys, &mut mallory).await;
    for stamp in [&message, &call] {
        ann.say(receipt(stamp, ReceiptOf::Answer)).await;
        said += 1;
    }
    settle().await;
    assert_eq!(server.counts().unknown_receipts, said);
    mallory.say(receipt(&call, ReceiptOf::Call)).await;
    mallory.say(receipt(&message, ReceiptOf::Message)).await;
    settle().await;
    said += 2;
    assert_eq!(server.counts().unknown_receipts, said);
    assert!(poll!(&mut mallory_received).is_pending());
    assert!(poll!(&mut received).is_pending(), "what mallory has says nothing of ann");
    assert!(calling.receipt().now_or_never().is_none());

    // The right ones, and again.
    for again in [0, 2] {
        ann.say(receipt(&message, ReceiptOf::Message)).await;
        ann.say(receipt(&call, ReceiptOf::Call)).await;
        settle().await;
        said += again;
        assert_eq!(server.counts().unknown_receipts, said);
    }
    assert!(received.await);
    calling.receipt().await.unwrap();
    assert_eq!(adds(&bob).await.unwrap(), 3);
}

pub async fn pongs_for_nothing<P: Talk>(protocol: P, cell: Cell) {
    let server = hosting(&protocol).heartbeat(Heartbeat::fixed(secs(1000), secs(5000))).build();
    let (bob, _) = meet(visiting(&protocol, &server, "bob").heartbeat(None), &server).await;
    let mut mallory = Peer::user(&protocol, &server, "mallory").await;
    let conn = server.user("mallory").connections().remove(0);
    let before = conn.liveness().unwrap();
    // Old ones, future ones, and what is no number; over WebSocket all protocols can say them.
    let mut said = server.counts().unknown_pongs;
    for payload in
        ["", "0", "-1", "99", "4294967297", "18446744073709551616", "1e0", "one", "\u{1F980}"]
    {
        mallory.pong(payload).await;
        said += 1;
        settle().await;
        assert_eq!(server.counts().unknown_pongs, said, "{payload}");
    }
    if cell == Cell::Yes {
        for serial in [0, 99, u64::from(u32::MAX) + 2, u64::MAX] {
            mallory.say(SessionMessage { head: Head::Pong, body: Body::Serial(serial) }).await;
            said += 1;
            settle().await;
            assert_eq!(server.counts().unknown_pongs, said, "{serial}");
        }
    } else {
        let pong = SessionMessage { head: Head::Pong, body: Body::Serial(99) };
        assert_eq!((cell, mallory.written(&pong)), (Cell::No, Bytes::new()));
    }
    let after = conn.liveness().unwrap();
    assert_eq!((after.rtt, after.pongs), (before.rtt, before.pongs), "no round trip was measured");
    assert_eq!(adds(&bob).await.unwrap(), 3);
    assert!(conn.is_ready());
}

/// A length that is not there, and a depth that nobody needs.
pub async fn bombs<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let log = Log::default();
    let server = log
        .events(hosting(&protocol).heartbeat(None))
        .procedure("never", |_, _: Note| pending::<Result<(), Fault>>())
        .build();
    let (bob, _) = meet(visiting(&protocol, &server, "bob").heartbeat(None), &server).await;
    let depth = 60_000;
    let mut bombs: Vec<Vec<u8>> = vec![
        // MessagePack: str 32, bin 32, array 32 and map 32 of 4 GiB less one; arrays in arrays.
        b"\x93\xdb\xff\xff\xff\xff".to_vec(),
        b"\x93\xa1a\xc6\xff\xff\xff\xff".to_vec(),
        b"\x93\xa1a\xdd\xff\xff\xff\xff".to_vec(),
        b"\x93\xa1a\xdf\xff\xff\xff\xff".to_vec(),
        [&b"\x93\xa1a"[..], &vec![0x91; depth]].concat(),
        // CBOR: a text, an array and a map of 2^64 less one; arrays of indefinite length in each other; tags.
        [&b"\x83\x7b"[..], &[0xff; 8]].concat(),
        [&b"\x83\x61a\x9b"[..], &[0xff; 8]].concat(),
        [&b"\x83\x61a\xbb"[..], &[0xff; 8]].concat(),
        [&b"\x83\x61a"[..], &vec![0x9f; depth]].concat(),
        [&b"\x83\x61a"[..], &vec![0xc1; depth]].concat(),
        // Protobuf: a payload of 4 GiB, groups in groups.
        b"\x0a\x01a\x12\xff\xff\xff\xff\x0f".to_vec(),
        [&b"\x0a\x01a"[..], &vec![0x2b; depth]].concat(),
    ];
    for open in ["[", "{\"a\":"] {
        bombs.push(format!("[\"a\",{}", open.repeat(depth)).into());
        bombs.push(
            format!(r#"{{"jsonrpc":"2.0","method":"a","params":{}"#, open.repeat(depth)).into(),
        );
        bombs.push(open.repeat(depth).into());
    }
    for bomb in bombs {
        let mut mallory = Peer::user(&protocol, &server, "mallory").await;
        let start = bomb.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>();
        if !mallory.try_say_bytes(bomb.into()).await {
            continue;
        }
        settle().await;
        // An error report, or the end.
        match mallory.hear().await {
            Heard::Said(message) => assert_eq!(message.head, Head::ErrorReport, "{start}"),
            Heard::Closed(close) => assert_eq!(close, "1000 wse.protocol-error", "{start}"),
        }
        assert_eq!(adds(&bob).await.unwrap(), 3, "{start}");
        mallory.leave().await;
    }
    assert!(!log.lines().iter().any(|line| line.starts_with("disconnected bob")));
}
