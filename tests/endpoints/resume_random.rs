//! Many clients that lose their sockets in every way: nothing comes twice, nothing is missing without a word, and nothing
//! is left at the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;
use wse::{
    Accept, CallError, Client, ClientEvent, Close, CloseReason, Hello, Refuse, ResumeLimits,
    Server, ServerEvent, Status,
};
use wse_proto::session::Backoff;

use crate::resume::Cable;
use crate::support::endpoints::*;

crate::over_every_protocol! {
    whatever_happens_to_sockets_messages_come_once_and_in_order
}

/// What one side has heard of one sender: the next expected number.
#[derive(Default)]
struct Heard(Mutex<HashMap<String, i64>>);

impl Heard {
    /// Takes `FROM N`. Numbers never come twice or back; `gaps` says whether some may be missing.
    fn add(&self, text: &str, gaps: bool) {
        let (from, number) = text.rsplit_once(' ').unwrap();
        let number: i64 = number.parse().unwrap();
        let mut all = self.0.lock().unwrap();
        let next = all.entry(from.to_owned()).or_default();
        assert!(number == *next || gaps && number > *next, "{from}: {number} instead of {next}");
        *next = number + 1;
    }

    fn next(&self, from: &str) -> i64 {
        self.0.lock().unwrap().get(from).copied().unwrap_or_default()
    }
}

/// The events of each connection, as one letter each.
#[derive(Clone, Default)]
struct Lives(Arc<Mutex<HashMap<u64, String>>>);

impl Lives {
    fn note(&self, id: u64, event: char) {
        self.0.lock().unwrap().entry(id).or_default().push(event);
    }

    /// Each was connected, suspended and resumed in turn, and disconnected.
    fn check(&self) {
        for (id, life) in self.0.lock().unwrap().iter() {
            let mut state = '-';
            for event in life.chars() {
                let legal = matches!(
                    (state, event),
                    ('-', 'c') | ('c' | 'r', 's' | 'r' | 'd') | ('s', 'r' | 'd')
                );
                assert!(legal, "{id}: {life}");
                state = event;
            }
            assert_eq!(state, 'd', "{id}: {life}");
        }
    }
}

struct Device<P: Talk> {
    name: String,
    client: Client<P>,
    cable: Cable<P>,
    sent: i64,
    /// How often the client has begun a new session.
    sessions: Arc<AtomicUsize>,
    migrating: Option<JoinHandle<()>>,
}

/// What has become of calls.
#[derive(Clone, Default)]
struct Calls {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Calls {
    fn begin(&self, call: impl Future<Output = Result<i64, CallError>> + Send + 'static, n: i64) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let ended = Arc::clone(&self.ended);
        tokio::spawn(async move {
            match call.await {
                Ok(answer) => assert_eq!(answer, n),
                Err(
                    CallError::Disconnected(_)
                    | CallError::NotReady
                    | CallError::Timeout
                    | CallError::QueueFull,
                ) => {}
                Err(other) => panic!("{other:?}"),
            }
            ended.fetch_add(1, Ordering::Relaxed);
        });
    }

    fn pending(&self) -> usize {
        self.begun.load(Ordering::Relaxed) - self.ended.load(Ordering::Relaxed)
    }
}

async fn whatever_happens_to_sockets_messages_come_once_and_in_order<P: Talk>(protocol: P) {
    for seed in 0..10 {
        one_run(&protocol, seed).await;
    }
}

async fn one_run<P: Talk>(protocol: &P, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (lives, alive) = (Lives::default(), Arc::new(()));
    let heard = Arc::new(Heard::default());
    let server = build(protocol, &lives, &alive, &heard, seed);
    let calls = Calls::default();
    let mut devices = Vec::new();
    for n in 0..3 {
        devices.push(device(protocol, &server, format!("d{n}"), &mut random).await);
    }
    let mut told: HashMap<u64, i64> = HashMap::new();
    for _ in 0..150 {
        let at = random.random_range(0..devices.len());
        let device = &mut devices[at];
        match random.random_range(0..24) {
            0..6 => {
                let text = note(format!("{} {}", device.name, device.sent));
                if device.client.send("note", &text).is_ok() {
                    device.sent += 1;
                }
            }
            6..11 => {
                for conn in server.connections() {
                    let next = told.entry(conn.id()).or_default();
                    if conn.send("note", &note(format!("{} {next}", conn.id()))).is_ok() {
                        *next += 1;
                    }
                }
            }
            11 | 12 => {
                let client = device.client.clone();
                let n = random.random();
                calls.begin(async move { client.call::<_, i64>("echo", &n).await }, n);
            }
            13 => {
                for conn in server.connections() {
                    let n = random.random();
                    calls.begin(async move { conn.call::<_, i64>("echo", &n).await }, n);
                }
            }
            14 | 15 => device.cable.cut(),
            16 => device.cable.lose(),
            17 => device.cable.stall(),
            18 => {
                let all = server.connections();
                if !all.is_empty() {
                    let conn = &all[random.random_range(0..all.len())];
                    let code = [1000, 1012, 4000, 1011][random.random_range(0..4)];
                    let close = Close::new(code, CloseReason::ByServer);
                    match random.random_range(0..3) {
                        0 => conn.close(close),
                        1 => conn.close_now(close),
                        _ => conn.close_after_answers(close),
                    }
                }
            }
            19 if random.random_bool(0.3) => {
                if let Some(migrating) = device.migrating.take() {
                    // It would connect the closed client again.
                    migrating.abort();
                }
                device.client.close();
                device.client.closed().await;
            }
            20 if random.random_bool(0.3) => {
                let client = device.client.clone();
                device.migrating = Some(tokio::spawn(async move {
                    let _ = client.migrate(wse::memory::URL).await;
                }));
            }
            _ => {
                let most = if random.random_bool(0.1) { 4000 } else { 60 };
                tokio::time::sleep(ms(random.random_range(0..most))).await;
            }
        }
        let device = &mut devices[at];
        if device.client.status() == Status::Offline {
            let name = format!("{}'", device.name);
            *device = self::device(protocol, &server, name, &mut random).await;
        }
    }
    // What has survived until now arrives, also where the network loses everything.
    devices.iter().for_each(|device| device.cable.cut());
    tokio::time::sleep(secs(30)).await;
    for device in &devices {
        let Device { name, client, sent, sessions, .. } = device;
        if client.status() == Status::Ready && sessions.load(Ordering::Relaxed) == 1 {
            assert_eq!(heard.next(name), *sent, "{seed} {name}");
        }
    }
    tokio::time::sleep(secs(60)).await;
    assert_eq!(calls.pending(), 0, "{seed}");
    for device in &devices {
        device.client.close();
        device.client.closed().await;
    }
    drop(devices);
    tokio::time::sleep(secs(20)).await;
    assert_eq!((server.connections().len(), server.users().len()), (0, 0), "{seed}");
    assert_eq!((server.rooms().len(), Arc::strong_count(&alive)), (0, 2), "{seed}");
    lives.check();
    assert!(server.shutdown(secs(1)).await);
}

fn build<P: Talk>(
    protocol: &P,
    lives: &Lives,
    alive: &Arc<()>,
    heard: &Arc<Heard>,
    seed: u64,
) -> Server<P> {
    let (lives, alive, heard) = (lives.clone(), Arc::clone(alive), Arc::clone(heard));
    let limits = ResumeLimits::default().window(secs(3)).total_bytes(if seed.is_multiple_of(5) {
        20_000
    } else {
        1 << 20
    });
    Server::builder(protocol.clone())
        .identify(move |hello: Hello<String, Meta>| {
            let alive = Arc::clone(&alive);
            async move {
                tokio::time::sleep(ms(u64::from(hello.identity.len().is_multiple_of(2)) * 5)).await;
                let user = hello.identity.strip_prefix("secret of ").unwrap_or_default().to_owned();
                let accepted = Accept::user(user).welcome(note("hi"));
                Ok::<_, Refuse>(accepted.state(alive))
            }
        })
        .resume(limits)
        .connections_per_user(2)
        .max_handlers(2)
        .procedure("echo", |_, n: i64| async move {
            tokio::time::sleep(ms(n.unsigned_abs() % 300)).await;
            wse::Ok(n)
        })
        .on("note", move |_, note: Note| {
            heard.add(&note.text, true);
            async {}
        })
        .on_event(move |event| match event {
            ServerEvent::Connected(conn) => {
                lives.note(conn.id(), 'c');
                let _ = conn.join("all");
            }
            ServerEvent::Suspended(conn, _) => lives.note(conn.id(), 's'),
            ServerEvent::Resumed(conn, _) => lives.note(conn.id(), 'r'),
            ServerEvent::Disconnected(conn, _) => lives.note(conn.id(), 'd'),
            _ => {}
        })
        .build()
}

async fn device<P: Talk>(
    protocol: &P,
    server: &Server<P>,
    name: String,
    random: &mut StdRng,
) -> Device<P> {
    let user = if random.random_bool(0.8) { "ann" } else { "bob" };
    let (cable, sessions) = (Cable::new(server), Arc::new(AtomicUsize::new(0)));
    let (heard, begun, partial) = (Heard::default(), Arc::clone(&sessions), AtomicUsize::new(0));
    let partial = Arc::new(partial);
    let gaps = Arc::clone(&partial);
    let client = client(protocol, server, user)
        .connector(cable.clone())
        .heartbeat(wse_proto::session::Heartbeat::default())
        .reconnect(Backoff::default().base(ms(50)).cap(secs(5)))
        .procedure("echo", |_, n: i64| async move {
            tokio::time::sleep(ms(n.unsigned_abs() % 200)).await;
            wse::Ok(n)
        })
        .on("note", move |_, note: Note| {
            let gaps = gaps.swap(0, Ordering::Relaxed) > 0;
            heard.add(&note.text, gaps);
            async {}
        })
        .on_event(move |event| match event {
            ClientEvent::Ready(_) => drop(begun.fetch_add(1, Ordering::Relaxed)),
            ClientEvent::Resumed(wse::Resumed::Partial { .. }) => {
                partial.store(1, Ordering::Relaxed);
            }
            _ => {}
        })
        .connect()
        .await
        .unwrap();
    Device { name, client, cable, sent: 0, sessions, migrating: None }
}
