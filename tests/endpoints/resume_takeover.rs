//! A session goes from one socket to another, and something happens in the middle of it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use serde_json::json;
use wse::{Accept, Close, Hello, JsonArray, ResumeLimits, SendQueue, Server, ServerBuilder};

use crate::resume::{Cable, conn, connect, resumable};
use crate::resume_hostile::{Told, ann, build, greeted, outcome, told};
use crate::support::endpoints::*;

/// What is to be done when the next client has greeted.
#[derive(Clone, Default)]
struct Step(Arc<Mutex<Option<Action>>>);

type Action = Box<dyn FnOnce() + Send>;

impl Step {
    fn set(&self, step: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(step));
    }

    fn server(&self, log: &Log) -> ServerBuilder<JsonArray> {
        let step = self.clone();
        let builder = Server::builder(JsonArray).identify(move |_: Hello<String, Meta>| {
            if let Some(step) = step.0.lock().unwrap().take() {
                step();
            }
            async { wse::Ok(Accept::user("ann")) }
        });
        resumable(log, builder).heartbeat(None)
    }
}

fn ask(told: &Told) -> serde_json::Value {
    json!({"session": told.session, "token": told.token, "seen": 3})
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_was_taken_over_is_dropped_in_time() {
    let server = build(&Log::default()).close_timeout(secs(5)).build();
    let (near, far) = tokio::io::duplex(64 << 10);
    let serving = tokio::spawn(server.clone().accept(far, None));
    // It does not answer the close.
    let mut old = Raw::upgrade(Box::new(near)).await;
    old.say(r#"["~wse:hi",{"identity":"secret of ann","meta":{},"resume":true},null,1]"#).await;
    let first = told(&mut old).await.unwrap();
    let ask = json!({"session": first.session, "token": first.token, "seen": 0});
    let mut new = greeted(&server, "ann", &ask).await;
    assert_eq!(told(&mut new).await.unwrap().outcome, "full");
    tokio::time::sleep(secs(4)).await;
    assert!(!serving.is_finished());
    tokio::time::sleep(secs(2)).await;
    assert!(serving.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_about_to_be_closed_gets_this_close() {
    let (log, step) = (Log::default(), Step::default());
    let server = step.server(&log).build();
    let (mut old, first) = ann(&server).await;
    let there = conn(&server);
    step.set(move || there.close(Close::new(1012, "restart")));
    let mut new = greeted(&server, "ann", &ask(&first)).await;
    assert_eq!(told(&mut new).await.unwrap().outcome, "full");
    assert_eq!(old.hear().await, "close 1012 restart");
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1012", "resumed Full"]);
    new.say(r#"["~wse:ping",1,null]"#).await;
    assert!(new.hear().await.contains("~wse:pong"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_a_connection_behind_its_end() {
    let (log, step) = (Log::default(), Step::default());
    let server = step.server(&log).connections_per_user(1).build();
    let (_old, _) = ann(&server).await;
    let there = conn(&server);
    // It is suspended by this, and evicted before its task can tell that.
    step.set(move || there.close(Close::new(1012, "restart")));
    let mut new = greeted(&server, "ann", &json!(true)).await;
    assert_eq!(told(&mut new).await.unwrap().outcome, "new");
    settle().await;
    assert_eq!(log.lines(), ["joined", "connected", "disconnected 1000", "connected"]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_dies_before_the_handover_takes_nothing_over() {
    let log = Log::default();
    let server = build(&log).build();
    let (mut old, first) = ann(&server).await;
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut accepting = Box::pin(server.clone().accept(far, None));
    let greeting = async {
        let mut raw = Raw::upgrade(Box::new(near)).await;
        let hi = json!({"identity": "secret of ann", "meta": {}, "resume": ask(&first)});
        raw.say(&json!(["~wse:hi", hi, null, 1]).to_string()).await;
        raw
    };
    let raw = tokio::select! {
        raw = greeting => raw,
        () = &mut accepting => unreachable!(),
    };
    // It asks for the connection.
    assert!(futures::poll!(&mut accepting).is_pending());
    drop((accepting, raw));
    settle().await;
    assert_eq!(log.lines(), ["joined", "connected"]);
    old.say(r#"["add",{"a":1,"b":2},"1",4]"#).await;
    assert_eq!(old.hear_all().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_window_goes_on_when_a_client_is_accepted_too_late() {
    let log = Log::default();
    let builder = Server::builder(JsonArray).identify(|_: Hello<String, Meta>| async {
        tokio::time::sleep(ms(10)).await;
        wse::Ok(Accept::user("ann"))
    });
    let server = resumable(&log, builder).heartbeat(None).auth_timeout(ms(10)).build();
    let (old, first) = ann(&server).await;
    drop(old);
    settle().await;
    // The time is over at the moment of the decision. The connection is under way to it then.
    let mut new = greeted(&server, "ann", &ask(&first)).await;
    assert_eq!(new.hear().await, "close 1000 wse.not-authorized");
    tokio::time::sleep(secs(9)).await;
    assert_eq!(log.take(), ["joined", "connected", "suspended 1006"]);
    tokio::time::sleep(secs(2)).await;
    assert_eq!(log.take(), ["disconnected 1006", "left"]);
}

#[tokio::test(start_paused = true)]
async fn a_close_in_the_middle_of_a_handover_does_not_end_the_session() {
    let (log, step) = (Log::default(), Step::default());
    let server = step.server(&log).build();
    let (_old, first) = ann(&server).await;
    let there = conn(&server);
    step.set(move || {
        let mut polls = 0;
        tokio::spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 1 {
                // Behind the old socket's task, which is asked for the connection.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            there.close(Close::new(1012, "restart"));
            Poll::Ready(())
        }));
    });
    let mut new = greeted(&server, "ann", &ask(&first)).await;
    let second = told(&mut new).await;
    let second = second.unwrap();
    // No window ends while the client is there.
    tokio::time::sleep(secs(11)).await;
    assert_eq!(outcome(&server, "ann", &ask(&second)).await, "full");
    assert!(!log.lines().iter().any(|it| it.starts_with("disconnected")), "{:?}", log.lines());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_while_the_server_stops_ends_at_once() {
    let log = Log::default();
    let server = resumable(&log, server(&JsonArray))
        .resume(ResumeLimits::default().window(secs(3600)))
        .procedure("slow", |_, n: i64| async move {
            tokio::time::sleep(secs(30)).await;
            wse::Ok(n)
        })
        .build();
    let cable = Cable::new(&server);
    let ann = connect(&JsonArray, &cable, &Log::default()).await;
    let calling = tokio::spawn(async move { ann.call::<_, i64>("slow", &1_i64).await });
    settle().await;
    let stopping =
        tokio::spawn(
            async move { server.shutdown_with(Close::new(1012, "restart"), secs(60)).await },
        );
    settle().await;
    assert_eq!(log.take(), ["joined", "connected"]);
    cable.unplug();
    settle().await;
    assert_eq!(log.take(), ["suspended 1006", "disconnected 1012", "left"]);
    assert!(stopping.await.unwrap());
    calling.abort();
}

/// The client is back before the server knows that the old socket is lost, with much under way.
#[tokio::test(start_paused = true)]
async fn what_the_old_socket_has_not_taken_comes_over_the_new_one() {
    let (log, mine) = (Log::default(), Log::default());
    let server = resumable(&log, server(&JsonArray))
        .resume(ResumeLimits::default().window(secs(60)).ring_bytes(64 << 20))
        .send_queue(SendQueue::default().bytes(64 << 20).messages(10_000))
        .build();
    let cable = Cable::new(&server);
    let _ann = connect(&JsonArray, &cable, &mine).await;
    cable.hold();
    let there = conn(&server);
    for round in 0..3 {
        mine.take();
        let padding = "x".repeat(10_000);
        for n in 0..100 {
            there.send("note", &note(format!("{n} {padding}"))).unwrap();
            if n % 10 == 0 {
                settle().await;
            }
        }
        assert!(there.queued().messages > 50, "the old socket has taken it");
        cable.lose();
        settle().await;
        cable.release();
        tokio::time::sleep(secs(1)).await;
        let lines = mine.take();
        assert!(lines.contains(&"resumed Full".to_owned()), "{round}");
        let numbers = lines.iter().filter_map(|line| line.split_once(' ')?.0.parse().ok());
        assert_eq!(numbers.collect::<Vec<usize>>(), (0..100).collect::<Vec<_>>(), "{round}");
        cable.hold();
    }
    assert!(!log.lines().iter().any(|it| it.starts_with("suspended")), "the server never noticed");
}
