//! One test for each bug of the JavaScript originals: that we do not have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::endpoints::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use wse::{
    Accept, CallError, Client, Close, CloseReason, ConnectError, Hello, Server, Status, memory,
};
use wse_codecs::JsonArray;
use wse_proto::Fault;
use wse_proto::session::Backoff;
use wse_transport::handshake::{ClientRequest, HeadLimits, encode_request, read_response};

/// A server that accepts 3 as the answer to its challenge, and tells how far its decision came.
fn challenging(log: &Log) -> Server<JsonArray> {
    let decided = log.clone();
    log.events(Server::builder(JsonArray).identify_with(
        move |stranger, hello: Hello<String, Meta>| {
            let decided = decided.clone();
            async move {
                decided.add("asked");
                let answer: i64 = stranger.challenge(&Add { a: 1, b: 2 }).await?;
                decided.add(format!("answered {answer}"));
                tokio::task::yield_now().await;
                wse::Ok(Accept::user(hello.identity).welcome(note("hi")))
            }
        },
    ))
    .build()
}

#[tokio::test(start_paused = true)]
async fn one_client_cannot_answer_the_call_of_another() {
    let server = server(&JsonArray).build();
    let mut ann = Raw::user(&server, "ann").await;
    let mut mallory = Raw::user(&server, "mallory").await;
    let conn = server.user("ann").connections().remove(0);
    let call = tokio::spawn(async move { conn.call::<_, i64>("secret", &()).await });
    assert_eq!(ann.hear().await, r#"["secret",null,"1"]"#);

    mallory.say(r#"["~wse:response",666,"1"]"#).await;
    mallory.say(r#"["~wse:response-err",{"code":"gotcha"},"1"]"#).await;
    assert_eq!(mallory.hear_all().await, [""; 0]);
    assert!(!call.is_finished());
    ann.say(r#"["~wse:response",42,"1"]"#).await;
    assert_eq!(call.await.unwrap().unwrap(), 42);
}

/// Neither side answers an answer. The peer here would do so without end.
#[tokio::test(start_paused = true)]
async fn unmatched_replies_are_never_answered() {
    let late = [
        r#"["~wse:response",1,"4711"]"#,
        r#"["~wse:response-err",{"code":"wse.server.rp.not-registered"},"4711"]"#,
        r#"["~wse:response",null,1]"#,
    ];
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let mut ann = Raw::user(&server, "ann").await;
    let (dial, mut arrivals) = dialled();
    let bob = json_client(dial).build();
    let (connected, mut peer) = tokio::join!(bob.connect(), arrivals.welcomed());
    connected.unwrap();
    for reply in late {
        for peer in [&mut ann, &mut peer] {
            for _ in 0..100 {
                peer.say(reply).await;
            }
            assert_eq!(peer.hear_all().await, [""; 0], "{reply}");
        }
    }
    assert_eq!(log.lines(), ["joined ann", "connected ann"]);
    assert_eq!(bob.status(), Status::Ready);
}

/// Both real, and an answer that comes after its time: silence follows.
#[tokio::test(start_paused = true)]
async fn a_late_answer_starts_no_ping_pong() {
    let log = Log::default();
    let server = log
        .events(server(&JsonArray))
        .heartbeat(None)
        .procedure("slow", |_, ()| async {
            tokio::time::sleep(secs(2)).await;
            wse::Ok(())
        })
        .build();
    // A wire tap between the two, that counts what passes.
    let (dial, mut arrivals) = dialled();
    let passed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let ann = json_client(dial).identity("secret of ann".to_owned()).heartbeat(None).build();
    let tap = {
        let (server, passed) = (server.clone(), Arc::clone(&passed));
        tokio::spawn(async move {
            let (mut client_r, mut client_w) = tokio::io::split(arrivals.dialled().await);
            let (mut server_r, mut server_w) = tokio::io::split(Raw::dial(&server).await);
            let back = Arc::clone(&passed);
            let there = async move {
                let mut bytes = [0; 4096];
                while let Ok(n @ 1..) = client_r.read(&mut bytes).await {
                    passed.fetch_add(1, Ordering::Relaxed);
                    server_w.write_all(&bytes[..n]).await.unwrap();
                }
            };
            let back = async move {
                let mut bytes = [0; 4096];
                while let Ok(n @ 1..) = server_r.read(&mut bytes).await {
                    back.fetch_add(1, Ordering::Relaxed);
                    client_w.write_all(&bytes[..n]).await.unwrap();
                }
            };
            tokio::join!(there, back);
        })
    };
    ann.connect().await.unwrap();
    let outcome = ann.call_within::<_, ()>(Some(secs(1)), "slow", &()).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    let before = passed.load(Ordering::Relaxed);
    tokio::time::sleep(secs(60)).await;
    // The answer itself.
    assert_eq!(passed.load(Ordering::Relaxed), before + 1);
    assert!(!tap.is_finished());
}

#[tokio::test(start_paused = true)]
async fn no_stack_traces_or_source_paths_reach_the_peer() {
    let server = server(&JsonArray)
        .procedure("panic", |_, n: i64| async move {
            let n = Some(n).filter(|n| *n < 0);
            wse::Ok(n.expect("a secret"))
        })
        .procedure("io", |_, ()| async {
            wse::Ok(std::fs::read("/no/such/file").map(|bytes| bytes.len() as u64)?)
        })
        .build();
    let mut ann = Raw::user(&server, "ann").await;
    let calls = [r#"["panic",1,"p"]"#, r#"["io",null,"i"]"#, r#"["add",{"a":"x"},"a"]"#];
    for call in calls {
        ann.say(call).await;
        let fault = ann.hear().await;
        assert!(fault.starts_with(r#"["~wse:response-err",{"code":"wse.server.rp."#));
        for leak in
            [".rs", "src/", "stack", "backtrace", "secret", "/no/such", env!("CARGO_MANIFEST_DIR")]
        {
            assert!(!fault.contains(leak), "{leak} in {fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_message_during_the_challenge_ends_the_decision() {
    let greeting = r#"["~wse:hi",{"identity":"ann"}]"#;
    for wrong in [r#"["hey"]"#, r#"["call",1,"s"]"#, greeting, r#"["~wse:welcome"]"#, "x", "[]"] {
        let log = Log::default();
        let server = challenging(&log);
        let mut raw = Raw::stranger(&server).await;
        raw.say(greeting).await;
        assert_eq!(raw.hear().await, r#"["~wse:challenge",{"a":1,"b":2},null]"#);
        raw.say(wrong).await;
        // In the same breath, what would have let it in.
        let _ = raw.try_say(r#"["~wse:challenge",3]"#).await;
        assert_eq!(raw.hear().await, "close 1000 wse.protocol-error", "{wrong}");
        assert_eq!(raw.hear().await, "end");
        settle().await;
        let lines = log.lines();
        assert_eq!(lines[0], "asked");
        let [errors @ .., refused] = &lines[1..] else { panic!("{lines:?}") };
        assert!(errors.iter().all(|line| line.starts_with("error nobody")), "{lines:?}");
        assert_eq!(refused, "refused identify close 1000 wse.protocol-error");
        assert!(server.users().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_message_behind_a_bad_one_lets_nobody_in() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let mut raw = Raw::stranger(&server).await;
    raw.say(r#"["hey"]"#).await;
    let _ = raw.try_say(r#"["~wse:hi",{"identity":"secret of ann"}]"#).await;
    let _ = raw.try_say(r#"["add",{"a":1,"b":2},"s"]"#).await;
    assert_eq!(raw.hear_all().await, ["close 1000 wse.protocol-error", "end"]);
    let refused = "refused greeting close 1000 wse.protocol-error";
    assert_eq!(log.lines(), ["error nobody - wse.server.protocol-violation", refused]);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_asked_and_answered_once() {
    let log = Log::default();
    let server = challenging(&log);
    let mut raw = Raw::stranger(&server).await;
    raw.say(r#"["~wse:hi",{"identity":"ann","meta":{"device":"phone"}}]"#).await;
    raw.hear().await;
    raw.say(r#"["~wse:challenge",3]"#).await;
    assert_eq!(raw.hear().await, r#"["~wse:welcome",{"text":"hi"},null]"#);
    // The meta is the greeting's, not the answer's.
    assert_eq!(log.lines(), ["asked", "answered 3", "joined ann/phone", "connected ann/phone"]);
    raw.say(r#"["~wse:challenge",3]"#).await;
    assert_eq!(raw.hear().await, "close 1000 wse.protocol-error");
}

#[tokio::test(start_paused = true)]
async fn a_subprotocol_that_was_not_offered_is_not_answered() {
    let server = server(&JsonArray).build();
    for offered in [None, Some("chat"), Some("wse-default-json2")] {
        let mut io = Raw::dial(&server).await;
        let mut request = ClientRequest::new(memory::URL).unwrap();
        if let Some(name) = offered {
            request = request.subprotocol(name).unwrap();
        }
        io.write_all(&encode_request(&request.build([1; 16]))).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{offered:?}: {answer}");
        assert!(!answer.to_lowercase().contains("\r\nsec-websocket-protocol"), "{answer}");
    }
    // Among others it is.
    let mut io = Raw::dial(&server).await;
    let request = ClientRequest::new(memory::URL).unwrap();
    let request = request.subprotocol("chat").unwrap().subprotocol("wse-default-json").unwrap();
    io.write_all(&encode_request(&request.build([1; 16]))).await.unwrap();
    let (response, _) = read_response(&mut io, &HeadLimits::default()).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "wse-default-json");
}

/// How long a server waits for a peer that stops at some point before its welcome.
async fn patience(stop: &str) -> (Vec<String>, std::time::Duration) {
    let log = Log::default();
    let server = challenging(&log);
    let start = tokio::time::Instant::now();
    let mut io = Raw::dial(&server).await;
    let heard = match stop {
        "TCP" => {
            let mut answer = Vec::new();
            let _ = io.read_to_end(&mut answer).await;
            vec![String::from_utf8(answer).unwrap()]
        }
        "HTTP" => {
            // One byte a second, without end.
            let (mut read, mut write) = tokio::io::split(io);
            let drip = async {
                let head = b"GET / HTTP/1.1\r\nHost: memory\r\nX: ".iter().copied();
                for byte in head.chain(std::iter::repeat(b'x')) {
                    if write.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(secs(1)).await;
                }
            };
            let end = async {
                let mut answer = Vec::new();
                let _ = read.read_to_end(&mut answer).await;
                answer
            };
            tokio::select! {
                answer = end => vec![String::from_utf8(answer).unwrap()],
                () = drip => vec![String::new()],
            }
        }
        _ => {
            let mut raw = Raw::upgrade(io).await;
            if stop == "challenge" {
                raw.say(r#"["~wse:hi",{"identity":"ann"}]"#).await;
                raw.hear().await;
            }
            vec![raw.hear().await, raw.hear().await]
        }
    };
    let took = start.elapsed();
    settle().await;
    assert!(server.users().is_empty());
    assert!(!log.lines().iter().any(|line| line.contains("joined")), "{:?}", log.lines());
    (heard, took)
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_longer_than_the_deadline() {
    let refused = ["close 1000 wse.not-authorized", "end"].map(str::to_owned).to_vec();
    for (stop, expected) in [
        ("TCP", vec![String::new()]),
        ("HTTP", vec![String::new()]),
        ("101", refused.clone()),
        ("challenge", refused),
    ] {
        let (heard, took) = within(patience(stop)).await;
        assert_eq!(heard, expected, "{stop}");
        assert_eq!(took.as_secs(), 10, "{stop}");
    }
}

/// Nor does it wait for a decision that never comes.
#[tokio::test(start_paused = true)]
async fn a_decision_that_never_comes_is_given_up() {
    let server = Server::builder(JsonArray)
        .identify(|_: Hello<String>| async move {
            let () = std::future::pending().await;
            wse::Ok(Accept::user("ann"))
        })
        .auth_timeout(secs(3))
        .build();
    let ann = client(&JsonArray, &server, "ann").connect();
    let (outcome, took) = timed(ann).await;
    match outcome {
        Err(ConnectError::Refused(close)) => assert_eq!(close.reason, CloseReason::NotAuthorized),
        other => panic!("{other:?}"),
    }
    assert_eq!(took.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_solver_fails_at_a_challenge() {
    let log = Log::default();
    let server = challenging(&log);
    for reconnect in [None, Some(Backoff::default())] {
        let mut builder = client(&JsonArray, &server, "ann");
        if let Some(backoff) = reconnect {
            builder = builder.reconnect(backoff);
        }
        let (outcome, took) = timed(builder.connect()).await;
        assert!(matches!(outcome, Err(ConnectError::NoSolver)), "{outcome:?}");
        assert_eq!(took.as_secs(), 0);
    }
    // With one it comes in, and one that fails or panics fails the connect.
    let add = |quest: Add| async move { wse::Ok(quest.a + quest.b) };
    client(&JsonArray, &server, "ann").solver(add).connect().await.unwrap();
    let fail = |_: Add| async move { Err::<i64, _>(Fault::new("no idea")) };
    let outcome = client(&JsonArray, &server, "ann").solver(fail).connect().await;
    assert!(matches!(outcome, Err(ConnectError::Credentials(_))), "{outcome:?}");
    let panic = |quest: Add| async move {
        assert!(quest.a < 0, "no idea");
        wse::Ok(quest.a)
    };
    let outcome = client(&JsonArray, &server, "ann").solver(panic).connect().await;
    assert!(matches!(outcome, Err(ConnectError::Credentials(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn left_tells_the_true_code_once() {
    type End = fn(&Server<JsonArray>);
    let ends: [(&str, End); 3] = [
        ("4001 tired", |server| {
            server.user("ann").close(Close::new(4001, "tired"));
        }),
        ("1000", |server| {
            server.close_user("ann", Close::normal(CloseReason::None));
        }),
        ("1000 wse.by-server", |server| {
            server.user("ann").connections()[0].close(Close::normal(CloseReason::ByServer));
        }),
    ];
    for (expected, end) in ends {
        let log = Log::default();
        let server = log.events(server(&JsonArray)).build();
        let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
        log.take();
        end(&server);
        ann.closed().await;
        settle().await;
        let lines = [format!("disconnected ann {expected}"), format!("left ann {expected}")];
        assert_eq!(log.take(), lines);
    }

    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    for (end, expected) in [(Some(4000), "4000 jump"), (Some(0), "1005"), (None, "1006")] {
        let mut raw = Raw::user(&server, "ann").await;
        log.take();
        match end {
            Some(4000) => raw.close(4000, "jump").await,
            Some(_) => raw.0.close(None),
            None => {}
        }
        if end.is_some() {
            raw.hear_all().await;
        }
        drop(raw);
        settle().await;
        let lines = [format!("disconnected ann {expected}"), format!("left ann {expected}")];
        assert_eq!(log.take(), lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_keeps_or_changes_the_identity() {
    let (here, there) = (Log::default(), Log::default());
    let first = here.events(server(&JsonArray)).build();
    let second = there.events(server(&JsonArray)).build();
    // One connector for two servers, by port.
    struct Both(Server<JsonArray>, Server<JsonArray>);
    #[async_trait::async_trait]
    impl wse::Connector for Both {
        async fn connect(&self, host: &str, port: u16) -> std::io::Result<Box<dyn wse::Transport>> {
            let server = if port == 1 { &self.0 } else { &self.1 };
            memory::connector(server).connect(host, port).await
        }
    }
    let meta = Meta { device: "phone".to_owned() };
    let ann = Client::builder(JsonArray, "ws://memory:1/")
        .connector(Both(first, second))
        .identity("secret of ann".to_owned())
        .meta(meta)
        .connect()
        .await
        .unwrap();
    here.take();
    ann.migrate("ws://memory:2/").await.unwrap();
    assert_eq!(here.take(), ["disconnected ann/phone 4000 jump", "left ann 4000 jump"]);
    assert_eq!(there.take(), ["joined ann/phone", "connected ann/phone"]);

    let meta = Meta { device: "desk".to_owned() };
    ann.migrate_as("ws://memory:1/", "secret of bob".to_owned(), meta).await.unwrap();
    assert_eq!(there.take(), ["disconnected ann/phone 4000 jump", "left ann 4000 jump"]);
    assert_eq!(here.take(), ["joined bob/desk", "connected bob/desk"]);
    assert_eq!(ann.welcome::<Note>().unwrap(), note("hi, bob"));

    // A jump to where nobody lets it in fails, and says so.
    let refused = ann.migrate_as("ws://memory:2/", "guess".to_owned(), Meta::default()).await;
    assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    assert_eq!(ann.status(), Status::Offline);
}

#[tokio::test(start_paused = true)]
async fn a_procedure_that_outlives_its_connection_answers_nobody() {
    let (dial, mut arrivals) = dialled();
    let finish = Arc::new(Notify::new());
    let finished = Arc::new(AtomicBool::new(false));
    let (gate, done) = (Arc::clone(&finish), Arc::clone(&finished));
    let ann = json_client(dial)
        .reconnect(Backoff::default().base(ms(1)))
        .procedure("slow", move |_, ()| {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            async move {
                gate.notified().await;
                done.store(true, Ordering::Relaxed);
                wse::Ok(42)
            }
        })
        .build();
    let (connected, mut first) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    first.say(r#"["slow",null,"1"]"#).await;
    settle().await;
    drop(first);
    let mut second = arrivals.welcomed().await;
    settle().await;
    assert_eq!(ann.status(), Status::Ready);
    finish.notify_one();
    assert_eq!(second.hear_all().await, [""; 0]);
    assert!(finished.load(Ordering::Relaxed));
    assert_eq!(ann.status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_who_has_gone_before_the_verdict() {
    let log = Log::default();
    let decided = log.clone();
    let server = log
        .events(Server::builder(JsonArray).identify(move |hello: Hello<String>| {
            let decided = decided.clone();
            async move {
                tokio::time::sleep(secs(2)).await;
                decided.add("decided");
                wse::Ok(Accept::user(hello.identity))
            }
        }))
        .build();
    for close in [true, false] {
        let mut raw = Raw::stranger(&server).await;
        raw.greet("ann").await;
        settle().await;
        if close {
            raw.close(1001, "").await;
            assert_eq!(raw.hear().await, "close 1001 ");
        }
        drop(raw);
        tokio::time::sleep(secs(5)).await;
        assert_eq!(log.lines(), [""; 0]);
        assert!(server.users().is_empty());
    }
    assert!(server.shutdown(secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn close_ends_the_wait_for_a_reconnect() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).reconnect(Backoff::default().base(secs(3600)).cap(secs(3600)));
    let ann = ann.build();
    let (connected, first) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    drop(first);
    settle().await;
    assert_eq!(ann.status(), Status::Reconnecting);
    ann.close();
    let (close, took) = timed(ann.closed()).await;
    assert_eq!(close, Some(Close::VANISHED));
    assert!(took < ms(10), "{took:?}");
    assert_eq!(ann.status(), Status::Offline);
    tokio::time::sleep(secs(10 * 3600)).await;
    assert!(arrivals.none());
}

#[tokio::test(start_paused = true)]
async fn a_long_reason_is_cut_and_the_connection_closed() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    for (reason, cut) in [("x".repeat(1000), "x".repeat(123)), ("ä".repeat(100), "ä".repeat(61))]
    {
        let mut raw = Raw::user(&server, "ann").await;
        log.take();
        server.user("ann").close(Close::new(4001, reason));
        assert_eq!(raw.hear().await, format!("close 4001 {cut}"));
        assert_eq!(raw.hear().await, "end");
        settle().await;
        assert!(server.users().is_empty());
        assert_eq!(log.take().len(), 2);
    }
}
