//! What every tokio server here shares: argument, listener, runtime, and a bare
//! handshake for the libraries that bring none.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{SinkExt, StreamExt};
use sha1::{Digest, Sha1};
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wse_transport::ws;

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

/// What a call of `add` carries.
#[derive(Clone, Copy, serde::Deserialize)]
pub struct Add {
    pub a: i64,
    pub b: i64,
}

/// What is broadcast: with an envelope around it, some 256 bytes.
pub const NEWS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The same in an envelope, as `JsonArray` writes it.
pub fn news() -> String {
    format!(r#"["news","{NEWS}",null]"#)
}

/// The same as a frame.
pub fn news_frame() -> Vec<u8> {
    let text = news();
    let mut frame = vec![0x81, 126];
    frame.extend((text.len() as u16).to_be_bytes());
    frame.extend(text.as_bytes());
    frame
}

/// A certificate of the day and its key, as PEM.
pub fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// rustls as `ServerTls` sets it up.
pub fn rustls_config() -> Arc<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

/// One thread, as for all servers here.
pub fn block_on(main: impl Future<Output = ()>) {
    raise_nofile();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(main);
}

/// Single-threaded accept loop. Every connection is one unconstrained task.
pub fn serve<F, Fut>(handler: F)
where
    F: Fn(TcpStream) -> Fut + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    block_on(async move {
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
    let response = response(&head).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(response.as_bytes()).await
}

/// The answer to an upgrade request.
pub fn response(head: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(head).ok()?.lines().find_map(|l| {
        let (k, v) = l.split_once(':')?;
        k.eq_ignore_ascii_case("sec-websocket-key").then(|| v.trim())
    })?;
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    ))
}

/// Poll a future once without dropping it.
pub async fn poll_once<F: Future + Unpin>(fut: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *fut).poll(cx))).await
}

/// The WebSocket of wse-transport through its public `Stream` and `Sink`: what has arrived is answered, then flushed together.
/// No `async fn`, whose task would keep room for the arguments.
pub fn websocket<A>(stream: TcpStream, config: ws::Config, answer: A) -> impl Future<Output = ()>
where
    A: Fn(ws::Message) -> Option<ws::Message>,
{
    let accepting = Box::pin(wse_transport::accept(stream, config));
    async move {
        let Ok((mut socket, _)) = accepting.await else { return };
        poll_fn(|cx| {
            loop {
                if ready!(socket.poll_ready_unpin(cx)).is_err() {
                    return Poll::Ready(());
                }
                match socket.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(message))) => {
                        if let Some(answer) = answer(message)
                            && socket.start_send_unpin(answer).is_err()
                        {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Ready(Some(Err(_))) => {}
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {
                        let _ = ready!(socket.poll_flush_unpin(cx));
                        return Poll::Pending;
                    }
                }
            }
        })
        .await;
    }
}
