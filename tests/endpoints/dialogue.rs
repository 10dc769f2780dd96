//! What a server and a client do for each other: the greeting, messages, calls and handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::endpoints::*;
use futures::StreamExt;
use futures::future::join_all;
use tokio::sync::Notify;
use wse::auth::hmac_answer;
use wse::{
    Accept, CallError, Close, CloseReason, ConnectError, Hello, Refuse, SendError, Server, Status,
};
use wse_proto::{CodecError, ErrorCode, Fault, Protocol};

crate::over_every_protocol! {
    the_greeting_tells_who_and_the_welcome_comes_back
    a_stranger_is_refused
    a_refusal_may_say_why
    a_challenge_proves_a_shared_secret
    an_identity_of_a_wrong_type_is_refused
    an_identify_that_fails_tells_the_client_an_id_only
    a_client_without_identity_does_not_greet
    absent_meta_is_an_empty_map
    a_server_that_asks_for_no_meta_needs_none
    a_connection_keeps_the_state_it_was_accepted_with
    an_identify_that_panics_lets_nobody_in
    messages_go_both_ways_in_order
    a_callback_may_send_behind_the_welcome
    calls_go_both_ways
    a_handler_calls_back_over_its_own_connection
    many_calls_at_once_are_answered_out_of_order
    a_slow_handler_holds_up_nobody
    a_panicking_procedure_is_a_fault
    a_panicking_message_handler_is_an_error_event
    a_failing_message_handler_is_an_error_event
    a_fault_carries_what_the_procedure_put_into_it
    an_unknown_procedure_is_a_fault
    a_payload_of_a_wrong_type_harms_only_itself
    an_answer_of_a_wrong_type_is_an_error_of_the_caller
    handlers_come_and_go_at_run_time
    what_nobody_handles_is_unhandled
    names_of_the_protocol_itself_cannot_be_used
    a_call_times_out
    a_dropped_call_leaves_nothing_behind
    a_call_fails_at_once_when_its_connection_ends
}

async fn the_greeting_tells_who_and_the_welcome_comes_back<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::builder(protocol.clone())
        .identify_with(move |stranger, hello: Hello<String, Meta>| {
            seen.add(format!("{} on {}", hello.identity, hello.meta.device));
            seen.add(stranger.request().uri().path());
            async move { wse::Ok(Accept::user("ann").welcome(note("hi, ann"))) }
        })
        .build();
    let ann = device(&protocol, &server, "ann", "phone").await;
    assert_eq!(log.lines(), ["secret of ann on phone", "/"]);
    assert_eq!(ann.welcome::<Note>().unwrap(), note("hi, ann"));
    assert_eq!(ann.status(), Status::Ready);

    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.user_id(), "ann");
    assert_eq!(conn.identity::<String>().unwrap(), "secret of ann");
    assert_eq!(conn.meta::<Meta>().unwrap(), Meta { device: "phone".to_owned() });
    assert_eq!(conn.peer_addr(), None);
    let name = conn.protocol().info().subprotocol();
    assert_eq!(name, protocol.subprotocols().first().copied());
}

async fn a_stranger_is_refused<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let mallory = client(&protocol, &server, "mallory").identity("a guess".to_owned()).build();
    match mallory.connect().await {
        Err(ConnectError::Refused(close)) => {
            assert_eq!(close, Close::normal(CloseReason::NotAuthorized));
            assert_eq!(close.to_string(), "1000 wse.not-authorized");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(mallory.closed().await, None);
    assert_eq!(mallory.status(), Status::Offline);
    assert_eq!(log.lines(), ["refused identify close 1000 wse.not-authorized"]);
    assert!(server.users().is_empty());
}

async fn a_refusal_may_say_why<P: Talk>(protocol: P) {
    let server = Server::builder(protocol.clone())
        .identify(|hello: Hello<String, Meta>| async move {
            match hello.identity.as_str() {
                "banned" => Err(Refuse::with(Close::new(4003, "banned"))),
                "unknown" => Err(Refuse::because("no such user")),
                user => Ok(Accept::user(user)),
            }
        })
        .build();
    let table = [("banned", "4003 banned"), ("unknown", "1000 wse.not-authorized")];
    for (identity, expected) in table {
        let refused = client(&protocol, &server, "").identity(identity.to_owned()).connect().await;
        match refused {
            Err(ConnectError::Refused(close)) => assert_eq!(close.to_string(), expected),
            other => panic!("{other:?}"),
        }
    }
    client(&protocol, &server, "").identity("7".to_owned()).connect().await.unwrap();
    assert!(server.user("7").is_connected());
}

async fn a_challenge_proves_a_shared_secret<P: Talk>(protocol: P) {
    let log = Log::default();
    let quests = log.clone();
    let server = Server::builder(protocol.clone())
        .identify_with(|stranger, hello: Hello<String, Meta>| async move {
            stranger.challenge_hmac(&hello.identity, b"secret").await?;
            wse::Ok(Accept::user(hello.identity))
        })
        .build();
    let as_ann = |secret: &'static [u8], name: &'static str| {
        let quests = quests.clone();
        client(&protocol, &server, "").identity("ann".to_owned()).solver(move |quest: String| {
            quests.add(&quest);
            async move { wse::Ok(hmac_answer(secret, name, &quest)) }
        })
    };
    as_ann(b"secret", "ann").connect().await.unwrap();
    assert!(server.user("ann").is_connected());
    for (secret, name) in [(&b"guess"[..], "ann"), (b"secret", "bob"), (b"", "")] {
        let refused = as_ann(secret, name).connect().await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    }
    // Never the same question twice.
    let mut asked = log.lines();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 4);
}

async fn an_identity_of_a_wrong_type_is_refused<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let wrong = client(&protocol, &server, "ann").identity(Add { a: 5, b: 3 }).connect().await;
    match wrong {
        Err(ConnectError::Refused(close)) => assert_eq!(close.reason, CloseReason::NotAuthorized),
        other => panic!("{other:?}"),
    }
    // No connection is added, and the error event says why.
    let refused = "refused identify close 1000 wse.not-authorized";
    assert_eq!(log.lines(), ["error nobody - wse.server.msg-processing-error", refused]);
}

/// An error that is no refusal is the server's own failure: the client may try again, and does not learn why.
async fn an_identify_that_fails_tells_the_client_an_id_only<P: Talk>(protocol: P) {
    let (events, told) = (Log::default(), Log::default());
    let seen = told.clone();
    let server = Server::builder(protocol.clone())
        .identify(|hello: Hello<String, Meta>| async move {
            let number: u8 = hello.identity.parse()?;
            wse::Ok(Accept::user(number.to_string()))
        })
        .on_error(move |error| {
            seen.add(format!("{} {}", error.id.as_deref().unwrap_or("no id"), error.message));
        });
    let server = events.events(server).build();
    let failed = client(&protocol, &server, "").identity("x".to_owned()).connect().await;
    let Err(ConnectError::Refused(close)) = failed else { panic!("{failed:?}") };
    assert_eq!(close.code, 1011);
    let id = close.reason.as_str().strip_prefix("internal error, id ").unwrap();
    assert_eq!(told.lines(), [format!("{id} invalid digit found in string")]);
    let refused = format!("refused identify close 1011 internal error, id {id}");
    assert_eq!(events.lines(), ["error nobody identify wse.server.rp.failed", &refused]);
    client(&protocol, &server, "").identity("7".to_owned()).connect().await.unwrap();
    assert!(server.user("7").is_connected());
}

async fn a_client_without_identity_does_not_greet<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let nobody = wse::Client::builder(protocol, wse::memory::URL)
        .connector(wse::memory::connector(&server))
        .connect()
        .await;
    assert!(matches!(nobody, Err(ConnectError::NoIdentity)), "{nobody:?}");
}

async fn absent_meta_is_an_empty_map<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let _ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    assert_eq!(conn.meta::<Meta>().unwrap(), Meta::default());
}

async fn a_server_that_asks_for_no_meta_needs_none<P: Talk>(protocol: P) {
    let server = Server::builder(protocol.clone())
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .build();
    client(&protocol, &server, "ann").connect().await.unwrap();
    client(&protocol, &server, "ann").meta(()).connect().await.unwrap();
}

async fn a_connection_keeps_the_state_it_was_accepted_with<P: Talk>(protocol: P) {
    struct Role(String);
    let server = Server::builder(protocol.clone())
        .identify(|hello: Hello<String, Meta>| async move {
            let role = Role(format!("{} of {}", hello.meta.device, hello.identity));
            wse::Ok(Accept::user("ann").state(role).state(7_u8))
        })
        .connections_per_user(2)
        .procedure("role", |conn, ()| async move {
            let role = conn.state::<Role>().ok_or(Fault::new("no role"))?;
            assert_eq!(conn.state::<u8>().as_deref(), Some(&7));
            assert!(conn.state::<u16>().is_none());
            wse::Ok(role.0.clone())
        })
        .build();
    let phone = device(&protocol, &server, "ann", "phone").await;
    let desk = device(&protocol, &server, "ann", "desk").await;
    let role: String = phone.call("role", &()).await.unwrap();
    assert_eq!(role, "phone of secret of ann");
    let role: String = desk.call("role", &()).await.unwrap();
    assert_eq!(role, "desk of secret of ann");
}

async fn an_identify_that_panics_lets_nobody_in<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = Server::builder(protocol.clone())
        .identify(|hello: Hello<String, Meta>| {
            assert_ne!(hello.meta.device, "early", "panics before it is awaited");
            async move {
                tokio::task::yield_now().await;
                assert_ne!(hello.meta.device, "late", "panics when it is awaited");
                wse::Ok(Accept::user("ann"))
            }
        })
        .build();
    let server = {
        let log = log.clone();
        server.on_event(move |event| log.add(line(event)));
        server
    };
    for when in ["early", "late"] {
        let meta = Meta { device: when.to_owned() };
        match client(&protocol, &server, "ann").meta(meta).connect().await {
            // Our own failure, and not a verdict: the client may try again.
            Err(ConnectError::Refused(close)) => {
                assert_eq!(close.code, 1011, "{when}");
                let refused = format!("refused identify close {close}");
                let error = "error nobody identify wse.server.rp.failed";
                assert_eq!(log.take(), [error, &refused], "{when}");
            }
            other => panic!("{when}: {other:?}"),
        }
    }
    device(&protocol, &server, "ann", "never").await;
}

async fn messages_go_both_ways_in_order<P: Talk>(protocol: P) {
    let log = Log::default();
    let (there, back) = (log.clone(), log.clone());
    let server = server(&protocol)
        .on("count", move |conn, n: i64| {
            there.add(format!("there {n}"));
            async move { conn.send("count", &n) }
        })
        .build();
    let ann = client(&protocol, &server, "ann")
        .on("count", move |_, n: i64| {
            back.add(format!("back {n}"));
            async {}
        })
        .connect()
        .await
        .unwrap();
    for n in 0..500 {
        ann.send("count", &n).unwrap();
    }
    adds(&ann).await.unwrap();
    let lines = log.lines();
    for way in ["there", "back"] {
        let seen: Vec<_> = lines.iter().filter(|line| line.starts_with(way)).collect();
        let sent: Vec<_> = (0..500).map(|n| format!("{way} {n}")).collect();
        assert!(seen.into_iter().eq(&sent), "{way}: {lines:?}");
    }
}

async fn a_callback_may_send_behind_the_welcome<P: Talk>(protocol: P) {
    let log = Log::default();
    let seen = log.clone();
    let ready = log.clone();
    let server = server(&protocol)
        .on("first", move |conn, n: i64| {
            seen.add(format!("{} says {n}", conn.user_id()));
            async {}
        })
        .on_connected(move |conn| {
            ready.add("connected");
            conn.send("hello", &1).unwrap();
        })
        .build();
    let ann = client(&protocol, &server, "ann").build();
    let greetings = log.clone();
    ann.on("hello", move |ann, n: i64| {
        greetings.add("welcomed");
        async move { ann.send("first", &n) }
    });
    ann.connect().await.unwrap();
    adds(&ann).await.unwrap();
    assert_eq!(log.lines(), ["connected", "welcomed", "ann says 1"]);
}

async fn calls_go_both_ways<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann")
        .procedure(
            "shout",
            |_, Note { text }: Note| async move { wse::Ok(note(text.to_uppercase())) },
        )
        .connect()
        .await
        .unwrap();
    let sum: i64 = ann.call("add", &Add { a: 5, b: 3 }).await.unwrap();
    assert_eq!(sum, 8);
    let conn = server.user("ann").connections().remove(0);
    let answer: Note = conn.call("shout", &note("hello")).await.unwrap();
    assert_eq!(answer, note("HELLO"));
}

async fn a_handler_calls_back_over_its_own_connection<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("ask me", |conn, question: Note| async move {
            let answer: Note = conn.call("answer", &question).await?;
            wse::Ok(note(format!("you said {}", answer.text)))
        })
        .build();
    let ann = client(&protocol, &server, "ann")
        .procedure("answer", |ann, Note { text }: Note| async move {
            // And once more the other way, while both calls wait.
            let sum: i64 = ann.call("add", &Add { a: 20, b: 22 }).await?;
            wse::Ok(note(format!("{text} {sum}")))
        })
        .connect()
        .await
        .unwrap();
    let told: Note = ann.call("ask me", &note("how many?")).await.unwrap();
    assert_eq!(told, note("you said how many? 42"));
}

async fn many_calls_at_once_are_answered_out_of_order<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol)
        .procedure("wait", |_, n: i64| async move {
            tokio::time::sleep(ms(1000 - n.unsigned_abs())).await;
            wse::Ok(n)
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let calls = (0..300).map(|n| {
        let (ann, log) = (ann.clone(), log.clone());
        async move {
            assert_eq!(ann.call::<_, i64>("wait", &n).await.unwrap(), n);
            log.add(n.to_string());
        }
    });
    let (_, took) = timed(join_all(calls)).await;
    assert!(took <= ms(1001), "{took:?}");
    let backwards: Vec<_> = (0..300).rev().map(|n| n.to_string()).collect();
    assert_eq!(log.lines(), backwards);
}

async fn a_slow_handler_holds_up_nobody<P: Talk>(protocol: P) {
    let log = Log::default();
    let (go, seen) = (Arc::new(Notify::new()), log.clone());
    let gate = Arc::clone(&go);
    let server = server(&protocol)
        .procedure("slow", move |_, n: i64| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                wse::Ok(n)
            }
        })
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let slow = tokio::spawn({
        let ann = ann.clone();
        async move { ann.call::<_, i64>("slow", &7).await }
    });
    settle().await;
    ann.send("note", &note("meanwhile")).unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(log.lines(), ["meanwhile"]);
    assert!(!slow.is_finished());
    go.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), 7);
}

async fn a_panicking_procedure_is_a_fault<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log
        .events(server(&protocol))
        .procedure("later", |_, n: i64| async move {
            tokio::task::yield_now().await;
            if n > 0 { panic!("secret: {n}") } else { wse::Ok(n) }
        })
        .procedure("at once", |_, n: i64| {
            assert!(n < 0, "secret: {n}");
            async move { wse::Ok(n) }
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    log.take();
    for name in ["later", "at once"] {
        match ann.call::<_, i64>(name, &1).await {
            Err(CallError::Fault(fault)) => {
                assert_eq!(fault.code, ErrorCode::Failed, "{name}");
                assert!(!fault.to_string().contains("secret"), "{fault}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(log.take(), [format!("error ann {name} wse.server.rp.failed")]);
    }
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn a_panicking_message_handler_is_an_error_event<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log
        .events(server(&protocol))
        .on("later", |_, n: i64| async move {
            tokio::task::yield_now().await;
            assert!(n < 0, "later");
        })
        .on("at once", |_, n: i64| {
            assert!(n < 0, "at once");
            async {}
        })
        .unhandled(|_, message| {
            assert_ne!(message.name, "nobody's", "at once");
            async {}
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    log.take();
    ann.send("later", &1).unwrap();
    ann.send("at once", &1).unwrap();
    ann.send("nobody's", &1).unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    settle().await;
    let mut lines = log.take();
    lines.sort();
    let expected = ["at once", "later", "nobody's"]
        .map(|name| format!("error ann {name} wse.server.rp.failed"));
    assert_eq!(lines, expected);
}

async fn a_failing_message_handler_is_an_error_event<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log
        .events(server(&protocol))
        .on("plain", |_, n: i64| async move { n.to_string().parse::<u8>().map(drop) })
        .on("chosen", |_, ()| async { Err::<(), _>(Fault::new("my-app.no")) })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    log.take();
    ann.send("plain", &-1).unwrap();
    ann.send("chosen", &()).unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let expected = ["error ann plain wse.server.rp.failed", "error ann chosen my-app.no"];
    assert_eq!(log.lines(), expected);
}

async fn a_fault_carries_what_the_procedure_put_into_it<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("fail", |conn, n: i64| async move {
            let details = conn.encode(&Add { a: n, b: 1 }).unwrap();
            Err::<(), _>(Fault::new("my-app.no").message("not today").details(details))
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    match ann.call::<_, ()>("fail", &41).await {
        Err(CallError::Fault(fault)) => {
            assert_eq!(fault.code, ErrorCode::from("my-app.no"));
            assert_eq!(fault.message.as_deref(), Some("not today"));
            assert_eq!(ann.decode::<Add>(&fault.details).unwrap(), Add { a: 41, b: 1 });
        }
        other => panic!("{other:?}"),
    }
}

async fn an_unknown_procedure_is_a_fault<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    log.take();
    let there = ann.call::<_, ()>("nothing", &()).await;
    let back = server.user("ann").connections()[0].call::<_, ()>("nothing", &()).await;
    for outcome in [there, back] {
        match outcome {
            Err(CallError::Fault(fault)) => assert_eq!(fault.code, ErrorCode::NotRegistered),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(log.lines(), [""; 0]);
}

async fn a_payload_of_a_wrong_type_harms_only_itself<P: Talk>(protocol: P) {
    let log = Log::default();
    let ran = log.clone();
    let server = log
        .events(server(&protocol))
        .on("note", move |_, _: Note| {
            ran.add("the handler ran");
            async {}
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    log.take();
    ann.send("note", &4711_i64).unwrap();
    match ann.call::<_, i64>("add", &note("five")).await {
        Err(CallError::Fault(fault)) => assert_eq!(fault.code, ErrorCode::InvalidPayload),
        other => panic!("{other:?}"),
    }
    let expected =
        ["error ann note wse.server.msg-processing-error", "error ann add wse.server.rp.failed"];
    assert_eq!(log.lines(), expected);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn an_answer_of_a_wrong_type_is_an_error_of_the_caller<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let wrong = ann.call::<_, Note>("add", &Add { a: 1, b: 2 }).await;
    assert!(matches!(wrong, Err(CallError::Decode(_))), "{wrong:?}");
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn handlers_come_and_go_at_run_time<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);

    let seen = log.clone();
    server.on("note", move |_, Note { text }: Note| {
        seen.add(format!("server {text}"));
        async {}
    });
    let seen = log.clone();
    ann.on("note", move |_, Note { text }: Note| {
        seen.add(format!("client {text}"));
        async {}
    });
    server.procedure("twice", |_, n: i64| async move { wse::Ok(2 * n) });
    ann.procedure("thrice", |_, n: i64| async move { wse::Ok(3 * n) });
    ann.send("note", &note("1")).unwrap();
    assert_eq!(ann.call::<_, i64>("twice", &7).await.unwrap(), 14);
    conn.send("note", &note("2")).unwrap();
    assert_eq!(conn.call::<_, i64>("thrice", &7).await.unwrap(), 21);
    assert_eq!(log.take(), ["server 1", "client 2"]);

    // A later handler takes an earlier one's place.
    server.procedure("twice", |_, n: i64| async move { wse::Ok(-2 * n) });
    assert_eq!(ann.call::<_, i64>("twice", &7).await.unwrap(), -14);

    assert!(server.off("note") && ann.off("note"));
    assert!(!server.off("note") && !ann.off("note"));
    assert!(server.remove_procedure("twice") && ann.remove_procedure("thrice"));
    assert!(!server.remove_procedure("twice") && !ann.remove_procedure("thrice"));
    ann.send("note", &note("3")).unwrap();
    conn.send("note", &note("4")).unwrap();
    let gone = [
        ann.call::<_, i64>("twice", &7).await.unwrap_err(),
        conn.call::<_, i64>("thrice", &7).await.unwrap_err(),
    ];
    assert!(gone.iter().all(|error| error.code() == ErrorCode::NotRegistered), "{gone:?}");
    assert_eq!(log.take(), [""; 0]);
}

async fn what_nobody_handles_is_unhandled<P: Talk>(protocol: P) {
    let log = Log::default();
    let (there, back) = (log.clone(), log.clone());
    let server = server(&protocol)
        .unhandled(move |conn, message| {
            let text = conn.decode::<Note>(&message.payload).unwrap().text;
            there.add(format!("{} {} {text}", conn.user_id(), message.name));
            async {}
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    ann.unhandled(move |ann, message| {
        let back = back.clone();
        async move {
            let Note { text } = ann.decode(&message.payload)?;
            back.add(format!("client {} {text}", message.name));
            Ok::<_, CodecError>(())
        }
    });
    ann.send("who", &note("1")).unwrap();
    adds(&ann).await.unwrap();
    server.user("ann").send("where", &note("2")).unwrap();
    adds(&ann).await.unwrap();
    assert_eq!(log.lines(), ["ann who 1", "client where 2"]);
}

async fn names_of_the_protocol_itself_cannot_be_used<P: Talk>(protocol: P) {
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    for name in ["", "~wse:hi", "~wse:welcome", "~wse:response"] {
        assert!(matches!(ann.send(name, &()), Err(SendError::Encode(_))), "{name:?}");
        assert!(matches!(conn.send(name, &()), Err(SendError::Encode(_))), "{name:?}");
        let call = ann.call::<_, ()>(name, &()).await;
        assert!(matches!(call, Err(CallError::Encode(_))), "{name:?}: {call:?}");
        assert!(server.all().send(name, &()).is_err(), "{name:?}");
    }
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn a_call_times_out<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("slow", |_, seconds: i64| async move {
            tokio::time::sleep(secs(seconds.unsigned_abs())).await;
            wse::Ok(seconds)
        })
        .call_timeout(secs(5))
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    ann.procedure("never", |_, ()| std::future::pending::<Result<(), Fault>>());

    let (outcome, took) = timed(ann.call::<_, i64>("slow", &21)).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    assert_eq!(outcome.unwrap_err().code().as_str(), "wse.client.rp.timeout");
    assert_eq!(took.as_secs(), 20);
    let (outcome, took) = timed(ann.call_within::<_, i64>(Some(ms(300)), "slow", &1)).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    assert_eq!(took.as_millis() / 10, 30);
    let (outcome, took) = timed(ann.call_within::<_, i64>(None, "slow", &3600)).await;
    assert_eq!(outcome.unwrap(), 3600);
    assert_eq!(took.as_secs(), 3600);

    let conn = server.user("ann").connections().remove(0);
    let (outcome, took) = timed(conn.call::<_, ()>("never", &())).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    assert_eq!(took.as_secs(), 5);
    // The late answers went nowhere.
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn a_dropped_call_leaves_nothing_behind<P: Talk>(protocol: P) {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let server = server(&protocol)
        .procedure("slow", move |_, n: i64| {
            let count = Arc::clone(&count);
            async move {
                tokio::time::sleep(secs(1)).await;
                count.fetch_add(1, Ordering::Relaxed);
                wse::Ok(n)
            }
        })
        .build();
    let ann = client(&protocol, &server, "ann").max_calls(2).connect().await.unwrap();
    for n in 0..20 {
        let dropped = tokio::time::timeout(ms(10), ann.call::<_, i64>("slow", &n)).await;
        assert!(dropped.is_err());
    }
    // Only those that still wait count.
    let (first, second) = (ann.call::<_, i64>("slow", &1), ann.call::<_, i64>("slow", &2));
    let third = async {
        tokio::task::yield_now().await;
        ann.call::<_, i64>("slow", &3).await
    };
    let (first, second, third) = tokio::join!(first, second, third);
    assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
    assert!(matches!(third, Err(CallError::TooManyCalls)), "{third:?}");
    settle().await;
    assert_eq!(answered.load(Ordering::Relaxed), 22);
}

async fn a_call_fails_at_once_when_its_connection_ends<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("never", |_, ()| std::future::pending::<Result<(), Fault>>())
        .build();
    let never = |ann: &wse::Client<P>| {
        ann.procedure("never", |_, ()| std::future::pending::<Result<(), Fault>>());
    };

    // The server ends it.
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    never(&ann);
    let conn = server.user("ann").connections().remove(0);
    let end = async {
        settle().await;
        conn.close(Close::new(4001, "maintenance"));
    };
    let ((there, back, ()), took) =
        timed(async { tokio::join!(ann.call("never", &()), conn.call("never", &()), end) }).await;
    assert_eq!(disconnected::<()>(there), Close::new(4001, "maintenance"));
    assert_eq!(disconnected::<()>(back), Close::new(4001, "maintenance"));
    assert!(took < ms(10), "{took:?}");

    // The client ends it.
    let bob = client(&protocol, &server, "bob").connect().await.unwrap();
    never(&bob);
    let conn = server.user("bob").connections().remove(0);
    let end = async {
        settle().await;
        bob.close();
    };
    let (there, back, ()) = tokio::join!(bob.call("never", &()), conn.call("never", &()), end);
    assert_eq!(disconnected::<()>(there), Close::normal(CloseReason::ByClient));
    assert_eq!(disconnected::<()>(back), Close::normal(CloseReason::ByClient));

    // Nothing is sent on what has ended.
    assert!(matches!(bob.call::<_, ()>("never", &()).await, Err(CallError::NotReady)));
    assert!(matches!(conn.call::<_, ()>("never", &()).await, Err(CallError::NotReady)));
    assert!(matches!(conn.send("note", &()), Err(SendError::NotReady)));
    assert!(!conn.is_ready());
}

#[tokio::test(start_paused = true)]
async fn pipelined_messages_are_handled_behind_the_welcome() {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::builder(wse_codecs::JsonArray)
        .identify(|hello: Hello<String>| async move {
            tokio::time::sleep(secs(1)).await;
            if hello.identity.is_empty() {
                return Err(Refuse::not_authorized());
            }
            Ok(Accept::user(hello.identity))
        })
        .on("note", move |conn, text: String| {
            seen.add(format!("{} {text}", conn.user_id()));
            async {}
        })
        .build();
    let mut raw = Raw::stranger(&server).await;
    raw.say(r#"["~wse:hi",{"identity":"ann"}]"#).await;
    for n in 0..8 {
        raw.say(&format!(r#"["note","{n}"]"#)).await;
    }
    assert_eq!(log.lines(), [""; 0]);
    assert_eq!(raw.hear().await, r#"["~wse:welcome",null,null]"#);
    settle().await;
    let expected: Vec<_> = (0..8).map(|n| format!("ann {n}")).collect();
    assert_eq!(log.lines(), expected);
}

/// What was held behind the greeting is not served once a handler has closed the connection.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_is_not_served_any_more() {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::builder(wse_codecs::JsonArray)
        .identify(|hello: Hello<String>| async move {
            tokio::time::sleep(secs(1)).await;
            wse::Ok(Accept::user(hello.identity))
        })
        .on("drop me", |conn, ()| async move { conn.close(Close::new(4001, "dropped")) })
        .procedure("pay", move |_, ()| {
            seen.add("paid");
            async { wse::Ok(()) }
        })
        .build();
    let mut raw = Raw::stranger(&server).await;
    raw.say(r#"["~wse:hi",{"identity":"ann"}]"#).await;
    raw.say(r#"["drop me"]"#).await;
    raw.say(r#"["pay",null,"1"]"#).await;
    assert_eq!(raw.hear().await, r#"["~wse:welcome",null,null]"#);
    assert_eq!(raw.hear().await, "close 4001 dropped");
    assert_eq!(raw.hear().await, "end");
    assert_eq!(log.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_client_can_be_watched() {
    let protocol = wse_codecs::JsonArray;
    let server = server(&protocol).build();
    let ann = client(&protocol, &server, "ann").build();
    let mut statuses = ann.statuses();
    let next = async |statuses: &mut (dyn futures::Stream<Item = Status> + Send + Unpin)| {
        statuses.next().await.unwrap()
    };
    assert_eq!(next(&mut statuses).await, Status::Idle);
    ann.connect().await.unwrap();
    assert_eq!(next(&mut statuses).await, Status::Ready);
    ann.close();
    assert_eq!(next(&mut statuses).await, Status::Offline);
    drop(ann);
    assert_eq!(statuses.next().await, None);
}
