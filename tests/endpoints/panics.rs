//! Panics of application code: each is an error event with a name, and harms no other connection.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use futures::StreamExt;
use wse::{Accept, Client, ClientEvent, ErrorCode, ErrorEvent, Hello, Server, ServerEvent, memory};
use wse_codecs::{JsonArray, JsonFormat};
use wse_proto::{CodecError, Envelope, Head, Packed, Protocol, ProtocolInfo};

use crate::support::endpoints::{Log, Raw, secs, settle};

/// The JSON array, with panics at messages of some names.
#[derive(Clone, Debug)]
pub struct Flaky;

impl Protocol for Flaky {
    type Format = JsonFormat;

    fn info(&self) -> ProtocolInfo {
        JsonArray.info()
    }

    fn format(&self) -> &JsonFormat {
        &JsonFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        if let Head::Fault { stamp, .. } = head {
            assert_ne!(stamp.to_text(), "pack", "packs no such stamp");
        }
        JsonArray.pack(head, payload, out);
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let envelope = JsonArray.unpack(message)?;
        if let Head::Message { name, .. } | Head::Call { name, .. } = &envelope.head {
            assert_ne!(*name, "unpack", "reads no such\nname");
        }
        Ok(envelope)
    }
}

/// Panics when it is dropped.
struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

fn line(ErrorEvent { conn, name, code, message, .. }: &ErrorEvent<Flaky>) -> String {
    let user = conn.as_ref().map_or("nobody", |conn| conn.user_id());
    assert_eq!(*code, ErrorCode::Failed);
    format!("{user} {} {message}", name.as_deref().unwrap_or("-"))
}

fn server(log: &Log) -> Server<Flaky> {
    let log = log.clone();
    Server::builder(Flaky)
        .identify(|hello: Hello<String>| async move {
            wse::Ok(Accept::user(hello.identity.trim_start_matches("secret of ").to_owned()))
        })
        .on("panics", |_, ()| async { as_told() })
        .on("panics early", |_, _: i64| {
            assert_eq!(1, 2, "at once");
            async {}
        })
        .on("panics late", |_, ()| async {
            tokio::time::sleep(secs(1)).await;
            as_told()
        })
        .on("drops", |_, ()| drop_later(Dropped))
        .procedure("panics", |_, ()| async { panic!("as told") as Result<(), wse::BoxError> })
        .procedure("drops", |_, ()| {
            let dropped = Dropped;
            std::future::poll_fn(move |_| {
                let _ = &dropped;
                std::task::Poll::Ready(wse::Ok(7))
            })
        })
        .procedure("add", |_, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
        .on_error(move |error| log.add(line(error)))
        .build()
}

fn as_told() {
    panic!("as told");
}

/// Ends first, and drops then.
fn drop_later(dropped: Dropped) -> impl Future<Output = ()> {
    std::future::poll_fn(move |_| {
        let _ = &dropped;
        std::task::Poll::Ready(())
    })
}

async fn adds(client: &Client<Flaky>) -> i64 {
    client.call("add", &(1, 2)).await.unwrap()
}

fn client(server: &Server<Flaky>, user: &str) -> wse::ClientBuilder<Flaky> {
    Client::builder(Flaky, memory::URL)
        .connector(memory::connector(server))
        .identity(user.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_panics_costs_one_connection() {
    let log = Log::default();
    let server = server(&log);
    let mut events = server.events();
    let bob = client(&server, "bob").connect().await.unwrap();
    let name = Flaky.info().name();
    for said in [r#"["unpack"]"#, r#"["unpack",1,"s"]"#, r#"["panics",1,"pack"]"#] {
        let mut raw = Raw::user_of(&server, "ann").await;
        raw.say(said).await;
        assert_eq!(raw.hear().await, "close 1011 internal error", "{said}");
        assert_eq!(raw.hear().await, "end");
        settle().await;
        let what =
            if said.contains("unpack") { r"reads no such\nname" } else { "packs no such stamp" };
        let told = log.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("ann {name} the protocol `{name}` panicked: ")));
        assert!(told[0].contains(what), "{told:?}");
        assert!(!server.user("ann").is_connected());
        assert_eq!(adds(&bob).await, 3);
    }
    // Before the welcome.
    let mut raw = Raw::stranger(&server).await;
    raw.say(r#"["unpack"]"#).await;
    assert_eq!(raw.hear_all().await, ["close 1011 internal error", "end"]);
    settle().await;
    assert!(log.take()[0].starts_with(&format!("nobody {name} the protocol")));
    assert_eq!(server.counts().refused_greetings, 1);
    assert_eq!(adds(&bob).await, 3);
    assert!(server.shutdown(secs(5)).await);
    let mut errors = 0;
    while let Some(event) = events.next().await {
        errors += usize::from(matches!(event, ServerEvent::Error(_)));
    }
    assert_eq!(errors, 4);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_or_whose_drop_panics_is_named() {
    let log = Log::default();
    let server = server(&log);
    let mut raw = Raw::user_of(&server, "ann").await;
    for (said, name, message) in [
        (r#"["panics"]"#, "panics", "the handler panicked"),
        (r#"["panics early",1]"#, "panics early", "the handler panicked"),
        (r#"["panics late"]"#, "panics late", "the handler panicked"),
        (r#"["drops"]"#, "drops", "the handler panicked"),
    ] {
        raw.say(said).await;
        tokio::time::sleep(secs(2)).await;
        assert_eq!(log.take(), [format!("ann {name} {message}")]);
    }
    raw.say(r#"["drops",null,"s"]"#).await;
    assert_eq!(raw.hear().await, r#"["~wse:response",7,"s"]"#);
    assert_eq!(log.take(), ["ann drops the handler panicked while it was dropped"]);
    raw.say(r#"["panics",null,"s"]"#).await;
    assert!(raw.hear().await.contains("internal error, id"));
    assert_eq!(log.take(), ["ann panics the handler panicked"]);
    raw.say(r#"["add",[1,2],"s"]"#).await;
    assert_eq!(raw.hear().await, r#"["~wse:response",3,"s"]"#);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_is_an_error_event_with_the_name_of_its_hook() {
    let log = Log::default();
    let told = log.clone();
    let server = Server::builder(Flaky)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .on_joined(|_| panic!("one"))
        .on_connected(|_| panic!("two"))
        .on_disconnected(|_, _| panic!("three"))
        .on_left(|_, _| panic!("four\u{1b}"))
        .on_refused(|_| panic!("five"))
        // Two that always panic do not go on without end.
        .on_error(|_| panic!("six"))
        .on_error(|_| panic!("seven"))
        .on_error(move |error| told.add(line(error)))
        .build();
    let mut events = server.events();
    let ann = client(&server, "ann").connect().await.unwrap();
    ann.close();
    ann.closed().await;
    settle().await;
    let expected = [
        "ann on_joined `on_joined` panicked: one",
        "ann on_connected `on_connected` panicked: two",
        "ann on_disconnected `on_disconnected` panicked: three",
        r"nobody on_left `on_left` panicked: four\u{1b}",
    ];
    assert_eq!(log.take(), expected);
    let mut raw = Raw::stranger(&server).await;
    raw.say("x").await;
    raw.hear_all().await;
    settle().await;
    let told = log.take();
    assert!(told.contains(&"nobody on_refused `on_refused` panicked: five".to_owned()), "{told:?}");
    assert!(told.contains(&"nobody on_error `on_error` panicked: six".to_owned()), "{told:?}");
    server.shutdown(secs(5)).await;
    let mut names = Vec::new();
    while let Some(event) = events.next().await {
        if let ServerEvent::Error(ErrorEvent { name: Some(name), .. }) = event {
            names.push(name.to_string());
        }
    }
    assert_eq!(names[..3], ["on_joined", "on_connected", "on_disconnected"]);
    assert!(names.iter().any(|it| it == "on_left") && names.iter().any(|it| it == "on_refused"));
}

#[tokio::test(start_paused = true)]
async fn a_client_reports_the_panics_of_its_protocol_and_callbacks() {
    let server = server(&Log::default());
    let errors = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&errors);
    let ann = client(&server, "ann")
        .on_closed(|_| panic!("closed"))
        .on_error(move |event| {
            if let ClientEvent::Error { name: Some(name), message, .. } = event {
                told.lock().unwrap().push(format!("{name} {message}"));
            }
        })
        .connect()
        .await
        .unwrap();
    server.user("ann").send("unpack", &()).unwrap();
    settle().await;
    let name = Flaky.info().name();
    let errors = errors.lock().unwrap().clone();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with(&format!("{name} the protocol `{name}` panicked: ")));
    assert_eq!(errors[1], "on_closed `on_closed` panicked: closed");
    assert_eq!(ann.closed().await.unwrap().to_string(), "1011 internal error");
}
