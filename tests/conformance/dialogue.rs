//! Messages, to one and to all, and those that nobody can read.

use bytes::Bytes;
use wse::{ClientEvent, Close, CloseReason};
use wse_proto::{Body, Head, SessionMessage};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

pub async fn messages<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let log = Log::default();
    let (there, back) = (log.clone(), log.clone());
    let (_server, ann, conn) = pair(
        &protocol,
        |server| {
            server
                .on("note", move |conn, Note { text }: Note| {
                    there.add(format!("{} says {text}", conn.user_id()));
                    async move { conn.send("note", &note(format!("{text} too"))) }
                })
                .on("nothing", |_, ()| async {})
        },
        |client| {
            client.on("note", move |_, Note { text }: Note| {
                back.add(format!("server says {text}"));
                async {}
            })
        },
    )
    .await;
    ann.send("note", &note("1 \"ü\" |\n")).unwrap();
    ann.send("nothing", &()).unwrap();
    adds(&ann).await.unwrap();
    ann.send("note", &note("2")).unwrap();
    adds(&ann).await.unwrap();
    assert_eq!(
        log.take(),
        ["ann says 1 \"ü\" |\n", "server says 1 \"ü\" |\n too", "ann says 2", "server says 2 too"]
    );
    for n in 0..200 {
        conn.send("note", &note(n.to_string())).unwrap();
    }
    settle().await;
    let expected: Vec<_> = (0..200).map(|n| format!("server says {n}")).collect();
    assert_eq!(log.take(), expected);
}

pub async fn broadcasts<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let log = Log::default();
    let server = hosting(&protocol).build();
    let mut clients = Vec::new();
    for user in ["ann", "bob", "cyd"] {
        let log = log.clone();
        let client = visiting(&protocol, &server, user).on("news", move |_, n: i64| {
            log.add(format!("{user} {n}"));
            async {}
        });
        clients.push(meet(client, &server).await);
    }
    assert_eq!(server.all().send("news", &1_i64).unwrap(), 3);
    settle().await;
    assert_eq!(server.all().except_user("bob").send("news", &2_i64).unwrap(), 2);
    settle().await;
    assert_eq!(server.user("cyd").send("news", &3_i64).unwrap(), 1);
    settle().await;
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["ann 1", "ann 2", "bob 1", "cyd 1", "cyd 2", "cyd 3"]);
}

pub async fn rooms<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    let log = Log::default();
    let server = hosting(&protocol)
        .on("say", |conn, said: Note| async move {
            conn.room("lobby").except(&conn).send("said", &said)
        })
        .build();
    let mut clients = Vec::new();
    for user in ["ann", "bob", "cyd"] {
        let log = log.clone();
        let client = visiting(&protocol, &server, user).on("said", move |_, said: Note| {
            log.add(format!("{user} {}", said.text));
            async {}
        });
        let (client, conn) = meet(client, &server).await;
        if user != "cyd" {
            conn.join("lobby").unwrap();
        }
        clients.push((client, conn));
    }
    let room = server.room("lobby");
    assert_eq!(room.send("said", &note("1")).unwrap(), 2);
    clients[0].0.send("say", &note("2")).unwrap();
    settle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["ann 1", "bob 1", "bob 2"]);
    clients[1].0.close();
    clients[1].0.closed().await;
    settle().await;
    assert_eq!(room.connections(), [clients[0].1.clone()]);
    assert!(clients[0].1.leave("lobby") && room.is_empty());
}

pub async fn unreadable_is_complained_about<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let server = log.events(hosting(&protocol)).build();
    let (bob, _) = meet(visiting(&protocol, &server, "bob"), &server).await;
    let mut ann = Peer::user(&protocol, &server, "ann").await;
    log.take();
    ann.say_garbage().await;
    match cell {
        Cell::Yes => {
            let complaint = ann.hear_message().await;
            assert_eq!(complaint.head, Head::ErrorReport);
            assert!(matches!(complaint.body, Body::Fault(_)), "{complaint:?}");
            assert_eq!(server.counts().unreadable, 1);
            assert_eq!(log.take(), ["error ann - wse.server.msg-processing-error"]);
            // The connection stays open, also when an error report answers the error report.
            ann.say(complaint).await;
            let payload = ann.encode(&Add { a: 1, b: 2 });
            ann.say(SessionMessage::raw(Head::call("add", "s1".into()), payload)).await;
            assert_eq!(ann.hear_message().await.head, Head::reply("s1".into()));
            assert_eq!(server.counts().error_reports, 1);
            assert_eq!(log.take().len(), 1);
        }
        _ => {
            assert_eq!(cell, Cell::No);
            assert_eq!(ann.hear_close().await, "1000 wse.protocol-error");
            assert_eq!(server.counts().unreadable, 0);
            let lines = log.take();
            assert_eq!(
                lines[lines.len() - 2..],
                ["disconnected ann 1000 wse.protocol-error", "left ann 1000 wse.protocol-error"]
            );
            assert!(lines[0].starts_with("error ann - wse.server."), "{lines:?}");
        }
    }
    assert_eq!(adds(&bob).await.unwrap(), 3);

    // From a server.
    let (dial, mut arrivals) = dialled();
    let cyd = client(&protocol, &server, "cyd").connector(dial).build();
    let (connected, mut peer) =
        tokio::join!(cyd.connect(), Peer::welcoming(&protocol, &mut arrivals));
    connected.unwrap();
    let mut events = cyd.events();
    peer.say_garbage().await;
    let event = futures::StreamExt::next(&mut events).await.unwrap();
    assert!(matches!(event, ClientEvent::Error { .. }), "{event:?}");
    match cell {
        Cell::Yes => {
            assert_eq!(peer.hear_message().await.head, Head::ErrorReport);
            assert_eq!(cyd.counts().unreadable, 1);
        }
        _ => {
            assert_eq!(peer.hear_close().await, "1000 wse.protocol-error");
            assert_eq!(cyd.closed().await, Some(Close::normal(CloseReason::ProtocolError)));
        }
    }
}

pub async fn pings_of_its_own<P: Talk>(protocol: P, cell: Cell) {
    let server = hosting(&protocol).heartbeat(None).build();
    let mut ann = Peer::user(&protocol, &server, "ann").await;
    let [ping, pong] =
        [Head::Ping, Head::Pong].map(|head| SessionMessage { head, body: Body::Serial(7) });
    if cell == Cell::No {
        assert_eq!(
            [&ping, &pong].map(|message| ann.written(message)),
            [Bytes::new(), Bytes::new()]
        );
        return;
    }
    assert_eq!(cell, Cell::Yes);
    ann.say(ping).await;
    assert_eq!(ann.hear_message().await, pong);
    // One that nobody asked for is not answered.
    ann.say(pong).await;
    assert_eq!(ann.hear_all().await, []);
    assert_eq!(server.counts().unknown_pongs, 1);
}
