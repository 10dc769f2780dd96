//! 10,000 connections that lose their sockets at once, and come back: what it costs their server, over TCP.
//!
//! `cargo bench --bench resume [-- CONNECTIONS]` (Linux)
//!
//! The server is a process of its own with one thread, whose CPU time and resident memory it tells. The clients are the other
//! process. Both are on this machine, so the times until all are back include the clients' work.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
/// The first one shows best what the kept messages take: later, memory that was freed is used again.
const FILLS: [Fill; 3] = [(10, 1024, true), (0, 0, false), (10, 100, false)];

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Usage {
    cpu: Duration,
    /// In KiB.
    memory: u64,
    suspended: usize,
}

fn main() -> Result<(), BoxError> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve(args[1] == "resume")),
        _ => {
            let connections = args.iter().find_map(|it| it.parse().ok()).unwrap_or(10_000);
            runtime.block_on(measure(connections))
        }
    }
}

async fn serve(resumes: bool) -> Result<(), BoxError> {
    let suspended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&suspended);
    let mut builder = Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .heartbeat(None)
        .procedure("usage", move |_, ()| {
            let suspended = suspended.load(Ordering::Relaxed);
            async move { wse::Ok(Usage { suspended, ..usage()? }) }
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
            ServerEvent::Suspended(..) => drop(counted.fetch_add(1, Ordering::Relaxed)),
            ServerEvent::Resumed(..) => drop(counted.fetch_sub(1, Ordering::Relaxed)),
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
    Ok(Usage { cpu: Duration::from_nanos(nanos), memory, suspended: 0 })
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
    resumed: AtomicUsize,
    messages: AtomicUsize,
    lost: AtomicUsize,
}

async fn connect_all(
    server: &Process,
    network: &Network,
    seen: &Arc<Seen>,
    connections: usize,
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
                ClientEvent::Resumed(wse::Resumed::Full) => {
                    happened.resumed.fetch_add(1, Ordering::Relaxed);
                }
                ClientEvent::Resumed(_) | ClientEvent::Closed(_) => {
                    happened.lost.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            })
            .connect()
    });
    let all: Vec<_> = stream::iter(connecting).buffer_unordered(200).collect().await;
    Ok(all.into_iter().collect::<Result<_, _>>()?)
}

async fn measure(connections: usize) -> Result<(), BoxError> {
    let each =
        |from: Usage, to: Usage| (to.cpu - from.cpu).as_secs_f64() * 1e6 / connections as f64;
    let bytes = |from: Usage, to: Usage| {
        (to.memory as f64 - from.memory as f64) * 1024.0 / connections as f64
    };
    let mut idle = Vec::new();
    for mode in ["plain", "resume"] {
        let server = Process::start(mode).await?;
        let network = Network { plugged: watch::Sender::new(true), sockets: Arc::default() };
        let seen = Arc::<Seen>::default();
        let start = server.usage().await?;
        let clients = connect_all(&server, &network, &seen, connections).await?;
        let connected = server.usage().await?;
        idle.push(bytes(start, connected));
        println!(
            "{mode}: {connections} connections, {:.1} µs of CPU and {:.0} bytes for each",
            each(start, connected),
            bytes(start, connected)
        );
        if mode == "plain" {
            continue;
        }
        println!(
            "an idle connection that can be resumed takes {:.0} bytes more",
            idle[1] - idle[0]
        );
        for (messages, size, own) in FILLS {
            seen.resumed.store(0, Ordering::Relaxed);
            seen.messages.store(0, Ordering::Relaxed);
            let before = server.usage().await?;
            network.unplug();
            while server.usage().await?.suspended < connections {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let lost = server.usage().await?;
            server.control.call::<_, ()>("fill", &(messages, size, own)).await?;
            let filled = server.usage().await?;
            let now = Instant::now();
            network.plugged.send_replace(true);
            while seen.resumed.load(Ordering::Relaxed) < connections {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let took = now.elapsed();
            let back = server.usage().await?;
            while seen.messages.load(Ordering::Relaxed) < connections * messages {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let of = if own { " of their own" } else { "" };
            println!(
                "{messages} messages of {size} bytes{of} wait: lost in {:.1} µs of CPU each, kept in {:.0} bytes \
                 each, all back after {took:.2?}, in {:.1} µs of CPU each, {:.2} of connecting",
                each(before, lost),
                bytes(lost, filled),
                each(filled, back),
                each(filled, back) / each(start, connected),
            );
        }
        assert_eq!(seen.lost.load(Ordering::Relaxed), 0, "connections were lost");
        drop(clients);
    }
    Ok(())
}
