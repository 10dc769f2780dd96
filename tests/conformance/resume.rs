//! Connections that outlive their sockets, rooms, drain and credentials that expire; and what happens over a protocol that has no
//! place for them.

use wse::{
    Accept, CallError, Client, ClientBuilder, ClientEvent, Conn, Drain, Hello, NotResumed, Refuse,
    ResumeLimits, Resumed, Server, ServerBuilder, ServerEvent, Status,
};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

/// A server and ann over a cable, both with what happens to the connection in their logs.
struct Pair<P: Talk> {
    server: Server<P>,
    ann: Client<P>,
    conn: Conn<P>,
    cable: Cable,
    log: Log,
}

async fn pair_over_a_cable<P: Talk>(
    protocol: &P,
    limits: ResumeLimits,
    visit: impl FnOnce(ClientBuilder<P>, &Log) -> ClientBuilder<P>,
) -> Pair<P> {
    let (log, cable) = (Log::default(), Cable::default());
    let server = noted(hosting(protocol).resume(limits), &log).build();
    let events = log.clone();
    let client = visiting(protocol, &server, "ann")
        .connector(cable.to(&server))
        .reconnect(quick())
        .on_event(move |event| match event {
            ClientEvent::Resumed(how) => events.add(format!("ann {how:?}")),
            ClientEvent::Ready(_) => events.add("ann is ready"),
            _ => {}
        });
    let (ann, conn) = meet(visit(client, &log), &server).await;
    log.take();
    Pair { server, ann, conn, cable, log }
}

fn noted<P: Talk>(builder: ServerBuilder<P>, log: &Log) -> ServerBuilder<P> {
    let (events, notes) = (log.clone(), log.clone());
    builder
        .on("note", move |_, Note { text }: Note| {
            notes.add(format!("server {text}"));
            async {}
        })
        .procedure("slow", |_, Note { text }: Note| async move {
            tokio::time::sleep(secs(2)).await;
            wse::Ok(note(text))
        })
        .on_event(move |event| match event {
            ServerEvent::Connected(_) => events.add("connected"),
            ServerEvent::Suspended(..) => events.add("suspended"),
            ServerEvent::Resumed(_, how) => events.add(format!("resumed {how:?}")),
            ServerEvent::Disconnected(..) => events.add("disconnected"),
            _ => {}
        })
}

/// A client that notes what it is told.
fn listening<P: Talk>(client: ClientBuilder<P>, log: &Log) -> ClientBuilder<P> {
    let log = log.clone();
    client.on("note", move |_, Note { text }: Note| {
        log.add(format!("ann {text}"));
        async {}
    })
}

pub async fn resumed_without_a_loss<P: Talk>(protocol: P, cell: Cell) {
    let pair = pair_over_a_cable(&protocol, ResumeLimits::default(), listening).await;
    let Pair { server, ann, conn, cable, log } = &pair;
    let calling = tokio::spawn({
        let ann = ann.clone();
        async move { ann.call::<_, Note>("slow", &note("from ann")).await }
    });
    settle().await;
    for _ in 0..3 {
        // What is under way is lost with the socket.
        cable.lose_what_goes_to_the_client();
        cable.lose_what_goes_to_the_server();
        let _ = (ann.send("note", &note("to the server")), conn.send("note", &note("to ann")));
        settle().await;
        cable.cut();
        tokio::time::sleep(ms(100)).await;
    }
    let answer = calling.await.unwrap();
    let lines = log.take();
    let count = |wanted: &str| lines.iter().filter(|line| *line == wanted).count();
    let heard = [count("server to the server"), count("ann to ann")];
    match cell {
        Cell::Yes => {
            assert_eq!(answer.unwrap().text, "from ann");
            assert_eq!(
                (count("ann Full"), count("resumed Full"), count("ann is ready")),
                (3, 3, 0)
            );
            assert_eq!(heard, [3, 3]);
            assert_eq!(server.connections().iter().map(Conn::id).next(), Some(conn.id()));
        }
        _ => {
            assert!(matches!(answer, Err(CallError::Disconnected(_))), "{answer:?}");
            assert_eq!((count("connected"), count("ann is ready"), count("suspended")), (3, 3, 0));
            assert_eq!(heard, [0, 0]);
            assert_ne!(server.connections().iter().map(Conn::id).next(), Some(conn.id()));
        }
    }
}

pub async fn resume_with_a_gap<P: Talk>(protocol: P, cell: Cell) {
    let limits = ResumeLimits::default().ring_messages(2);
    let pair = pair_over_a_cable(&protocol, limits, listening).await;
    let Pair { conn, cable, log, .. } = &pair;
    cable.lose_what_goes_to_the_client();
    for n in 1..=5 {
        let _ = conn.send("note", &note(n.to_string()));
    }
    settle().await;
    cable.cut();
    tokio::time::sleep(ms(100)).await;
    let lines = log.take();
    let gap = lines.iter().filter_map(|line| line.strip_prefix("ann Partial")).next();
    let heard: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("ann ")).collect();
    match cell {
        Cell::Yes => {
            // Behind the answer of `add`, which is the first.
            let lost = Resumed::Partial { first: 2, last: 4 };
            assert!(gap.is_some());
            assert_eq!(heard, [&*format!("{lost:?}"), "4", "5"]);
            assert!(lines.contains(&format!("resumed {lost:?}")));
        }
        _ => assert_eq!(heard, ["is ready"]),
    }
}

pub async fn resume_after_the_window<P: Talk>(protocol: P, cell: Cell) {
    let limits = ResumeLimits::default().window(secs(5));
    let reached = |client: ClientBuilder<P>, _: &Log| client.connect_timeout(secs(60));
    let pair = pair_over_a_cable(&protocol, limits, reached).await;
    let Pair { server, ann, conn, cable, log } = &pair;
    cable.cut();
    cable.lose_what_goes_to_the_server();
    tokio::time::sleep(secs(6)).await;
    assert!(server.connections().is_empty());
    cable.cut();
    tokio::time::sleep(secs(1)).await;
    assert_eq!(ann.status(), Status::Ready);
    let new = server.connections().pop().unwrap();
    assert_ne!(new.id(), conn.id());
    let lines = log.take();
    match cell {
        Cell::Yes => {
            assert_eq!(lines, ["suspended", "disconnected", "connected", "ann is ready"]);
            assert_eq!(new.not_resumed(), Some(&NotResumed::Expired));
        }
        _ => {
            assert_eq!(lines, ["disconnected", "connected", "ann is ready"]);
            assert_eq!(new.not_resumed(), None);
        }
    }
}

pub async fn rooms_over_a_resume<P: Talk>(protocol: P, cell: Cell) {
    let pair = pair_over_a_cable(&protocol, ResumeLimits::default(), listening).await;
    let Pair { server, conn, cable, log, .. } = &pair;
    conn.join("lobby").unwrap();
    cable.cut();
    settle().await;
    let kept = cell == Cell::Yes;
    assert_eq!(server.room("lobby").len(), usize::from(kept));
    let sent = server.room("lobby").send("note", &note("to all here")).unwrap();
    assert_eq!(sent, usize::from(kept));
    tokio::time::sleep(ms(100)).await;
    assert_eq!(log.take().contains(&"ann to all here".to_owned()), kept);
    assert_eq!(server.rooms().len(), usize::from(kept));
}

pub async fn drain_of_clients_with_resume<P: Talk>(protocol: P, cell: Cell) {
    let closes = Log::default();
    let seen = closes.clone();
    let visit = |client: ClientBuilder<P>, _: &Log| {
        client.on_closed(move |close| seen.add(format!("{close}"))).on_suspended(|_| {})
    };
    let pair = pair_over_a_cable(&protocol, ResumeLimits::default(), visit).await;
    let drain = Drain::default().after(secs(3)).spread(secs(4));
    let ((), took) = timed(pair.server.drain(drain)).await;
    assert!((3..=7).contains(&took.as_secs()), "{took:?}");
    // Nobody lets it in again.
    settle().await;
    assert_eq!(pair.ann.status(), Status::Reconnecting);
    pair.ann.close();
    pair.ann.closed().await;
    let code = if cell == Cell::Yes { "4000" } else { "1012" };
    assert_eq!(closes.take(), [format!("{code} wse.drain")]);
}

pub async fn resume_and_credentials_that_expire<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let (told, asked) = (log.clone(), log.clone());
    let accept = |user: &str| Accept::user(user.to_owned()).expires_in(secs(60));
    let server = Server::builder(protocol.clone())
        .identify_with(move |conn, hello: Hello<String, Meta>| async move {
            // Over a protocol without a greeting it is in the request.
            let known = conn.request().headers().contains_key("authorization");
            let text = hello.identity.strip_prefix("secret of ").unwrap_or(&hello.identity);
            if known { Ok(accept(text)) } else { Err(Refuse::not_authorized()) }
        })
        .identity_from([wse::IdentityFrom::bearer()])
        .procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) })
        .build();
    let ann = visiting(&protocol, &server, "ann")
        .credentials(move || {
            asked.add("asked");
            async { wse::Ok(("secret of ann".to_owned(), Meta::default())) }
        })
        .reconnect(quick())
        .on_event(move |event| match event {
            ClientEvent::Renewed(Some(time)) => told.add(format!("{}", time.as_secs())),
            ClientEvent::Suspended(close) | ClientEvent::Closed(close) => {
                told.add(format!("{close}"));
            }
            _ => {}
        })
        .connect()
        .await
        .unwrap();
    adds(&ann).await.unwrap();
    log.take();
    tokio::time::sleep(secs(70)).await;
    adds(&ann).await.unwrap();
    let lines = log.take();
    match cell {
        Cell::Yes => assert_eq!(lines, ["asked", "60", "asked", "60"]),
        // Only a new connection has new ones.
        _ => assert_eq!(lines[0], "4001 wse.credentials-expired", "{lines:?}"),
    }
}
