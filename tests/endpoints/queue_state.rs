//! A slow peer is visible: what waits for it, what was dropped, and one event.

use std::time::Duration;

use wse::{Client, ClientEvent, SendQueue, Server, SlowPeer};
use wse_codecs::JsonArray;

use crate::support::endpoints::*;

const POLICIES: [SlowPeer; 3] = [
    SlowPeer::DropNewest,
    SlowPeer::LatestOnly,
    SlowPeer::Close { after: Duration::from_secs(10) },
];

fn slow_server(log: &Log, policy: SlowPeer) -> Server<JsonArray> {
    let queue = SendQueue::default().messages(16).slow_peer(policy);
    log.events(server(&JsonArray)).heartbeat(None).send_queue(queue).build()
}

#[tokio::test(start_paused = true)]
async fn a_server_sees_a_slow_client() {
    let text = note("x".repeat(1000));
    for policy in POLICIES {
        let log = Log::default();
        let server = slow_server(&log, policy);
        let mut raw = Raw::user(&server, "ann").await;
        let conn = server.user("ann").connections().remove(0);
        assert_eq!(conn.queued(), wse::QueueState::default());
        log.take();
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..300 {
            match conn.send("note", &text) {
                Ok(()) => accepted += 1,
                Err(_) => refused += 1,
            }
            let state = conn.queued();
            assert!(state.messages <= 16, "{state:?}");
            settle().await;
        }
        // One event, however often the queue is full.
        assert_eq!(log.take(), [r#"Slow(Conn { id: 1, user: "ann", .. })"#], "{policy:?}");
        let state = conn.queued();
        let closes = matches!(policy, SlowPeer::Close { .. });
        assert!(state.bytes >= 1000 && state.messages >= 1, "{state:?}");
        assert_eq!(state.full, policy != SlowPeer::LatestOnly || state.messages == 16);
        assert_eq!(closes, refused > 0, "{policy:?}");
        assert_eq!(closes, state.dropped == 0, "{policy:?}");
        assert_eq!(server.counts().slow_peers, 1);
        assert_eq!(server.counts().dropped_messages, state.dropped);
        // Everything accepted arrives or was dropped.
        let heard = raw.hear_all().await;
        assert_eq!(heard.len() as u64, accepted - state.dropped, "{policy:?}");
        assert_eq!(conn.queued().messages, 0);
        // The next time is another one.
        for _ in 0..300 {
            let _ = conn.send("note", &text);
            settle().await;
        }
        assert_eq!(log.take().len(), 1, "{policy:?}");
        assert_eq!(server.counts().slow_peers, 2);
        let waiting = conn.queued().messages as u64;
        tokio::time::sleep(secs(20)).await;
        let dropped = server.counts().dropped_messages;
        assert_eq!(conn.is_ready(), !closes);
        if closes {
            assert_eq!(dropped, waiting, "closed with what waited");
        }
        assert_eq!(dropped, conn.queued().dropped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_sees_a_slow_server() {
    let log = Log::default();
    let told = log.clone();
    let (dial, mut arrivals) = dialled();
    let client = json_client(dial)
        .heartbeat(None)
        .send_queue(SendQueue::default().messages(16).slow_peer(SlowPeer::DropNewest))
        .on_event(move |event| {
            if let ClientEvent::Slow = event {
                told.add("slow");
            }
        })
        .build();
    assert_eq!(client.queued(), None);
    let (connected, mut raw) = tokio::join!(client.connect(), arrivals.welcomed());
    connected.unwrap();
    let text = note("x".repeat(1000));
    for _ in 0..300 {
        client.send("note", &text).unwrap();
        settle().await;
    }
    assert_eq!(log.lines(), ["slow"]);
    let state = client.queued().unwrap();
    assert!(state.full && state.messages == 16 && state.dropped > 0, "{state:?}");
    assert_eq!(client.counts().dropped_messages, state.dropped);
    assert_eq!(raw.hear_all().await.len() as u64, 300 - state.dropped);
}

/// A peer that reads keeps the queue from being full, and is not reported.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_is_not_slow() {
    let log = Log::default();
    let server = slow_server(&log, SlowPeer::DropNewest);
    let ann: Client<JsonArray> = client(&JsonArray, &server, "ann").connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    log.take();
    for _ in 0..300 {
        conn.send("note", &note("x".repeat(1000))).unwrap();
        settle().await;
    }
    assert_eq!(log.take(), [""; 0]);
    assert_eq!(server.counts().slow_peers + server.counts().dropped_messages, 0);
    drop(ann);
}
