//! The hostile clients, each of one kind. They write bytes of their own, since no library would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;

type Attack = for<'a> fn(&'a str, usize) -> BoxFuture<'a, std::io::Result<()>>;

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    attack: Attack,
}

macro_rules! kinds {
    ($($name:literal: |$addr:ident, $n:ident| $attack:expr;)+) => {
        pub(crate) const KINDS: &[Kind] = &[$(Kind {
            name: $name,
            attack: |$addr, $n| async move { $attack }.boxed(),
        }),+];
    };
}

kinds! {
    "connect and say nothing": |addr, _n| {
        let _socket = TcpStream::connect(addr).await?;
        pause(500).await
    };
    "connect and go at once": |addr, _n| drop_of(TcpStream::connect(addr).await?);
    "a head byte by byte": |addr, _n| {
        let mut socket = TcpStream::connect(addr).await?;
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: " {
            socket.write_all(&[*byte]).await?;
            pause(20).await?;
        }
        Ok(())
    };
    "24 KB of subprotocols": |addr, _n| {
        let list: Vec<String> = (0..4000).map(|n| format!("p{n:04}")).collect();
        send(addr, &request(&format!("Sec-WebSocket-Protocol: {}\r\n", list.join(",")))).await
    };
    "hundreds of header fields": |addr, _n| send(addr, &request(&"A: b\r\n".repeat(4000))).await;
    "TLS to a plain port": |addr, _n| send(addr, "\x16\x03\x01\x02\x00\x01\x00").await;
    "bytes of no protocol": |addr, n| {
        let mut state = n as u64 + 1;
        let bytes: Vec<u8> = (0..8192).map(|_| random(&mut state)).collect();
        let mut socket = upgraded(addr).await?;
        socket.write_all(&bytes).await?;
        pause(50).await
    };
    "frames without a mask": |addr, _n| {
        let mut socket = upgraded(addr).await?;
        socket.write_all(&[0x81, 2, b'h', b'i']).await?;
        pause(50).await
    };
    "text that is no UTF-8": |addr, n| {
        let mut socket = user(addr, n).await?;
        frame(&mut socket, 0x81, b"\xff\xfe\xfd").await?;
        pause(50).await
    };
    "a large message before the greeting": |addr, _n| {
        let mut socket = upgraded(addr).await?;
        frame(&mut socket, 0x81, &vec![b'x'; 100_000]).await
    };
    "a wrong identity": |addr, _n| {
        let mut socket = upgraded(addr).await?;
        say(&mut socket, r#"["~wse:hi",{"identity":"nobody"}]"#).await?;
        pause(50).await
    };
    "calls that call back and get no answer": |addr, n| {
        let mut socket = user(addr, n).await?;
        for call in 0..1100 {
            say(&mut socket, &format!(r#"["ask",{call},"a{call}"]"#)).await?;
        }
        pause(1000).await
    };
    "answers that nobody reads": |addr, n| {
        let mut socket = user(addr, n).await?;
        for call in 0..200 {
            say(&mut socket, &format!(r#"["big",100000,"b{call}"]"#)).await?;
        }
        pause(1000).await
    };
    "large calls to a slow procedure": |addr, n| {
        let mut socket = user(addr, n).await?;
        let text = "x".repeat(300_000);
        for call in 0..30 {
            say(&mut socket, &format!(r#"["keep","{text}","k{call}"]"#)).await?;
        }
        pause(200).await
    };
    "a flood of messages, and a reset": |addr, n| {
        let mut socket = user(addr, n).await?;
        for _ in 0..500 {
            say(&mut socket, r#"["note","hello"]"#).await?;
        }
        socket.set_zero_linger()
    };
    "a flood of pings": |addr, n| {
        let mut socket = user(addr, n).await?;
        for _ in 0..200 {
            frame(&mut socket, 0x89, b"ping").await?;
        }
        pause(50).await
    };
    "a message in empty fragments": |addr, n| {
        let mut socket = user(addr, n).await?;
        frame(&mut socket, 0x01, b"[").await?;
        for _ in 0..20_000 {
            frame(&mut socket, 0x00, b"").await?;
        }
        pause(50).await
    };
    "envelopes of a wrong shape": |addr, n| {
        let mut socket = user(addr, n).await?;
        for text in ["{}", "[]", "[1]", "null", r#"["~wse:what"]"#, "[\"a\",", "1e999", "\"\\ud800\""] {
            say(&mut socket, text).await?;
        }
        pause(50).await
    };
    "deep nesting": |addr, n| {
        let mut socket = user(addr, n).await?;
        say(&mut socket, &format!(r#"["note",{}"#, "[".repeat(50_000))).await?;
        pause(50).await
    };
    "odd close codes": |addr, n| {
        let mut socket = user(addr, n).await?;
        let code: u16 = [0, 999, 1005, 1006, 1015, 2999, 5000, 65_535][n % 8];
        frame(&mut socket, 0x88, &code.to_be_bytes()).await?;
        pause(50).await
    };
    "receipts and cancels of nothing, under long names": |addr, n| {
        let mut socket = user(addr, n).await?;
        for stamp in 0..200 {
            say(&mut socket, &format!(r#"["~wse:receipt",null,"r{stamp}",2]"#)).await?;
            say(&mut socket, &format!(r#"["~wse:cancel",null,"c{stamp}"]"#)).await?;
        }
        let name = "n".repeat(200_000);
        say(&mut socket, &format!(r#"["{name}",null,"u"]"#)).await?;
        pause(50).await
    };
    "reliable messages again and again": |addr, n| {
        let mut socket = user(addr, n).await?;
        for again in 0..500 {
            say(&mut socket, &format!(r#"["note","x","r{}",11]"#, again % 50)).await?;
        }
        pause(50).await
    };
    "procedures that panic": |addr, n| {
        let mut socket = user(addr, n).await?;
        for call in 0..20 {
            say(&mut socket, &format!(r#"["panic",null,"p{call}"]"#)).await?;
        }
        pause(50).await
    };
    "evictions": |addr, n| {
        let _first = user(addr, n).await?;
        let _second = user(addr, n).await?;
        pause(20).await
    };
}

/// Runs that many hostile clients until standard input ends. Prints how often each kind did what it does. A `kind` beyond
/// the last stands for all.
pub(crate) fn attack(addr: &str, clients: usize, kind: usize) -> Result {
    let over = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut crowd = JoinSet::new();
    for n in 0..clients {
        let n = if kind < KINDS.len() { kind + n * KINDS.len() } else { n };
        crowd.spawn_on(run(addr.to_owned(), n, Arc::clone(&over)), runtime.handle());
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    over.store(true, Ordering::Relaxed);
    let mut rounds = [0; KINDS.len()];
    for (kind, done) in runtime.block_on(crowd.join_all()) {
        rounds[kind] += done;
    }
    println!("{}", rounds.map(|it| it.to_string()).join(" "));
    Ok(())
}

/// Attacks until it is over. Returns the kind, and how often it did.
async fn run(addr: String, n: usize, over: Arc<AtomicBool>) -> (usize, usize) {
    let (kind, mut done) = (n % KINDS.len(), 0);
    let mut state = n as u64 + 1;
    while !over.load(Ordering::Relaxed) {
        let attack = (KINDS[kind].attack)(&addr, n);
        // Errors are what they want.
        let _ = tokio::time::timeout(Duration::from_secs(5), attack).await;
        done += 1;
        tokio::time::sleep(Duration::from_millis(100 + u64::from(random(&mut state)) * 2)).await;
    }
    (kind, done)
}

/// Numbers without a pattern, the same in each run.
fn random(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 56) as u8
}

fn drop_of(socket: TcpStream) -> std::io::Result<()> {
    drop(socket);
    Ok(())
}

async fn pause(millis: u64) -> std::io::Result<()> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(())
}

fn request(more: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// Sends bytes, and waits for the end.
async fn send(addr: &str, text: &str) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(addr).await?;
    socket.write_all(text.as_bytes()).await?;
    socket.read_to_end(&mut Vec::new()).await.map(drop)
}

/// A connection past the handshake.
async fn upgraded(addr: &str) -> std::io::Result<TcpStream> {
    let mut socket = TcpStream::connect(addr).await?;
    let subprotocol = request("Sec-WebSocket-Protocol: wse-default-json\r\n");
    socket.write_all(subprotocol.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await?);
    }
    Ok(socket)
}

/// A connection past its greeting.
async fn user(addr: &str, n: usize) -> std::io::Result<TcpStream> {
    let mut socket = upgraded(addr).await?;
    say(&mut socket, &format!(r#"["~wse:hi",{{"identity":"secret of hostile {n}"}}]"#)).await?;
    Ok(socket)
}

async fn say(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    frame(socket, 0x81, text.as_bytes()).await
}

/// A frame with a mask of zeros.
async fn frame(socket: &mut TcpStream, first: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    socket.write_all(&bytes).await
}
