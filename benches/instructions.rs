//! What `benches/instructions` counts instructions of: one hot path, so many times.
//!
//! `cargo bench --bench instructions -- NAME TIMES`; without a name, all of them, once. With `head KIND BYTES` it judges one
//! hostile request head of this length, and with `head` it names the kinds.

use std::collections::VecDeque;
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::{Decoder, Encoder};
use wse::session::{Session, SessionLimits};
use wse::ws::{Codec, Config, Frame, Limits, Message, Opcode};
use wse::{
    Accept, Body, Cbor, Conn, Decode, Encode, Format, Head, Hello, Hi, JsonArray, MessageKind,
    Protobuf, Protocol, ResumeLimits, Server, SessionMessage, Stamp, seal,
};
use wse_proto::Value;

#[path = "../tests/support/heads.rs"]
mod heads;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The most times that a path can be run.
const MOST: usize = 2000;
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

type Path = (&'static str, fn(usize));

const PATHS: [Path; 20] = [
    ("decode a frame of 32 B", |n| decode(n, Opcode::Binary, 32)),
    ("decode a text frame of 1 KiB", |n| decode(n, Opcode::Text, 1024)),
    ("encode a frame of 32 B", |n| encode(n, 32)),
    ("encode a frame of 1 KiB", |n| encode(n, 1024)),
    ("echo a message of 32 B", |n| echo(n, Opcode::Binary, 32)),
    ("echo a text message of 1 KiB", |n| echo(n, Opcode::Text, 1024)),
    ("pack json", |n| pack(n, &JsonArray)),
    ("unpack json", |n| unpack(n, &JsonArray)),
    ("pack cbor", |n| pack(n, &Cbor)),
    ("unpack cbor", |n| unpack(n, &Cbor)),
    ("pack protobuf", |n| pack(n, &Protobuf)),
    ("unpack protobuf", |n| unpack(n, &Protobuf)),
    ("answer a call, json", |n| call(n, JsonArray)),
    ("answer a call, protobuf", |n| call(n, Protobuf)),
    ("send 64 messages", |n| send(n, false)),
    ("send 64 messages that are kept for resume", |n| send(n, true)),
    ("a call answered among 10", |n| pending(n, 10, false)),
    ("a call answered among 10,000", |n| pending(n, 10_000, false)),
    ("a call cancelled among 10", |n| pending(n, 10, true)),
    ("a call cancelled among 10,000", |n| pending(n, 10_000, true)),
];

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (name, times) = (args.next(), args.next());
    if name.as_deref() == Some("head") {
        let bytes = args.next().and_then(|bytes| bytes.parse().ok());
        return judge_heads(times.as_deref(), bytes);
    }
    match (name, times.and_then(|times| times.parse::<usize>().ok())) {
        (Some(name), Some(times)) => {
            assert!(times <= MOST, "at most {MOST} times");
            let (_, run) = PATHS.iter().find(|(it, _)| *it == name).expect("no such path");
            run(times);
        }
        _ => {
            for (name, run) in PATHS {
                println!("{name}");
                run(1);
            }
        }
    }
}

/// Judges a head of this kind and length, or names the kinds.
fn judge_heads(kind: Option<&str>, bytes: Option<usize>) {
    match kind.zip(bytes) {
        Some((name, bytes)) => {
            let kind = heads::KINDS.iter().find(|kind| kind.0 == name).expect("no such kind");
            heads::judge(black_box(heads::head(*kind, bytes).as_bytes()));
        }
        None => heads::KINDS.iter().for_each(|kind| println!("{}", kind.0)),
    }
}

/// So many masked frames. Made of as many as there can be, so that making them is not counted.
fn frames(times: usize, opcode: Opcode, payload: &[u8]) -> BytesMut {
    let mut client = Codec::client(Limits::default(), || MASK);
    let mut wire = BytesMut::new();
    for _ in 0..MOST {
        let frame = Frame::new(opcode, Bytes::copy_from_slice(payload));
        client.encode(frame, &mut wire).expect("open");
    }
    wire.truncate(wire.len() / MOST * times);
    wire
}

fn decode(times: usize, opcode: Opcode, size: usize) {
    let mut wire = frames(times, opcode, &vec![b'x'; size]);
    let mut codec = Codec::server(Limits::default());
    for _ in 0..times {
        black_box(codec.decode(&mut wire).expect("sound"));
    }
}

fn encode(times: usize, size: usize) {
    let payload = Bytes::from(vec![b'x'; size]);
    let mut codec = Codec::server(Limits::default());
    let mut out = BytesMut::with_capacity(size + 16);
    for _ in 0..times {
        out.clear();
        codec.encode(Frame::new(Opcode::Binary, payload.clone()), &mut out).expect("open");
        black_box(&out);
    }
}

/// So many calls, each begun and ended while so many others wait, with deadlines of all kinds.
fn pending(times: usize, others: usize, cancel: bool) {
    let mut limits = SessionLimits::default();
    limits.calls = others + 1;
    let mut session = Session::client(JsonArray.info(), None, limits);
    let timeout =
        |n: usize| Some(Duration::from_micros(1_000_000 + (n as u64 * 7919) % 20_000_000));
    for n in 0..others {
        session.call(Duration::ZERO, timeout(n)).expect("room");
    }
    while session.poll_event().is_some() {}
    for n in 0..times {
        let call = session.call(Duration::ZERO, timeout(n)).expect("room");
        if cancel {
            session.cancel(call);
            black_box(session.poll_output());
        } else {
            black_box(session.handle_message_fast(&Head::reply(call.stamp())).expect("simple"));
        }
    }
}

/// A client that has said everything beforehand, and listens to nothing. Between two parts it waits for a turn.
struct Tape(VecDeque<Bytes>);

impl Tape {
    fn new(headers: &str, wire: &[u8]) -> Self {
        let mut tape = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
        )
        .into_bytes();
        tape.extend_from_slice(wire);
        Self(VecDeque::from([tape.into()]))
    }
}

impl AsyncRead for Tape {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(part) = self.0.front_mut() else { return Poll::Ready(Ok(())) };
        if part.is_empty() {
            self.0.pop_front();
            return match self.0.is_empty() {
                true => Poll::Ready(Ok(())),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            };
        }
        // As much as a busy socket has at a time.
        let len = part.len().min(buf.remaining()).min(16 * 1024);
        buf.put_slice(&part[..len]);
        part.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tape {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(buf).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn block_on(main: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(main);
}

fn echo(times: usize, opcode: Opcode, size: usize) {
    let tape = Tape::new("", &frames(times, opcode, &vec![b'x'; size]));
    block_on(async {
        let (mut socket, _) =
            wse_transport::accept(tape, Config::default()).await.expect("a handshake");
        let mut left = times;
        std::future::poll_fn(|cx| {
            while left > 0 {
                ready!(socket.poll_ready_unpin(cx)).expect("room");
                match ready!(socket.poll_next_unpin(cx)) {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        socket.start_send_unpin(message).expect("open");
                        left -= 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            socket.poll_flush_unpin(cx).map(|flushed| flushed.expect("flushed"))
        })
        .await;
    });
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Add {
    #[prost(int64, tag = "1")]
    a: i64,
    #[prost(int64, tag = "2")]
    b: i64,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Sum {
    #[prost(int64, tag = "1")]
    sum: i64,
}

fn packed<P: Protocol>(protocol: &P, out: &mut BytesMut, serial: u64)
where
    P::Format: Encode<Add>,
{
    let head = Head::call("add", Stamp::from(serial));
    let add = Add { a: 1, b: 2 };
    protocol.pack_with(&head, out, |out| protocol.format().encode(&add, out)).expect("packed");
}

fn pack<P: Protocol>(times: usize, protocol: &P)
where
    P::Format: Encode<Add>,
{
    let mut out = BytesMut::with_capacity(1024);
    for _ in 0..times {
        out.clear();
        packed(protocol, &mut out, 12);
        black_box(&out);
    }
}

fn unpack<P: Protocol>(times: usize, protocol: &P)
where
    P::Format: Encode<Add> + Decode<Add>,
{
    let mut out = BytesMut::new();
    packed(protocol, &mut out, 12);
    let message = out.freeze();
    for _ in 0..times {
        let envelope = protocol.unpack((&black_box(message.clone())).into()).expect("sound");
        let add: Add = protocol.format().decode(&envelope.payload).expect("an Add");
        black_box((envelope, add));
    }
}

/// The whole way of a call through a server, its connection's task included.
fn call<P: Protocol>(times: usize, protocol: P)
where
    P::Format: Encode<Add> + Decode<Add> + Encode<Sum> + Encode<String> + Decode<String>,
    P::Format: Encode<()> + Decode<()>,
{
    let opcode = match protocol.info().kind() {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    };
    let mut hello = BytesMut::new();
    let format = protocol.format();
    let mut hi = Hi::default();
    let mut identity = BytesMut::new();
    format.encode(&"me".to_owned(), &mut identity).expect("encoded");
    hi.identity = identity.freeze();
    hi.meta = format.empty_map();
    seal(&protocol, &SessionMessage::hi(hi), &mut hello);
    let mut wire = frames(1, opcode, &hello);
    let mut request = BytesMut::new();
    packed(&protocol, &mut request, 12);
    wire.extend_from_slice(&frames(times, opcode, &request));
    let name = protocol.info().name();
    let tape = Tape::new(&format!("Sec-WebSocket-Protocol: {name}\r\n"), &wire);
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    block_on(async move {
        let server = Server::builder(protocol)
            .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
            .procedure("add", move |_, Add { a, b }| {
                count.fetch_add(1, Ordering::Relaxed);
                async move { wse::Ok(Sum { sum: a + b }) }
            })
            .build();
        server.accept(tape, None).await;
    });
    assert_eq!(answered.load(Ordering::Relaxed), times);
}

/// A server that sends 64 messages to its client, so many times. The client says what it has processed each time, if the server
/// keeps it.
fn send(times: usize, resumable: bool) {
    let mut client = Codec::client(Limits::default(), || MASK);
    let mut text = |message: &SessionMessage| {
        let (mut packed, mut out) = (BytesMut::new(), BytesMut::new());
        seal(&JsonArray, message, &mut packed);
        client.encode(Frame::new(Opcode::Text, packed.freeze()), &mut out).expect("open");
        out
    };
    let mut hi = Hi::new(Bytes::from_static(b"\"me\""), Bytes::from_static(b"{}"));
    hi.resume = resumable.then(|| Box::new(Value::Bool(true)));
    let mut tape = Tape::new(
        &format!("Sec-WebSocket-Protocol: {}\r\n", JsonArray.info().name()),
        &text(&SessionMessage::hi(hi)),
    );
    let burst = SessionMessage::raw(Head::message("burst"), Bytes::from_static(b"null"));
    let burst = text(&burst).freeze();
    for n in 1..=MOST {
        // Made of as many as there can be, so that making them is not counted.
        let seen = Body::Seen(64 * (n as u64 - 1));
        let mut part = text(&SessionMessage { head: Head::Seen, body: seen });
        if !resumable {
            part.clear();
        }
        part.extend_from_slice(&burst);
        if n <= times {
            tape.0.push_back(part.freeze());
        }
    }
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    block_on(async move {
        let mut builder = Server::builder(JsonArray)
            .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
            .on("burst", move |conn: Conn<JsonArray>, ()| {
                for _ in 0..64 {
                    conn.send("note", &Add { a: 1, b: 2 }).expect("room");
                }
                count.fetch_add(64, Ordering::Relaxed);
                async {}
            });
        if resumable {
            builder = builder.resume(ResumeLimits::default());
        }
        builder.build().accept(tape, None).await;
    });
    assert_eq!(sent.load(Ordering::Relaxed), 64 * times);
}
