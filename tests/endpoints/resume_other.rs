//! Clients that come back to another session than before, or over another protocol.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use serde_json::json;
use wse::{
    Accept, Cbor, Client, ClientEvent, Connector, Hello, JsonArray, NotResumed, Server, Transport,
    memory,
};
use wse_proto::Negotiated;

use crate::resume::{Cable, conn, quick, resumable};
use crate::resume_hostile::{ann, build, outcome};
use crate::support::endpoints::*;
use crate::support::framed::Lines;

#[tokio::test(start_paused = true)]
async fn a_session_of_a_websocket_does_not_go_on_over_lines() {
    let server = build(&Log::default()).build();
    let (old, told) = ann(&server).await;
    let ask = json!({"session": told.session, "token": told.token, "seen": 3});
    let mut lines = Lines::to(&server);
    let hi = json!({"identity": "secret of ann", "meta": {}, "resume": ask});
    lines.say(&json!(["~wse:hi", hi, null, 1]).to_string()).await;
    let heard = lines.hear().await;
    assert!(heard.contains(r#""reason":"protocol""#), "{heard}");
    drop(old);
    settle().await;
    assert_eq!(outcome(&server, "ann", &ask).await, "full", "the session is as before");
}

/// Connects to the first server until it is told to go to the second one.
struct Moved<C>(C, Arc<AtomicBool>, Server<Cbor>);

#[async_trait]
impl<C: Connector> Connector for Moved<C> {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        match self.1.load(Ordering::Relaxed) {
            true => memory::connector(&self.2).connect(host, port).await,
            false => self.0.connect(host, port).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_begins_a_new_session_when_the_next_server_speaks_another_protocol() {
    let old = resumable(&Log::default(), server(&JsonArray)).build();
    let new = resumable(&Log::default(), server(&Cbor)).build();
    let (cable, moved, log) = (Cable::new(&old), Arc::<AtomicBool>::default(), Log::default());
    let events = log.clone();
    let ann = Client::builder(Negotiated::new((JsonArray, Cbor)), memory::URL)
        .connector(Moved(cable.clone(), Arc::clone(&moved), new.clone()))
        .identity("secret of ann".to_owned())
        .reconnect(quick())
        .on_event(move |event| match event {
            ClientEvent::Retrying { .. } => {}
            event => events.add(format!("{event:?}").split(['(', ' ']).next().unwrap()),
        })
        .connect()
        .await
        .unwrap();
    moved.store(true, Ordering::Relaxed);
    cable.cut();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(log.lines(), ["Ready", "Suspended", "Closed", "Ready"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert!(new.user("ann").is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_server_knows_why_a_client_has_a_new_session() {
    let server = build(&Log::default()).connections_per_user(1).build();
    let (old, first) = ann(&server).await;
    assert_eq!(conn(&server).not_resumed(), None);
    drop(old);
    settle().await;
    // It has no place beside this one.
    let (_new, second) = ann(&server).await;
    let ask = json!({"session": first.session, "token": first.token, "seen": 3});
    assert_eq!(outcome(&server, "ann", &ask).await, "none evicted");
    assert_eq!(conn(&server).not_resumed(), Some(&NotResumed::Evicted));
    // That one has lost its place by now. It was connected then.
    let ask = json!({"session": second.session, "token": second.token, "seen": 3});
    assert_eq!(outcome(&server, "ann", &ask).await, "none evicted");
    let ask = json!({"session": "guess", "token": second.token, "seen": 3});
    assert_eq!(outcome(&server, "ann", &ask).await, "none unknown");
    assert_eq!(conn(&server).not_resumed(), Some(&NotResumed::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_come_back_has_the_welcome_of_its_last_greeting() {
    let greetings = AtomicI64::new(0);
    let builder = Server::builder(JsonArray).identify(move |_: Hello<String>| {
        let n = greetings.fetch_add(1, Ordering::Relaxed);
        async move { wse::Ok(Accept::user("ann").welcome(n)) }
    });
    let log = Log::default();
    let server = resumable(&log, builder).build();
    let cable = Cable::new(&server);
    let ann = client(&JsonArray, &server, "ann").connector(cable.clone()).reconnect(quick());
    let ann = ann.connect().await.unwrap();
    assert_eq!(ann.welcome::<i64>().unwrap(), 0);
    cable.cut();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(log.lines().last().unwrap(), "resumed Full");
    assert_eq!(ann.welcome::<i64>().unwrap(), 1);
}
