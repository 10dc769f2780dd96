//! Peers close, compress and split differently: nobody else notices, and nothing waits.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wse::Transport;
use wse::{Backoff, Close, Server, Status, memory};
use wse_codecs::JsonArray;
use wse_transport::handshake::{ClientRequest, HeadLimits, read_response, write_request};
use wse_transport::ws::{CloseCode, CloseFrame, Deflate, Frame, Limits, Opcode, Role};

use crate::support::endpoints::*;
use crate::support::ws::{bytes, decode, hex};

/// A client that says bytes.
struct Wire(Box<dyn Transport>);

impl Wire {
    /// A client past its welcome; `extensions` are offered.
    async fn user(server: &Server<JsonArray>, user: &str, extensions: Option<&str>) -> Self {
        let mut io = Raw::dial(server).await;
        let mut request = ClientRequest::new(memory::URL).unwrap();
        request = request.subprotocol("wse-default-json").unwrap();
        let mut request = request.build([7; 16]);
        if let Some(offer) = extensions {
            request.headers_mut().insert("sec-websocket-extensions", offer.parse().unwrap());
        }
        write_request(&mut io, &request).await.unwrap();
        let (response, rest) = read_response(&mut io, &HeadLimits::default()).await.unwrap();
        assert_eq!((response.status(), rest.len()), (101.try_into().unwrap(), 0));
        assert_eq!(
            response.headers().get("sec-websocket-extensions").is_some(),
            extensions.is_some()
        );
        let mut wire = Self(io);
        let hi = format!(r#"["~wse:hi",{{"identity":"secret of {user}","meta":{{}}}}]"#);
        wire.say(Frame::new(Opcode::Text, hi)).await;
        let welcome = wire.hear().await.pop().unwrap();
        assert_eq!(welcome.payload, crate::support::endpoints::welcome(user));
        wire
    }

    async fn say(&mut self, frame: Frame) {
        self.0.write_all(&bytes(Role::Client, frame)).await.unwrap();
    }

    /// The frames of the next read; none at the end.
    async fn hear(&mut self) -> Vec<Frame> {
        let mut buffer = BytesMut::new();
        self.0.read_buf(&mut buffer).await.unwrap();
        let (frames, error) = decode(Role::Client, Limits::unlimited(), [&buffer[..]]);
        assert_eq!(error, None);
        frames
    }
}

/// What takes no time.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(ms(1), future).await.expect("nothing waits")
}

/// RFC 6455 §5.5.1 and §7.4: a code that a peer sends is one of §7.4, and 0 is none; a close frame without a code is empty.
/// picows sends 0 by default. It is a violation, as Autobahn (7.9.1) demands, and harms nobody.
#[tokio::test(start_paused = true)]
async fn status_0_is_told_to_be_invalid_and_the_connection_ends_at_once() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let bob = client(&JsonArray, &server, "bob").connect().await.unwrap();
    let mut ann = Wire::user(&server, "ann", None).await;
    log.take();
    // What was sent before it is handled.
    ann.say(Frame::new(Opcode::Text, r#"["add",{"a":1,"b":2},"s"]"#)).await;
    ann.say(Frame::new(Opcode::Close, &b"\0\0"[..])).await;
    let close = loop {
        let mut frames = soon(ann.hear()).await;
        let last = frames.pop().unwrap();
        if last.opcode == Opcode::Close {
            break CloseFrame::parse(&last.payload).unwrap().unwrap();
        }
    };
    assert_eq!((close.code.0, close.reason.as_str()), (1002, "invalid close code"));
    assert_eq!(soon(ann.hear()).await, []);
    drop(ann);
    settle().await;
    let lines = log.take();
    assert_eq!(lines[lines.len() - 2..], ["disconnected ann 1006", "left ann 1006"]);
    assert_eq!(adds(&bob).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_comes_back_to_a_server_that_closes_with_status_0_or_just_ends_tcp() {
    for close in [Some("88 02 00 00"), None] {
        let (dial, mut arrivals) = dialled();
        let backoff = Backoff::default().base(ms(10)).cap(ms(10));
        let ann = json_client(dial).reconnect(backoff).build();
        let connecting = tokio::spawn({
            let ann = ann.clone();
            async move { ann.connect().await }
        });
        let server = arrivals.welcomed().await;
        connecting.await.unwrap().unwrap();
        let caller = ann.clone();
        let call =
            tokio::spawn(async move { caller.call::<_, i64>("add", &Add { a: 1, b: 2 }).await });
        settle().await;
        let mut io = server.0.into_parts().io;
        if let Some(close) = close {
            io.write_all(&hex(close)).await.unwrap();
        }
        io.shutdown().await.unwrap();
        // What waits for an answer fails at once.
        assert_eq!(disconnected(soon(call).await.unwrap()), Close::VANISHED);
        let _server = arrivals.welcomed().await;
        settle().await;
        assert_eq!(ann.status(), Status::Ready);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_answered_by_1000_ends_with_the_code_that_was_sent() {
    // The server closes.
    for answer in [&b"\x03\xe8"[..], b"", b"\x03\xe8bye"] {
        let log = Log::default();
        let server = log.events(server(&JsonArray)).build();
        let mut ann = Wire::user(&server, "ann", None).await;
        log.take();
        server.user("ann").close(Close::new(4001, "tired"));
        let frames = soon(ann.hear()).await;
        assert_eq!(frames, [Frame::new(Opcode::Close, &b"\x0f\xa1tired"[..])]);
        ann.say(Frame::new(Opcode::Close, answer)).await;
        assert_eq!(soon(ann.hear()).await, []);
        assert_eq!(log.take(), ["disconnected ann 4001 tired", "left ann 4001 tired"]);
    }
    // The client closes.
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).build();
    let connecting = tokio::spawn({
        let ann = ann.clone();
        async move { ann.connect().await }
    });
    let mut server = arrivals.welcomed().await;
    connecting.await.unwrap().unwrap();
    ann.close_with(Close::new(4001, "tired"));
    assert_eq!(server.hear().await, "close 4001 tired");
    assert_eq!(ann.closed().await, Some(Close::new(4001, "tired")));
}

#[tokio::test(start_paused = true)]
async fn fin_without_close_ends_the_connection_at_once() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let mut ann = Wire::user(&server, "ann", None).await;
    log.take();
    ann.say(Frame::new(Opcode::Text, r#"["add",{"a":1,"b":2},"s"]"#)).await;
    ann.0.shutdown().await.unwrap();
    settle().await;
    assert_eq!(log.take(), ["disconnected ann 1006", "left ann 1006"]);
    // In answer to a close frame too.
    let mut ann = Wire::user(&server, "ann", None).await;
    log.take();
    server.user("ann").close(Close::new(4001, "tired"));
    soon(ann.hear()).await;
    ann.0.shutdown().await.unwrap();
    assert_eq!(soon(ann.hear()).await, []);
    assert_eq!(log.take(), ["disconnected ann 4001 tired", "left ann 4001 tired"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_its_message_by_an_empty_compressed_frame_is_understood() {
    let deflate = Deflate::default().threshold(0);
    let server = server(&JsonArray).deflate(deflate).build();
    let mut ann =
        Wire::user(&server, "ann", Some("permessage-deflate; client_no_context_takeover")).await;
    let call = Frame::fragment(Opcode::Text, r#"["add",{"a":1,"b":2},"s"]"#);
    ann.say(call).await;
    ann.say(Frame::new(Opcode::Continuation, "")).await;
    assert!(!soon(ann.hear()).await.is_empty());
    // A compressed message of zero bytes is an empty message: no envelope, which the session says, not the WebSocket.
    ann.say(Frame { rsv1: true, ..Frame::new(Opcode::Text, "") }).await;
    let frames = soon(ann.hear()).await;
    let expected = CloseFrame::new(CloseCode::NORMAL, "wse.protocol-error").to_payload();
    assert_eq!(frames, [Frame::new(Opcode::Close, expected)]);
}

/// Boost.Beast and gorilla/websocket split messages into frames of 4 KiB, Tomcat of 8 KiB.
#[tokio::test(start_paused = true)]
async fn a_message_limit_raised_alone_is_enough_for_peers_that_split_their_messages() {
    const MIB: usize = 1 << 20;
    for (max, frame) in [(5 * MIB, 4096), (9 * MIB, 8192), (MIB, 512)] {
        let server = server(&JsonArray)
            .limits(Limits::default().max_message(max))
            .procedure("len", |_, text: String| async move { wse::Ok(text.len()) })
            .build();
        let mut ann = Wire::user(&server, "ann", None).await;
        let rest = r#"["len","","s"]"#.len();
        let call = format!(r#"["len","{}","s"]"#, "x".repeat(max - rest));
        let last = call.len().div_ceil(frame) - 1;
        for (n, piece) in call.into_bytes().chunks(frame).enumerate() {
            let opcode = if n == 0 { Opcode::Text } else { Opcode::Continuation };
            let frame = Frame { fin: n == last, ..Frame::new(opcode, piece.to_vec()) };
            ann.say(frame).await;
        }
        let answer = format!(r#"["~wse:response",{},"s"]"#, max - rest);
        assert_eq!(ann.hear().await, [Frame::new(Opcode::Text, answer)]);
    }
}
