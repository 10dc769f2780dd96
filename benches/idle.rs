//! Memory that an idle connection costs its server, over 10,000 of them on loopback.
//!
//! `cargo bench --bench idle [-- CONNECTIONS]` (Linux)
//!
//! The clients are plain sockets in a process of their own; each has sent one message of 100 bytes and got
//! its echo before it falls silent. What is printed is the growth of the server's resident memory, per
//! connection, its task included.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream as Socket},
    process::{Child, ChildStdin, Command, Stdio},
};

use futures::{SinkExt, StreamExt};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use wse::ws::{Config, Deflate};
use wse::{Accept, JsonArray, Server};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const KINDS: [&str; 4] = ["raw", "bare", "deflate", "wse"];
const CLIENTS: &str = "WSE_IDLE_CLIENTS";

fn main() -> Result {
    if let Ok(job) = env::var(CLIENTS) {
        return clients(&job);
    }
    let count = env::args().skip(1).find_map(|it| it.parse().ok()).unwrap_or(10_000);
    if let Some(kind) = env::args().find(|it| KINDS.contains(&it.as_str())) {
        return measure(&kind, count);
    }
    println!("resident memory per idle connection, over {count}:");
    for kind in KINDS {
        // A process each: what one has freed is not what the next one gets for nothing.
        let status = Command::new(env::current_exe()?).args([kind, &count.to_string()]).status()?;
        if !status.success() {
            return Err(format!("{kind}: {status}").into());
        }
    }
    Ok(())
}

fn measure(kind: &str, count: usize) -> Result {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let what = match kind {
        "raw" => "tokio TCP",
        "bare" => "WebSocket",
        "deflate" => "WebSocket, compressing without takeover",
        _ => "wse server, authenticated",
    };
    let addr = runtime.block_on(serve(kind))?;
    // Whatever the first connections allocate once for all is not theirs.
    let warm = Clients::start(addr, kind, 100)?;
    let before = resident()?;
    let clients = Clients::start(addr, kind, count)?;
    let after = resident()?;
    println!("{what}: {:.2} KiB", (after - before) as f64 / count as f64);
    drop((warm, clients));
    Ok(())
}

async fn serve(kind: &str) -> Result<SocketAddr> {
    let config = match kind {
        "deflate" => Config::default().deflate(Some(Deflate::default().threshold(0))),
        _ => Config::default(),
    };
    if kind == "wse" {
        let server = Server::builder(JsonArray)
            .identify(
                |hello: wse::Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) },
            )
            .on("echo", |conn, text: String| async move {
                conn.send("echo", &text)?;
                Ok::<_, wse::SendError>(())
            })
            .bind("127.0.0.1:0")
            .await?;
        let addr = *server.local_addrs().first().ok_or("no address")?;
        std::mem::forget(server);
        return Ok(addr);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let raw = kind == "raw";
    tokio::spawn(async move {
        while let Ok((mut io, _)) = listener.accept().await {
            tokio::spawn(async move {
                if raw {
                    // No buffer while it waits.
                    while io.readable().await.is_ok() {
                        let mut buffer = vec![0; 512];
                        match io.try_read(&mut buffer) {
                            Ok(0) => break,
                            Ok(len) => io.write_all(&buffer[..len]).await?,
                            Err(_) => {}
                        }
                    }
                    return Ok::<_, Box<dyn Error + Send + Sync>>(());
                }
                let (mut socket, _) = wse_transport::accept(io, config).await?;
                while let Some(message) = socket.next().await {
                    socket.send(message?).await?;
                }
                Ok(())
            });
        }
    });
    Ok(addr)
}

/// The process with the other ends.
struct Clients(Child, Option<ChildStdin>);

impl Clients {
    fn start(addr: SocketAddr, kind: &str, count: usize) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .env(CLIENTS, format!("{addr} {kind} {count}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        if line.trim() != "idle" {
            return Err(format!("clients failed: {line:?}").into());
        }
        Ok(Self(child, stdin))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // They leave when their input ends.
        self.1.take();
        let _ = self.0.wait();
    }
}

fn clients(job: &str) -> Result {
    let mut job = job.split(' ');
    let mut next = || job.next().ok_or("incomplete job");
    let (addr, kind, count): (SocketAddr, &str, usize) =
        (next()?.parse()?, next()?, next()?.parse()?);
    let mut sockets = Vec::with_capacity(count);
    for index in 0..count {
        sockets.push(client(addr, kind, index)?);
    }
    println!("idle");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn client(addr: SocketAddr, kind: &str, index: usize) -> Result<Socket> {
    let mut socket = Socket::connect(addr)?;
    socket.set_nodelay(true)?;
    let text = "x".repeat(100);
    if kind == "raw" {
        socket.write_all(text.as_bytes())?;
        socket.read_exact(&mut [0; 100])?;
        return Ok(socket);
    }
    let extra = match kind {
        "deflate" => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "wse" => "Sec-WebSocket-Protocol: wse-default-json\r\n",
        _ => "",
    };
    write!(
        socket,
        "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&head).into());
    }
    if kind == "wse" {
        let hello = format!(r#"["~wse:hi",{{"identity":"user-{index}","meta":null}},null]"#);
        send(&mut socket, &hello)?;
        receive(&mut socket)?;
        send(&mut socket, &format!(r#"["echo","{text}",null]"#))?;
    } else {
        send(&mut socket, &text)?;
    }
    receive(&mut socket)?;
    Ok(socket)
}

/// A text frame with a mask of zeros.
fn send(socket: &mut Socket, text: &str) -> Result {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(len @ 0..=125) => frame.push(0x80 | len),
        _ => {
            frame.extend([0x80 | 126]);
            frame.extend((text.len() as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    Ok(socket.write_all(&frame)?)
}

fn receive(socket: &mut Socket) -> Result {
    let mut head = [0; 2];
    socket.read_exact(&mut head)?;
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            socket.read_exact(&mut len)?;
            usize::from(u16::from_be_bytes(len))
        }
        len => usize::from(len),
    };
    socket.read_exact(&mut vec![0; len])?;
    if head[0] & 0x0f == 1 { Ok(()) } else { Err("no text came back".into()) }
}

/// This process's resident memory, in KiB.
fn resident() -> Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
