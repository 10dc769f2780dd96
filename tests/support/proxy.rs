//! Proxies that open tunnels, ones that say only what they are told to, and servers behind them.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use wse::Transport;
use wse_transport::dial::{Dial, NetStream};
use wse_transport::handshake::{ClientRequest, HandshakeError};
use wse_transport::proxy::{Proxy, ProxyError};
use wse_transport::tls::{ClientTls, ServerTls};
use wse_transport::ws::{Config, Message, WebSocket};

use super::endpoints::{ms, secs};

pub const LOCAL: &str = "127.0.0.1:0";

/// A certificate authority.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server that proves to be this one.
    pub fn server(&self, name: &str) -> ServerTls {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        ServerTls::from_pem(chain, key.serialize_pem()).unwrap()
    }

    /// A client that trusts it, and nobody else.
    pub fn trusted(&self) -> ClientTls {
        ClientTls::builder().ca_pem(self.pem.as_str()).build().unwrap()
    }
}

/// Where something listens, and what it was asked, once for each connection.
#[derive(Clone)]
pub struct Listening {
    pub addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Listening {
    /// Serves each connection, after TLS if there is some.
    async fn start<Fut>(
        on: &str,
        tls: Option<ServerTls>,
        serve: impl Fn(Self, Box<dyn Transport>) -> Fut + Send + 'static,
    ) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(on).await.unwrap();
        let this = Self { addr: listener.local_addr().unwrap(), asked: Arc::default() };
        let listening = this.clone();
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                io.set_nodelay(true).unwrap();
                let io: Box<dyn Transport> = match &tls {
                    None => Box::new(io),
                    Some(tls) => match tls.accept(io).await {
                        Ok(io) => Box::new(io),
                        Err(_) => continue,
                    },
                };
                tokio::spawn(serve(this.clone(), io));
            }
        });
        listening
    }

    fn note(&self, asked: impl Into<String>) {
        self.asked.lock().unwrap().push(asked.into());
    }

    /// What it was asked since this was called before.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The URL of a proxy here, with what stands before the host.
    pub fn url(&self, before: &str) -> String {
        format!("{before}{}", self.addr)
    }
}

/// The head of a request.
async fn head(io: &mut Box<dyn Transport>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Servers of names in `.test` are on this machine.
async fn dial(host: &str, port: u16) -> TcpStream {
    let host = if host.ends_with(".test") { "127.0.0.1" } else { host };
    TcpStream::connect((host.trim_matches(['[', ']']), port)).await.unwrap()
}

/// A WebSocket server that first says which header fields it got, and then what it gets.
pub async fn echo_server(on: &str, tls: Option<ServerTls>) -> Listening {
    Listening::start(on, tls, |this, io| async move {
        let Ok((mut socket, request)) = wse_transport::accept(io, Config::default()).await else {
            return;
        };
        this.note(request.uri().path());
        let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        socket.send(Message::text(names.join(" "))).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            socket.send(message).await.unwrap();
        }
    })
    .await
}

/// An HTTP proxy that opens a tunnel for everybody.
pub async fn http_proxy(tls: Option<ServerTls>) -> Listening {
    Listening::start(LOCAL, tls, |this, mut io| async move {
        let Some(head) = head(&mut io).await else { return };
        let target = head.split(' ').nth(1).unwrap().to_owned();
        this.note(head);
        let (host, port) = target.rsplit_once(':').unwrap();
        let mut server = dial(host, port.parse().unwrap()).await;
        io.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut io, &mut server).await;
    })
    .await
}

/// A server that answers each head with this, in pieces of so many bytes, and no more.
pub async fn says(answer: impl Into<Vec<u8>>, piece: usize) -> Listening {
    says_over(None, answer, piece).await
}

/// [`says`], with TLS if there is some.
pub async fn says_over(
    tls: Option<ServerTls>,
    answer: impl Into<Vec<u8>>,
    piece: usize,
) -> Listening {
    let answer = answer.into();
    Listening::start(LOCAL, tls, move |this, mut io| {
        let answer = answer.clone();
        async move {
            let Some(head) = head(&mut io).await else { return };
            this.note(head);
            for piece in answer.chunks(piece) {
                if io.write_all(piece).await.is_err() {
                    return;
                }
                if piece.len() < 100 {
                    sleep(ms(1)).await;
                }
            }
            let _ = io.shutdown().await;
            let _ = io.read_to_end(&mut Vec::new()).await;
        }
    })
    .await
}

/// A server that takes connections and says nothing.
pub async fn silent() -> Listening {
    Listening::start(LOCAL, None, |_, mut io| async move {
        let _ = io.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// A SOCKS 5 proxy, which wants this login if any, and answers byte by byte.
pub async fn socks_proxy(login: Option<(&'static str, &'static str)>) -> Listening {
    Listening::start(LOCAL, None, move |this, mut io| async move {
        let _ = serve_socks(this, &mut io, login).await;
    })
    .await
}

async fn serve_socks(
    this: Listening,
    io: &mut Box<dyn Transport>,
    login: Option<(&str, &str)>,
) -> std::io::Result<()> {
    assert_eq!(io.read_u8().await?, 5);
    let methods = chunk(io).await?;
    if let Some((user, password)) = login {
        if !methods.contains(&2) {
            return slowly(io, &[5, 0xff]).await;
        }
        slowly(io, &[5, 2]).await?;
        assert_eq!(io.read_u8().await?, 1);
        let right = chunk(io).await? == user.as_bytes();
        if chunk(io).await? != password.as_bytes() || !right {
            return slowly(io, &[1, 1]).await;
        }
        slowly(io, &[1, 0]).await?;
    } else {
        assert!(methods.contains(&0));
        slowly(io, &[5, 0]).await?;
    }
    let mut request = [0; 4];
    io.read_exact(&mut request).await?;
    assert_eq!(request[..3], [5, 1, 0]);
    let (kind, host) = match request[3] {
        1 => ("v4", std::net::Ipv4Addr::from(io.read_u32().await?).to_string()),
        3 => ("name", String::from_utf8(chunk(io).await?).unwrap()),
        4 => ("v6", std::net::Ipv6Addr::from(io.read_u128().await?).to_string()),
        other => panic!("no kind of address: {other}"),
    };
    let port = io.read_u16().await?;
    this.note(format!("{kind} {host} {port}"));
    let mut server = dial(&host, port).await;
    // Where it is bound, in each of the three ways.
    match kind {
        "v4" => slowly(io, &[5, 0, 0, 3, 1, b'x', 0, 9]).await?,
        "name" => {
            slowly(io, &[5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9]).await?
        }
        _ => slowly(io, &[5, 0, 0, 1, 127, 0, 0, 1, 0, 9]).await?,
    }
    copy_bidirectional(io, &mut server).await.map(drop)
}

/// As many bytes as the first one says.
async fn chunk(io: &mut Box<dyn Transport>) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(io.read_u8().await?)];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn slowly(io: &mut Box<dyn Transport>, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        io.write_u8(*byte).await?;
        io.flush().await?;
        sleep(ms(1)).await;
    }
    Ok(())
}

pub async fn dialled(url: &str, dial: &Dial) -> Result<WebSocket<NetStream>, HandshakeError> {
    let request = ClientRequest::new(url).unwrap();
    soon(wse_transport::connect_dial(&request, dial, Config::default()))
        .await
        .map(|(socket, _)| socket)
}

pub fn through(proxy: &str) -> Dial {
    Dial::default().proxy(Proxy::new(proxy).unwrap())
}

/// Why there was no tunnel; any other outcome is the test's failure.
#[track_caller]
pub fn proxy_error<T>(outcome: Result<T, HandshakeError>) -> ProxyError {
    match outcome.map(drop) {
        Err(HandshakeError::Proxy(error)) => error,
        other => panic!("not an error of a proxy: {other:?}"),
    }
}

/// What the server says first: the names of the header fields it got. Then whether it echoes.
pub async fn talk(mut socket: WebSocket<NetStream>) -> String {
    let mut hear = async || soon(socket.next()).await.unwrap().unwrap();
    let Message::Text(names) = hear().await else { panic!("no text") };
    socket.send(Message::text("ä".repeat(100_000))).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("ä".repeat(100_000)));
    names.as_str().to_owned()
}

pub fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Before any deadline that is not set by the test.
pub async fn soon<T>(test: impl Future<Output = T>) -> T {
    timeout(secs(4), test).await.expect("in bounded time")
}
