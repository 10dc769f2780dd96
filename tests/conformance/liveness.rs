//! Whether the other side is there.

use futures::StreamExt;
use wse::{ClientEvent, Close, Heartbeat, LivenessState, PingVia, ServerEvent, Status};
use wse_proto::Fault;

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

pub async fn heartbeat_by_its_own_pings<P: Talk>(protocol: P, cell: Cell) {
    let heartbeat = Heartbeat::fixed(secs(1), secs(5));
    let (server, ann, conn) =
        pair(&protocol, |server| server.heartbeat(heartbeat), |client| client.heartbeat(heartbeat))
            .await;
    tokio::time::sleep(secs(20)).await;
    let via = match cell {
        Cell::Yes => PingVia::Session,
        _ => {
            assert_eq!(cell, Cell::No);
            PingVia::WebSocket
        }
    };
    for liveness in [ann.liveness().unwrap(), conn.liveness().unwrap()] {
        assert_eq!(liveness.via, via);
        assert_eq!(liveness.state, LivenessState::Live);
        assert!((14..=21).contains(&liveness.pings), "{liveness:?}");
        assert!(liveness.pongs + 1 >= liveness.pings, "{liveness:?}");
        assert!(liveness.rtt.unwrap() < ms(10), "{liveness:?}");
    }
    for metrics in [server.counts(), ann.counts()] {
        assert_eq!((metrics.unknown_pongs, metrics.dead_peers), (0, 0));
    }
    assert_eq!(adds(&ann).await.unwrap(), 3);

    // Who does not ask does not know, and still answers.
    let (_server, ann, conn) =
        pair(&protocol, |server| server.heartbeat(None), |client| client.heartbeat(heartbeat))
            .await;
    tokio::time::sleep(secs(20)).await;
    assert!(conn.liveness().is_none());
    assert!(ann.liveness().unwrap().pongs > 10);
    ann.close();
    ann.closed().await;
    assert!(ann.liveness().is_none());
}

pub async fn silent_client_is_dropped<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let log = Log::default();
    let heartbeat = Heartbeat::fixed(secs(1), secs(5));
    let server = log.events(hosting(&protocol).heartbeat(heartbeat)).build();
    let (bob, _) = meet(visiting(&protocol, &server, "bob"), &server).await;
    // Its socket is open, and nobody reads it.
    let _peer = Peer::user(&protocol, &server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    log.take();
    let one = note("1");
    let ((call, receipt), took) = timed(async {
        tokio::join!(conn.call::<_, ()>("never", &()), conn.send_acked("note", &one))
    })
    .await;
    assert_eq!(disconnected(call), Close::DEAD);
    assert!(receipt.is_err());
    assert!((secs(5)..ms(6800)).contains(&took), "{took:?}");
    settle().await;
    let lines = log.take();
    assert_eq!(
        lines[lines.len() - 2..],
        ["disconnected ann 1006 wse.heartbeat-timeout", "left ann 1006 wse.heartbeat-timeout"]
    );
    assert_eq!(server.counts().dead_peers, 1);
    assert!(!conn.is_ready());
    assert_eq!(adds(&bob).await.unwrap(), 3);
}

pub async fn silent_server_is_dropped<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let (dial, mut arrivals) = dialled();
    let server = hosting(&protocol).build();
    let ann = visiting(&protocol, &server, "ann")
        .connector(dial)
        .heartbeat(Heartbeat::fixed(secs(1), secs(5)))
        .build();
    let (connected, _peer) = tokio::join!(ann.connect(), Peer::welcoming(&protocol, &mut arrivals));
    connected.unwrap();
    let (outcome, took) = timed(ann.call::<_, ()>("never", &())).await;
    assert_eq!(disconnected(outcome), Close::DEAD);
    assert!((secs(4)..ms(6500)).contains(&took), "{took:?}");
    assert_eq!(ann.closed().await, Some(Close::DEAD));
    assert_eq!(ann.status(), Status::Offline);
    assert_eq!(ann.counts().dead_peers, 1);
}

pub async fn late_and_live<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let heartbeat = Heartbeat::fixed(secs(1), secs(60));
    let log = Log::default();
    let seen = log.clone();
    let server = hosting(&protocol)
        .heartbeat(heartbeat)
        .on_event(move |event| match event {
            ServerEvent::Late(conn) => seen.add(format!("{} late", conn.user_id())),
            ServerEvent::Live(conn) => seen.add(format!("{} live", conn.user_id())),
            _ => {}
        })
        .build();
    let mut peer = Peer::user(&protocol, &server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    for _ in 0..2 {
        tokio::time::sleep(ms(4500)).await;
        assert_eq!(log.take(), ["ann late"]);
        assert_eq!(conn.liveness().unwrap().state, LivenessState::Late);
        // It reads again, and answers what it finds.
        assert!(tokio::time::timeout(ms(4500), peer.hear()).await.is_err());
        assert_eq!(log.take(), ["ann live"]);
        assert_eq!(conn.liveness().unwrap().state, LivenessState::Live);
    }

    // A server.
    let (dial, mut arrivals) = dialled();
    let ann = visiting(&protocol, &server, "ann")
        .connector(dial)
        .heartbeat(heartbeat)
        .procedure("never", |_, ()| std::future::pending::<Result<(), Fault>>());
    let ann = ann.build();
    let (connected, mut peer) =
        tokio::join!(ann.connect(), Peer::welcoming(&protocol, &mut arrivals));
    connected.unwrap();
    let mut events = ann.events();
    tokio::time::sleep(ms(4500)).await;
    assert_eq!(ann.liveness().unwrap().state, LivenessState::Late);
    assert!(matches!(events.next().await, Some(ClientEvent::Late)));
    assert!(tokio::time::timeout(ms(4500), peer.hear()).await.is_err());
    assert_eq!(ann.liveness().unwrap().state, LivenessState::Live);
    assert!(matches!(events.next().await, Some(ClientEvent::Live)));
    assert!(tokio::time::timeout(ms(100), events.next()).await.is_err());
}

/// Its pongs wait behind what it said before, for which there is no room.
pub async fn peer_that_must_wait_is_not_dead<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let heartbeat = Heartbeat::fixed(secs(1), secs(5));
    async fn slowly(n: i64) -> Result<i64, Fault> {
        tokio::time::sleep(secs(8)).await;
        Ok(n)
    }
    let (server, ann, conn) = pair(
        &protocol,
        |server| server.heartbeat(heartbeat).max_handlers(1).procedure("slow", |_, n| slowly(n)),
        |client| client.heartbeat(heartbeat).max_handlers(1).procedure("slow", |_, n| slowly(n)),
    )
    .await;
    let (outcomes, took) =
        timed(async { tokio::join!(ann.call("slow", &1_i64), ann.call("slow", &2_i64)) }).await;
    let outcomes: [i64; 2] = [outcomes.0.unwrap(), outcomes.1.unwrap()];
    assert_eq!((outcomes, took.as_secs()), ([1, 2], 16));
    let outcomes = tokio::join!(conn.call("slow", &1_i64), conn.call("slow", &2_i64));
    let outcomes: [i64; 2] = [outcomes.0.unwrap(), outcomes.1.unwrap()];
    assert_eq!(outcomes, [1, 2]);
    assert_eq!((server.counts().dead_peers, ann.counts().dead_peers), (0, 0));
    assert!(conn.is_ready());
}
