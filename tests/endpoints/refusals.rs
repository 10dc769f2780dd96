//! Connections that a server turns away: each is one event, one count and one line of the log, and crowds out nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wse::{
    Accept, Counts, ErrorEvent, Hello, Refuse, Refused, RefusedAt, RefusedWith, Server,
    ServerEvent, User,
};
use wse_codecs::JsonArray;
use wse_transport::handshake::OriginPolicy;

use crate::support::endpoints::{Raw, device, line, ms, secs, server, settle};
use crate::support::log::Lines;

/// A complete request, with these lines in place of those with the same name.
fn request(changed: &[&str]) -> String {
    let usual = [
        "GET / HTTP/1.1",
        "Host: example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: wse-default-json",
    ];
    let name = |line: &str| line.split([':', ' ']).next().unwrap().to_owned();
    let mut lines: Vec<_> = usual.into_iter().map(str::to_owned).collect();
    for line in changed {
        match lines.iter_mut().find(|it| name(it) == name(line)) {
            Some(usual) => *usual = (*line).to_owned(),
            None => lines.push((*line).to_owned()),
        }
    }
    lines.join("\r\n") + "\r\n\r\n"
}

/// Sends bytes, and returns the status line and the end of the response.
async fn response(server: &Server<JsonArray>, request: &str) -> String {
    let mut io = Raw::dial(server).await;
    io.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    io.read_to_end(&mut response).await.unwrap();
    String::from_utf8(response).unwrap()
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Refused>>>);

impl Told {
    fn take(&self) -> Vec<Refused> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn one(&self) -> Refused {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

fn all_refused(counts: Counts) -> u64 {
    let Counts { refused_tls, refused_requests, refused_upgrades, .. } = counts;
    let Counts { refused_greetings, refused_identities, .. } = counts;
    refused_tls + refused_requests + refused_upgrades + refused_greetings + refused_identities
}

#[tokio::test(start_paused = true)]
async fn each_refused_request_is_one_event_one_count_and_one_line() {
    let (log, _guard) = Lines::of_info();
    let told = Told::default();
    let tell = told.clone();
    let server = server(&JsonArray)
        .origin(OriginPolicy::SameHost)
        .on_refused(move |refused| tell.0.lock().unwrap().push(refused.clone()))
        .build();
    let mut events = server.events();
    let long = format!("GET /{} HTTP/1.1", "a".repeat(9000));
    let large = format!("X-Large: {}", "a".repeat(9000));
    let many = (0..130).map(|n| format!("X-{n}: {n}")).collect::<Vec<_>>().join("\r\n");
    let table: [(&[&str], RefusedAt, u16, &str); 13] = [
        (&["Sec-WebSocket-Protocol: chat"], RefusedAt::Upgrade, 400, "no common subprotocol"),
        (&["Origin: https://evil.example"], RefusedAt::Upgrade, 403, "origin"),
        (&["Sec-WebSocket-Version: 12"], RefusedAt::Upgrade, 426, "Sec-WebSocket-Version"),
        (&["Sec-WebSocket-Key: short"], RefusedAt::Upgrade, 400, "Sec-WebSocket-Key"),
        (&["Upgrade: h2c"], RefusedAt::Upgrade, 426, "websocket"),
        (&["Host: "], RefusedAt::Upgrade, 400, "Host"),
        (&["Content-Length: 5"], RefusedAt::Upgrade, 400, "body"),
        (&["GET / HTTP/1.0"], RefusedAt::Upgrade, 505, "HTTP/1.1"),
        (&["GET / HTTP/1.1", "nonsense"], RefusedAt::Request, 400, "malformed"),
        (&[&long], RefusedAt::Request, 414, "too long"),
        (&[&large], RefusedAt::Request, 431, "too long"),
        (&[&many], RefusedAt::Request, 431, "header fields"),
        (&["GET \x1b[31m HTTP/1.1"], RefusedAt::Request, 400, "malformed"),
    ];
    for (n, (changed, stage, status, cause)) in table.into_iter().enumerate() {
        let got = response(&server, &request(changed)).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{changed:?}: {got}");
        let refused = told.one();
        assert_eq!(refused.stage, stage, "{refused}");
        assert_eq!(refused.with, RefusedWith::Status(status.try_into().unwrap()), "{refused}");
        assert!(refused.cause.contains(cause), "{refused}");
        assert_eq!(refused.peer_addr, None);
        match events.next().await {
            Some(ServerEvent::Refused(event)) => assert_eq!(*event, refused),
            other => panic!("{other:?}"),
        }
        assert_eq!(all_refused(server.counts()), n as u64 + 1);
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(&format!("stage={stage} ")), "{lines:?}");
        assert!(lines[0].contains(&format!("with=status {status} ")), "{lines:?}");
        assert!(lines[0].contains(cause), "{lines:?}");
    }
    assert_eq!(server.counts().refused_upgrades, 8);
    assert_eq!(server.counts().refused_requests, 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_request_in_time_is_refused_and_one_that_leaves_is_not() {
    let told = Told::default();
    let tell = told.clone();
    let server = server(&JsonArray)
        .on_refused(move |refused| tell.0.lock().unwrap().push(refused.clone()))
        .build();
    for said in ["", "GET / HT"] {
        let mut io = Raw::dial(&server).await;
        io.write_all(said.as_bytes()).await.unwrap();
        drop(io);
        settle().await;
        assert_eq!(told.take(), [], "{said:?}");
        let mut io = Raw::dial(&server).await;
        io.write_all(said.as_bytes()).await.unwrap();
        assert_eq!(io.read(&mut [0; 9]).await.unwrap(), 0);
        let refused = told.one();
        assert_eq!((refused.stage, &refused.with), (RefusedAt::Request, &RefusedWith::Dropped));
        assert_eq!(refused.cause, "no request within 10s");
    }
    // It has left after the upgrade, and after its greeting.
    let stranger = Raw::stranger(&server).await;
    drop(stranger);
    let mut stranger = Raw::stranger(&server).await;
    stranger.close(1000, "no thanks").await;
    assert_eq!(stranger.hear_all().await, ["close 1000 no thanks", "end"]);
    settle().await;
    assert_eq!(told.take(), []);
    assert_eq!(all_refused(server.counts()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_says_so() {
    let told = Told::default();
    let tell = told.clone();
    let server = server(&JsonArray)
        .on_refused(move |refused| tell.0.lock().unwrap().push(refused.clone()))
        .on("wait", |_, ()| std::future::pending::<()>())
        .build();
    let mut late = Raw::dial(&server).await;
    let mut early = Raw::stranger(&server).await;
    let mut busy = Raw::user(&server, "ann").await;
    busy.say(r#"["wait"]"#).await;
    settle().await;
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown(secs(5)).await }
    });
    settle().await;
    assert_eq!(early.hear().await, "close 1001 wse.by-server");
    let refused = told.one();
    assert_eq!(
        refused.to_string(),
        "refused at greeting with close 1001 wse.by-server: the server shuts down"
    );
    let _ = late.write_all(request(&[]).as_bytes()).await;
    assert!(!stopping.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn each_connection_refused_after_the_upgrade_is_one_event() {
    let told = Told::default();
    let tell = told.clone();
    let server = Server::builder(JsonArray)
        .identify_with(|peer, hello: Hello<String>| async move {
            match hello.identity.as_str() {
                "refused" => Err(Refuse::not_authorized().into()),
                "because" => Err(Refuse::because("no such\nuser").into()),
                "banned" => Err(Refuse::with(wse::Close::new(4003, "banned")).into()),
                "fails" => Err("no database".into()),
                "panics" => panic!("as told"),
                "slow" => std::future::pending().await,
                "asked" => {
                    peer.challenge_hmac("asked", b"secret").await?;
                    unreachable!()
                }
                user => wse::Ok(Accept::user(user)),
            }
        })
        .on_refused(move |refused| tell.0.lock().unwrap().push(refused.clone()))
        .build();
    let hi = |identity: &str| format!(r#"["~wse:hi",{{"identity":"{identity}"}}]"#);
    use RefusedAt::{Greeting, Identify};
    let large = format!("[\"{}\"]", "a".repeat(17 * 1024));
    let table: [(Vec<String>, RefusedAt, &str, &str); 14] = [
        (vec!["x".into()], Greeting, "1000 wse.protocol-error", "malformed"),
        (vec![r#"["hey"]"#.into()], Greeting, "1000 wse.protocol-error", "broke the protocol"),
        (vec![r#"["~wse:hi",{}]"#.into()], Greeting, "1000 wse.protocol-error", "greeting"),
        (vec![r#"["~wse:hi",null]"#.into()], Greeting, "1000 wse.protocol-error", "greeting"),
        (vec![large], Greeting, "1009", "16384"),
        (vec![], Greeting, "1000 wse.not-authorized", "no greeting in time"),
        (vec![r#"["~wse:hi",{"identity":7}]"#.into()], Identify, "1000 wse.not-authorized", "type"),
        (vec![hi("refused")], Identify, "1000 wse.not-authorized", "refused"),
        (vec![hi("because")], Identify, "1000 wse.not-authorized", r"no such\nuser"),
        (vec![hi("banned")], Identify, "4003 banned", "refused"),
        (vec![hi("fails")], Identify, "1011 internal error, id ", "no database"),
        (vec![hi("panics")], Identify, "1011 internal error, id ", "panicked"),
        (vec![hi("slow")], Identify, "1000 wse.not-authorized", "no decision in time"),
        (vec![hi("asked"), r#"["hey"]"#.into()], Identify, "1000 wse.protocol-error", "broke"),
    ];
    let (mut greetings, mut identities) = (0, 0);
    for (said, stage, close, cause) in table {
        let mut raw = Raw::stranger(&server).await;
        for text in &said {
            raw.say(text).await;
            settle().await;
        }
        loop {
            let heard = raw.hear().await;
            if heard == "end" {
                break;
            }
            let expected = heard.starts_with(&format!("close {close}"));
            assert!(expected || heard.contains("~wse:challenge"), "{said:?}: {heard}");
        }
        settle().await;
        let refused = told.one();
        assert_eq!(refused.stage, stage, "{refused}");
        assert!(refused.with.to_string().starts_with(&format!("close {close}")), "{refused}");
        assert!(refused.cause.contains(cause), "{refused}");
        greetings += u64::from(stage == Greeting);
        identities += u64::from(stage == Identify);
        let counts = server.counts();
        assert_eq!((counts.refused_greetings, counts.refused_identities), (greetings, identities));
    }
    // One that leaves before the decision has not been refused.
    let mut raw = Raw::stranger(&server).await;
    raw.say(&hi("slow")).await;
    settle().await;
    raw.close(1000, "").await;
    raw.hear_all().await;
    drop(raw);
    settle().await;
    // Nor is a user who breaks the protocol later.
    let mut raw = Raw::stranger(&server).await;
    raw.say(&hi("ann")).await;
    raw.hear().await;
    raw.say("x").await;
    raw.hear_all().await;
    settle().await;
    assert_eq!(told.take(), []);
}

/// Every connection that is never accepted causes events of the kind that the reader sees last.
#[tokio::test(start_paused = true)]
async fn refused_connections_crowd_out_no_other_events() {
    const USERS: usize = 167;
    let server = server(&JsonArray)
        .identify(|hello: Hello<String>| async move {
            match hello.identity.strip_prefix("secret of ") {
                Some(user) => Ok(Accept::user(user)),
                None if hello.identity == "fails" => Err("no database".into()),
                None => Err(wse::BoxError::from(Refuse::because("a guess"))),
            }
        })
        .build();
    let mut events = server.events();
    let reader = tokio::spawn(async move {
        let (mut left, mut missed, mut refused) = (HashSet::new(), 0, 0);
        while let Some(event) = events.next().await {
            match event {
                ServerEvent::Left(user, _) => drop(left.insert(user.to_string())),
                ServerEvent::Missed(_) => panic!("missed an event of a user"),
                ServerEvent::MissedRefused(count) => missed += count,
                ServerEvent::Refused(_) => refused += 1,
                ServerEvent::Error(ErrorEvent { conn: None, .. }) => refused += 1,
                _ => {}
            }
            tokio::time::sleep(ms(1)).await;
        }
        (left, missed, refused)
    });
    for user in 0..USERS {
        let raw = Raw::user_of(&server, &user.to_string()).await;
        for said in [
            r#"["hey"]"#,
            "x",
            r#"["~wse:hi",{"identity":"no"}]"#,
            r#"["~wse:hi",{"identity":"fails"}]"#,
        ] {
            for _ in 0..3 {
                let mut noise = Raw::stranger(&server).await;
                noise.say(said).await;
                noise.hear().await;
                assert!(response(&server, "nonsense\r\n\r\n").await.contains("400"));
            }
        }
        drop(raw);
    }
    settle().await;
    server.shutdown(secs(1)).await;
    let (left, missed, refused) = reader.await.unwrap();
    assert_eq!(left.len(), USERS);
    // 24 refusals for each user, 9 of them with an error.
    assert_eq!(missed + refused, 33 * USERS as u64);
    assert!(missed > 0);
    assert_eq!(all_refused(server.counts()), 24 * USERS as u64);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_reader_of_events_keeps_none() {
    let server = server(&JsonArray).build();
    for _ in 0..200 {
        response(&server, "nonsense\r\n\r\n").await;
    }
    let mut events = server.events();
    let ann = device(&JsonArray, &server, "ann", "phone").await;
    assert_eq!(line(&events.next().await.unwrap()), "joined ann/phone");
    assert_eq!(all_refused(server.counts()), 200);
    let user: User<_> = server.user("ann");
    assert!(user.is_connected());
    drop(ann);
}
