//! Shows that a connection outlives its socket. Client and server talk through a relay, which cuts the link three times
//! while messages travel both ways and a call is in flight. Nothing is lost, nothing arrives twice, and the server still
//! has the same connection.
//!
//! `cargo run --example resume` prints:
//!
//! ```text
//! the relay has cut the link 3 times
//! server: joined, resumed, resumed, resumed
//! client: ready, suspended, resumed, suspended, resumed, suspended, resumed
//! from the server: all 300 messages, in order, each once
//! from the client: all 300 messages, in order, each once
//! the call has its answer: 42
//! the connection is the same as before
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use wse::{
    Accept, Backoff, Client, ClientEvent, Hello, JsonArray, ResumeLimits, Resumed, Server,
    ServerEvent,
};

type Failure = Box<dyn std::error::Error>;

const MESSAGES: u32 = 300;

/// The relay cuts the link after these messages.
const CUTS: [u32; 3] = [50, 150, 250];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (at_server, at_client) = (Lines::default(), Lines::default());
    let (to_server, mut server_has) = unbounded_channel();
    let (to_client, mut client_has) = unbounded_channel();

    let lines = at_server.clone();
    let server = Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .resume(ResumeLimits::default().window(Duration::from_secs(30)))
        .procedure("slow", |_conn, n: u32| async move {
            sleep(Duration::from_millis(600)).await;
            wse::Ok(n * 2)
        })
        .on("number", move |_conn, n: u32| {
            let _ = to_server.send(n);
            async {}
        })
        .on_event(move |event| match event {
            ServerEvent::Joined(_) => lines.add("joined"),
            ServerEvent::Resumed(_, Resumed::Full) => lines.add("resumed"),
            ServerEvent::Resumed(..) => lines.add("resumed with a gap"),
            ServerEvent::Left(..) => lines.add("left"),
            _ => {}
        })
        .build();
    let relay = Relay::start(server.listen("127.0.0.1:0").await?).await?;

    let lines = at_client.clone();
    let client = Client::builder(JsonArray, format!("ws://{}", relay.addr))
        .identity("ann".to_owned())
        .reconnect(Backoff::default().base(Duration::from_millis(20)))
        .on("number", move |_client, n: u32| {
            let _ = to_client.send(n);
            async {}
        })
        .on_event(move |event| match event {
            ClientEvent::Ready(_) => lines.add("ready"),
            ClientEvent::Suspended(_) => lines.add("suspended"),
            ClientEvent::Resumed(Resumed::Full) => lines.add("resumed"),
            ClientEvent::Resumed(_) => lines.add("resumed with a gap"),
            ClientEvent::Closed(_) => lines.add("closed"),
            _ => {}
        })
        .connect()
        .await?;

    let conn = server.user("ann").connections().pop().ok_or("not connected")?;
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.call::<_, u32>("slow", &21_u32).await });
    for n in 1..=MESSAGES {
        // Neither side looks whether there is a socket.
        conn.send("number", &n)?;
        client.send("number", &n)?;
        if let Some(before) = CUTS.iter().position(|&cut| cut == n) {
            at_client.wait_for("resumed", before).await?;
            relay.cut();
        }
        sleep(Duration::from_millis(2)).await;
    }
    let answer = call.await??;
    let from_server = Numbers::receive(&mut client_has).await?;
    let from_client = Numbers::receive(&mut server_has).await?;

    println!("the relay has cut the link {} times", CUTS.len());
    println!("server: {}", at_server.joined());
    println!("client: {}", at_client.joined());
    println!("from the server: {}", from_server.verdict(&mut client_has));
    println!("from the client: {}", from_client.verdict(&mut server_has));
    println!("the call has its answer: {answer}");
    let now = server.user("ann").connections().pop().ok_or("not connected")?;
    println!(
        "the connection is {}",
        if now.id() == conn.id() { "the same as before" } else { "new" }
    );
    Ok(())
}

/// A link that can be cut: whatever comes to `addr` is passed on.
struct Relay {
    addr: SocketAddr,
    /// The tasks that have the sockets.
    links: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Relay {
    async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let relay = Self { addr: listener.local_addr()?, links: Arc::default() };
        let links = Arc::clone(&relay.links);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let link = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                links.lock().unwrap_or_else(PoisonError::into_inner).push(link.abort_handle());
            }
        });
        Ok(relay)
    }

    /// Drops the sockets, with all that they have not passed on yet.
    fn cut(&self) {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        links.iter().for_each(AbortHandle::abort);
    }
}

/// The numbers that have arrived.
struct Numbers(Vec<u32>);

impl Numbers {
    /// Waits for as many numbers as were sent.
    async fn receive(arriving: &mut UnboundedReceiver<u32>) -> Result<Self, Failure> {
        let mut numbers = Vec::new();
        while numbers.len() < MESSAGES as usize {
            let next = timeout(Duration::from_secs(10), arriving.recv()).await?;
            numbers.push(next.ok_or("nothing more comes")?);
        }
        Ok(Self(numbers))
    }

    fn verdict(&self, arriving: &mut UnboundedReceiver<u32>) -> String {
        match self.0.iter().copied().eq(1..=MESSAGES) && arriving.try_recv().is_err() {
            true => format!("all {MESSAGES} messages, in order, each once"),
            false => format!("not what was sent: {:?}", self.0),
        }
    }
}

/// Events, in order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<&'static str>>>);

impl Lines {
    fn add(&self, line: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Waits until a line was added so many times.
    async fn wait_for(&self, line: &str, times: usize) -> Result<(), Failure> {
        let count = || {
            let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.iter().filter(|&&it| it == line).count()
        };
        let waiting = async {
            while count() < times {
                sleep(Duration::from_millis(1)).await;
            }
        };
        Ok(timeout(Duration::from_secs(10), waiting).await?)
    }

    fn joined(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join(", ")
    }
}
