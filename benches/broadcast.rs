//! One message to many connections: a broadcast, which encodes and compresses once and shares the bytes,
//! beside a loop that sends to each. Both are timed until every client has handled the message.
//!
//! `cargo bench --bench broadcast`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use wse::{Accept, Client, Conn, Hello, JsonArray, Server, memory, ws::Deflate};

/// A server with so many connections in memory, and what counts the messages that arrived.
struct Room {
    server: Server<JsonArray>,
    conns: Vec<Conn<JsonArray>>,
    _clients: Vec<Client<JsonArray>>,
    arrived: Arc<(AtomicUsize, Notify)>,
}

impl Room {
    async fn open(size: usize, deflate: Option<Deflate>) -> Self {
        let mut builder = Server::builder(JsonArray)
            .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) });
        if let Some(deflate) = deflate {
            builder = builder.deflate(deflate);
        }
        let server = builder.build();
        let arrived = Arc::new((AtomicUsize::new(0), Notify::new()));
        let mut clients = Vec::new();
        for i in 0..size {
            let count = Arc::clone(&arrived);
            let mut client = Client::builder(JsonArray, memory::URL)
                .connector(memory::connector(&server))
                .identity(format!("user-{i}"))
                .on("news", move |_, _: Vec<String>| {
                    if count.0.fetch_add(1, Ordering::AcqRel) + 1 == size {
                        count.1.notify_one();
                    }
                    async {}
                });
            if let Some(deflate) = deflate {
                client = client.deflate(deflate);
            }
            clients.push(client.connect().await.expect("let in"));
        }
        let conns = server.users().iter().flat_map(|user| user.connections()).collect();
        Self { server, conns, _clients: clients, arrived }
    }

    /// How long it takes, this many times, until every client has what `send` sent.
    async fn time(&self, times: u64, send: impl Fn(&Self)) -> Duration {
        let start = Instant::now();
        for _ in 0..times {
            self.arrived.0.store(0, Ordering::Release);
            send(self);
            self.arrived.1.notified().await;
        }
        start.elapsed()
    }
}

fn broadcast(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    // Some 10 KiB of JSON.
    let news: Vec<String> =
        (0..200).map(|i| format!("line {i} of what is new, in so many words")).collect();
    let mut group = c.benchmark_group("broadcast");
    let rooms = [10, 100, 1000].map(|size| (size, None, ""));
    let compressing = (100, Some(Deflate::default()), ", compressed");
    for (size, deflate, how) in rooms.into_iter().chain([compressing]) {
        let room = runtime.block_on(Room::open(size, deflate));
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new(format!("encoded once{how}"), size), |b| {
            b.iter_custom(|times| {
                runtime.block_on(room.time(times, |room| {
                    room.server.all().send("news", &news).expect("encoded");
                }))
            });
        });
        group.bench_function(BenchmarkId::new(format!("sent to each{how}"), size), |b| {
            b.iter_custom(|times| {
                runtime.block_on(room.time(times, |room| {
                    for conn in &room.conns {
                        conn.send("news", &news).expect("sent");
                    }
                }))
            });
        });
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10)
}

criterion_group! { name = benches; config = quick(); targets = broadcast }
criterion_main!(benches);
