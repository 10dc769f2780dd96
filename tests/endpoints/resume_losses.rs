//! Sockets and sessions that are lost in the middle of something: nothing comes twice, and nothing of a lost session reaches
//! the next one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wse::{
    CallError, CallOptions, Client, Close, CloseReason, Connector, JsonArray, ReceiptError,
    ResumeLimits, SendQueue, Server, ServerEvent, SlowPeer, Status, Transport,
};

use crate::resume::{Cable, conn, connect, quick, resumable};
use crate::support::endpoints::*;

/// Sockets of which the last one can be broken: it takes nothing more, and says nothing.
struct Breakable {
    server: Server<JsonArray>,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl Connector for Breakable {
    async fn connect(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Transport>> {
        self.broken.store(false, Ordering::Relaxed);
        let io = Raw::dial(&self.server).await;
        Ok(Box::new(BreakableSocket { io, broken: Arc::clone(&self.broken) }))
    }
}

struct BreakableSocket {
    io: Box<dyn Transport>,
    broken: Arc<AtomicBool>,
}

impl AsyncRead for BreakableSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for BreakableSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_broken_socket_has_not_taken_is_written_to_the_next_one() {
    let (log, heard) = (Log::default(), Log::default());
    let notes = heard.clone();
    let server = resumable(&log, server(&JsonArray))
        .on("note", move |_, note: Note| {
            notes.add(note.text.trim_end());
            async {}
        })
        .build();
    let broken = Arc::<AtomicBool>::default();
    let connector = Breakable { server: server.clone(), broken: Arc::clone(&broken) };
    let ann = client(&JsonArray, &server, "ann").connector(connector).reconnect(quick());
    let ann = ann.connect().await.unwrap();
    settle().await;
    broken.store(true, Ordering::Relaxed);
    // More than is written at once.
    for n in 0..5 {
        ann.send("note", &note(format!("{n}{}", " ".repeat(100_000)))).unwrap();
    }
    tokio::time::sleep(ms(300)).await;
    assert_eq!(log.lines(), ["joined", "connected", "suspended 1006", "resumed Full"]);
    assert_eq!(heard.lines(), ["0", "1", "2", "3", "4"]);
}

/// While reading is paused, one message is read ahead. It does not count as processed.
#[tokio::test(start_paused = true)]
async fn a_message_that_was_read_ahead_is_handled_once() {
    for taken_over in [false, true] {
        let (heard, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
        let (notes, waits) = (heard.clone(), Arc::clone(&gate));
        let server = resumable(&Log::default(), server(&JsonArray))
            .max_handlers(1)
            .max_handled_bytes(1)
            .close_timeout(ms(0))
            .on("note", move |_, note: Note| {
                notes.add(note.text);
                let waits = Arc::clone(&waits);
                async move { drop(waits.acquire().await) }
            })
            .build();
        let cable = Cable::new(&server);
        let ann = connect(&JsonArray, &cable, &Log::default()).await;
        for n in 0..4 {
            ann.send("note", &note(n.to_string())).unwrap();
        }
        settle().await;
        assert_eq!(heard.lines(), ["0"]);
        match taken_over {
            true => cable.lose(),
            false => conn(&server).close(Close::new(1012, CloseReason::ByServer)),
        }
        tokio::time::sleep(ms(300)).await;
        assert_eq!(ann.status(), Status::Ready);
        gate.add_permits(10);
        settle().await;
        assert_eq!(heard.lines(), ["0", "1", "2", "3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_lost_session_that_wait_for_a_handler_are_not_made() {
    let (cable, server) = short_window();
    let made = Log::default();
    let calls = made.clone();
    let _ann = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .max_handlers(1)
        .procedure("wait", move |_, n: i64| {
            calls.add(n.to_string());
            async move {
                tokio::time::sleep(ms(n.unsigned_abs())).await;
                wse::Ok(n)
            }
        })
        .connect()
        .await
        .unwrap();
    let call = |n: i64| {
        let there = conn(&server);
        tokio::spawn(async move { there.call::<_, i64>("wait", &n).await })
    };
    let calls = [call(1000), call(1)];
    settle().await;
    cable.unplug();
    tokio::time::sleep(ms(100)).await;
    for call in calls {
        disconnected(call.await.unwrap());
    }
    cable.plug();
    tokio::time::sleep(ms(200)).await;
    // The new session numbers its calls from 1 too.
    let (two, three) = (call(2), call(3));
    assert_eq!((two.await.unwrap().unwrap(), three.await.unwrap().unwrap()), (2, 3));
    assert_eq!(made.lines(), ["1000", "2", "3"]);
}

/// Does something with a client in a task of its own.
fn spawned<T: Send + 'static, F>(
    client: &Client<JsonArray>,
    run: impl FnOnce(Client<JsonArray>) -> F,
) -> JoinHandle<T>
where
    F: Future<Output = T> + Send + 'static,
{
    tokio::spawn(run(client.clone()))
}

/// A server that forgets sessions after 50 ms.
fn short_window() -> (Cable<JsonArray>, Server<JsonArray>) {
    let server = resumable(&Log::default(), server(&JsonArray))
        .resume(ResumeLimits::default().window(ms(50)))
        .build();
    (Cable::new(&server), server)
}

#[tokio::test(start_paused = true)]
async fn what_was_never_written_is_sent_in_the_next_session_and_the_rest_fails() {
    let (cable, server) = short_window();
    let heard = notes_heard(&server);
    let ann = connect(&JsonArray, &cable, &Log::default()).await;
    cable.unplug();
    settle().await;
    ann.send("note", &note("before")).unwrap();
    let acked = spawned(&ann, |ann| async move {
        ann.send_acked("note", &note("with a receipt")).await.unwrap();
    });
    let call = spawned(&ann, |ann| async move { adds(&ann).await.unwrap() });
    let late = spawned(&ann, |ann| async move {
        ann.call_within::<_, i64>(Some(ms(50)), "add", &Add { a: 1, b: 2 }).await
    });
    let acked_call = spawned(&ann, |ann| async move {
        let options = CallOptions::default();
        let mut call = ann.call_acked::<_, i64>(options, "add", &Add { a: 2, b: 2 }).unwrap();
        call.receipt().await.unwrap();
        call.result().await.unwrap()
    });
    settle().await;
    ann.send("note", &note("behind")).unwrap();
    tokio::time::sleep(ms(100)).await;
    cable.plug();
    acked.await.unwrap();
    assert_eq!((call.await.unwrap(), acked_call.await.unwrap()), (3, 4));
    assert!(matches!(late.await.unwrap(), Err(CallError::Timeout)));
    settle().await;
    assert_eq!(heard.lines(), ["before", "with a receipt", "behind"]);
    // What was written is not sent again.
    cable.stall();
    let written = spawned(&ann, |ann| async move { adds(&ann).await });
    let acked = spawned(&ann, |ann| async move { ann.send_acked("note", &note("lost")).await });
    settle().await;
    cable.unplug();
    tokio::time::sleep(ms(100)).await;
    cable.plug();
    disconnected(written.await.unwrap());
    assert!(matches!(acked.await.unwrap(), Err(ReceiptError::Closed(_))));
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(heard.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_receipt_is_late_is_sent_all_the_same() {
    let (cable, server) = short_window();
    let heard = notes_heard(&server);
    let ann = connect(&JsonArray, &cable, &Log::default()).await;
    cable.unplug();
    settle().await;
    let late = ann.send_acked_within(Some(ms(60)), "note", &note("late")).await;
    assert!(matches!(late, Err(ReceiptError::TimedOut)), "{late:?}");
    ann.send("note", &note("behind")).unwrap();
    tokio::time::sleep(ms(50)).await;
    cable.plug();
    settle().await;
    tokio::time::sleep(ms(200)).await;
    assert_eq!(heard.lines(), ["late", "behind"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_user_is_not_sent_as_another() {
    let heard = Log::default();
    let notes = heard.clone();
    let server = resumable(&Log::default(), server(&JsonArray))
        .on("note", move |conn, note: Note| {
            notes.add(format!("{} {}", conn.user_id(), note.text));
            async {}
        })
        .build();
    let cable = Cable::new(&server);
    let user = Arc::new(std::sync::Mutex::new("ann"));
    let now = Arc::clone(&user);
    let client = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .credentials(move || {
            let user = *now.lock().unwrap();
            async move { wse::Ok((format!("secret of {user}"), Meta::default())) }
        })
        .connect()
        .await
        .unwrap();
    cable.unplug();
    settle().await;
    client.send("note", &note("of ann")).unwrap();
    let call = spawned(&client, |client| async move { adds(&client).await });
    let acked = spawned(&client, |it| async move { it.send_acked("note", &note("too")).await });
    settle().await;
    *user.lock().unwrap() = "bob";
    cable.plug();
    disconnected(call.await.unwrap());
    acked.await.unwrap().unwrap_err();
    client.send("note", &note("of bob")).unwrap();
    assert_eq!(adds(&client).await.unwrap(), 3);
    assert_eq!(heard.lines(), ["bob of bob"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_lost_session_is_not_sent_in_the_next_one() {
    let (cable, server) = short_window();
    let (answers, asked) = (Log::default(), AtomicI64::new(0));
    let answered = answers.clone();
    // The first call of each session has the same number.
    server.on_event(move |event| {
        if let ServerEvent::Connected(conn) = event {
            let (conn, answered) = (conn.clone(), answered.clone());
            let n = asked.fetch_add(10, Ordering::Relaxed);
            tokio::spawn(async move {
                let answer = conn.call::<_, i64>("ask", &n).await;
                answered.add(answer.map_or("none".into(), |n| n.to_string()));
            });
        }
    });
    let _ann = connect(&JsonArray, &cable, &Log::default()).await;
    settle().await;
    cable.unplug();
    // It is answered meanwhile.
    tokio::time::sleep(ms(300)).await;
    cable.plug();
    tokio::time::sleep(ms(300)).await;
    assert_eq!(answers.lines(), ["none", "11"]);
}

/// What is queued is kept elsewhere when the socket is lost, or given up since the client does not read.
#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_space_goes_on_when_the_socket_is_lost() {
    let slow_peer = SlowPeer::Close { after: secs(5) };
    let queue = SendQueue::default().messages(2).slow_peer(slow_peer);
    for cuts in [true, false] {
        let server = resumable(&Log::default(), server(&JsonArray)).send_queue(queue).build();
        let cable = Cable::new(&server);
        let _ann = connect(&JsonArray, &cable, &Log::default()).await;
        cable.hold();
        let (there, large) = (conn(&server), note("x".repeat(100_000)));
        while there.send("note", &large).is_ok() {
            settle().await;
        }
        let waiting = {
            let there = there.clone();
            tokio::spawn(async move { there.writable().await })
        };
        settle().await;
        assert!(!waiting.is_finished());
        match cuts {
            true => cable.unplug(),
            false => tokio::time::sleep(secs(6)).await,
        }
        // Another sender, which does not wait.
        let _ = there.send("note", &large);
        settle().await;
        assert!(waiting.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_comes_back_with_more_answers_than_its_queue_has_space_for() {
    let server = resumable(&Log::default(), server(&JsonArray)).build();
    let cable = Cable::new(&server);
    let ann = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .send_queue(SendQueue::default().messages(1))
        .procedure("ask", |_, n: i64| async move {
            tokio::time::sleep(ms(100)).await;
            wse::Ok(n + 1)
        })
        .connect()
        .await
        .unwrap();
    let calls = [1_i64, 2, 3, 4].map(|n| {
        let there = conn(&server);
        tokio::spawn(async move { there.call::<_, i64>("ask", &n).await })
    });
    settle().await;
    cable.unplug();
    // All are answered meanwhile.
    tokio::time::sleep(ms(500)).await;
    cable.plug();
    tokio::time::sleep(secs(500)).await;
    assert_eq!(ann.status(), Status::Ready);
    for (n, call) in (2..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_comes_back_while_its_handlers_are_busy() {
    let server = resumable(&Log::default(), server(&JsonArray)).build();
    let cable = Cable::new(&server);
    let ann = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .max_handlers(1)
        .max_handled_bytes(1)
        .procedure("ask", |_, n: i64| async move {
            tokio::time::sleep(secs(20)).await;
            wse::Ok(n + 1)
        })
        .connect()
        .await
        .unwrap();
    let calls = [1_i64, 2].map(|n| {
        let there = conn(&server);
        tokio::spawn(async move { there.call::<_, i64>("ask", &n).await })
    });
    settle().await;
    cable.cut();
    tokio::time::sleep(ms(500)).await;
    assert_eq!(ann.status(), Status::Ready);
    drop(calls);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_given_up_has_space_at_once() {
    let slow_peer = SlowPeer::Close { after: secs(5) };
    let queue = SendQueue::default().messages(2).slow_peer(slow_peer);
    let log = Log::default();
    let server = resumable(&log, server(&JsonArray)).send_queue(queue);
    let server = server.resume(ResumeLimits::default().window(secs(60))).build();
    let cable = Cable::new(&server);
    let _ann = connect(&JsonArray, &cable, &Log::default()).await;
    cable.hold();
    let (there, large) = (conn(&server), note("x".repeat(100_000)));
    while there.send("note", &large).is_ok() {
        settle().await;
    }
    let ((), took) = timed(there.writable()).await;
    assert_eq!(log.lines().last().unwrap(), "suspended 1013");
    assert!(took < secs(6), "{took:?}");
}

/// The texts of the notes that the server gets from now on.
fn notes_heard(server: &Server<JsonArray>) -> Log {
    let heard = Log::default();
    let notes = heard.clone();
    server.on("note", move |_, note: Note| {
        notes.add(note.text);
        async {}
    });
    heard
}
