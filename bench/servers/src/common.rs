//! What every tokio server here shares: argument, listener, runtime, and a bare
//! handshake for the libraries that bring none.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use std::future::Future;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Largest message every server accepts.
pub const MAX_MESSAGE: usize = 64 << 20;

pub fn port() -> u16 {
    std::env::args().nth(1).and_then(|p| p.parse().ok()).expect("usage: SERVER PORT [OPTION=N ...]")
}

/// `name=N` among the arguments after the port.
pub fn option(name: &str, default: usize) -> usize {
    std::env::args()
        .skip(2)
        .find_map(|a| a.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or(default)
}

/// Raise the descriptor limit; the idle test opens 10,000 connections.
pub fn raise_nofile() {
    unsafe {
        let want = libc::rlimit { rlim_cur: 1 << 17, rlim_max: 1 << 17 };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &want) != 0 {
            let mut have = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut have);
            have.rlim_cur = have.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &have);
        }
    }
}

/// Single-threaded accept loop. Every connection is one unconstrained task.
pub fn serve<F, Fut>(handler: F)
where
    F: Fn(TcpStream) -> Fut + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    raise_nofile();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], port()).into()).unwrap();
        let listener = socket.listen(4096).unwrap();
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(tokio::task::unconstrained(handler(stream)));
            }
        }
    });
}

pub fn accept_key(key: &str) -> String {
    let mut h = Sha1::new();
    h.update(key.as_bytes());
    h.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(h.finalize())
}

/// Minimal server handshake, for libraries without one.
pub async fn handshake(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 8192 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let text = std::str::from_utf8(&head).map_err(|_| io::ErrorKind::InvalidData)?;
    let key = text
        .lines()
        .find_map(|l| {
            let (k, v) = l.split_once(':')?;
            k.eq_ignore_ascii_case("sec-websocket-key").then(|| v.trim())
        })
        .ok_or(io::ErrorKind::InvalidData)?;
    let reply = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    stream.write_all(reply.as_bytes()).await
}

/// Poll a future once without dropping it.
pub async fn poll_once<F: Future + Unpin>(fut: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *fut).poll(cx))).await
}
