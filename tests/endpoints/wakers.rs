//! What wakes the tasks of an application, and that its code never runs under a lock of the library.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use crate::support::endpoints::*;
use futures::StreamExt;
use serde::{Serialize, Serializer};
use wse::{
    Call, CallError, CallOptions, Client, Close, Reliable, SendQueue, Server, SlowPeer, Status,
};
use wse_codecs::JsonArray;

/// Counts how often it wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// 5,000 messages to absent users made 100 logins take 2.9 s instead of 0.075 s, because each event of the server woke
/// each of them.
#[tokio::test(start_paused = true)]
async fn a_message_to_an_absent_user_is_woken_by_that_user_only() {
    let server = server(&JsonArray).build();
    let users: Vec<_> = (0..200).map(|n| server.user(format!("absent {n}"))).collect();
    let text = note("hi");
    let send = |user| Box::pin(wse::User::send_reliable(user, Reliable::default(), "note", &text));
    let mut sending: Vec<_> =
        users.iter().map(|user| (send(user), Arc::<Count>::default())).collect();
    for (future, count) in &mut sending {
        let waker = Waker::from(Arc::clone(count));
        assert!(pin!(future).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // Logins, logouts, and what unauthenticated connections do.
    for _ in 0..10 {
        let ann = device(&JsonArray, &server, "ann", "phone").await;
        ann.close();
        ann.closed().await;
        Raw::stranger(&server).await.say("{").await;
        settle().await;
    }
    let woken = |sending: &[(_, Arc<Count>)]| -> Vec<usize> {
        let counts = sending.iter().map(|(_, count)| count.get()).enumerate();
        counts.filter(|(_, count)| *count > 0).map(|(n, _)| n).collect()
    };
    assert!(woken(&sending).is_empty());
    let _came = device(&JsonArray, &server, "absent 7", "phone").await;
    settle().await;
    assert_eq!(woken(&sending), [7]);
}

/// A waker that does something at once, as executors do that poll in `wake`.
struct Reenter {
    act: Box<dyn Fn() + Send + Sync>,
    count: Count,
}

impl Reenter {
    fn new(act: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { act: Box::new(act), count: Count::default() })
    }

    /// Polls a future with this waker.
    fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }

    /// Polls a future until it is ready. It is woken in between.
    async fn run<F: Future>(self: &Arc<Self>, mut future: Pin<&mut F>) -> F::Output {
        let before = self.count.get();
        loop {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                assert!(self.count.get() > before, "nothing has woken it");
                return output;
            }
            settle().await;
        }
    }
}

impl Wake for Reenter {
    fn wake(self: Arc<Self>) {
        (self.act)();
        self.count.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs a test in a thread of its own, because one that deadlocks does not end.
fn without_deadlock(test: impl Future<Output = ()> + Send + 'static) {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(test);
        done.send(()).unwrap();
    });
    ended.recv_timeout(secs(60)).expect("the test fails, or an earlier step deadlocks");
}

/// Uses all that a lock of an endpoint protects.
fn use_all(server: &Server<JsonArray>, client: &Client<JsonArray>) {
    let _ = client.send("note", &note("from a waker"));
    let _ = (client.status(), client.liveness());
    let _ = server.all().send("note", &note("from a waker"));
    let _ = server.user("ann").send("note", &note("from a waker"));
    let _ = (server.users(), server.connections());
    for conn in server.user("ann").connections() {
        let _ = conn.join("lobby");
        let _ = server.room("lobby").send("note", &note("from a waker"));
        drop(server.room("lobby").send_acked("note", &note("from a waker")));
        let _ = (server.room("lobby").members(), conn.rooms(), conn.leave("lobby"));
    }
}

fn reenter(server: &Server<JsonArray>, client: &Client<JsonArray>) -> Arc<Reenter> {
    let (server, client) = (server.clone(), client.clone());
    Reenter::new(move || use_all(&server, &client))
}

async fn pending_forever() -> Result<i64, wse::BoxError> {
    std::future::pending().await
}

#[test]
fn a_waker_may_use_the_connection_whose_call_or_receipt_has_ended() {
    without_deadlock(async {
        let server = server(&JsonArray).procedure("never", |_, (): ()| pending_forever()).build();
        let ann = client(&JsonArray, &server, "ann").offline_queue(8).connect().await.unwrap();
        let waker = reenter(&server, &ann);
        let conn = server.user("ann").connections().remove(0);

        assert_eq!(waker.run(pin!(adds(&ann))).await.unwrap(), 3);
        let unknown = ann.call::<_, ()>("unknown", &());
        assert!(matches!(waker.run(pin!(unknown)).await, Err(CallError::Fault(_))));
        let slow = ann.call_within::<_, i64>(Some(ms(10)), "never", &());
        assert!(matches!(waker.run(pin!(slow)).await, Err(CallError::Timeout)));
        let back = conn.call::<_, ()>("unknown", &());
        assert!(matches!(waker.run(pin!(back)).await, Err(CallError::Fault(_))));

        waker.run(pin!(ann.send_acked("note", &note("1")))).await.unwrap();
        waker.run(pin!(conn.send_acked("note", &note("1")))).await.unwrap();
        // Forgotten while they are pending.
        let before = waker.count.get();
        let mut call = Box::pin(ann.call::<_, i64>("never", &()));
        assert!(waker.poll(call.as_mut()).is_pending());
        drop(call);
        let one = note("1");
        let mut acked = Box::pin(ann.send_acked("note", &one));
        assert!(waker.poll(acked.as_mut()).is_pending());
        drop(acked);
        assert_eq!(waker.count.get(), before + 2);

        // Failed by the end.
        let mut call = Box::pin(ann.call::<_, i64>("never", &()));
        assert!(waker.poll(call.as_mut()).is_pending());
        ann.close();
        disconnected(waker.run(call.as_mut()).await);
    });
}

#[test]
fn a_waker_may_use_the_client_whose_status_changes() {
    without_deadlock(async {
        let server = server(&JsonArray).build();
        let ann = client(&JsonArray, &server, "ann").offline_queue(8).connect().await.unwrap();
        let waker = reenter(&server, &ann);
        let mut statuses = ann.statuses();
        assert_eq!(statuses.next().await, Some(Status::Ready));
        ann.close();
        assert_eq!(waker.run(pin!(statuses.next())).await, Some(Status::Offline));
        let mut next = statuses.next();
        assert!(waker.poll(Pin::new(&mut next)).is_pending());
        ann.connect().await.unwrap();
        assert!(waker.poll(Pin::new(&mut next)).is_ready());
    });
}

#[test]
fn a_waker_may_use_the_connection_that_is_writable() {
    for ending in 0..4 {
        without_deadlock(async move {
            let policy = match ending {
                3 => SlowPeer::LatestOnly,
                _ => SlowPeer::Close { after: secs(60) },
            };
            let queue = SendQueue::default().messages(4).slow_peer(policy);
            let server = server(&JsonArray).send_queue(queue).build();
            let ann = client(&JsonArray, &server, "bob").connect().await.unwrap();
            let mut raw = Raw::user(&server, "ann").await;
            settle().await;
            let conn = server.user("ann").connections().remove(0);
            let large = note("x".repeat(1 << 20));
            for _ in 0..6 {
                let _ = conn.send("note", &large);
                settle().await;
            }
            let waker = reenter(&server, &ann);
            let mut writable = pin!(conn.writable());
            assert!(waker.poll(writable.as_mut()).is_pending(), "{ending}");
            match ending {
                0 => {
                    while waker.count.get() == 0 {
                        raw.hear().await;
                    }
                }
                1 => conn.close(Close::new(1000, "")),
                2 => assert!(!server.shutdown(secs(1)).await),
                // The policy drops what is queued.
                _ => drop(server.all().send("note", &note("small"))),
            }
            assert!(waker.count.get() > 0, "{ending}");
        });
    }
}

#[test]
fn a_waker_may_use_the_call_whose_receipt_is_replaced() {
    without_deadlock(async {
        let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
        let server = server(&JsonArray)
            .procedure_with("held", move |_, call: Call<()>| {
                let sender = sender.clone();
                async move {
                    let call = Arc::new(call);
                    let _ = sender.send(Arc::clone(&call));
                    call.cancelled().await;
                    wse::Ok(())
                }
            })
            .build();
        let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
        let call = tokio::spawn(async move { ann.call::<_, ()>("held", &()).await });
        let held = calls.recv().await.unwrap();
        let again = Arc::clone(&held);
        let waker = Reenter::new(move || drop(again.want_receipt(None)));
        let mut first = Box::pin(held.want_receipt(None));
        assert!(waker.poll(first.as_mut()).is_pending());
        let mut second = Box::pin(held.want_receipt(None));
        assert_eq!(waker.count.get(), 1);
        assert!(waker.poll(second.as_mut()).is_ready(), "the waker has replaced it");
        let mut third = Box::pin(held.want_receipt(None));
        assert!(waker.poll(third.as_mut()).is_pending());
        call.abort();
        settle().await;
        assert_eq!(waker.count.get(), 2);
    });
}

/// A connection that an application drives itself, and may drop.
type Driven = Arc<Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>>;

#[test]
fn a_callback_may_drop_another_connection_of_the_user() {
    without_deadlock(async {
        let driven = Driven::default();
        let (dropped, log) = (Arc::clone(&driven), Log::default());
        let server = log
            .events(server(&JsonArray))
            .connections_per_user(2)
            .on_connected(move |conn| {
                let device = conn.meta::<Meta>().unwrap().device;
                if device == "phone" {
                    let connection = dropped.lock().unwrap().take();
                    drop(connection);
                }
            })
            .build();
        let (near, far) = tokio::io::duplex(1 << 16);
        *driven.lock().unwrap() = Some(Box::pin(server.clone().accept(far, None)));
        let polled = Arc::clone(&driven);
        tokio::spawn(std::future::poll_fn(move |cx| match polled.lock().unwrap().as_mut() {
            Some(connection) => connection.as_mut().poll(cx),
            None => Poll::Ready(()),
        }));
        let mut raw = Raw::upgrade(Box::new(near)).await;
        raw.greet("ann").await;
        raw.hear().await;
        let _phone = device(&JsonArray, &server, "ann", "phone").await;
        settle().await;
        let expected = ["joined ann", "connected ann", "connected ann/phone"];
        let expected = expected.into_iter().map(String::from);
        let gone = format!("disconnected ann {}", Close::VANISHED);
        assert_eq!(log.lines(), expected.chain([gone]).collect::<Vec<_>>());
    });
}

/// A payload that uses the endpoints while it is encoded.
struct Busy(Server<JsonArray>, Client<JsonArray>);

impl Serialize for Busy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use_all(&self.0, &self.1);
        serializer.serialize_str("busy")
    }
}

/// It sends when it is dropped.
impl Drop for Busy {
    fn drop(&mut self) {
        use_all(&self.0, &self.1);
    }
}

#[test]
fn a_payload_may_use_the_endpoints_while_it_is_encoded_and_dropped() {
    without_deadlock(async {
        let clients = Arc::new(Mutex::new(None::<Client<JsonArray>>));
        let held = Arc::clone(&clients);
        let server = server(&JsonArray)
            .procedure("busy", move |conn, (): ()| {
                let client = held.lock().unwrap().clone().unwrap();
                async move { wse::Ok(Busy(conn.server(), client)) }
            })
            .build();
        let ann = client(&JsonArray, &server, "ann").offline_queue(64).build();
        *clients.lock().unwrap() = Some(ann.clone());
        let busy = Busy(server.clone(), ann.clone());
        // Offline, then online.
        for _ in 0..2 {
            ann.send("note", &busy).unwrap();
            let _ = ann.send_acked("note", &busy).await;
            ann.connect().await.ok();
        }
        let conn = server.user("ann").connections().remove(0);
        conn.send("note", &busy).unwrap();
        server.all().send("note", &busy).unwrap();
        server.all().except_user("bob").send("note", &busy).unwrap();
        server.user("ann").send("note", &busy).unwrap();
        conn.join("hall").unwrap();
        server.room("hall").send("note", &busy).unwrap();
        server.room("hall").send_acked("note", &busy).await.unwrap();
        server.user("ann").send_acked("note", &busy).await.unwrap();
        server.user("ann").send_reliable(Reliable::default(), "note", &busy).await.unwrap();
        ann.send_reliable(Reliable::default(), "note", &busy).await.unwrap();
        let _ = ann.call::<_, ()>("unknown", &busy).await;
        let _ = ann.call_acked::<_, ()>(CallOptions::default(), "unknown", &busy).unwrap();
        assert_eq!(ann.call::<_, String>("busy", &()).await.unwrap(), "busy");
        let other = Busy(server.clone(), ann.clone());
        ann.migrate_as("ws://memory/", other, ()).await.unwrap_err();
        drop(busy);
    });
}
