//! A message to a room of 1,000 connections among 10,000, beside a broadcast by a server that has only 1,000. All
//! connections are in memory.
//!
//! `cargo bench --bench rooms [-- ROUNDS]` (Linux)
//!
//! What is printed are medians: the time of the call by itself, and the CPU time of the server's thread until every client has
//! handled the message, with the tasks of the connections. The clients run in another thread. The targets take turns, so
//! that all else that the machine does hits each of them.
//!
//! The members of one room were opened in a row, and so lie in memory as those of the broadcast do. Those of the other are
//! every tenth connection: more pages and cache lines for the same work.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::DuplexStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use wse::{Accept, Client, Connector, Hello, JsonArray, Server, Target, Transport, memory};

const MEMBERS: usize = 1000;
const CONNECTIONS: usize = 10_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let rounds = std::env::args().skip(1).find_map(|it| it.parse().ok()).unwrap_or(300);
    let clients = clients_thread()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let arrived = Arc::default();
        let small = open(MEMBERS, &clients, &arrived).await?;
        let large = open(CONNECTIONS, &clients, &arrived).await?;
        for conn in large.0.connections() {
            if conn.id() % 10 == 0 {
                conn.join("every tenth")?;
            }
            if conn.id() <= MEMBERS as u64 {
                conn.join("in a row")?;
            }
        }
        let room = |name| Target::from(&large.0.room(name));
        let targets = [small.0.all(), room("in a row"), room("every tenth")];
        let mut costs = targets.each_ref().map(|_| Vec::new());
        for round in 0..rounds + 20 {
            for (target, costs) in targets.iter().zip(&mut costs) {
                let cost = measure(target, &arrived).await?;
                // The first ones warm up.
                if round >= 20 {
                    costs.push(cost);
                }
            }
        }
        let [broadcast, rooms @ ..] = costs;
        for (which, room) in ["in a row", "every tenth"].into_iter().zip(rooms) {
            println!("{MEMBERS} of {CONNECTIONS} connections, {which}:");
            report("  the call", &broadcast, &room, |cost| cost.call);
            report("  with the tasks of the connections", &broadcast, &room, |cost| cost.all);
        }
        Ok(())
    })
}

#[derive(Clone, Copy)]
struct Cost {
    call: Duration,
    all: Duration,
}

/// The messages that have arrived.
#[derive(Default)]
struct Arrived(AtomicUsize, Notify);

async fn measure(target: &Target<JsonArray>, arrived: &Arrived) -> Result<Cost, Failure> {
    arrived.0.store(0, Ordering::Release);
    let (start, now) = (cpu_time()?, Instant::now());
    let sent = target.send("news", "what is new, in so many words")?;
    let call = now.elapsed();
    assert_eq!(sent, MEMBERS);
    arrived.1.notified().await;
    Ok(Cost { call, all: cpu_time()? - start })
}

fn report(what: &str, broadcasts: &[Cost], rooms: &[Cost], cost: impl Fn(&Cost) -> Duration) {
    let median = |costs: &[Cost]| {
        let mut costs: Vec<_> = costs.iter().map(&cost).collect();
        costs.sort();
        costs[costs.len() / 2].as_secs_f64() * 1e6
    };
    let (broadcast, room) = (median(broadcasts), median(rooms));
    println!(
        "{what}: a broadcast {broadcast:.0} µs, the room {room:.0} µs, ratio {:.3}",
        room / broadcast
    );
}

/// The CPU time of this thread.
fn cpu_time() -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split_whitespace().next().and_then(|it| it.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A server with so many connections, whose clients run elsewhere.
async fn open(
    connections: usize,
    clients: &Handle,
    arrived: &Arc<Arrived>,
) -> Result<(Server<JsonArray>, Vec<Client<JsonArray>>), Failure> {
    let server = Server::builder(JsonArray)
        .heartbeat(None)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .build();
    let mut all = Vec::with_capacity(connections);
    for n in 0..connections {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(server.clone().accept(far, None));
        let arrived = Arc::clone(arrived);
        let client = Client::builder(JsonArray, memory::URL)
            .connector(Once(Mutex::new(Some(near))))
            .heartbeat(None)
            .identity(format!("user-{n}"))
            .on("news", move |_, _: String| {
                if arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == MEMBERS {
                    arrived.1.notify_one();
                }
                async {}
            });
        all.push(clients.spawn(async move { client.connect().await }).await??);
    }
    Ok((server, all))
}

/// A connector of one connection.
struct Once(Mutex<Option<DuplexStream>>);

#[async_trait]
impl Connector for Once {
    async fn connect(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Transport>> {
        let near = self.0.lock().map_err(|_| io::ErrorKind::Other)?.take();
        Ok(Box::new(near.ok_or(io::ErrorKind::ConnectionRefused)?))
    }
}

/// Starts the thread of the clients.
fn clients_thread() -> Result<Handle, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    // Until the end of the process.
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(handle)
}
