//! Servers and clients over every protocol, and peers that say only what they are told to.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use http::Request;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wse::{
    Accept, CallError, Client, ClientBuilder, Close, Connector, Hello, Refuse, Server,
    ServerBuilder, ServerEvent, Transport, memory,
};
use wse_codecs::JsonArray;
use wse_proto::{Negotiate, Speaks};
use wse_transport::accept_with;
use wse_transport::handshake::{
    ClientRequest, HeadLimits, parse_request, read_response, write_request,
};
use wse_transport::ws::{self, CloseCode, CloseFrame, Role, WebSocket};

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
pub struct Add {
    #[prost(int64, tag = "1")]
    pub a: i64,
    #[prost(int64, tag = "2")]
    pub b: i64,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
pub struct Note {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
pub struct Meta {
    #[prost(string, tag = "1")]
    pub device: String,
}

/// A protocol that carries whatever these tests say.
pub trait Talk:
    Speaks<Add> + Speaks<Note> + Speaks<Meta> + Speaks<String> + Speaks<i64> + Speaks<()> + fmt::Debug
{
}

impl<P> Talk for P where
    P: Negotiate
        + Speaks<Add>
        + Speaks<Note>
        + Speaks<Meta>
        + Speaks<String>
        + Speaks<i64>
        + Speaks<()>
        + fmt::Debug
{
}

/// Runs each behaviour, written once for any protocol, over every protocol, in virtual time.
///
/// Modules call it as `crate::over_every_protocol!`.
#[macro_export]
macro_rules! over_every_protocol {
    ($($behaviour:ident)+) => {
        $crate::over_every_protocol!(@ json_array, wse_codecs::JsonArray, $($behaviour)+);
        $crate::over_every_protocol!(@ cbor, wse_codecs::Cbor, $($behaviour)+);
        $crate::over_every_protocol!(@ protobuf, wse_codecs::Protobuf, $($behaviour)+);
        $crate::over_every_protocol!(
            @ negotiated,
            wse_proto::Negotiated::new((
                wse_codecs::JsonArray,
                wse_codecs::Cbor,
                wse_codecs::Protobuf,
            )),
            $($behaviour)+
        );
    };
    (@ $module:ident, $protocol:expr, $($behaviour:ident)+) => {
        mod $module {
            $(
                #[tokio::test(start_paused = true)]
                async fn $behaviour() {
                    $crate::support::endpoints::within(super::$behaviour($protocol)).await;
                }
            )+
        }
    };
}

/// Runs a test to its end; under a paused clock one that hangs fails at once instead.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(secs(24 * 3600), test).await.expect("the test hangs")
}

/// Lets everything run that can run without time passing.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long something takes, in virtual time.
pub async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let result = future.await;
    (result, start.elapsed())
}

pub fn note(text: impl Into<String>) -> Note {
    Note { text: text.into() }
}

/// Lines that callbacks and handlers leave behind.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The lines since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Writes down the events of a server.
    pub fn events<P: Talk>(&self, builder: ServerBuilder<P>) -> ServerBuilder<P> {
        let log = self.clone();
        builder.on_event(move |event| log.add(line(event)))
    }
}

/// A server event as text; a connection is its user and device.
pub fn line<P: Talk>(event: &ServerEvent<P>) -> String {
    let who = |conn: &wse::Conn<P>| {
        let Meta { device } = conn.meta().unwrap_or_default();
        if device.is_empty() {
            conn.user_id().to_owned()
        } else {
            format!("{}/{device}", conn.user_id())
        }
    };
    match event {
        ServerEvent::Joined(conn) => format!("joined {}", who(conn)),
        ServerEvent::Connected(conn) => format!("connected {}", who(conn)),
        ServerEvent::Disconnected(conn, close) => format!("disconnected {} {close}", who(conn)),
        ServerEvent::Left(user, close) => format!("left {user} {close}"),
        ServerEvent::Error(error) => {
            let conn = error.conn.as_ref().map_or("nobody".to_owned(), who);
            let name = error.name.as_deref().unwrap_or("-");
            format!("error {conn} {name} {}", error.code)
        }
        ServerEvent::Refused(refused) => format!("refused {} {}", refused.stage, refused.with),
        other => format!("{other:?}"),
    }
}

/// A server that knows everybody who has the secret, and adds.
pub fn server<P: Talk>(protocol: &P) -> ServerBuilder<P> {
    Server::builder(protocol.clone())
        .identify(|hello: Hello<String, Meta>| async move {
            match hello.identity.strip_prefix("secret of ") {
                Some(user) => Ok(Accept::user(user).welcome(note(format!("hi, {user}")))),
                None => Err(Refuse::not_authorized()),
            }
        })
        .procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) })
}

/// A client of `server`, to be connected as `user`.
pub fn client<P: Talk>(protocol: &P, server: &Server<P>, user: &str) -> ClientBuilder<P> {
    Client::builder(protocol.clone(), memory::URL)
        .connector(memory::connector(server))
        .identity(format!("secret of {user}"))
}

/// As [`client`], on a device with a name, and connected.
pub async fn device<P: Talk>(
    protocol: &P,
    server: &Server<P>,
    user: &str,
    device: &str,
) -> Client<P> {
    let meta = Meta { device: device.to_owned() };
    client(protocol, server, user).meta(meta).connect().await.unwrap()
}

/// What `add` says to 1 and 2: that the connection works.
pub async fn adds<P: Talk>(client: &Client<P>) -> Result<i64, CallError> {
    client.call("add", &Add { a: 1, b: 2 }).await
}

/// The code and reason of a call that failed because its connection ended.
#[track_caller]
pub fn disconnected<T: fmt::Debug>(outcome: Result<T, CallError>) -> Close {
    match outcome {
        Err(CallError::Disconnected(close)) => close,
        other => panic!("not disconnected: {other:?}"),
    }
}

/// A peer without any manners of its own: it says JSON texts, and hears what comes.
pub struct Raw(pub WebSocket<Box<dyn Transport>>);

impl Raw {
    /// A transport to the server, without a word said.
    pub async fn dial<P: Negotiate>(server: &Server<P>) -> Box<dyn Transport> {
        memory::connector(server).connect("memory", 80).await.unwrap()
    }

    /// A client past the upgrade that has not greeted.
    pub async fn stranger<P: Negotiate>(server: &Server<P>) -> Self {
        Self::upgrade(Self::dial(server).await).await
    }

    pub async fn upgrade(mut io: Box<dyn Transport>) -> Self {
        let request = ClientRequest::new(memory::URL).unwrap();
        let request = request.subprotocol("wse-default-json").unwrap();
        write_request(&mut io, &request.build([7; 16])).await.unwrap();
        let (response, rest) = read_response(&mut io, &HeadLimits::default()).await.unwrap();
        request.verify([7; 16], &response).unwrap();
        Self::over(io, rest, Role::Client)
    }

    /// A client past its welcome.
    pub async fn user<P: Negotiate>(server: &Server<P>, user: &str) -> Self {
        let mut raw = Self::stranger(server).await;
        raw.greet(user).await;
        assert_eq!(raw.hear().await, welcome(user));
        raw
    }

    /// A client past its welcome, of a server that welcomes with nothing.
    pub async fn user_of<P: Negotiate>(server: &Server<P>, user: &str) -> Self {
        let mut raw = Self::stranger(server).await;
        raw.greet(user).await;
        assert_eq!(raw.hear().await, r#"["~wse:welcome",null,null]"#);
        raw
    }

    fn over(io: Box<dyn Transport>, rest: BytesMut, role: Role) -> Self {
        let config =
            ws::Config::default().limits(ws::Limits::unlimited()).close_timeout(secs(100_000));
        Self(WebSocket::with_leftover(io, rest, role, config))
    }

    /// Greets as a client that gives receipts.
    pub async fn greet(&mut self, user: &str) {
        let hi = format!(r#"["~wse:hi",{{"identity":"secret of {user}","meta":{{}}}},null,1]"#);
        self.say(&hi).await;
    }

    pub async fn say(&mut self, text: &str) {
        self.try_say(text).await.unwrap();
    }

    pub async fn try_say(&mut self, text: &str) -> Result<(), ws::Error> {
        self.0.send(ws::Message::text(text.to_owned())).await
    }

    pub async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame::new(CloseCode::from(code), reason.to_owned());
        self.0.send(ws::Message::Close(Some(frame))).await.unwrap();
    }

    /// The next message, `close 1000 reason`, or `end`.
    pub async fn hear(&mut self) -> String {
        loop {
            return match self.0.next().await {
                Some(Ok(ws::Message::Text(text))) => text.as_str().to_owned(),
                Some(Ok(ws::Message::Close(Some(frame)))) => {
                    format!("close {} {}", u16::from(frame.code), frame.reason.as_str())
                }
                Some(Ok(ws::Message::Close(None))) => "close".to_owned(),
                Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_))) => continue,
                Some(Ok(other)) => format!("{other:?}"),
                Some(Err(error)) => format!("failed: {error}"),
                None => "end".to_owned(),
            };
        }
    }

    /// Whatever comes until nothing more does, without time passing.
    pub async fn hear_all(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(text) = tokio::time::timeout(ms(1), self.hear()).await {
            let end = text == "end";
            heard.push(text);
            if end {
                break;
            }
        }
        heard
    }
}

/// What the server of [`server`] welcomes a user with.
pub fn welcome(user: &str) -> String {
    format!(r#"["~wse:welcome",{{"text":"hi, {user}"}},null]"#)
}

/// A connector whose other ends come to the test.
pub fn dialled() -> (Dial, Arrivals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Dial(sender), Arrivals(receiver))
}

pub struct Dial(mpsc::UnboundedSender<DuplexStream>);

#[async_trait]
impl Connector for Dial {
    async fn connect(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Transport>> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.0.send(far).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(near))
    }
}

pub struct Arrivals(mpsc::UnboundedReceiver<DuplexStream>);

impl Arrivals {
    /// The next connection, without a word said.
    pub async fn dialled(&mut self) -> DuplexStream {
        self.0.recv().await.expect("a client that still connects")
    }

    /// The next connection, upgraded.
    pub async fn accept(&mut self) -> Raw {
        let io: Box<dyn Transport> = Box::new(self.dialled().await);
        let config = ws::Config::default().close_timeout(secs(100_000));
        let select = |upgrade: &wse_transport::handshake::Upgrade, _: &_| {
            Ok(upgrade.subprotocols().first().cloned())
        };
        Raw(accept_with(io, config, select).await.unwrap().0)
    }

    /// The next connection, upgraded; its greeting is the answer's second half.
    pub async fn greeted(&mut self) -> (Raw, String) {
        let mut raw = self.accept().await;
        let greeting = raw.hear().await;
        (raw, greeting)
    }

    /// The next connection, welcomed.
    pub async fn welcomed(&mut self) -> Raw {
        let (mut raw, _) = self.greeted().await;
        raw.say(r#"["~wse:welcome",{"text":"hi"},null]"#).await;
        raw
    }

    /// Refuses the next connection with this status. Returns its request.
    pub async fn refused(&mut self, status: u16) -> Request<()> {
        let mut io = self.dialled().await;
        let mut head = BytesMut::new();
        while !head.ends_with(b"\r\n\r\n") {
            io.read_buf(&mut head).await.unwrap();
        }
        let response = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        io.write_all(response.as_bytes()).await.unwrap();
        parse_request(&head, &HeadLimits::default()).unwrap()
    }

    /// Whether nobody has connected.
    pub fn none(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// A JSON client. The test takes its connections.
pub fn json_client(dial: Dial) -> ClientBuilder<JsonArray> {
    Client::builder(JsonArray, memory::URL).connector(dial).identity("me".to_owned())
}
