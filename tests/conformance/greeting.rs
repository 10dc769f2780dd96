//! The identity of a client, and whether the server accepts it.

use wse::{
    Accept, CallError, Close, ConnectError, Heartbeat, Hello, IdentityFrom, Refuse, Server,
    ServerBuilder, Status,
};
use wse_proto::{CloseReason, Fault, Head, SessionMessage};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

/// Everybody is whom they say, and it is written down.
fn trusting<P: Talk>(protocol: &P, log: &Log) -> ServerBuilder<P> {
    let log = log.clone();
    Server::builder(protocol.clone())
        .identify(move |hello: Hello<String, Meta>| {
            log.add(format!("{} on {:?}", hello.identity, hello.meta.device));
            async { wse::Ok(Accept::user("ann").welcome(note("hi"))) }
        })
        .procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) })
}

pub async fn identity_and_meta<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let meta = || Meta { device: "phone".to_owned() };
    let server = trusting(&protocol, &log)
        .identity_from([IdentityFrom::query("token"), IdentityFrom::bearer()])
        .build();
    let (_ann, conn) = meet(visiting(&protocol, &server, "ann").meta(meta()), &server).await;
    assert_eq!(conn.user_id(), "ann");
    assert_eq!(conn.identity::<String>().unwrap(), "secret of ann");
    if cell == Cell::Yes {
        // What is in the request is not looked at.
        assert_eq!(log.take(), [r#"secret of ann on "phone""#]);
        assert_eq!(conn.meta::<Meta>().unwrap(), meta());
        let nobody = wse::Client::builder(protocol, wse::memory::URL)
            .connector(wse::memory::connector(&server))
            .connect()
            .await;
        assert!(matches!(nobody, Err(ConnectError::NoIdentity)), "{nobody:?}");
        return;
    }
    assert_eq!(cell, Cell::No);
    assert_eq!(log.take(), [r#"secret of ann on """#]);
    assert_eq!(conn.meta::<Meta>().unwrap(), Meta::default());
    // What the client would greet with is not even asked for.
    let client = wse::Client::builder(protocol.clone(), "ws://memory/?token=a%20token")
        .connector(wse::memory::connector(&server));
    meet(client, &server).await;
    assert_eq!(log.take(), [r#"a token on """#]);
    // A server that looks nowhere has no text to give: everybody is refused, and it learns why.
    let server = log.events(trusting(&protocol, &Log::default())).build();
    let ann = visiting(&protocol, &server, "ann").connect().await.unwrap();
    assert_eq!(ann.closed().await, Some(Close::normal(CloseReason::NotAuthorized)));
    let refused = "refused identify close 1000 wse.not-authorized";
    assert_eq!(log.take(), ["error nobody - wse.server.msg-processing-error", refused]);
}

pub async fn challenge<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let (asked, passed) = (log.clone(), log.clone());
    let server = Server::builder(protocol.clone())
        .identity_from([IdentityFrom::bearer()])
        .identify_with(move |stranger, hello: Hello<String, Meta>| {
            let passed = passed.clone();
            async move {
                let answer: String = stranger.challenge(&"the quest".to_owned()).await?;
                passed.add(format!("{} answers {answer}", hello.identity));
                match answer.as_str() {
                    "right" => Ok(Accept::user("ann")),
                    _ => Err(Refuse::not_authorized()),
                }
            }
        })
        .build();
    let solving = |answer: &'static str| {
        let asked = asked.clone();
        visiting(&protocol, &server, "ann").solver(move |quest: String| {
            asked.add(quest);
            async move { wse::Ok(answer.to_owned()) }
        })
    };
    let right = solving("right").connect().await;
    if cell == Cell::No {
        // There is no way to ask: nobody comes in, and the one who asked is told at once.
        assert_eq!(right.unwrap().closed().await, Some(Close::normal(CloseReason::NotAuthorized)));
        assert_eq!(log.lines(), [""; 0]);
        return;
    }
    assert_eq!(cell, Cell::Yes);
    right.unwrap();
    assert!(server.user("ann").is_connected());
    let wrong = solving("wrong").connect().await;
    assert!(matches!(wrong, Err(ConnectError::Refused(_))), "{wrong:?}");
    assert_eq!(
        log.lines(),
        ["the quest", "secret of ann answers right", "the quest", "secret of ann answers wrong"]
    );
    let unable = visiting(&protocol, &server, "ann").connect().await;
    assert!(matches!(unable, Err(ConnectError::NoSolver)), "{unable:?}");
    let failing = visiting(&protocol, &server, "ann")
        .solver(|_: String| async { Err::<String, _>(Fault::new("lost the key")) });
    let failing = failing.connect().await;
    assert!(matches!(failing, Err(ConnectError::Credentials(_))), "{failing:?}");
}

pub async fn welcome<P: Talk>(protocol: P, cell: Cell) {
    let (_server, ann, _) = pair(&protocol, |server| server, |client| client).await;
    assert_eq!(ann.status(), Status::Ready);
    match cell {
        Cell::Yes => assert_eq!(ann.welcome::<Note>().unwrap(), note("hi, ann")),
        _ => {
            assert_eq!(cell, Cell::No);
            assert!(ann.welcome::<Note>().is_err());
            ann.welcome::<()>().unwrap();
        }
    }
}

pub async fn refusal_before_the_client_is_ready<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let server = log.events(hosting(&protocol)).build();
    let refused = visiting(&protocol, &server, "ann")
        .identity("a guess".to_owned())
        .header("authorization", "Bearer a guess");
    // A second field of the same name is not looked at.
    let refused = match cell {
        Cell::No => client(&protocol, &server, "ann").header("authorization", "Bearer a guess"),
        _ => refused,
    };
    let expected = Close::normal(CloseReason::NotAuthorized);
    match (cell, refused.connect().await) {
        (Cell::Yes, Err(ConnectError::Refused(close))) => assert_eq!(close, expected),
        (Cell::No, Ok(ann)) => {
            // It was ready at once, and hears it then; what it asked meanwhile fails with it.
            match adds(&ann).await {
                Err(CallError::NotReady) => {}
                outcome => assert_eq!(disconnected(outcome), expected),
            }
            assert_eq!(ann.closed().await, Some(expected));
            assert!(matches!(adds(&ann).await, Err(CallError::NotReady)));
            assert_eq!(ann.status(), Status::Offline);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.lines(), ["refused identify close 1000 wse.not-authorized"]);
    assert!(server.users().is_empty());
}

pub async fn strangers_may_say_much<P: Talk>(protocol: P, cell: Cell) {
    const NOTES: usize = 500;
    let log = Log::default();
    let noted = log.clone();
    let server = hosting(&protocol)
        .identify(|_: Hello<String, Meta>| async {
            tokio::time::sleep(secs(3)).await;
            wse::Ok(Accept::user("ann"))
        })
        .heartbeat(Heartbeat::fixed(ms(200), secs(2)))
        .on("note", move |_, note: Note| {
            noted.add(note.text);
            async {}
        })
        .build();
    let mut peer = Peer::stranger(&protocol, &server, "ann").await;
    let payload = peer.encode(&note("x"));
    let written = peer.written(&SessionMessage::raw(Head::message("note"), payload));
    if cell == Cell::No {
        // Who greets waits for the welcome, or nearly so.
        for _ in 0..9 {
            peer.say_bytes(written.clone()).await;
        }
        let (close, took) = timed(peer.hear_close()).await;
        assert_eq!(close, "1000 wse.protocol-error");
        assert!(took < secs(1), "{took:?}");
        return;
    }
    assert_eq!(cell, Cell::Yes);
    for _ in 0..NOTES {
        peer.say_bytes(written.clone()).await;
    }
    settle().await;
    assert_eq!(log.lines(), [""; 0]);
    tokio::time::sleep(secs(4)).await;
    assert_eq!(log.lines().len(), NOTES);
    assert!(server.user("ann").is_connected());
    assert_eq!(server.counts().dead_peers, 0);
}
