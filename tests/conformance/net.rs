//! What is between the endpoints: theirs, cables that can be cut, and peers that do only what they are told.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split};
use tokio_util::sync::CancellationToken;
use wse::{
    Backoff, Client, ClientBuilder, Conn, Connector, IdentityFrom, Server, ServerBuilder,
    Transport, memory,
};
use wse_proto::{
    Body, Encode, Head, Hi, MessageKind, Negotiate, Protocol, ProtocolInfo, SessionMessage, open,
    seal,
};
use wse_transport::handshake::{ClientRequest, HeadLimits, read_response, write_request};
use wse_transport::ws::{self, Role, WebSocket};

use crate::support::endpoints::*;

/// The server of [`server`], which finds out who clients are that do not greet.
pub fn hosting<P: Talk>(protocol: &P) -> ServerBuilder<P> {
    server(protocol).identity_from([IdentityFrom::bearer()])
}

/// A client of it, with its identity in both places.
pub fn visiting<P: Talk>(protocol: &P, server: &Server<P>, user: &str) -> ClientBuilder<P> {
    client(protocol, server, user).header("authorization", bearer(user))
}

pub fn bearer(user: &str) -> String {
    format!("Bearer secret of {user}")
}

/// Connects a client, and waits until the server knows of it too; the server's end.
pub async fn meet<P: Talk>(client: ClientBuilder<P>, server: &Server<P>) -> (Client<P>, Conn<P>) {
    let client = client.connect().await.unwrap();
    let mine = |conn: &Conn<P>| conn.id();
    adds(&client).await.unwrap();
    let conn = server.connections().into_iter().max_by_key(mine).unwrap();
    (client, conn)
}

/// A server with what `build` adds, and ann at it.
pub async fn pair<P: Talk>(
    protocol: &P,
    host: impl FnOnce(ServerBuilder<P>) -> ServerBuilder<P>,
    visit: impl FnOnce(ClientBuilder<P>) -> ClientBuilder<P>,
) -> (Server<P>, Client<P>, Conn<P>) {
    let server = host(hosting(protocol)).build();
    let (ann, conn) = meet(visit(visiting(protocol, &server, "ann")), &server).await;
    (server, ann, conn)
}

pub fn quick() -> Backoff {
    Backoff::default().base(ms(10)).cap(ms(10))
}

/// Between clients and a server: loses what goes one way, and can be cut.
#[derive(Clone, Debug, Default)]
pub struct Cable(Arc<Wires>);

#[derive(Debug, Default)]
struct Wires {
    cut: Mutex<CancellationToken>,
    /// What is lost: to the server, to the client.
    lost: [AtomicBool; 2],
}

impl Cable {
    /// A connector over it.
    pub fn to<P: Talk>(&self, server: &Server<P>) -> impl Connector + use<P> {
        Plugged { inner: memory::connector(server), cable: self.clone() }
    }

    pub fn lose_what_goes_to_the_server(&self) {
        self.0.lost[0].store(true, Ordering::Relaxed);
    }

    pub fn lose_what_goes_to_the_client(&self) {
        self.0.lost[1].store(true, Ordering::Relaxed);
    }

    /// Loses nothing any more.
    pub fn mend(&self) {
        for lost in &self.0.lost {
            lost.store(false, Ordering::Relaxed);
        }
    }

    /// Cuts it. The next connection is over a whole one.
    pub fn cut(&self) {
        self.mend();
        std::mem::take(&mut *self.0.cut.lock().unwrap()).cancel();
    }

    async fn carry(&self, from: impl AsyncRead, to: impl AsyncWrite, way: usize) -> io::Result<()> {
        let (mut from, mut to) = (std::pin::pin!(from), std::pin::pin!(to));
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer).await? {
                0 => return to.shutdown().await,
                _ if self.0.lost[way].load(Ordering::Relaxed) => {}
                n => to.write_all(&buffer[..n]).await?,
            }
        }
    }
}

struct Plugged<C> {
    inner: C,
    cable: Cable,
}

#[async_trait]
impl<C: Connector> Connector for Plugged<C> {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        let far = self.inner.connect(host, port).await?;
        let (near, end) = duplex(64 * 1024);
        let cable = self.cable.clone();
        let cut = cable.0.cut.lock().unwrap().clone();
        tokio::spawn(cut.run_until_cancelled_owned(async move {
            let ((from_client, to_client), (from_server, to_server)) = (split(end), split(far));
            let there = cable.carry(from_client, to_server, 0);
            let back = cable.carry(from_server, to_client, 1);
            let _ = tokio::join!(there, back);
        }));
        Ok(Box::new(near))
    }
}

/// A peer that says and hears the messages of any protocol, and nothing by itself but pongs.
pub struct Peer<P: Negotiate> {
    socket: WebSocket<Box<dyn Transport>>,
    protocol: P::Protocol,
}

/// What a [`Peer`] hears.
#[derive(Debug)]
pub enum Heard {
    Said(SessionMessage),
    Closed(String),
}

impl<P: Talk> Peer<P> {
    /// A client that the server has let in.
    pub async fn user(protocol: &P, server: &Server<P>, user: &str) -> Self {
        let mut peer = Self::stranger(protocol, server, user).await;
        if peer.protocol.info().has_greeting() {
            let welcome = peer.hear_message().await;
            assert_eq!(welcome.head, Head::Welcome);
        }
        settle().await;
        peer
    }

    /// A client that has said who it is.
    pub async fn stranger(protocol: &P, server: &Server<P>, user: &str) -> Self {
        let mut io = Raw::dial(server).await;
        let mut request = ClientRequest::new(memory::URL)
            .unwrap()
            .header("authorization", &bearer(user))
            .unwrap();
        for name in protocol.subprotocols() {
            request = request.subprotocol(name).unwrap();
        }
        write_request(&mut io, &request.build([7; 16])).await.unwrap();
        let (response, rest) = read_response(&mut io, &HeadLimits::default()).await.unwrap();
        let selected = request.verify([7; 16], &response).unwrap();
        let config =
            ws::Config::default().limits(ws::Limits::unlimited()).close_timeout(secs(100_000));
        let mut peer = Self {
            socket: WebSocket::with_leftover(io, rest, Role::Client, config),
            protocol: choose(protocol, selected),
        };
        if peer.protocol.info().has_greeting() {
            let identity = peer.encode(&format!("secret of {user}"));
            let head = greeting(&peer.protocol.info());
            let body = Body::Hi(Hi { identity, meta: Bytes::new(), resume: None });
            peer.say(SessionMessage { head, body }).await;
        }
        peer
    }

    /// A server that accepts its next client.
    pub async fn welcoming(protocol: &P, arrivals: &mut Arrivals) -> Self {
        let socket = arrivals.accept().await.0;
        let selected = protocol.subprotocols().first().map(|name| (*name).to_owned());
        let mut peer = Self { socket, protocol: choose(protocol, selected) };
        if peer.protocol.info().has_greeting() {
            assert_eq!(peer.hear_message().await.head, greeting(&peer.protocol.info()));
            peer.say(SessionMessage::raw(Head::Welcome, Bytes::new())).await;
        }
        peer
    }

    pub fn encode<T>(&self, value: &T) -> Bytes
    where
        P::Format: Encode<T>,
    {
        let mut out = BytesMut::new();
        self.protocol.format().encode(value, &mut out).unwrap();
        out.freeze()
    }

    /// How the protocol writes it; nothing if it cannot.
    pub fn written(&self, message: &SessionMessage) -> Bytes {
        let mut out = BytesMut::new();
        seal(&self.protocol, message, &mut out);
        out.freeze()
    }

    pub async fn say(&mut self, message: SessionMessage) {
        let bytes = self.written(&message);
        assert!(!bytes.is_empty(), "{message:?} cannot be said");
        self.say_bytes(bytes).await;
    }

    pub async fn say_bytes(&mut self, bytes: Bytes) {
        let message = match self.protocol.info().kind() {
            MessageKind::Text => ws::Message::text(String::from_utf8(bytes.to_vec()).unwrap()),
            MessageKind::Binary => ws::Message::binary(bytes),
        };
        self.socket.send(message).await.unwrap();
    }

    /// Whether the protocol's kind of message can hold it at all.
    pub async fn try_say_bytes(&mut self, bytes: Bytes) -> bool {
        let can = self.protocol.info().kind() == MessageKind::Binary
            || std::str::from_utf8(&bytes).is_ok();
        if can {
            self.say_bytes(bytes).await;
        }
        can
    }

    /// A pong that nobody waits for.
    pub async fn pong(&mut self, payload: &'static str) {
        self.socket.send(ws::Message::Pong(Bytes::from(payload))).await.unwrap();
    }

    /// Hangs up, and waits until the server knows.
    pub async fn leave(self) {
        drop(self);
        settle().await;
    }

    /// What no protocol here can read.
    pub async fn say_garbage(&mut self) {
        let garbage: &[u8] = match self.protocol.info().kind() {
            MessageKind::Text => b"{",
            MessageKind::Binary => b"\xff",
        };
        self.say_bytes(Bytes::from_static(garbage)).await;
    }

    /// The next message; pings of the protocol are answered.
    pub async fn hear(&mut self) -> Heard {
        loop {
            let bytes = match self.socket.next().await {
                Some(Ok(ws::Message::Text(text))) => text.into_bytes(),
                Some(Ok(ws::Message::Binary(bytes))) => bytes,
                Some(Ok(ws::Message::Close(Some(frame)))) => {
                    let code = u16::from(frame.code);
                    return Heard::Closed(format!("{code} {}", frame.reason.as_str()));
                }
                Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_))) => continue,
                other => return Heard::Closed(format!("{other:?}")),
            };
            match open(&self.protocol, (&bytes).into()).unwrap() {
                SessionMessage { head: Head::Ping, body: Body::Raw(payload) } => {
                    self.say(SessionMessage::raw(Head::Pong, payload)).await;
                }
                message => return Heard::Said(message),
            }
        }
    }

    pub async fn hear_message(&mut self) -> SessionMessage {
        match self.hear().await {
            Heard::Said(message) => message,
            closed => panic!("{closed:?}"),
        }
    }

    pub async fn hear_close(&mut self) -> String {
        match self.hear().await {
            Heard::Closed(close) => close,
            said => panic!("{said:?}"),
        }
    }

    /// What comes until nothing more does; hardly any time passes.
    pub async fn hear_all(&mut self) -> Vec<SessionMessage> {
        let mut heard = Vec::new();
        while let Ok(message) = tokio::time::timeout(ms(2), self.hear_message()).await {
            heard.push(message);
        }
        heard
    }
}

fn choose<P: Negotiate>(protocol: &P, selected: Option<String>) -> P::Protocol {
    let selected: Vec<&str> = selected.as_deref().into_iter().collect();
    protocol.select(&selected).unwrap()
}

/// The receipts of a message to a user, and the devices that it was sent to.
pub fn counts(report: Result<wse::Report, wse::CodecError>) -> (usize, usize) {
    let report = report.unwrap();
    (report.received(), report.len())
}

/// The greeting of a client that gives receipts, if its protocol has them.
fn greeting(info: &ProtocolInfo) -> Head {
    if info.can().has_receipts() { Head::HiWithReceipts } else { Head::Hi }
}
