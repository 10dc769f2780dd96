//! 10,000 connections that lose their sockets at once, and come back: what it costs their server, over TCP.
//!
//! `cargo bench --bench resume [-- CONNECTIONS [ROUNDS]]` (Linux)
//!
//! The server is a process of its own with one thread, whose CPU time and resident memory it tells. The clients are the other
//! process. Both are on this machine, so the times until all are back include the clients' work.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::task::AtomicWaker;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use wse::{
    Accept, Backoff, BoxError, Client, ClientEvent, Connector, Hello, JsonArray, ResumeLimits,
    Server, ServerEvent, Transport,
};

/// What each client is sent while it is away: so many messages, of so many bytes, and whether each has its own.
type Fill = (usize, usize, bool);
const FILLS: [Fill; 3] = [(0, 0, false), (10, 100, false), (10, 1024, true)];

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Usage {
    cpu: Duration,
    /// In KiB.
    memory: u64,
    /// The connections that have a socket.
    here: isize,
}

fn main() -> Result<(), BoxError> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve(args[1] == "resume")),
        _ => {
            let mut numbers = args.iter().filter_map(|it| it.parse().ok());
            let connections = numbers.next().unwrap_or(10_000);
            runtime.block_on(measure(connections, numbers.next().unwrap_or(5)))
        }
    }
}

async fn serve(resumes: bool) -> Result<(), BoxError> {
    let here = Arc::new(AtomicIsize::new(0));
    let counted = Arc::clone(&here);
    let mut builder = Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .heartbeat(None)
        .procedure("usage", move |_, ()| {
            let here = here.load(Ordering::Relaxed);
            async move { wse::Ok(Usage { here, ..usage()? }) }
        })
        .procedure("fill", |conn, (messages, bytes, own): Fill| async move {
            let text = "x".repeat(bytes);
            let all = conn.server().connections();
            for _ in 0..messages {
                if !own {
                    conn.server().all().except(&conn).send("news", &text)?;
                    continue;
                }
                for to in all.iter().filter(|to| to.id() != conn.id()) {
                    to.send("news", &text)?;
                }
            }
            wse::Ok(())
        })
        .on_event(move |event| match event {
            ServerEvent::Suspended(..) | ServerEvent::Disconnected(..) => {
                counted.fetch_sub(1, Ordering::Relaxed);
            }
            ServerEvent::Resumed(..) | ServerEvent::Connected(..) => {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        });
    if resumes {
        builder = builder.resume(ResumeLimits::default());
    }
    let server = builder.bind("127.0.0.1:0").await?;
    println!("{}", server.url().ok_or("it listens")?);
    std::future::pending().await
}

/// Of this process, which has one thread.
fn usage() -> io::Result<Usage> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos =
        stat.split_whitespace().next().and_then(|it| it.parse().ok()).ok_or_else(invalid)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(invalid)?;
    let memory = memory.trim().trim_end_matches(" kB").parse().map_err(|_| invalid())?;
    Ok(Usage { cpu: Duration::from_nanos(nanos), memory, here: 0 })
}

/// A server, and a client that asks it.
struct Process {
    _child: Child,
    url: String,
    control: Client<JsonArray>,
}

impl Process {
    async fn start(mode: &str) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", mode])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let url = lines.next_line().await?.ok_or("no server")?;
        let control = Client::builder(JsonArray, &url)
            .identity("control".to_owned())
            .heartbeat(None)
            .call_timeout(None)
            .connect()
            .await?;
        Ok(Self { _child: child, url, control })
    }

    async fn usage(&self) -> Result<Usage, BoxError> {
        Ok(self.control.call("usage", &()).await?)
    }
}

/// The network of all clients.
#[derive(Clone)]
struct Network {
    plugged: watch::Sender<bool>,
    sockets: Arc<Mutex<VecDeque<Weak<Cut>>>>,
}

#[derive(Default)]
struct Cut {
    waker: AtomicWaker,
    cut: AtomicBool,
}

impl Network {
    fn unplug(&self) {
        self.plugged.send_replace(false);
        let sockets = std::mem::take(&mut *self.sockets.lock().expect("no panic"));
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            socket.cut.store(true, Ordering::Release);
            socket.waker.wake();
        }
    }
}

#[async_trait]
impl Connector for Network {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        let mut plugged = self.plugged.subscribe();
        let _ = plugged.wait_for(|it| *it).await.map(drop);
        let io = TcpStream::connect((host, port)).await?;
        io.set_nodelay(true)?;
        let cut = Arc::new(Cut::default());
        self.sockets.lock().expect("no panic").push_back(Arc::downgrade(&cut));
        Ok(Box::new(Socket { io, cut }))
    }
}

struct Socket {
    io: TcpStream,
    cut: Arc<Cut>,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.waker.register(cx.waker());
        if self.cut.cut.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    /// Those that have connected or resumed.
    back: AtomicUsize,
    messages: AtomicUsize,
    lost: AtomicUsize,
}

async fn connect_all(
    server: &Process,
    network: &Network,
    seen: &Arc<Seen>,
    connections: usize,
    resumes: bool,
) -> Result<Vec<Client<JsonArray>>, BoxError> {
    let connecting = (0..connections).map(|n| {
        let (heard, happened) = (Arc::clone(seen), Arc::clone(seen));
        Client::builder(JsonArray, &server.url)
            .identity(format!("user {n}"))
            .connector(network.clone())
            .heartbeat(None)
            .connect_timeout(Duration::from_secs(120))
            .dial_timeout(Duration::from_secs(120))
            .reconnect(
                Backoff::default().base(Duration::from_millis(1)).cap(Duration::from_millis(1)),
            )
            .on("news", move |_, text: String| {
                assert!(text.bytes().all(|it| it == b'x'));
                heard.messages.fetch_add(1, Ordering::Relaxed);
                async {}
            })
            .on_event(move |event| match event {
                ClientEvent::Resumed(wse::Resumed::Full) | ClientEvent::Ready(_) => {
                    happened.back.fetch_add(1, Ordering::Relaxed);
                }
                ClientEvent::Resumed(_) => drop(happened.lost.fetch_add(1, Ordering::Relaxed)),
                ClientEvent::Closed(_) if resumes => {
                    happened.lost.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            })
            .connect()
    });
    let all: Vec<_> = stream::iter(connecting).buffer_unordered(200).collect().await;
    Ok(all.into_iter().collect::<Result<_, _>>()?)
}

/// Waits until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> Result<bool, BoxError>) -> Result<(), BoxError> {
    while !is_so().await? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn measure(connections: usize, rounds: usize) -> Result<(), BoxError> {
    let cases =
        [("plain", FILLS[0]), ("resume", FILLS[0]), ("resume", FILLS[1]), ("resume", FILLS[2])];
    let mut all = cases.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((mode, fill), costs) in cases.into_iter().zip(&mut all) {
            costs.push(lose_all(mode, fill, connections).await?);
        }
    }
    println!(
        "{connections} connections, medians of {rounds} rounds; CPU time and memory for each connection\n"
    );
    println!("| | bytes, idle | CPU, lost | bytes kept | all back after | CPU, back | ratio |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let fresh = median(&all[0], |it| it.cpu);
    for ((mode, (messages, size, own)), costs) in cases.iter().zip(&all) {
        let what = match (*mode, messages, own) {
            ("plain", ..) => "without resume: new connections".to_owned(),
            (_, 0, _) => "resumed, nothing waits".to_owned(),
            (_, _, false) => format!("resumed, {messages} messages of {size} B to all wait"),
            (_, _, true) => format!("resumed, {messages} messages of {size} B for each wait"),
        };
        let of = |what: fn(&Lost) -> f64| median(costs, what);
        println!(
            "| {what} | {:.0} | {:.0} µs | {:.0} | {:.1} s | {:.0} µs | {:.2} |",
            of(|it| it.idle),
            of(|it| it.loss),
            of(|it| it.kept),
            of(|it| it.took),
            of(|it| it.cpu),
            of(|it| it.cpu) / fresh,
        );
    }
    Ok(())
}

fn median(costs: &[Lost], what: impl Fn(&Lost) -> f64) -> f64 {
    let mut all: Vec<_> = costs.iter().map(what).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// What it costs to lose all connections and to have them back, for each, in microseconds and bytes.
struct Lost {
    idle: f64,
    loss: f64,
    kept: f64,
    cpu: f64,
    /// Of all, in seconds.
    took: f64,
}

async fn lose_all(mode: &str, fill: Fill, connections: usize) -> Result<Lost, BoxError> {
    let each =
        |from: Usage, to: Usage| (to.cpu - from.cpu).as_secs_f64() * 1e6 / connections as f64;
    let bytes = |from: Usage, to: Usage| {
        (to.memory as f64 - from.memory as f64) * 1024.0 / connections as f64
    };
    let server = Process::start(mode).await?;
    let network = Network { plugged: watch::Sender::new(true), sockets: Arc::default() };
    let seen = Arc::<Seen>::default();
    let start = server.usage().await?;
    let _clients = connect_all(&server, &network, &seen, connections, mode == "resume").await?;
    seen.back.store(0, Ordering::Relaxed);
    let before = server.usage().await?;
    network.unplug();
    until(async || Ok(server.usage().await?.here <= 1)).await?;
    let lost = server.usage().await?;
    server.control.call::<_, ()>("fill", &fill).await?;
    let filled = server.usage().await?;
    let now = Instant::now();
    network.plugged.send_replace(true);
    until(async || Ok(seen.back.load(Ordering::Relaxed) >= connections)).await?;
    let took = now.elapsed().as_secs_f64();
    let back = server.usage().await?;
    until(async || Ok(seen.messages.load(Ordering::Relaxed) >= connections * fill.0)).await?;
    assert_eq!(seen.lost.load(Ordering::Relaxed), 0, "connections were lost");
    Ok(Lost {
        idle: bytes(start, before),
        loss: each(before, lost),
        kept: bytes(lost, filled),
        cpu: each(filled, back),
        took,
    })
}
