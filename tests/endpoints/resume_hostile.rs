//! What clients may say about resume that they should not.

use serde_json::{Value, json};
use wse::{Accept, Close, Conn, Hello, JsonArray, ResumeLimits, Server, ServerBuilder};

use crate::resume::{conn, resumable};
use crate::support::endpoints::*;

const VIOLATION: &str = "close 1000 wse.protocol-error";

/// What the server says of a session.
#[derive(Clone, Debug)]
pub struct Told {
    pub session: String,
    pub token: String,
    pub outcome: String,
}

pub async fn greeted(server: &Server<JsonArray>, user: &str, resume: &Value) -> Raw {
    let mut raw = Raw::stranger(server).await;
    let hi = json!({"identity": format!("secret of {user}"), "meta": {}, "resume": resume});
    raw.say(&json!(["~wse:hi", hi, null, 1]).to_string()).await;
    raw
}

/// What is said of the session, or else the first thing heard.
pub async fn told(raw: &mut Raw) -> Result<Told, String> {
    let heard = raw.hear().await;
    let Some(Value::Array(all)) =
        heard.strip_prefix("").and_then(|it| serde_json::from_str(it).ok())
    else {
        return Err(heard);
    };
    if all[0] != "~wse:session" {
        return Err(heard);
    }
    let text = |name: &str| all[1][name].as_str().unwrap_or_default().to_owned();
    let outcome = match text("outcome") {
        none if none == "none" => format!("none {}", text("reason")),
        partial if partial == "partial" => format!("partial {}", all[1]["lost"]),
        other => other,
    };
    assert!(raw.hear().await.contains("~wse:welcome"));
    Ok(Told { session: text("session"), token: text("token"), outcome })
}

pub async fn outcome(server: &Server<JsonArray>, user: &str, resume: &Value) -> String {
    match told(&mut greeted(server, user, resume).await).await {
        Ok(told) => told.outcome,
        Err(heard) => heard,
    }
}

/// Ann, who has got three messages.
pub async fn ann(server: &Server<JsonArray>) -> (Raw, Told) {
    let mut ann = greeted(server, "ann", &json!(true)).await;
    let told = told(&mut ann).await.unwrap();
    for n in 0..3 {
        conn(server).send("note", &note(n.to_string())).unwrap();
    }
    assert_eq!(ann.hear_all().await.len(), 3);
    (ann, told)
}

pub fn build(log: &Log) -> ServerBuilder<JsonArray> {
    resumable(log, server(&JsonArray)).heartbeat(None).connections_per_user(9)
}

#[tokio::test(start_paused = true)]
async fn each_greeting_has_its_outcome_and_harms_no_session() {
    type Ask = fn(&Told) -> Value;
    let table: [(&str, Ask, &str); 21] = [
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": 3}), "full"),
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": 0}), "full"),
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": 4}), VIOLATION),
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": -1}), VIOLATION),
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": 1.5}), VIOLATION),
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": "3"}), VIOLATION),
        ("ann", |it| json!({"session": it.session, "token": it.token, "seen": null}), VIOLATION),
        ("ann", |it| json!({"session": it.session, "token": it.token}), VIOLATION),
        (
            "ann",
            |it| json!({"session": it.session, "token": it.token, "seen": 1_u64 << 53}),
            VIOLATION,
        ),
        ("ann", |it| json!({"session": it.session, "seen": 3}), VIOLATION),
        ("ann", |it| json!({"session": 1, "token": it.token, "seen": 3}), VIOLATION),
        ("ann", |_| json!(1), VIOLATION),
        ("ann", |_| json!("x"), VIOLATION),
        ("ann", |_| json!([]), VIOLATION),
        ("ann", |_| json!({}), VIOLATION),
        ("ann", |it| json!({"session": it.session, "token": "", "seen": 3}), "none token"),
        (
            "ann",
            |it| json!({"session": it.session, "token": it.token.clone() + "A", "seen": 3}),
            "none token",
        ),
        // The token comes before what was seen, and before the user.
        ("bob", |it| json!({"session": it.session, "token": "guess", "seen": 9}), "none token"),
        ("bob", |it| json!({"session": it.session, "token": it.token, "seen": 9}), "none user"),
        ("ann", |it| json!({"session": "guess", "token": it.token, "seen": 3}), "none unknown"),
        ("ann", |it| json!({"session": "", "token": it.token, "seen": 3}), "none unknown"),
    ];
    for away in [true, false] {
        for (number, (user, ask, expected)) in table.iter().enumerate() {
            let log = Log::default();
            let server = build(&log).build();
            let (mut raw, told) = ann(&server).await;
            let id = conn(&server).id();
            let here = if away {
                drop(raw);
                None
            } else {
                raw.say(r#"["~wse:seen",1,null]"#).await;
                Some(raw)
            };
            settle().await;
            let ask = ask(&told);
            // What was acknowledged is not kept.
            let less = !away && ask["seen"] == 0;
            let expected = if less { "partial [1,1]" } else { expected };
            assert_eq!(outcome(&server, user, &ask).await, expected, "{number}");
            if expected == "full" || less {
                continue;
            }
            settle().await;
            // The session is as before.
            assert_eq!(conn(&server).id(), id, "{number}");
            if let Some(mut here) = here {
                here.say(r#"["add",{"a":1,"b":2},"1",4]"#).await;
                assert_eq!(here.hear_all().await.len(), 1, "{number}");
                drop(here);
                settle().await;
            }
            let again = json!({"session": told.session, "token": told.token, "seen": 1});
            assert_eq!(outcome(&server, "ann", &again).await, "full", "{number}");
            assert_eq!(conn(&server).id(), id, "{number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_of_sessions_to_those_who_do_not_ask() {
    let server = build(&Log::default()).build();
    for nothing in [json!(null), json!(false)] {
        let heard = outcome(&server, "ann", &nothing).await;
        assert!(heard.contains("~wse:welcome"), "{heard}");
    }
    let plain = crate::support::endpoints::server(&JsonArray).build();
    for anything in [json!(true), json!({"session": "a", "token": "b", "seen": -1}), json!([])] {
        let heard = outcome(&plain, "ann", &anything).await;
        assert!(heard.contains("~wse:welcome"), "{heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_count_ends_the_session_and_an_old_one_is_ignored() {
    let ends = ["4", "-1", "1.5", "\"2\"", "null", "[]", "9007199254740992"];
    for seen in ends {
        let log = Log::default();
        let server = build(&log).build();
        let (mut ann, told) = ann(&server).await;
        for fine in ["2", "1", "0", "3", "3"] {
            ann.say(&format!(r#"["~wse:seen",{fine},null]"#)).await;
        }
        assert!(ann.hear_all().await.is_empty());
        ann.say(&format!(r#"["~wse:seen",{seen},null]"#)).await;
        assert_eq!(ann.hear().await, VIOLATION, "{seen}");
        settle().await;
        let lines = log.lines();
        assert_eq!(lines[lines.len() - 2..], ["disconnected 1000", "left"], "{seen}");
        let again = json!({"session": told.session, "token": told.token, "seen": 3});
        assert_eq!(outcome(&server, "ann", &again).await, "none unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_valid_until_its_client_knows_the_next_one() {
    let log = Log::default();
    let server = build(&log).build();
    let (old, first) = ann(&server).await;
    drop(old);
    settle().await;
    let ask = |token: &str| json!({"session": first.session, "token": token, "seen": 3});
    // The welcome is lost twice.
    let mut lost = Vec::new();
    for _ in 0..2 {
        let mut raw = greeted(&server, "ann", &ask(&first.token)).await;
        let told = told(&mut raw).await.unwrap();
        assert_eq!(told.outcome, "full");
        assert_ne!(told.token, first.token);
        lost.push((raw, told));
    }
    // The first socket was taken over by the second.
    assert_eq!(lost[0].0.hear().await, "close 1000 wse.session-taken");
    assert_eq!(outcome(&server, "ann", &ask(&lost[0].1.token)).await, "none token");
    lost[1].0.say(r#"["~wse:seen",3,null]"#).await;
    settle().await;
    assert_eq!(outcome(&server, "ann", &ask(&first.token)).await, "none token");
    assert_eq!(outcome(&server, "ann", &ask(&lost[1].1.token)).await, "full");
    let disconnected = log.lines().iter().filter(|it| it.starts_with("disconnected")).count();
    assert_eq!(disconnected, 0, "{:?}", log.lines());
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_the_later_one_wins() {
    let log = Log::default();
    let server = build(&log).build();
    let (old, first) = ann(&server).await;
    let ask = json!({"session": first.session, "token": first.token, "seen": 3});
    let (mut one, mut two) =
        tokio::join!(greeted(&server, "ann", &ask), greeted(&server, "ann", &ask));
    let (told_one, told_two) = (told(&mut one).await, told(&mut two).await);
    assert_eq!(
        (told_one.unwrap().outcome, told_two.unwrap().outcome),
        ("full".into(), "full".into())
    );
    let (mut old, ended) = (old, "close 1000 wse.session-taken");
    assert_eq!(old.hear().await, ended);
    let (heard_one, heard_two) = (one.hear_all().await, two.hear_all().await);
    let taken = [&heard_one, &heard_two]
        .iter()
        .filter(|it| it.first().is_some_and(|it| it == ended))
        .count();
    assert_eq!(taken, 1, "{heard_one:?} {heard_two:?}");
    assert_eq!(server.connections().len(), 1);
    assert_eq!(log.lines(), ["joined", "connected", "resumed Full", "resumed Full"]);
}

/// A server that decides after 10 ms.
fn slow(log: &Log) -> ServerBuilder<JsonArray> {
    let builder = Server::builder(JsonArray).identify(|hello: Hello<String, Meta>| async move {
        tokio::time::sleep(ms(10)).await;
        let user = hello.identity.strip_prefix("secret of ").unwrap_or_default().to_owned();
        wse::Ok(Accept::user(user))
    });
    resumable(log, builder).heartbeat(None)
}

#[tokio::test(start_paused = true)]
async fn nothing_may_be_said_before_the_welcome_of_a_resume() {
    let server = slow(&Log::default()).build();
    let (old, first) = ann(&server).await;
    let id = conn(&server).id();
    let ask = json!({"session": first.session, "token": first.token, "seen": 3});
    for early in [r#"["note",{"text":"x"},null]"#, r#"["~wse:seen",3,null]"#] {
        let mut raw = greeted(&server, "ann", &ask).await;
        raw.say(early).await;
        assert_eq!(raw.hear().await, VIOLATION);
    }
    assert_eq!(conn(&server).id(), id);
    drop(old);
    settle().await;
    assert_eq!(outcome(&server, "ann", &ask).await, "full");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_dies_before_the_decision_takes_nothing_over() {
    let log = Log::default();
    let server = slow(&log).build();
    let (mut old, first) = ann(&server).await;
    let ask = json!({"session": first.session, "token": first.token, "seen": 3});
    for wait in 0..12 {
        let raw = greeted(&server, "ann", &ask).await;
        tokio::time::sleep(ms(wait)).await;
        drop(raw);
        settle().await;
    }
    tokio::time::sleep(ms(20)).await;
    // Those after the decision have taken it over, and lost it.
    assert_eq!(old.hear_all().await.first().unwrap(), "close 1000 wse.session-taken");
    assert_eq!(outcome(&server, "ann", &ask).await, "full");
    tokio::time::sleep(secs(11)).await;
    settle().await;
    assert_eq!(server.connections().len(), 0);
    let lines = log.lines();
    assert_eq!(lines[lines.len() - 2..], ["disconnected 1006", "left"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_meanwhile_is_not_waited_for() {
    let server = slow(&Log::default()).build();
    let (old, first) = ann(&server).await;
    let there = conn(&server);
    let ask = json!({"session": first.session, "token": first.token, "seen": 3});
    let mut raw = greeted(&server, "ann", &ask).await;
    tokio::time::sleep(ms(9)).await;
    there.close(Close::normal("bye".into()));
    let (told, took) = timed(told(&mut raw)).await;
    assert!(took < ms(10), "{took:?}");
    assert_eq!(told.unwrap().outcome, "none unknown");
    drop(old);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_what_it_has_seen_costs_little_memory() {
    let log = Log::default();
    let limits = ResumeLimits::default().window(secs(10)).ring_messages(100).total_bytes(64 << 10);
    let server = build(&log).resume(limits).build();
    let (mut mute, first) = ann(&server).await;
    let there: Conn<JsonArray> = conn(&server);
    for n in 3..2000 {
        there.send("note", &note(n.to_string())).unwrap();
        mute.hear().await;
    }
    drop(mute);
    settle().await;
    let ask = |seen: u64| json!({"session": first.session, "token": first.token, "seen": seen});
    let mut raw = greeted(&server, "ann", &ask(0)).await;
    assert_eq!(told(&mut raw).await.unwrap().outcome, "partial [1,1900]");
    assert_eq!(raw.hear_all().await.len(), 100);
    drop(raw);
    settle().await;
    // What is kept for all is limited too. Who is connected goes on.
    let mut bob = greeted(&server, "bob", &json!(true)).await;
    self::told(&mut bob).await.unwrap();
    let large = note("x".repeat(40_000));
    for _ in 0..2 {
        there.send("note", &large).unwrap();
        settle().await;
    }
    assert_eq!(outcome(&server, "ann", &ask(2000)).await, "none evicted");
    bob.say(r#"["add",{"a":1,"b":2},"1",4]"#).await;
    assert_eq!(bob.hear_all().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_dies_in_the_middle_of_the_handover_leaves_the_session_as_suspended() {
    let log = Log::default();
    let server = build(&log).build();
    let (old, first) = ann(&server).await;
    let ask = json!({"session": first.session, "token": first.token, "seen": 3});
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut accepting = Box::pin(server.clone().accept(far, None));
    let raw = async {
        let mut raw = Raw::upgrade(Box::new(near)).await;
        let hi = json!({"identity": "secret of ann", "meta": {}, "resume": ask});
        raw.say(&json!(["~wse:hi", hi, null, 1]).to_string()).await;
        raw
    };
    let raw = tokio::select! {
        raw = raw => raw,
        () = &mut accepting => unreachable!(),
    };
    // It asks for the connection, which is then under way to it when its task is dropped.
    assert!(futures::poll!(&mut accepting).is_pending());
    settle().await;
    drop(accepting);
    settle().await;
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1006"]);
    assert_eq!(outcome(&server, "ann", &ask).await, "full");
    drop((old, raw));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_protocol_ends_the_session() {
    use crate::panics::Flaky;
    for away in [true, false] {
        let log = Log::default();
        let events = log.clone();
        let server = Server::builder(Flaky)
            .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
            .resume(ResumeLimits::default().window(secs(10)))
            .max_handlers(1)
            .procedure("slow", |_, ()| async {
                tokio::time::sleep(ms(50)).await;
                wse::Ok(())
            })
            .on_event(move |event| {
                let text = format!("{event:?}");
                events.add(text.split(['(', ' ']).next().unwrap());
            })
            .build();
        let mut raw = Raw::stranger(&server).await;
        raw.say(r#"["~wse:hi",{"identity":"ann","resume":true},null,1]"#).await;
        let told: Value = serde_json::from_str(&raw.hear().await).unwrap();
        raw.hear().await;
        if away {
            // The second one waits for the first, and its answer cannot be packed.
            raw.say(r#"["slow",null,"1",4]"#).await;
            raw.say(r#"["nothing",null,"pack",4]"#).await;
            settle().await;
        } else {
            raw.say(r#"["unpack",null,null]"#).await;
        }
        drop(raw);
        tokio::time::sleep(ms(100)).await;
        let expected = match away {
            true => &["Joined", "Connected", "Suspended", "Error", "Disconnected", "Left"][..],
            false => &["Joined", "Connected", "Error", "Disconnected", "Left"][..],
        };
        assert_eq!(log.lines(), expected);
        let mut raw = Raw::stranger(&server).await;
        let ask = json!({"session": told[1]["session"], "token": told[1]["token"], "seen": 0});
        let hi = json!({"identity": "ann", "resume": ask});
        raw.say(&json!(["~wse:hi", hi, null, 1]).to_string()).await;
        let heard = raw.hear().await;
        assert!(heard.contains(r#""reason":"unknown""#), "{heard}");
    }
}
