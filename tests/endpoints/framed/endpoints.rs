//! Servers and clients over byte streams in memory, in virtual time.

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use proptest::prelude::*;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wse::auth::hmac_answer;
use wse::session::Backoff;
use wse::{
    Accept, CallError, Cbor, Client, Close, CloseReason, ConnectError, Encode, Envelope, ErrorCode,
    Format, Head, Heartbeat, Hello, Hi, JsonArray, JsonRpc, PingVia, Protocol, ProtocolCodec,
    ReceiptError, SendError, SendQueue, Server, SlowPeer, Status, ws,
};

use crate::support::endpoints::{self, *};
use crate::support::framed::{self, Lines};

crate::over_every_protocol! {
    the_greeting_tells_who_and_the_welcome_comes_back
    a_refusal_is_an_end_without_a_code
    a_challenge_proves_a_shared_secret
    calls_go_both_ways
    messages_arrive_in_order
    receipts_come_back
    a_lost_connection_comes_back
    a_shutdown_waits_for_the_connection
    a_client_that_closes_is_gone
    clients_of_both_kinds_share_a_server
    messages_pass_byte_by_byte
}

async fn the_greeting_tells_who_and_the_welcome_comes_back<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::builder(protocol.clone())
        .identify_with(move |peer, hello: Hello<String, Meta>| {
            let request = peer.request();
            seen.add(format!("{} {}", request.method(), request.uri()));
            seen.add(format!("{} fields", request.headers().len()));
            seen.add(hello.identity);
            async move { wse::Ok(Accept::user("ann").welcome(note("hi, ann"))) }
        })
        .build();
    let ann = framed::client(&protocol, &server, "ann").connect().await.unwrap();
    assert_eq!(log.lines(), ["GET /", "0 fields", "secret of ann"]);
    assert_eq!(ann.welcome::<Note>().unwrap(), note("hi, ann"));
    assert_eq!(ann.status(), Status::Ready);
    assert_eq!(server.user("ann").connections()[0].peer_addr(), None);
}

async fn a_refusal_is_an_end_without_a_code<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let mallory = framed::client(&protocol, &server, "").identity("a guess".to_owned());
    match mallory.connect().await {
        Err(ConnectError::Refused(close)) => assert_eq!(close, Close::new(1005, "")),
        other => panic!("{other:?}"),
    }
    // It may have been a restart, and so is tried again.
    let again = framed::client(&protocol, &server, "").identity("a guess".to_owned());
    let again = again.reconnect(quick().attempts(3));
    assert!(matches!(again.connect().await, Err(ConnectError::Refused(_))));
    // One attempt, and then three.
    assert_eq!(log.lines(), ["refused identify close 1000 wse.not-authorized"; 4]);
    assert!(server.users().is_empty());
}

async fn a_challenge_proves_a_shared_secret<P: Talk>(protocol: P) {
    let server = Server::builder(protocol.clone())
        .identify_with(|peer, hello: Hello<String, Meta>| async move {
            peer.challenge_hmac(&hello.identity, b"secret").await?;
            wse::Ok(Accept::user(hello.identity))
        })
        .build();
    let with = |secret: &'static [u8]| {
        framed::client(&protocol, &server, "")
            .identity("ann".to_owned())
            .solver(move |quest: String| async move { wse::Ok(hmac_answer(secret, "ann", &quest)) })
    };
    let refused = with(b"guess").connect().await;
    assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    with(b"secret").connect().await.unwrap();
    assert!(server.user("ann").is_connected());
}

async fn calls_go_both_ways<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = framed::client(&protocol, &server, "ann")
        .procedure("twice", |_, n: i64| async move { wse::Ok(2 * n) })
        .connect()
        .await
        .unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.call::<i64, i64>("twice", &21).await.unwrap(), 42);
    match ann.call::<_, i64>("subtract", &Add { a: 1, b: 2 }).await {
        Err(CallError::Fault(fault)) => assert_eq!(fault.code, ErrorCode::NotRegistered),
        other => panic!("{other:?}"),
    }
}

async fn messages_arrive_in_order<P: Talk>(protocol: P) {
    let log = Log::default();
    let heard = log.clone();
    let server = server(&protocol)
        .on("note", move |_, Note { text }| {
            heard.add(text);
            async {}
        })
        .build();
    let back = Log::default();
    let heard = back.clone();
    let ann = framed::client(&protocol, &server, "ann")
        .on("note", move |_, Note { text }| {
            heard.add(text);
            async {}
        })
        .connect()
        .await
        .unwrap();
    let texts: Vec<String> = (0..500).map(|n| format!("{n} {}", "x".repeat(n))).collect();
    for text in &texts {
        ann.writable().await;
        ann.send("note", &note(text)).unwrap();
        server.all().send("note", &note(text)).unwrap();
        settle().await;
    }
    settle().await;
    assert_eq!(log.lines(), texts);
    assert_eq!(back.lines(), texts);
}

async fn receipts_come_back<P: Talk>(protocol: P) {
    let log = Log::default();
    let heard = log.clone();
    let server = server(&protocol)
        .on("note", move |_, Note { text }| {
            heard.add(text);
            async {}
        })
        .build();
    let ann = framed::client(&protocol, &server, "ann").connect().await.unwrap();
    ann.send_acked("note", &note("hi")).await.unwrap();
    ann.send_reliable(wse::Reliable::default(), "note", &note("again")).await.unwrap();
    settle().await;
    assert_eq!(log.lines(), ["hi", "again"]);
    let conn = server.user("ann").connections().remove(0);
    conn.send_acked("note", &note("back")).await.unwrap();
    server.close_user("ann", Close::new(1012, "restart"));
    let lost = ann.send_acked("note", &note("too late")).await;
    assert!(matches!(lost, Err(ReceiptError::Closed(_) | ReceiptError::NotReady)), "{lost:?}");
}

fn quick() -> Backoff {
    Backoff::default().base(ms(10)).cap(ms(10))
}

async fn a_lost_connection_comes_back<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let ann = framed::client(&protocol, &server, "ann").reconnect(quick());
    let ann = ann.offline_queue(10).connect().await.unwrap();
    for code in [1012, 1000] {
        server.close_user("ann", Close::new(code, "again"));
        settle().await;
        assert_eq!(ann.status(), Status::Reconnecting);
        ann.send("note", &note("while offline")).unwrap();
        tokio::time::sleep(ms(20)).await;
        assert_eq!(adds(&ann).await.unwrap(), 3, "{code}");
    }
    let expected = [
        "joined ann",
        "connected ann",
        "disconnected ann 1012 again",
        "left ann 1012 again",
        "joined ann",
        "connected ann",
        "disconnected ann 1000 again",
        "left ann 1000 again",
    ];
    assert_eq!(log.lines()[..8], expected);
}

async fn a_shutdown_waits_for_the_connection<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = framed::client(&protocol, &server, "ann").connect().await.unwrap();
    let (ended, took) = timed(server.shutdown(secs(5))).await;
    assert!(ended && took < secs(1), "{ended} {took:?}");
    assert_eq!(ann.closed().await, Some(Close::new(1005, "")));
    // One that comes later is closed at once.
    let late = framed::client(&protocol, &server, "ann").connect().await;
    assert!(matches!(late, Err(ConnectError::Refused(_))), "{late:?}");
}

async fn a_client_that_closes_is_gone<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).on("note", |_, _: Note| async {}).build();
    let ann = framed::client(&protocol, &server, "ann").connect().await.unwrap();
    ann.send("note", &note("last")).unwrap();
    ann.close();
    assert_eq!(ann.closed().await, Some(Close::normal(CloseReason::ByClient)));
    settle().await;
    assert_eq!(log.lines()[2..], ["disconnected ann 1005", "left ann 1005"]);
}

async fn messages_pass_byte_by_byte<P: Talk>(protocol: P) {
    let server = server(&protocol).procedure("echo", |_, it: Note| async { wse::Ok(it) }).build();
    let ann = framed::narrow_client(&protocol, &server, "ann", 1).connect().await.unwrap();
    let long = note("x".repeat(10_000));
    let calls = (0..10).map(|_| ann.call::<_, Note>("echo", &long));
    for echoed in futures::future::join_all(calls).await {
        assert_eq!(echoed.unwrap(), long);
    }
    ann.send_acked("note", &long).await.unwrap();
    ann.close();
    ann.closed().await;
}

async fn clients_of_both_kinds_share_a_server<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let log = Log::default();
    let hears = |name: &'static str| {
        let log = log.clone();
        move |_, Note { text }: Note| {
            log.add(format!("{name} {text}"));
            async {}
        }
    };
    let _ann = framed::client(&protocol, &server, "ann").on("note", hears("ann"));
    let _ann = _ann.connect().await.unwrap();
    let _bob = endpoints::client(&protocol, &server, "bob").on("note", hears("bob"));
    let _bob = _bob.connect().await.unwrap();
    assert_eq!(server.all().send("note", &note("hi")).unwrap(), 2);
    settle().await;
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["ann hi", "bob hi"]);
}

#[tokio::test(start_paused = true)]
async fn lines_are_all_that_a_client_needs() {
    let server = server(&JsonArray).build();
    let mut ann = Lines::user(&server, "ann").await;
    ann.say("\r\n[\"add\",{\"a\":1,\"b\":2},\"7\"]\r").await;
    assert_eq!(ann.hear().await, r#"["~wse:response",3,"7"]"#);
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_ends_the_connection() {
    let log = Log::default();
    let limits = ws::Limits::default().max_message(50_000);
    let server = log.events(server(&JsonArray).limits(limits)).build();
    let long = |bytes: usize| format!("[\"note\",\"{}\"]", "x".repeat(bytes - 11));

    // Unauthenticated connections have less.
    let mut nobody = Lines::to(&server);
    nobody.say(&long(20_000)).await;
    assert_eq!(nobody.hear().await, "end");
    let refused = "refused greeting close 1009";
    assert_eq!(log.take(), ["error nobody - wse.server.connection-error", refused]);

    let mut ann = Lines::user(&server, "ann").await;
    ann.say(&long(50_000)).await;
    assert_eq!(ann.hear_all().await, [""; 0]);
    ann.say(&long(50_001)).await;
    assert_eq!(ann.hear().await, "end");
    drop(ann);
    settle().await;
    let expected =
        ["error ann - wse.server.connection-error", "disconnected ann 1006", "left ann 1006"];
    assert_eq!(log.take()[2..], expected);
}

#[tokio::test(start_paused = true)]
async fn an_end_within_a_message_is_abnormal() {
    let log = Log::default();
    let server = log.events(server(&Cbor)).build();
    for (rest, code) in [(&b""[..], 1005), (b"\0\0\0\x09abc", 1006)] {
        // Greets by the codec, then goes on in bytes.
        let (io, served) = framed::serve(&server);
        let mut near = ProtocolCodec::new(Cbor).framed(io);
        let format = *near.codec().protocol().format();
        let mut identity = BytesMut::new();
        format.encode("secret of ann", &mut identity).unwrap();
        let hi = Hi { identity: identity.freeze(), meta: format.empty_map(), resume: None };
        let mut payload = BytesMut::new();
        format.encode_hi(&hi, &mut payload);
        near.send(Envelope { head: Head::Hi, payload: payload.freeze() }).await.unwrap();
        assert!(near.next().await.unwrap().unwrap().is_ok());
        let mut io = near.into_inner();
        io.write_all(rest).await.unwrap();
        io.shutdown().await.unwrap();
        assert_eq!(io.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        served.await.unwrap();
        assert_eq!(log.take()[2], format!("disconnected ann {code}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_ends_the_connection() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let mut ann = Lines::user(&server, "ann").await;
    ann.say("nonsense").await;
    assert_eq!(ann.hear().await, "end");
    settle().await;
    let lines = log.lines();
    assert_eq!(lines[2..4].len(), 2);
    assert!(lines[2].starts_with("error ann - "), "{lines:?}");
    assert!(lines[3].starts_with("disconnected ann 1000 wse.protocol-error"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_protocol_with_error_reports_goes_on() {
    let server = Server::builder(JsonRpc::new())
        .identify_with(|peer, _: Hello<(), ()>| async move {
            assert!(peer.request().headers().is_empty());
            wse::Ok(Accept::user("ann"))
        })
        .procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) })
        .build();
    let mut ann = Lines::to(&server);
    ann.say("nonsense").await;
    assert!(ann.hear().await.contains("-32700"));
    ann.say(r#"[{"jsonrpc":"2.0","method":"add","params":{"a":1,"b":2},"id":1}]"#).await;
    assert_eq!(ann.hear().await, r#"[{"jsonrpc":"2.0","result":3,"id":1}]"#);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_noticed_by_the_pings_of_the_protocol() {
    let log = Log::default();
    let heartbeat = Heartbeat::fixed(secs(1), secs(5));
    let server = log.events(server(&JsonArray).heartbeat(heartbeat)).build();

    let ann = framed::client(&JsonArray, &server, "ann").connect().await.unwrap();
    tokio::time::sleep(secs(30)).await;
    let liveness = server.user("ann").connections()[0].liveness().unwrap();
    assert_eq!(liveness.via, PingVia::Session);
    assert!(liveness.pongs > 20 && ann.liveness().unwrap().pongs > 5, "{liveness:?}");
    ann.close();
    ann.closed().await;
    log.take();

    let mut bob = Lines::user(&server, "bob").await;
    assert!(bob.hear().await.starts_with(r#"["~wse:ping""#));
    tokio::time::sleep(secs(7)).await;
    assert_eq!(bob.hear_all().await.last().unwrap(), "end");
    let lines = log.lines();
    let gone = lines.iter().any(|it| it == "disconnected bob 1006 wse.heartbeat-timeout");
    assert!(gone, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_protocol_without_pings_has_no_heartbeat() {
    let server = Server::builder(JsonRpc::new())
        .identify_with(|_, _: Hello<(), ()>| async move { wse::Ok(Accept::user("ann")) })
        .heartbeat(Heartbeat::fixed(secs(1), secs(5)))
        .build();
    let mut ann = Lines::to(&server);
    settle().await;
    assert_eq!(ann.hear_all().await, [""; 0]);
    tokio::time::sleep(secs(3600)).await;
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.liveness(), None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_greet_is_dropped() {
    let server = server(&JsonArray).auth_timeout(secs(10)).build();
    let mut nobody = Lines::to(&server);
    let (heard, took) = timed(nobody.hear()).await;
    assert_eq!((&*heard, took.as_secs()), ("end", 10));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_is_dropped_after_the_close_timeout() {
    let server = server(&JsonArray).close_timeout(secs(3)).build();
    let (io, served) = framed::serve(&server);
    let mut ann = Lines::over(io);
    ann.greet("ann").await;
    assert_eq!(ann.hear().await, welcome("ann"));
    server.close_user("ann", Close::normal(CloseReason::ByServer));
    let (ended, took) = timed(served).await;
    ended.unwrap();
    assert_eq!(took.as_secs(), 3);
    assert_eq!(ann.hear().await, "end");
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_written_before_the_end() {
    let server = server(&JsonArray).build();
    let mut ann = Lines::user(&server, "ann").await;
    let text = "x".repeat(100_000);
    server.all().send("note", &note(&text)).unwrap();
    server.close_user("ann", Close::normal(CloseReason::ByServer));
    assert_eq!(ann.hear().await.len(), text.len() + r#"["note",{"text":""},null]"#.len());
    assert_eq!(ann.hear().await, "end");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_closed() {
    let log = Log::default();
    let queue = SendQueue::default().bytes(100_000).slow_peer(SlowPeer::Close { after: secs(10) });
    let server = log.events(server(&JsonArray).heartbeat(None).send_queue(queue)).build();
    let _ann = Lines::user(&server, "ann").await;
    let conn = server.user("ann").connections().remove(0);
    let text = note("x".repeat(10_000));
    let refused = loop {
        settle().await;
        if let Err(error) = conn.send("note", &text) {
            break error;
        }
    };
    assert!(matches!(refused, SendError::QueueFull));
    tokio::time::sleep(secs(30)).await;
    let slow = r#"Slow(Conn { id: 1, user: "ann", .. })"#;
    assert_eq!(log.lines()[2..4], [slow, "disconnected ann 1013 send queue full"]);
}

#[tokio::test(start_paused = true)]
async fn a_payload_with_a_line_break_is_an_error_of_its_sender() {
    let broken = || RawValue::from_string("[1,\n2]".to_owned()).unwrap();
    let server = server(&JsonArray)
        .procedure("broken", move |_, (): ()| async move { wse::Ok(broken()) })
        .procedure("details", move |conn, (): ()| async move {
            let details = conn.encode(&broken()).unwrap();
            Err::<(), _>(wse::Fault::new("app.broken").details(details))
        })
        .build();
    let ann = framed::client(&JsonArray, &server, "ann").connect().await.unwrap();
    assert!(matches!(ann.send("note", &broken()), Err(SendError::Encode(_))));
    let called = ann.call::<_, ()>("add", &broken()).await;
    assert!(matches!(called, Err(CallError::Encode(_))), "{called:?}");
    let acked = ann.send_acked("note", &broken()).await;
    assert!(matches!(acked, Err(ReceiptError::Encode(_))), "{acked:?}");
    assert_eq!(server.all().send("note", &broken()).unwrap(), 0);
    match ann.call::<_, Box<RawValue>>("broken", &()).await {
        Err(CallError::Fault(fault)) => assert_eq!(fault.code, ErrorCode::Failed),
        other => panic!("{other:?}"),
    }
    match ann.call::<_, ()>("details", &()).await {
        Err(CallError::Fault(fault)) => assert_eq!(fault.code.to_string(), "app.broken"),
        other => panic!("{other:?}"),
    }
    assert_eq!(adds(&ann).await.unwrap(), 3);
    // A WebSocket carries it.
    let bob = endpoints::client(&JsonArray, &server, "bob").connect().await.unwrap();
    bob.send("note", &broken()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_url_of_another_scheme_is_the_callers_mistake() {
    for url in ["ws://localhost/", "tcp://localhost", "unix:"] {
        let refused = Client::builder(JsonArray, url)
            .framed()
            .identity(String::new())
            .reconnect(Backoff::default())
            .connect()
            .await;
        assert!(matches!(refused, Err(ConnectError::FramedUrl(_))), "{url}: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_not_passed_by() {
    let server = server(&JsonArray).build();
    let proxy = wse::proxy::Proxy::new("http://127.0.0.1:1").unwrap();
    let refused = framed::client(&JsonArray, &server, "ann").proxy(proxy).connect().await;
    assert!(matches!(refused, Err(ConnectError::Transport(_))), "{refused:?}");
}

proptest! {
    /// Any bytes, before and after the greeting, harm nothing but their own connection.
    #[test]
    fn hostile_bytes_end_only_their_connection(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        greets in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(within(async move {
            let server = server(&JsonArray).build();
            let bob = framed::client(&JsonArray, &server, "bob").connect().await.unwrap();
            let (io, served) = framed::serve(&server);
            let mut lines = Lines::over(io);
            if greets {
                lines.greet("ann").await;
            }
            let mut io = lines.0.into_inner();
            let _ = io.write_all(&bytes).await;
            let _ = io.shutdown().await;
            let _ = io.read_to_end(&mut Vec::new()).await;
            served.await.unwrap();
            assert_eq!(adds(&bob).await.unwrap(), 3);
        }));
    }
}
