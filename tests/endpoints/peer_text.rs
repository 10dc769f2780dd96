//! What a peer wrote is shortened and escaped wherever it reaches a log, an error text, a fault or an event.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tracing::Level;
use wse::{
    CallError, Client, ClientEvent, Close, ErrorEvent, Fault, Server, ServerBuilder, ServerEvent,
    memory,
};
use wse_codecs::{Cbor, JsonArray, JsonRpc, MessagePack};
use wse_proto::{Negotiate, Speaks};

use crate::support::endpoints::{Log, Raw, dialled, json_client, server, settle, within};
use crate::support::log::Lines;

/// Longer than any text that this library makes of what a peer wrote.
const MOST: usize = 2500;

const HUGE: usize = 900_000;

/// A text that clears a terminal, forges a line of the log, and turns the direction of writing.
const HOSTILE: &str = "no\u{1b}[2J\r\n2026-11-27 ERROR forged\u{202e}\u{9b}31m";

#[derive(Debug, Serialize, Deserialize)]
enum Color {
    Red,
    Blue,
}

#[track_caller]
fn harmless(text: &str) {
    let start: String = text.chars().take(200).collect();
    assert!(text.len() < MOST, "{} bytes: {start}", text.len());
    assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{start:?}");
}

/// An error and all its causes, as an application prints them.
#[track_caller]
fn harmless_error(error: &(dyn Error + 'static)) {
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        harmless(&error.to_string());
    }
}

/// Writes down the errors of a server.
fn watched<P: Negotiate>(builder: ServerBuilder<P>, log: &Log) -> ServerBuilder<P> {
    let log = log.clone();
    builder.on_error(move |ErrorEvent { name, message, code, .. }| {
        log.add(name.as_deref().unwrap_or_default());
        log.add(message);
        log.add(code.to_string());
        log.add(format!("{name:?} {code:?}"));
    })
}

async fn an_unknown_name_of_an_enum<P>(protocol: P)
where
    P: Speaks<Color> + Speaks<String> + Speaks<()> + fmt::Debug,
{
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let server = Server::builder(protocol.clone())
        .identify(
            |hello: wse::Hello<String>| async move { wse::Ok(wse::Accept::user(hello.identity)) },
        )
        .on("paint", |_, _: Color| async {})
        .procedure("paint", |_, color: Color| async move { wse::Ok(format!("{color:?}")) })
        .procedure("name", |_, name: String| async move { wse::Ok(name) });
    let server = watched(server, &log).build();
    let ann = Client::builder(protocol, memory::URL)
        .connector(memory::connector(&server))
        .identity("ann".to_owned())
        .connect()
        .await
        .unwrap();
    for name in ["A".repeat(HUGE), HOSTILE.to_owned(), HOSTILE.repeat(8000)] {
        let failed = ann.call::<_, String>("paint", &name).await.unwrap_err();
        let CallError::Fault(fault) = &failed else { panic!("{failed:?}") };
        harmless(fault.message.as_deref().unwrap());
        harmless_error(&failed);
        ann.send("paint", &name).unwrap();
        settle().await;
        // The other way round: what the server answers is no `Color`.
        let failed = ann.call::<_, Color>("name", &name).await.unwrap_err();
        assert!(matches!(failed, CallError::Decode(_)), "{failed:?}");
        harmless_error(&failed);
        assert!(format!("{failed:?}").len() < 2 * MOST);
    }
    settle().await;
    let told = log.lines();
    assert_eq!(told.len(), 4 * 6);
    told.iter().for_each(|it| harmless(it));
    let lines = lines.take();
    assert!(lines.len() >= 6, "{lines:?}");
    lines.iter().for_each(|it| harmless(it));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_of_an_enum_over_json() {
    within(an_unknown_name_of_an_enum(JsonArray)).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_of_an_enum_over_cbor() {
    within(an_unknown_name_of_an_enum(Cbor)).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_of_an_enum_over_msgpack() {
    within(an_unknown_name_of_an_enum(MessagePack)).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_a_peer_makes_up() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let server = watched(server(&JsonArray), &log).build();
    let mut raw = Raw::user(&server, "ann").await;
    let names = ["A".repeat(HUGE), HOSTILE.to_owned()];
    for name in &names {
        let name = serde_json::to_string(name).unwrap();
        raw.say(&format!("[{name}]")).await;
        raw.say(&format!(r#"[{name},null,"s"]"#)).await;
        harmless(&raw.hear().await);
    }
    server
        .unhandled(|_, message| async move { Err::<(), _>(format!("what is {}?", message.name)) });
    for name in &names {
        let name = serde_json::to_string(name).unwrap();
        raw.say(&format!("[{name}]")).await;
    }
    settle().await;
    assert_eq!(log.lines().len(), 4 * 2);
    log.lines().iter().for_each(|it| harmless(it));
    let lines = lines.take();
    assert!(lines.len() >= 6, "{lines:?}");
    lines.iter().for_each(|it| harmless(it));
}

#[tokio::test(start_paused = true)]
async fn reasons_of_a_close_frame() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let (told, seen) = (log.clone(), log.clone());
    let server = server(&JsonArray)
        .on_left(move |user, close| told.add(format!("{user} left: {close}")))
        .on_event(move |event| seen.add(format!("{event:?}")))
        .build();
    let mut raw = Raw::user(&server, "ann").await;
    raw.close(4000, HOSTILE).await;
    raw.hear_all().await;
    settle().await;
    assert!(log.lines().iter().any(|it| it.contains(r"ann left: 4000 no\u{1b}[2J\r\n2026")));
    log.lines().iter().for_each(|it| harmless(it));
    lines.take().iter().for_each(|it| harmless(it));

    // The peer of a client: its pending call says why it has no result.
    let (dial, mut arrivals) = dialled();
    let client = json_client(dial).build();
    let (connected, mut raw) = tokio::join!(client.connect(), arrivals.welcomed());
    connected.unwrap();
    let call = client.call::<_, ()>("x", &());
    let close = async {
        raw.hear().await;
        raw.close(4000, HOSTILE).await;
    };
    let (failed, ()) = tokio::join!(call, close);
    let failed = failed.unwrap_err();
    assert!(failed.to_string().contains(r"no\u{1b}[2J\r\n"), "{failed}");
    harmless_error(&failed);
    // The text itself is not changed.
    let CallError::Disconnected(close) = failed else { panic!("{failed:?}") };
    assert_eq!(close, Close::new(4000, HOSTILE));
}

#[tokio::test(start_paused = true)]
async fn faults() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let server = watched(server(&JsonArray), &log).build();
    let mut raw = Raw::user(&server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    for text in [HOSTILE.to_owned(), "A".repeat(HUGE / 2)] {
        let fault = serde_json::json!({ "code": text, "message": text });
        let call = conn.call::<_, ()>("x", &());
        let answer = async {
            let heard: serde_json::Value = serde_json::from_str(&raw.hear().await).unwrap();
            raw.say(&format!(r#"["~wse:response-err",{fault},{}]"#, heard[2])).await;
        };
        let (failed, ()) = tokio::join!(call, answer);
        let failed = failed.unwrap_err();
        let CallError::Fault(fault) = &failed else { panic!("{failed:?}") };
        // The data is complete, and the text of the error is an excerpt.
        assert_eq!(fault.message.as_deref(), Some(&*text));
        harmless_error(&failed);
    }
    settle().await;
    log.lines().iter().for_each(|it| harmless(it));
    lines.take().iter().for_each(|it| harmless(it));
}

#[tokio::test(start_paused = true)]
async fn error_reports() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let server = Server::builder(JsonRpc::default())
        .identify(|_: wse::Hello<()>| async move { wse::Ok(wse::Accept::user("ann")) });
    let server = watched(server, &log).build();
    let (mut near, far) = tokio::io::duplex(1 << 20);
    tokio::spawn(server.clone().serve_framed(far, None));
    for text in [HOSTILE.to_owned(), "A".repeat(HUGE)] {
        let error = serde_json::json!({ "code": -32000, "message": text });
        let report = serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error });
        near.write_all(format!("{report}\n").as_bytes()).await.unwrap();
        settle().await;
    }
    assert_eq!(server.counts().error_reports, 2);
    assert_eq!(log.lines().len(), 4 * 2);
    assert!(log.lines()[1].contains(r"no\u{1b}[2J\r\n"), "{:?}", log.lines());
    log.lines().iter().for_each(|it| harmless(it));
    lines.take().iter().for_each(|it| harmless(it));
}

/// An application repeats what it got. Its own faults reach the peer as they are.
#[tokio::test(start_paused = true)]
async fn errors_of_an_application_that_repeat_what_it_got() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let server = server(&JsonArray)
        .expose_errors(true)
        .procedure(
            "fails",
            |_, room: String| async move { Err::<(), _>(format!("no room {room}")) },
        )
        .procedure("faults", |_, room: String| async move {
            Err::<(), _>(Fault::failed(format!("no room {room}")))
        });
    let server = watched(server, &log).build();
    let mut raw = Raw::user(&server, "ann").await;
    for room in [HOSTILE.to_owned(), "A".repeat(HUGE)] {
        let json = serde_json::to_string(&room).unwrap();
        raw.say(&format!(r#"["fails",{json},"s"]"#)).await;
        harmless(&raw.hear().await);
        raw.say(&format!(r#"["faults",{json},"s"]"#)).await;
        assert!(raw.hear().await.contains(&json[1..json.len() - 1]));
    }
    settle().await;
    assert_eq!(log.lines().len(), 4 * 4);
    log.lines().iter().for_each(|it| harmless(it));
    lines.take().iter().for_each(|it| harmless(it));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_writes_to_a_client() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let told = log.clone();
    let (dial, mut arrivals) = dialled();
    let client = json_client(dial)
        .on_event(move |event| match event {
            ClientEvent::Error { message, .. } => told.add(message),
            ClientEvent::Closed(close) => told.add(close.to_string()),
            _ => {}
        })
        .build();
    let (connected, mut raw) = tokio::join!(client.connect(), arrivals.welcomed());
    connected.unwrap();
    raw.close(4000, HOSTILE).await;
    settle().await;
    assert_eq!(log.lines().len(), 1);
    log.lines().iter().for_each(|it| harmless(it));
    lines.take().iter().for_each(|it| harmless(it));

    // A refusal before the welcome, with the same text.
    let (dial, mut arrivals) = dialled();
    let refused = json_client(dial).build();
    let refuse = async {
        let (mut raw, _) = arrivals.greeted().await;
        raw.close(4000, HOSTILE).await;
        raw
    };
    let (outcome, _raw) = tokio::join!(refused.connect(), refuse);
    harmless_error(&outcome.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn identities_and_causes_of_refusals() {
    let (lines, _guard) = Lines::up_to(Level::TRACE);
    let log = Log::default();
    let told = log.clone();
    let server = Server::builder(JsonArray)
        .identify(|hello: wse::Hello<String>| async move {
            match hello.identity.strip_prefix("user ") {
                Some(user) => Ok(wse::Accept::user(user)),
                None => Err(wse::Refuse::because(format!("no user {}", hello.identity))),
            }
        })
        .max_unauthenticated_message(1 << 20)
        .on_event(move |event| {
            told.add(format!("{event:?}"));
            if let ServerEvent::Refused(refused) = event {
                told.add(refused.to_string());
            }
        })
        .build();
    for text in [HOSTILE.to_owned(), "A".repeat(HUGE)] {
        for identity in [text.clone(), format!("user {text}")] {
            let mut raw = Raw::stranger(&server).await;
            let hi = serde_json::json!(["~wse:hi", { "identity": identity }]);
            raw.say(&hi.to_string()).await;
            raw.hear().await;
            drop(raw);
            settle().await;
        }
    }
    settle().await;
    assert_eq!(log.lines().len(), 2 * (2 + 4));
    log.lines().iter().for_each(|it| harmless(it));
    lines.take().iter().for_each(|it| harmless(it));
    let refuse = wse::Refuse::because(HOSTILE.repeat(1000));
    harmless(&refuse.to_string());
}
