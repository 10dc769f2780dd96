//! What clients do while they are away, and when coming back takes time.

use wse::{
    Accept, Close, CloseReason, Conn, Hello, JsonArray, Refuse, Reliable, ResumeLimits, Server,
    Status,
};

use crate::resume::{Cable, conn, connect, quick, resumable};
use crate::support::endpoints::*;

crate::over_every_protocol! {
    a_challenge_is_answered_again
    an_attempt_that_takes_too_long_is_followed_by_another
    a_client_that_is_closed_while_away_ends_at_once
    a_client_that_is_dropped_while_away_leaves_nothing
    the_longest_suspended_connection_gives_way
    reliable_messages_are_handled_once
    a_shutdown_does_not_wait_for_those_who_are_away
    a_full_queue_while_away_is_written_later
}

async fn a_challenge_is_answered_again<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let builder = Server::builder(protocol.clone())
        .identify_with(|conn, _: Hello<String, Meta>| async move {
            let answer: i64 = conn.challenge(&20_i64).await?;
            match answer {
                21 => Ok::<_, Refuse>(Accept::user("ann")),
                _ => Err(Refuse::not_authorized()),
            }
        })
        .procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) });
    let server = resumable(&log, builder).build();
    let (cable, events) = (Cable::new(&server), client_log.clone());
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .solver(move |n: i64| {
            events.add("solves");
            async move {
                tokio::time::sleep(ms(20)).await;
                wse::Ok(n + 1)
            }
        })
        .connect()
        .await
        .unwrap();
    for n in 1..4 {
        cable.cut();
        settle().await;
        conn(&server).send("note", &note("x")).unwrap();
        assert_eq!(adds(&ann).await.unwrap(), 3);
        assert_eq!(client_log.lines().len(), n + 1);
    }
    assert_eq!(log.lines().iter().filter(|it| *it == "resumed Full").count(), 3);
    assert_eq!(log.lines().iter().filter(|it| *it == "connected").count(), 1);
}

async fn an_attempt_that_takes_too_long_is_followed_by_another<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = resumable(&log, server(&protocol)).build();
    let (cable, events) = (Cable::new(&server), client_log.clone());
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .connect_timeout(secs(1))
        .on_event(move |event| {
            let text = format!("{event:?}");
            events.add(text.split(['(', ' ']).next().unwrap());
        })
        .connect()
        .await
        .unwrap();
    cable.unplug();
    settle().await;
    ann.send("note", &note("x")).unwrap();
    tokio::time::sleep(secs(4)).await;
    cable.plug();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    // And once more in the middle of the greeting.
    for _ in 0..3 {
        cable.cut();
        tokio::time::sleep(ms(40)).await;
        cable.stall();
        tokio::time::sleep(ms(1500)).await;
    }
    cable.cut();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(ann.status(), Status::Ready);
    let lines = client_log.lines();
    assert_eq!(lines.iter().filter(|it| *it == "Ready").count(), 1, "{lines:?}");
    assert!(!lines.iter().any(|it| it == "Closed"), "{lines:?}");
}

async fn a_client_that_is_closed_while_away_ends_at_once<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = resumable(&log, server(&protocol)).build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &client_log).await;
    cable.unplug();
    settle().await;
    let calling = {
        let ann = ann.clone();
        tokio::spawn(async move { adds(&ann).await })
    };
    settle().await;
    ann.close();
    let (close, took) = timed(ann.closed()).await;
    assert!(took < ms(50), "{took:?}");
    assert_eq!(close.map(|it| it.code), Some(1006));
    assert!(calling.await.unwrap().is_err());
    assert_eq!(client_log.lines(), ["ready", "suspended 1006", "closed 1006"]);
    assert!(ann.send("note", &note("x")).is_err());
    tokio::time::sleep(secs(11)).await;
    assert_eq!(log.lines()[2..], ["suspended 1006", "disconnected 1006", "left"]);
    // It may connect again.
    cable.plug();
    ann.connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn a_client_that_is_dropped_while_away_leaves_nothing<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = resumable(&log, server(&protocol)).build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &client_log).await;
    cable.unplug();
    settle().await;
    drop(ann);
    settle().await;
    assert_eq!(client_log.lines(), ["ready", "suspended 1006", "closed 1006"]);
    cable.plug();
    tokio::time::sleep(secs(11)).await;
    assert_eq!(log.lines()[2..], ["suspended 1006", "disconnected 1006", "left"]);
    assert!(server.connections().is_empty());
}

async fn the_longest_suspended_connection_gives_way<P: Talk>(protocol: P) {
    let server = resumable(&Log::default(), server(&protocol)).connections_per_user(3).build();
    let (one, two, three) = (Cable::new(&server), Cable::new(&server), Cable::new(&server));
    let _one = connect(&protocol, &one, &Log::default()).await;
    let _two = connect(&protocol, &two, &Log::default()).await;
    let three_log = Log::default();
    let _three = connect(&protocol, &three, &three_log).await;
    let ids = |conns: Vec<Conn<P>>| conns.iter().map(Conn::id).collect::<Vec<_>>();
    let before = ids(server.user("ann").connections());
    three.unplug();
    settle().await;
    two.unplug();
    settle().await;
    let four = Cable::new(&server);
    let _four = connect(&protocol, &four, &Log::default()).await;
    let after = ids(server.user("ann").connections());
    assert_eq!(after[..2], before[..2], "the third was away for longer than the second");
    assert_eq!(after.len(), 3);
    // A resume takes no second place.
    two.plug();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(ids(server.user("ann").connections()), after);
    three.plug();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(three_log.lines(), ["ready", "suspended 1006", "closed 1006", "ready"]);
}

async fn reliable_messages_are_handled_once<P: Talk>(protocol: P) {
    let (heard, client_log) = (Log::default(), Log::default());
    let notes = heard.clone();
    let server = resumable(&Log::default(), server(&protocol))
        .on("note", move |_, note: Note| {
            notes.add(note.text);
            async {}
        })
        .build();
    let cable = Cable::new(&server);
    let ann = connect(&protocol, &cable, &client_log).await;
    let options = Reliable::default().receipt_timeout(secs(1));
    // Before the loss, into the void, and while away.
    for n in 0..3 {
        let (ann, user) = (ann.clone(), server.user("ann"));
        let there = tokio::spawn(async move {
            user.send_reliable(options, "note", &note(format!("to client {n}"))).await
        });
        let here = tokio::spawn(async move {
            ann.send_reliable(options, "note", &note(format!("to server {n}"))).await
        });
        settle().await;
        match n {
            0 => cable.stall(),
            1 => cable.unplug(),
            _ => tokio::time::sleep(secs(3)).await,
        }
        if n == 2 {
            cable.plug();
            there.await.unwrap().unwrap();
            here.await.unwrap().unwrap();
        }
    }
    tokio::time::sleep(secs(10)).await;
    assert_eq!(heard.lines(), ["to server 0", "to server 1", "to server 2"]);
    let lines = client_log.lines();
    let told: Vec<_> = lines.iter().filter(|it| it.starts_with("to ")).collect();
    assert_eq!(told, ["to client 0", "to client 1", "to client 2"]);
}

async fn a_shutdown_does_not_wait_for_those_who_are_away<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = resumable(&log, server(&protocol))
        .resume(ResumeLimits::default().window(secs(3600)))
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(ms(300)).await;
            wse::Ok(n)
        })
        .build();
    let (away, here) = (Cable::new(&server), Cable::new(&server));
    let ann = connect(&protocol, &away, &Log::default()).await;
    let calling = tokio::spawn(async move { ann.call::<_, i64>("slow", &1_i64).await });
    settle().await;
    away.unplug();
    let bob = client(&protocol, &server, "bob").connector(here).connect().await.unwrap();
    let answered = tokio::spawn(async move { bob.call::<_, i64>("slow", &2_i64).await });
    settle().await;
    let close = Close::new(1012, CloseReason::ByServer);
    let (ended, took) = timed(server.shutdown_with(close, secs(5))).await;
    assert!(ended && took < secs(1), "{took:?}");
    assert_eq!(answered.await.unwrap().unwrap(), 2);
    assert!(server.connections().is_empty());
    calling.abort();
    let lines = log.lines();
    assert_eq!(lines.iter().filter(|it| *it == "disconnected 1012").count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|it| *it == "left").count(), 2, "{lines:?}");
}

async fn a_full_queue_while_away_is_written_later<P: Talk>(protocol: P) {
    let heard = Log::default();
    let notes = heard.clone();
    let server = resumable(&Log::default(), server(&protocol))
        .on("note", move |_, note: Note| {
            notes.add(note.text);
            async {}
        })
        .build();
    let cable = Cable::new(&server);
    let ann = client(&protocol, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .send_queue(wse::SendQueue::default().messages(5))
        .connect()
        .await
        .unwrap();
    cable.unplug();
    settle().await;
    let mut sent = 0;
    while ann.send("note", &note(sent.to_string())).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 5);
    let writable = {
        let ann = ann.clone();
        tokio::spawn(async move { timed(ann.writable()).await.1 })
    };
    // Longer than a slow peer may take.
    let server_window = secs(9);
    tokio::time::sleep(server_window).await;
    cable.plug();
    assert!(writable.await.unwrap() >= server_window);
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(heard.lines(), ["0", "1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_notices_that_its_second_socket_is_dead() {
    let log = Log::default();
    let server = resumable(&Log::default(), server(&JsonArray)).heartbeat(None).build();
    let cable = Cable::new(&server);
    let ann = connect(&JsonArray, &cable, &log).await;
    cable.cut();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(log.take(), ["ready", "suspended 1006", "resumed Full"]);
    cable.stall();
    tokio::time::sleep(secs(120)).await;
    assert!(log.lines().contains(&"resumed Full".to_owned()), "{:?}", log.lines());
    assert_eq!(adds(&ann).await.unwrap(), 3);
}
