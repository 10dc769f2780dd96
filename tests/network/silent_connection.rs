//! Real TCP over a link that goes silent: nothing is closed, only no byte comes through any more. In real time,
//! with upper bounds that are generous: what must happen is waited for, and how long it took is not looked at.

use std::fmt::Debug;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use crate::support::endpoints::{Note, ms, note, secs};
use futures::{Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use wse::{
    Accept, Backoff, CallError, Client, ClientBuilder, ClientEvent, Close, Conn, Fault, Heartbeat,
    Hello, LivenessState, ReceiptError, SendError, Server, ServerBuilder, ServerEvent, Status,
};
use wse_codecs::JsonArray;

/// Nobody is left alone for long.
const SHORT: Heartbeat = Heartbeat::fixed(ms(100), ms(400));

/// Late soon, dead only after a minute: for tests in which nobody is to die.
const PATIENT: Heartbeat = Heartbeat::fixed(ms(200), secs(60));

/// What must happen has happened by then, or never will.
const BOUND: Duration = secs(30);

#[track_caller]
fn bounded<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move { timeout(BOUND, future).await.unwrap_or_else(|_| panic!("{place}: it never happens")) }
}

/// What a direction of the relay does with bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flow {
    Pass,
    /// They stay where they are.
    Silent,
    /// A few KiB now and then.
    Slow,
}

/// A TCP proxy that can fall silent, in one direction or both, for connections old and new.
struct Relay {
    url: String,
    up: Arc<watch::Sender<Flow>>,
    down: Arc<watch::Sender<Flow>>,
}

impl Relay {
    async fn to(server: &Server<JsonArray>) -> Self {
        let far = server.local_addrs()[0];
        let (listener, url) = crate::support::sockets::listen().await;
        let [up, down] = [(); 2].map(|()| Arc::new(watch::Sender::new(Flow::Pass)));
        let flows = (Arc::clone(&up), Arc::clone(&down));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(far).await else { break };
                for io in [&near, &far] {
                    io.set_nodelay(true).unwrap();
                }
                let ((near_read, near_write), (far_read, far_write)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(carry(near_read, far_write, flows.0.subscribe()));
                tokio::spawn(carry(far_read, near_write, flows.1.subscribe()));
            }
        });
        Self { url, up, down }
    }

    fn set(&self, up: Flow, down: Flow) {
        self.up.send_replace(up);
        self.down.send_replace(down);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flow: watch::Receiver<Flow>) {
    let mut piece = vec![0; 8 * 1024];
    loop {
        let now = *flow.borrow_and_update();
        if now == Flow::Silent {
            if flow.changed().await.is_err() {
                return;
            }
            continue;
        }
        if now == Flow::Slow {
            sleep(ms(25)).await;
        }
        tokio::select! {
            biased;
            changed = flow.changed() => if changed.is_err() {
                return;
            },
            read = from.read(&mut piece) => match read {
                Ok(len @ 1..) => if to.write_all(&piece[..len]).await.is_err() {
                    return;
                },
                // The other half learns of it as over one wire.
                _ => return,
            },
        }
    }
}

fn server() -> ServerBuilder<JsonArray> {
    Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("add", |_, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
        .procedure("never", |_, (): ()| pending::<Result<(), Fault>>())
        .procedure("length", |_, note: Note| async move { wse::Ok(note.text.len()) })
}

async fn bind(server: ServerBuilder<JsonArray>) -> (Server<JsonArray>, Relay) {
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::to(&server).await;
    (server, relay)
}

fn client(relay: &Relay) -> ClientBuilder<JsonArray> {
    Client::builder(JsonArray, relay.url.clone())
        .identity("ann".to_owned())
        .procedure("never", |_, (): ()| pending::<Result<(), Fault>>())
        .procedure("length", |_, note: Note| async move { wse::Ok(note.text.len()) })
}

async fn add(client: &Client<JsonArray>) -> Result<i64, CallError> {
    client.call_within(Some(BOUND), "add", &(1, 2)).await
}

fn conn(server: &Server<JsonArray>) -> Conn<JsonArray> {
    server.user("ann").connections().pop().expect("ann is here")
}

/// Events up to the first that is wanted, which is the last.
async fn until<E: Debug>(
    events: &mut (impl Stream<Item = E> + Unpin),
    wanted: impl Fn(&E) -> bool,
) -> Vec<E> {
    let mut seen = Vec::new();
    let found = timeout(BOUND, async {
        while let Some(event) = events.next().await {
            let found = wanted(&event);
            seen.push(event);
            if found {
                return true;
            }
        }
        false
    });
    let found = found.await.unwrap_or(false);
    assert!(found, "it never happens: {seen:?}");
    seen
}

/// How the server's and the client's end of the connection end.
async fn ends(
    on_server: &mut (impl Stream<Item = ServerEvent<JsonArray>> + Unpin),
    on_client: &mut (impl Stream<Item = ClientEvent> + Unpin),
) -> [Close; 2] {
    let server = async {
        let seen = until(on_server, |it| matches!(it, ServerEvent::Left(..))).await;
        match &seen[seen.len() - 2..] {
            [ServerEvent::Disconnected(conn, close), ServerEvent::Left(user, left)] => {
                assert_eq!((conn.user_id(), user.as_str(), close), ("ann", "ann", left));
                assert!(!conn.is_ready());
                close.clone()
            }
            other => panic!("{other:?}"),
        }
    };
    let client = async {
        match until(on_client, |it| matches!(it, ClientEvent::Closed(_))).await.pop() {
            Some(ClientEvent::Closed(close)) => close,
            other => panic!("{other:?}"),
        }
    };
    let (server, client) = tokio::join!(server, client);
    [server, client]
}

/// Whether nothing is lost and all is as if there had been no silence.
async fn works(client: &Client<JsonArray>, server: &Server<JsonArray>) {
    assert_eq!(bounded(add(client)).await.unwrap(), 3);
    let length: usize = bounded(conn(server).call("length", &note("four"))).await.unwrap();
    assert_eq!(length, 4);
}

#[tokio::test]
async fn both_sides_notice_and_whatever_waits_fails_and_the_client_comes_back() {
    let (server, relay) = bind(server().heartbeat(SHORT)).await;
    let mut on_server = server.events();
    let client = client(&relay)
        .heartbeat(SHORT)
        .connect_timeout(secs(2))
        .reconnect(Backoff::default().base(ms(50)).cap(ms(50)))
        .build();
    let mut on_client = client.events();
    bounded(client.connect()).await.unwrap();
    works(&client, &server).await;
    let conn = conn(&server);

    relay.set(Flow::Silent, Flow::Silent);
    // As long as it takes: nothing but the end of the connection ends these.
    let (forever, hi) = (None, note("hi"));
    let waiting = async {
        tokio::join!(
            client.call_within::<_, ()>(forever, "never", &()),
            conn.call_within::<_, ()>(forever, "never", &()),
            client.send_acked_within(forever, "note", &hi),
            conn.send_acked_within(forever, "note", &hi),
        )
    };
    let ended = ends(&mut on_server, &mut on_client);
    let (waited, ended) = bounded(async { tokio::join!(waiting, ended) }).await;
    assert_eq!(ended, [Close::DEAD, Close::DEAD]);
    assert_eq!(Close::DEAD.to_string(), "1006 wse.heartbeat-timeout");
    let (by_client, by_server, from_client, from_server) = waited;
    for call in [by_client, by_server] {
        assert!(matches!(&call, Err(CallError::Disconnected(close)) if *close == Close::DEAD));
    }
    for receipt in [from_client, from_server] {
        assert!(matches!(&receipt, Err(ReceiptError::Closed(close)) if *close == Close::DEAD));
    }
    assert_eq!((server.counts().dead_peers, client.counts().dead_peers), (1, 1));
    assert!(matches!(conn.send("note", &note("hi")), Err(SendError::NotReady)));
    assert_eq!(server.connections().len(), 0);
    assert_eq!(client.status(), Status::Reconnecting);

    relay.set(Flow::Pass, Flow::Pass);
    until(&mut on_client, |it| matches!(it, ClientEvent::Ready(_))).await;
    until(&mut on_server, |it| matches!(it, ServerEvent::Connected(_))).await;
    works(&client, &server).await;
}

/// Calls that the peer has already begun to work on fail too, and at once: not when they would time out.
#[tokio::test]
async fn calls_that_have_arrived_fail_with_the_connection() {
    let (server, relay) = bind(server().heartbeat(SHORT)).await;
    let client = client(&relay).heartbeat(SHORT).connect().await.unwrap();
    let conn = conn(&server);
    let forever = wse::CallOptions::default().timeout(None);
    let mut by_client = client.call_acked::<_, ()>(forever, "never", &()).unwrap();
    let mut by_server = conn.call_acked::<_, ()>(forever, "never", &()).unwrap();
    bounded(by_client.receipt()).await.unwrap();
    bounded(by_server.receipt()).await.unwrap();

    relay.set(Flow::Silent, Flow::Silent);
    for call in [&mut by_client, &mut by_server] {
        let error = bounded(call.result()).await.unwrap_err();
        assert!(matches!(&error, CallError::Disconnected(close) if *close == Close::DEAD));
        assert_eq!(call.status_code(&error).await, Some("1.1"));
    }
    // It was not asked to come back.
    assert_eq!(bounded(client.closed()).await, Some(Close::DEAD));
    assert_eq!(client.status(), Status::Offline);
}

#[tokio::test]
async fn a_short_silence_makes_late_and_then_live() {
    let (server, relay) = bind(server().heartbeat(PATIENT)).await;
    let mut on_server = server.events();
    let client = client(&relay).heartbeat(PATIENT).build();
    let mut on_client = client.events();
    bounded(client.connect()).await.unwrap();
    until(&mut on_server, |it| matches!(it, ServerEvent::Connected(_))).await;
    let conn = conn(&server);

    for _ in 0..2 {
        relay.set(Flow::Silent, Flow::Silent);
        until(&mut on_server, |it| matches!(it, ServerEvent::Late(_))).await;
        until(&mut on_client, |it| matches!(it, ClientEvent::Late)).await;
        let states = [conn.liveness(), client.liveness()].map(|it| it.unwrap().state);
        assert_eq!(states, [LivenessState::Late; 2]);
        // What is said meanwhile is not lost.
        let call = tokio::spawn({
            let client = client.clone();
            async move { add(&client).await }
        });
        relay.set(Flow::Pass, Flow::Pass);
        let seen = until(&mut on_server, |it| matches!(it, ServerEvent::Live(_))).await;
        assert!(!seen.iter().any(|it| matches!(it, ServerEvent::Disconnected(..))), "{seen:?}");
        let seen = until(&mut on_client, |it| matches!(it, ClientEvent::Live)).await;
        assert!(!seen.iter().any(|it| matches!(it, ClientEvent::Closed(_))), "{seen:?}");
        assert_eq!(bounded(call).await.unwrap().unwrap(), 3);
    }
    // Still the same connection.
    assert!(conn.is_ready());
    works(&client, &server).await;
}

/// Who hears nothing ends it. The other, whose words go nowhere, hears all the while, until the end.
#[tokio::test]
async fn a_link_that_is_silent_in_one_direction_ends_too() {
    for (up, down) in [(Flow::Silent, Flow::Pass), (Flow::Pass, Flow::Silent)] {
        let (server, relay) = bind(server().heartbeat(SHORT)).await;
        let mut on_server = server.events();
        let client = client(&relay).heartbeat(SHORT).build();
        let mut on_client = client.events();
        bounded(client.connect()).await.unwrap();
        works(&client, &server).await;
        relay.set(up, down);
        let call = client.call_within::<_, ()>(None, "never", &());
        let ended = ends(&mut on_server, &mut on_client);
        let (call, [by_server, by_client]) = bounded(async { tokio::join!(call, ended) }).await;
        let (deaf, other) =
            if up == Flow::Silent { (&by_server, &by_client) } else { (&by_client, &by_server) };
        assert_eq!(*deaf, Close::DEAD, "{up:?}");
        assert_eq!(other.code, 1006, "{up:?}");
        assert!(matches!(&call, Err(CallError::Disconnected(close)) if *close == by_client));
    }
}

/// It is on its way for much longer than anybody may be silent, and so is the pong behind it.
#[tokio::test]
async fn a_large_message_that_passes_slowly_is_no_silence() {
    let limit = secs(1);
    // Pings and pongs pile up behind the message, and come at once: no more than `ControlRate` allows.
    let heartbeat = Heartbeat::fixed(ms(500), limit);
    let large = note("x".repeat(900 * 1024));
    let forever = None;
    // Whose heartbeats there are: of both, or only of the one who listens.
    for (of_server, of_client) in [(true, true), (true, false), (false, true)] {
        let watches = |it: bool| it.then_some(heartbeat);
        let (server, relay) = bind(server().heartbeat(watches(of_server))).await;
        let client = client(&relay).heartbeat(watches(of_client)).connect().await.unwrap();
        let conn = conn(&server);
        if of_server {
            relay.set(Flow::Slow, Flow::Pass);
            let begun = Instant::now();
            let call = client.call_within::<_, usize>(forever, "length", &large);
            assert_eq!(bounded(call).await.unwrap(), large.text.len());
            assert!(begun.elapsed() > limit, "it was not slow");
        }
        if of_client {
            relay.set(Flow::Pass, Flow::Slow);
            let begun = Instant::now();
            let call = conn.call_within::<_, usize>(forever, "length", &large);
            assert_eq!(bounded(call).await.unwrap(), large.text.len());
            assert!(begun.elapsed() > limit, "it was not slow");
        }
        relay.set(Flow::Pass, Flow::Pass);
        // Nobody has gone and come back.
        assert!(conn.is_ready());
        works(&client, &server).await;
        assert_eq!((server.counts().dead_peers, client.counts().dead_peers), (0, 0));
    }
}

#[tokio::test]
async fn without_heartbeats_nobody_notices() {
    let (server, relay) = bind(server().heartbeat(None)).await;
    let mut on_server = server.events();
    let client = client(&relay).heartbeat(None).build();
    let mut on_client = client.events();
    bounded(client.connect()).await.unwrap();
    until(&mut on_server, |it| matches!(it, ServerEvent::Connected(_))).await;
    until(&mut on_client, |it| matches!(it, ClientEvent::Ready(_))).await;
    let conn = conn(&server);
    assert_eq!((conn.liveness(), client.liveness()), (None, None));

    relay.set(Flow::Silent, Flow::Silent);
    let call = tokio::spawn({
        let client = client.clone();
        async move { add(&client).await }
    });
    let (noticed, heard) =
        tokio::join!(timeout(secs(1), on_server.next()), timeout(secs(1), on_client.next()),);
    assert!(noticed.is_err() && heard.is_err(), "{noticed:?} {heard:?}");
    assert!(conn.is_ready() && !call.is_finished());
    assert_eq!(client.status(), Status::Ready);

    relay.set(Flow::Pass, Flow::Pass);
    assert_eq!(bounded(call).await.unwrap().unwrap(), 3);
    works(&client, &server).await;
}
