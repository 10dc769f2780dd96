//! Acknowledged and reliable delivery where it is hard: between reconnects, beside full queues, over links that take
//! nothing any more, and by handlers that end in odd ways.

use std::sync::Arc;

use crate::support::endpoints::*;
use tokio::task::JoinSet;
use wse::{
    Accept, Call, CallError, CallOptions, Client, Close, Conn, Heartbeat, Hello, IdentityFrom,
    Reliable, SendQueue, Server, SlowPeer, Status,
};
use wse_codecs::{JsonArray, JsonRpc};
use wse_proto::{Fault, Negotiated};
use wse_transport::{handshake, ws};

fn queue(messages: usize, policy: SlowPeer) -> SendQueue {
    SendQueue::default().messages(messages).slow_peer(policy)
}

/// A client that reads only when it is told to, and its connection at the server.
async fn stopped(server: &Server<JsonArray>) -> (Raw, Conn<JsonArray>) {
    let raw = Raw::user(server, "ann").await;
    settle().await;
    (raw, server.user("ann").connections().remove(0))
}

/// All of it may go on in tasks of its own.
#[tokio::test(start_paused = true)]
async fn sending_reliably_needs_no_task_of_its_own() {
    let log = Log::default();
    let (noted, heard) = (log.clone(), log.clone());
    let server = server(&JsonArray)
        .on("order", move |conn, Note { text }: Note| {
            let noted = noted.clone();
            async move {
                noted.add(&text);
                let ann = conn.server().user("ann");
                ann.send_reliable(Reliable::default(), "done", &note(text)).await.unwrap();
            }
        })
        .build();
    let ann = client(&JsonArray, &server, "ann").on("done", move |_, Note { text }: Note| {
        heard.add(format!("{text} is done"));
        async {}
    });
    let ann: Client<_> = ann.connect().await.unwrap();
    let (one, user) = (ann.clone(), server.user("ann"));
    let sending = [
        tokio::spawn(async move {
            one.send_reliable(Reliable::default(), "order", &note("bread")).await
        }),
        tokio::spawn(async move {
            user.send_reliable(Reliable::default(), "done", &note("milk")).await
        }),
    ];
    for sending in sending {
        sending.await.unwrap().unwrap();
    }
    settle().await;
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["bread", "bread is done", "milk is done"]);
}

/// Bytes stay with us where the peer has stopped reading: pings that join them are no sign of life.
#[tokio::test(start_paused = true)]
async fn a_peer_that_stopped_reading_is_dead_however_little_waits() {
    for messages in [5, 6, 7, 8, 12] {
        let log = Log::default();
        let server = log.events(server(&JsonArray)).build();
        let (raw, conn) = stopped(&server).await;
        log.take();
        for _ in 0..messages {
            conn.send("x", &note("y".repeat(10_000))).unwrap();
            settle().await;
        }
        tokio::time::sleep(secs(60)).await;
        let lines = log.take();
        let end = "disconnected ann 1006 wse.heartbeat-timeout";
        assert!(lines.iter().any(|line| line == end), "{messages}: {lines:?}");
        drop(raw);
    }
}

#[tokio::test(start_paused = true)]
async fn room_is_told_of_when_older_messages_make_it() {
    let queue = queue(8, SlowPeer::LatestOnly);
    let server = server(&JsonArray).send_queue(queue).heartbeat(None).build();
    let (mut raw, conn) = stopped(&server).await;
    let call = |conn: &Conn<JsonArray>| {
        let options = CallOptions::default().timeout(None);
        conn.call_acked::<_, i64>(options, "c", &note("1"))
    };
    // What the link takes, and then messages and calls until there is no room for another call.
    for _ in 0..5 {
        conn.send("x", &note("y".repeat(200_000))).unwrap();
        settle().await;
    }
    let mut calls = vec![call(&conn).unwrap()];
    loop {
        conn.send("x", &note("z")).unwrap();
        match call(&conn) {
            Ok(begun) => calls.push(begun),
            Err(CallError::QueueFull) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    let waits = conn.clone();
    let waiting = tokio::spawn(async move { waits.writable().await });
    settle().await;
    assert!(!waiting.is_finished());
    // It takes the place of those before it.
    conn.send("x", &note("latest")).unwrap();
    tokio::time::timeout(secs(1), waiting).await.expect("told at once").unwrap();
    while !raw.hear().await.contains("latest") {}
    assert!(call(&conn).is_ok());
}

/// The older device has no receipts, the newer one no room at first.
#[tokio::test(start_paused = true)]
async fn one_device_that_can_say_so_is_enough() {
    type Both = Negotiated<(JsonArray, JsonRpc)>;
    let both: Both = Negotiated::new((JsonArray, JsonRpc::new()));
    let server = server(&both)
        .identity_from([IdentityFrom::bearer()])
        .connections_per_user(5)
        .heartbeat(None)
        .send_queue(SendQueue::default().messages(4))
        .build();
    let mut io = Raw::dial(&server).await;
    let request = handshake::ClientRequest::new(wse::memory::URL)
        .unwrap()
        .header("authorization", "Bearer secret of ann")
        .unwrap();
    handshake::write_request(&mut io, &request.build([7; 16])).await.unwrap();
    let limits = handshake::HeadLimits::default();
    let (_, rest) = handshake::read_response(&mut io, &limits).await.unwrap();
    let config = ws::Config::default();
    let _json_rpc = ws::WebSocket::with_leftover(io, rest, ws::Role::Client, config);
    settle().await;
    let mut raw = Raw::user(&server, "ann").await;
    settle().await;
    let conns = server.user("ann").connections();
    assert_eq!(conns.len(), 2);
    while conns[1].send("x", &note("y".repeat(100_000))).is_ok() {
        settle().await;
    }
    let reading = tokio::spawn(async move {
        tokio::time::sleep(secs(3)).await;
        loop {
            let heard = raw.hear().await;
            if heard.contains("bread") {
                let stamp = heard.split('"').rev().nth(1).unwrap().to_owned();
                raw.say(&format!(r#"["~wse:receipt",null,"{stamp}",2]"#)).await;
            }
        }
    });
    let user = server.user("ann");
    user.send_reliable(Reliable::default(), "order", &note("bread")).await.unwrap();
    reading.abort();
}

/// The handler does not even begin: nothing of its call is kept.
#[tokio::test(start_paused = true)]
async fn a_call_whose_handler_panics_at_once_can_be_made_again() {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&JsonArray)
        .procedure_with("p", move |_, call: Call<Note>| {
            let seen = seen.clone();
            assert!(!call.payload.text.is_empty(), "an empty note");
            async move {
                call.cancelled().await;
                seen.add("cancelled");
                wse::Ok(1_i64)
            }
        })
        .build();
    let mut raw = Raw::user(&server, "ann").await;
    for _ in 0..3 {
        raw.say(r#"["p",{"text":""},"s"]"#).await;
        assert!(raw.hear().await.contains("~wse:response-err"));
    }
    // There is nothing to cancel; and the next one under this stamp is itself.
    raw.say(r#"["~wse:cancel",null,"s"]"#).await;
    raw.say(r#"["p",{"text":"x"},"s"]"#).await;
    settle().await;
    assert_eq!(log.take(), [""; 0]);
    raw.say(r#"["~wse:cancel",null,"s"]"#).await;
    settle().await;
    assert_eq!(log.take(), ["cancelled"]);
}

/// A receipt for an answer that is never sent fails, even while the call is still held.
#[tokio::test(start_paused = true)]
async fn the_receipt_of_an_answer_that_is_not_sent_ends() {
    let log = Log::default();
    let seen = log.clone();
    let server = server(&JsonArray)
        .procedure_with("x", move |_, call: Call<()>| {
            let seen = seen.clone();
            async move {
                let call = Arc::new(call);
                let (held, early) = (Arc::clone(&call), call.want_receipt(None));
                tokio::spawn(async move {
                    seen.add(format!("{:?}", early.await));
                    // Nor of one that is over.
                    seen.add(format!("{:?}", held.want_receipt(None).await));
                });
                call.cancelled().await;
                wse::Ok(1_i64)
            }
        })
        .build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    let call = tokio::time::timeout(ms(50), ann.call::<_, i64>("x", &())).await;
    assert!(call.is_err());
    settle().await;
    assert_eq!(log.take(), ["Err(NotReady)", "Err(NotReady)"]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

/// What was held while the application decided is of the user as well.
#[tokio::test(start_paused = true)]
async fn a_message_held_behind_the_greeting_is_known_when_it_comes_again() {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::builder(JsonArray)
        .identify(|hello: Hello<String, Meta>| async move {
            tokio::time::sleep(secs(1)).await;
            wse::Ok(Accept::user(hello.identity).welcome(note("hi")))
        })
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        })
        .build();
    for _ in 0..2 {
        let mut raw = Raw::stranger(&server).await;
        raw.greet("ann").await;
        raw.say(r#"["note",{"text":"once"},"r1",11]"#).await;
        tokio::time::sleep(secs(2)).await;
        assert!(raw.hear_all().await.contains(&r#"["~wse:receipt",null,"r1",2]"#.to_owned()));
    }
    assert_eq!(log.take(), ["once"]);
    assert_eq!(server.counts().duplicates, 1);
}

/// Nobody is told that something arrived which nobody gets.
#[tokio::test(start_paused = true)]
async fn a_message_held_behind_the_greeting_gets_its_receipt_when_it_is_handled() {
    for at_most in [0, 1] {
        let log = Log::default();
        let seen = log.clone();
        let server = Server::builder(JsonArray)
            .identify(|_: Hello<String, Meta>| async move {
                tokio::time::sleep(secs(1)).await;
                wse::Ok(Accept::user("ann").welcome(note("hi")))
            })
            .on_joined(move |conn| {
                if at_most == 0 {
                    conn.close(Close::new(4003, "full"));
                }
            })
            .on("note", move |conn, Note { text }: Note| {
                seen.add(text);
                conn.close(Close::new(4003, "full"));
                async {}
            })
            .build();
        let mut raw = Raw::stranger(&server).await;
        raw.greet("ann").await;
        for n in 1..4 {
            raw.say(&format!(r#"["note",{{"text":"{n}"}},"r{n}",11]"#)).await;
        }
        tokio::time::sleep(secs(2)).await;
        let heard = raw.hear_all().await;
        let receipts = heard.iter().filter(|it| it.contains("receipt")).count();
        assert_eq!((receipts, log.take().len()), (at_most, at_most), "{heard:?}");
    }
}

/// Pings and pongs of the peer pile up where nothing is read: they are no flood.
#[tokio::test(start_paused = true)]
async fn a_peer_that_had_to_wait_is_not_closed_for_what_it_said_meanwhile() {
    let server = server(&JsonArray)
        .max_handlers(1)
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(secs(600)).await;
            Ok::<_, Fault>(n)
        })
        .build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    let call = |n: i64| {
        let ann = ann.clone();
        async move { ann.call_within::<_, i64>(None, "slow", &n).await.unwrap() }
    };
    assert_eq!(tokio::join!(call(1), call(2), call(3)), (1, 2, 3));
    // Nor does it seem to be far away.
    let liveness = server.user("ann").connections().remove(0).liveness().unwrap();
    assert!(liveness.rtt.unwrap() < secs(1), "{liveness:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fast_heartbeat_of_both_is_no_flood() {
    let heartbeat = Heartbeat::fixed(ms(80), secs(2));
    let server = server(&JsonArray).heartbeat(heartbeat).build();
    let ann = client(&JsonArray, &server, "ann").heartbeat(heartbeat).connect().await.unwrap();
    tokio::time::sleep(secs(60)).await;
    assert_eq!(ann.status(), Status::Ready);
    assert!(ann.liveness().unwrap().pongs > 700);
}

/// Handlers that wait for the end do not keep it from being noticed.
#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_noticed_while_all_handlers_are_busy() {
    let server = server(&JsonArray)
        .max_handlers(1)
        .procedure_with("subscribe", |_, call: Call<()>| async move {
            call.cancelled().await;
            wse::Ok(())
        })
        .build();
    let (mut raw, conn) = stopped(&server).await;
    raw.say(r#"["subscribe",null,"s"]"#).await;
    tokio::time::sleep(secs(60)).await;
    assert!(!conn.is_ready());
    assert_eq!(server.counts().dead_peers, 1);
}

/// That is for the policy to say.
#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_but_reads_nothing_is_left_to_the_policy() {
    for policy in [SlowPeer::DropNewest, SlowPeer::Close { after: secs(120) }] {
        let server = server(&JsonArray).send_queue(queue(8, policy)).build();
        let (mut raw, conn) = stopped(&server).await;
        for _ in 0..20 {
            let _ = conn.send("x", &note("y".repeat(200_000)));
            settle().await;
        }
        for _ in 0..30 {
            raw.say(r#"["hello"]"#).await;
            tokio::time::sleep(secs(1)).await;
        }
        assert!(conn.is_ready(), "{policy:?}");
    }
}

/// Both ends have more to say than fits, and read on all the same.
async fn talk(size: usize, calls: usize) {
    let server = server(&JsonArray)
        .procedure("echo", |_, note: Note| async move { Ok::<_, Fault>(note) })
        .build();
    let ann = client(&JsonArray, &server, "ann")
        .procedure("echo", |_, note: Note| async move { Ok::<_, Fault>(note) });
    let ann = ann.connect().await.unwrap();
    adds(&ann).await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    let options = CallOptions::default().timeout(secs(60));
    macro_rules! calls {
        ($end:expr) => {
            async {
                let (end, big) = ($end.clone(), note("y".repeat(size)));
                let mut begun = JoinSet::new();
                let mut answered = 0;
                while answered + begun.len() < calls {
                    match end.call_acked::<_, Note>(options, "echo", &big) {
                        Ok(mut call) => drop(begun.spawn(async move { call.result().await })),
                        Err(CallError::QueueFull) => end.writable().await,
                        Err(CallError::TooManyCalls) => {
                            begun.join_next().await.unwrap().unwrap().unwrap();
                            answered += 1;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                while let Some(outcome) = begun.join_next().await {
                    outcome.unwrap().unwrap();
                }
            }
        };
    }
    tokio::join!(calls!(ann), calls!(conn));
    assert!(conn.is_ready());
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_call_each_other_do_not_wait_for_each_other() {
    talk(900, 2000).await;
    talk(10_000, 1000).await;
    talk(200_000, 100).await;
}
