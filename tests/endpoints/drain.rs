//! Servers that drain: their clients go to another server, not all at once, and calls in flight are answered.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::time::Instant;
use wse::{
    Client, ClientBuilder, ClientEvent, Connector, Drain, JsonArray, ResumeLimits, Server,
    ServerBuilder, ServerEvent, Status, Transport, memory,
};
use wse_proto::Negotiate;
use wse_transport::handshake::{ClientRequest, HeadLimits, read_response, write_request};
use wse_transport::ws;

use super::resume::{Cable, quick};
use crate::support::endpoints::*;

crate::over_every_protocol! {
    clients_go_to_another_server_at_random_times
    a_client_goes_when_its_calls_are_answered
    at_the_end_the_rest_is_closed
    clients_that_cannot_resume_are_closed_at_random_times
    clients_without_a_session_come_back_at_once_too
    what_a_client_has_called_is_answered_before_it_is_closed
    new_connections_are_refused
    a_suspended_connection_ends_at_once
    the_drain_of_an_empty_server_is_over_at_once
    a_shutdown_ends_a_drain
}

/// From the tenth second to the thirtieth.
fn drain() -> Drain {
    Drain::default().after(secs(10)).spread(secs(20))
}

/// A server that notes when its connections end, and how.
fn draining<P: Talk>(protocol: &P, log: &Log) -> ServerBuilder<P> {
    let (log, start) = (log.clone(), Instant::now());
    server(protocol)
        .connections_per_user(100)
        .resume(ResumeLimits::default())
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(secs(n as u64)).await;
            wse::Ok(n)
        })
        .on_event(move |event| {
            let second = start.elapsed().as_secs();
            match event {
                ServerEvent::Disconnected(_, close) => log.add(format!("{second} {close}")),
                ServerEvent::Suspended(..) => log.add(format!("{second} suspended")),
                _ => {}
            }
        })
}

/// Connects to the server that is there now, as a load balancer does.
struct Balancer<P: Negotiate>(Arc<Mutex<Server<P>>>);

impl<P: Negotiate> Balancer<P> {
    fn new(server: &Server<P>) -> Self {
        Self(Arc::new(Mutex::new(server.clone())))
    }

    fn switch(&self, server: &Server<P>) {
        *self.0.lock().unwrap() = server.clone();
    }

    fn client(&self, protocol: &P) -> ClientBuilder<P>
    where
        P: Talk,
    {
        let server = self.0.lock().unwrap().clone();
        client(protocol, &server, "ann").connector(Self(Arc::clone(&self.0))).reconnect(quick())
    }
}

#[async_trait]
impl<P: Negotiate> Connector for Balancer<P> {
    async fn connect(&self, host: &str, port: u16) -> std::io::Result<Box<dyn Transport>> {
        let connector = memory::connector(&self.0.lock().unwrap());
        connector.connect(host, port).await
    }
}

fn noted<P: Talk>(builder: ClientBuilder<P>, log: &Log) -> ClientBuilder<P> {
    let log = log.clone();
    builder.on_event(move |event| match event {
        ClientEvent::Ready(_) => log.add("ready"),
        ClientEvent::Suspended(close) => log.add(format!("suspended {close}")),
        ClientEvent::Resumed(how) => log.add(format!("resumed {how:?}")),
        ClientEvent::Closed(close) => log.add(format!("closed {close}")),
        ClientEvent::Retrying { .. } => log.add("retrying"),
        _ => {}
    })
}

/// The seconds and the closes of a server's log.
fn ends(log: &Log) -> Vec<(u64, String)> {
    let split = |line: String| {
        let (second, close) = line.split_once(' ').unwrap();
        (second.parse().unwrap(), close.to_owned())
    };
    log.lines().into_iter().map(split).collect()
}

#[track_caller]
fn assert_spread(ends: &[(u64, String)], close: &str) {
    assert!(ends.iter().all(|(at, it)| (10..=30).contains(at) && it == close), "{ends:?}");
    // By chance, once in a million runs.
    assert!(
        ends.iter().any(|(at, _)| *at < 20) && ends.iter().any(|(at, _)| *at >= 20),
        "{ends:?}"
    );
}

async fn clients_go_to_another_server_at_random_times<P: Talk>(protocol: P) {
    let (log, mine) = (Log::default(), Log::default());
    let (old, new) =
        (draining(&protocol, &log).build(), draining(&protocol, &Log::default()).build());
    let balancer = Balancer::new(&old);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(balancer.client(&protocol).connect().await.unwrap());
    }
    clients.push(noted(balancer.client(&protocol), &mine).connect().await.unwrap());
    balancer.switch(&new);
    let ((), took) = timed(old.drain(drain())).await;
    assert!(took < secs(30), "nobody was left");
    let ends = ends(&log);
    assert_eq!(ends.len(), 21);
    assert_spread(&ends, "4000 wse.drain");
    settle().await;
    // At once, without a retry that waits.
    assert_eq!(
        mine.lines(),
        ["ready", "suspended 4000 wse.drain", "closed 4000 wse.drain", "ready"]
    );
    assert_eq!(new.user("ann").connections().len(), 21);
    for client in &clients {
        assert_eq!(adds(client).await.unwrap(), 3);
    }
}

async fn a_client_goes_when_its_calls_are_answered<P: Talk>(protocol: P) {
    let log = Log::default();
    let old = draining(&protocol, &log).build();
    let balancer = Balancer::new(&old);
    let ann = balancer.client(&protocol).call_timeout(None).connect().await.unwrap();
    balancer.switch(&draining(&protocol, &Log::default()).build());
    let call = ann.call::<_, i64>("slow", &29_i64);
    let (answer, ()) = tokio::join!(call, old.drain(drain()));
    assert_eq!(answer.unwrap(), 29);
    assert_eq!(log.lines(), ["29 4000 wse.drain"]);
}

async fn at_the_end_the_rest_is_closed<P: Talk>(protocol: P) {
    let (log, mine) = (Log::default(), Log::default());
    let old = draining(&protocol, &log).build();
    let balancer = Balancer::new(&old);
    // Its own rule is not to come back after 4000: it does not go by itself.
    let ann = balancer.client(&protocol).reconnect_when(|close| close.code == 1012);
    let ann: Client<P> = noted(ann, &mine).connect().await.unwrap();
    balancer.switch(&draining(&protocol, &Log::default()).build());
    let ((), took) = timed(old.drain(drain())).await;
    assert_eq!(took.as_secs(), 30);
    assert_eq!(log.lines(), ["30 1012 wse.drain"]);
    tokio::time::sleep(secs(1)).await;
    let closed = ["suspended 1012 wse.drain", "closed 1012 wse.drain", "ready"];
    assert_eq!(mine.lines()[1..], closed);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn clients_that_cannot_resume_are_closed_at_random_times<P: Talk>(protocol: P) {
    let (log, bare) = (Log::default(), Log::default());
    let server = draining(&protocol, &log).build();
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(client(&protocol, &server, "ann").connect().await.unwrap());
    }
    let ((), took) = timed(server.drain(drain())).await;
    assert!(took < secs(30));
    assert_spread(&ends(&log), "1012 wse.drain");
    // They know resume, and their server has none.
    let server = bare.events(crate::support::endpoints::server(&protocol).connections_per_user(9));
    let server = server.build();
    let ann = client(&protocol, &server, "ann").reconnect(quick()).connect().await.unwrap();
    let ((), took) = timed(server.drain(drain())).await;
    assert!((10..30).contains(&took.as_secs()), "{took:?}");
    assert_eq!(bare.lines()[2..3], ["disconnected ann 1012 wse.drain"]);
    assert_eq!(ann.status(), Status::Reconnecting);
}

/// A server that closes this client at a time of its choice has spread its clients over time already.
async fn clients_without_a_session_come_back_at_once_too<P: Talk>(protocol: P) {
    let log = Log::default();
    let build = || server(&protocol).connections_per_user(9).build();
    let (old, new) = (build(), build());
    let balancer = Balancer::new(&old);
    let _ann = noted(balancer.client(&protocol), &log).connect().await.unwrap();
    balancer.switch(&new);
    old.drain(drain()).await;
    settle().await;
    assert_eq!(log.lines(), ["ready", "closed 1012 wse.drain", "ready"]);
    assert_eq!(new.user("ann").connections().len(), 1);
}

async fn what_a_client_has_called_is_answered_before_it_is_closed<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = draining(&protocol, &log).build();
    let ann = client(&protocol, &server, "ann").call_timeout(None).connect().await.unwrap();
    let call = ann.call::<_, i64>("slow", &29_i64);
    let (answer, ()) = tokio::join!(call, server.drain(drain()));
    assert_eq!(answer.unwrap(), 29);
    assert_eq!(log.lines(), ["29 1012 wse.drain"]);
    // At the latest at the end.
    let log = Log::default();
    let server = draining(&protocol, &log).build();
    let ann = client(&protocol, &server, "ann").call_timeout(None).connect().await.unwrap();
    let call = ann.call::<_, i64>("slow", &31_i64);
    let (answer, ()) = tokio::join!(call, server.drain(drain()));
    assert_eq!(disconnected(answer).to_string(), "1012 wse.drain");
    assert_eq!(log.lines(), ["30 1012 wse.drain"]);
}

async fn new_connections_are_refused<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = draining(&protocol, &log).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let mut ungreeted = Raw::dial(&server).await;
    let draining = {
        let server = server.clone();
        tokio::spawn(async move { server.drain(drain()).await })
    };
    settle().await;
    let refused = client(&protocol, &server, "bob").connect().await.unwrap_err();
    assert!(format!("{refused:#}").contains("503"), "{refused:#}");
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = "GET / HTTP/1.1\r\nHost: memory\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    ungreeted.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    ungreeted.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert_eq!(adds(&ann).await.unwrap(), 3, "who is there stays until it is time");
    draining.await.unwrap();
}

async fn a_suspended_connection_ends_at_once<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = draining(&protocol, &log).build();
    let cable = Cable::new(&server);
    let ann = client(&protocol, &server, "ann").connector(cable.clone()).reconnect(quick());
    let _ann = ann.connect().await.unwrap();
    cable.cut();
    settle().await;
    let ((), took) = timed(server.drain(drain())).await;
    assert!(took < secs(1), "{took:?}");
    assert_eq!(log.lines(), ["0 suspended", "0 1006"]);
    // The next one, while it drains.
    let log = Log::default();
    let server = draining(&protocol, &log).build();
    let cable = Cable::new(&server);
    let ann = client(&protocol, &server, "ann").connector(cable.clone()).reconnect(quick());
    let _ann = ann.connect().await.unwrap();
    let cutting = async {
        tokio::time::sleep(secs(5)).await;
        cable.cut();
    };
    let ((), ()) = tokio::join!(server.drain(drain()), cutting);
    assert_eq!(log.lines(), ["5 1006"]);
}

async fn the_drain_of_an_empty_server_is_over_at_once<P: Talk>(protocol: P) {
    let server = draining(&protocol, &Log::default()).build();
    let ((), took) = timed(server.drain(Drain::default())).await;
    assert!(took.is_zero(), "{took:?}");
    assert!(server.shutdown(secs(1)).await);
}

async fn a_shutdown_ends_a_drain<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = draining(&protocol, &log).build();
    let _ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let stopping = async {
        tokio::time::sleep(secs(5)).await;
        server.shutdown(secs(3)).await
    };
    let (((), took), (), ended) =
        tokio::join!(timed(server.drain(drain())), server.drain(Drain::default()), stopping);
    assert!(ended && took < secs(6), "{took:?}");
    assert_eq!(log.lines(), ["5 1001 wse.by-server"]);
}

/// What a client says to a server that drains, and when.
#[tokio::test(start_paused = true)]
async fn d17_a_client_closes_with_4000_dials_at_once_and_resumes() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(quick()).build();
    let connecting = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.connect().await })
    };
    let session = |outcome: &str| {
        format!(
            r#"["~wse:session",{{"session":"s1","token":"AQEBAQEBAQEBAQEBAQEBAQ","window":60000,"outcome":"{outcome}","seen":0}},null]"#
        )
    };
    let (mut raw, _) = arrivals.greeted().await;
    raw.say(&session("new")).await;
    raw.say(r#"["~wse:welcome",null,null]"#).await;
    connecting.await.unwrap().unwrap();
    raw.say(r#"["~wse:drain",{"after":5000,"spread":0},null]"#).await;
    let (heard, took) = timed(raw.hear()).await;
    assert_eq!((heard.as_str(), took.as_secs()), ("close 4000 wse.drain", 5));
    let ((mut raw, greeting), took) = timed(arrivals.greeted()).await;
    assert!(took < ms(10), "{took:?}");
    assert!(greeting.contains(r#""resume":{"session":"s1""#), "{greeting}");
    raw.say(&session("full")).await;
    raw.say(r#"["~wse:welcome",null,null]"#).await;
    settle().await;
    assert_eq!(ann.status(), Status::Ready);
    // A server that drains again and again does not get its clients more often than any other.
    let drain = r#"["~wse:drain",{"after":0,"spread":0},null]"#;
    let mut waits = Vec::new();
    for _ in 0..20 {
        raw.say(drain).await;
        assert_eq!(raw.hear().await, r#"["~wse:seen",0,null]"#);
        assert_eq!(raw.hear().await, "close 4000 wse.drain");
        let ((next, _), took) = timed(arrivals.greeted()).await;
        waits.push(took);
        raw = next;
        raw.say(&session("full")).await;
        raw.say(r#"["~wse:welcome",null,null]"#).await;
    }
    assert!(waits.iter().sum::<std::time::Duration>() > ms(200), "{waits:?}");
    // One that drains after a while does.
    assert_eq!(raw.hear().await, r#"["~wse:seen",0,null]"#);
    tokio::time::timeout(secs(3), raw.hear()).await.unwrap_err();
    raw.say(drain).await;
    assert_eq!(raw.hear().await, "close 4000 wse.drain");
    let (_, took) = timed(arrivals.greeted()).await;
    assert!(took < ms(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_that_have_not_greeted_are_closed_at_the_start() {
    let server = draining(&JsonArray, &Log::default()).build();
    let mut before = Raw::stranger(&server).await;
    // It is accepted before the start, and has its answer behind it.
    let (mut meanwhile, far) = tokio::io::duplex(64);
    tokio::spawn(server.clone().accept(far, None));
    let request = ClientRequest::new(memory::URL).unwrap().subprotocol("wse-default-json").unwrap();
    write_request(&mut meanwhile, &request.build([7; 16])).await.unwrap();
    settle().await;
    let draining = tokio::spawn(async move { timed(server.drain(drain())).await.1 });
    settle().await;
    assert_eq!(before.hear().await, "close 1012 wse.drain");
    let (_, rest) = read_response(&mut meanwhile, &HeadLimits::default()).await.unwrap();
    let config = ws::Config::default();
    let mut meanwhile =
        Raw(ws::WebSocket::with_leftover(Box::new(meanwhile), rest, ws::Role::Client, config));
    assert_eq!(meanwhile.hear().await, "close 1012 wse.drain");
    drop(before);
    assert!(draining.await.unwrap() < secs(1));
}
