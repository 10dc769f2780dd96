//! Peers that read slowly or not at all: what waits for them is bounded, in memory and in time.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::support::endpoints::*;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use wse::{CallError, Close, Conn, SendError, SendQueue, Server, SlowPeer};
use wse_codecs::JsonArray;
use wse_proto::Fault;

const KIB: usize = 1024;

fn queue(messages: usize, slow_peer: SlowPeer) -> SendQueue {
    SendQueue::default().messages(messages).slow_peer(slow_peer)
}

const fn close_after(seconds: u64) -> SlowPeer {
    SlowPeer::Close { after: Duration::from_secs(seconds) }
}

/// A user who has stopped reading, and the server's end of it.
async fn stopped(server: &Server<JsonArray>) -> (Raw, Conn<JsonArray>) {
    let raw = Raw::user(server, "ann").await;
    (raw, server.user("ann").connections().remove(0))
}

/// Sends until the queue is full. What the pipe and the socket's own buffer hold comes on top.
async fn fill(conn: &Conn<JsonArray>) -> usize {
    let mut sent = 0;
    let text = note("x".repeat(KIB));
    while conn.send("note", &text).is_ok() {
        sent += 1;
        settle().await;
        assert!(sent < 100_000, "the queue is never full");
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_then_the_connection_is_closed() {
    let log = Log::default();
    let server = log
        .events(server(&JsonArray))
        .heartbeat(None)
        .send_queue(queue(16, close_after(10)))
        .build();
    let (mut raw, conn) = stopped(&server).await;
    let sent = fill(&conn).await;
    // 64 KiB in the pipe, as much in the buffer of the socket, and one message over.
    assert!((16..=16 + 130).contains(&sent), "{sent}");
    assert!(matches!(conn.send("note", &note("x")), Err(SendError::QueueFull)));
    let call = conn.call::<_, ()>("call", &()).await;
    assert!(matches!(call, Err(CallError::QueueFull)), "{call:?}");
    assert_eq!(server.all().send("note", &note("x")).unwrap(), 0);
    log.take();

    tokio::time::sleep(secs(9)).await;
    assert!(conn.is_ready());
    tokio::time::sleep(secs(1)).await;
    assert!(!conn.is_ready());
    let expected = ["disconnected ann 1013 send queue full", "left ann 1013 send queue full"];
    assert_eq!(log.take(), expected);

    // What was written is whole, and the close frame follows it.
    let mut heard = raw.hear_all().await;
    assert_eq!(heard.split_off(heard.len() - 2), ["close 1013 send queue full", "end"]);
    let text = format!(r#"["note",{{"text":"{}"}},null]"#, "x".repeat(KIB));
    assert!(heard.iter().all(|message| *message == text));
    assert_eq!(heard.len(), sent - 16);
}

/// Also by the heartbeat, whose pings wait behind what it reads.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_a_little_now_and_then_is_kept() {
    let server = server(&JsonArray).send_queue(queue(16, close_after(10))).build();
    let (mut raw, conn) = stopped(&server).await;
    for _ in 0..20 {
        fill(&conn).await;
        tokio::time::sleep(secs(8)).await;
        for _ in 0..140 {
            raw.hear().await;
        }
        settle().await;
    }
    assert!(conn.is_ready());
}

/// Calls alone fill the queue too: the answers of a peer that never reads them.
#[tokio::test(start_paused = true)]
async fn a_queue_full_of_answers_closes_the_connection_too() {
    let log = Log::default();
    let server = log
        .events(server(&JsonArray))
        .heartbeat(None)
        .send_queue(queue(16, close_after(10)))
        .procedure("echo", |_, text: Note| async move { wse::Ok(text) })
        .build();
    let (raw, conn) = stopped(&server).await;
    let flood = tokio::spawn(flood(raw, 10_000));
    settle().await;
    assert!(!flood.is_finished(), "the server reads on");
    assert!(conn.is_ready());
    log.take();
    tokio::time::sleep(secs(11)).await;
    assert!(!conn.is_ready(), "a peer that does not read is never closed");
    assert_eq!(log.take()[0], "disconnected ann 1013 send queue full");
    flood.abort();
}

/// Calls that the peer makes without ever reading.
async fn flood(mut raw: Raw, calls: usize) -> Raw {
    let text = "x".repeat(KIB);
    for n in 1..=calls {
        let call = format!(r#"["echo",{{"text":"{text}"}},"{n}"]"#);
        if raw.try_say(&call).await.is_err() {
            break;
        }
    }
    raw
}

#[tokio::test(start_paused = true)]
async fn drop_newest_drops_what_does_not_fit() {
    let server =
        server(&JsonArray).heartbeat(None).send_queue(queue(16, SlowPeer::DropNewest)).build();
    let (mut raw, conn) = stopped(&server).await;
    for n in 0..1000 {
        conn.send("note", &note(format!("{n} {}", "x".repeat(KIB)))).unwrap();
        settle().await;
    }
    // Calls are not dropped in silence.
    let call = conn.call::<_, ()>("call", &()).await;
    assert!(matches!(call, Err(CallError::QueueFull)), "{call:?}");
    tokio::time::sleep(secs(3600)).await;
    assert!(conn.is_ready());

    let heard: Vec<usize> = numbers(&raw.hear_all().await);
    assert!(heard.len() < 16 + 130, "{}", heard.len());
    assert!(heard.iter().copied().eq(0..heard.len()), "the oldest, in order: {heard:?}");
    conn.send("note", &note("after")).unwrap();
    assert_eq!(raw.hear().await, r#"["note",{"text":"after"},null]"#);
}

#[tokio::test(start_paused = true)]
async fn latest_only_keeps_the_newest() {
    let server =
        server(&JsonArray).heartbeat(None).send_queue(queue(16, SlowPeer::LatestOnly)).build();
    let (mut raw, conn) = stopped(&server).await;
    for n in 0..1000 {
        conn.send("note", &note(format!("{n} {}", "x".repeat(KIB)))).unwrap();
        settle().await;
    }
    tokio::time::sleep(secs(3600)).await;
    assert!(conn.is_ready());
    let heard = numbers(&raw.hear_all().await);
    assert!(heard.len() < 16 + 130, "{}", heard.len());
    assert!(heard.is_sorted());
    assert_eq!(heard.last(), Some(&999));
}

/// The numbers that the notes begin with.
fn numbers(heard: &[String]) -> Vec<usize> {
    let number = |message: &String| {
        let rest = message.strip_prefix(r#"["note",{"text":""#).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    heard.iter().map(number).collect()
}

#[tokio::test(start_paused = true)]
async fn room_comes_when_the_peer_reads_or_goes() {
    let server = server(&JsonArray).send_queue(queue(16, close_after(1000))).build();
    let (mut raw, conn) = stopped(&server).await;
    // At once while there is some.
    conn.writable().await;
    fill(&conn).await;
    let room = tokio::spawn({
        let conn = conn.clone();
        async move { conn.writable().await }
    });
    tokio::time::sleep(secs(1)).await;
    assert!(!room.is_finished());
    for _ in 0..150 {
        if tokio::time::timeout(ms(1), raw.hear()).await.is_err() {
            break;
        }
    }
    room.await.unwrap();
    conn.send("note", &note("x")).unwrap();

    fill(&conn).await;
    let room = tokio::spawn({
        let conn = conn.clone();
        async move { conn.writable().await }
    });
    tokio::time::sleep(secs(1)).await;
    assert!(!room.is_finished());
    conn.close(Close::new(4001, ""));
    room.await.unwrap();
}

/// The loop that `room` is made for, with messages larger than what is left of the queue.
#[tokio::test(start_paused = true)]
async fn sending_by_room_is_no_busy_loop() {
    let queue = SendQueue::default().bytes(100 * KIB).slow_peer(close_after(1000));
    let server = server(&JsonArray).send_queue(queue).build();
    let (mut raw, conn) = stopped(&server).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let sending = tokio::spawn(async move {
        for n in 0..50 {
            let text = note(format!("{n} {}", "x".repeat(60 * KIB)));
            while conn.send("note", &text).is_err() {
                let tries = count.fetch_add(1, Ordering::Relaxed);
                assert!(tries < 10_000, "`room` says there is room, `send` says there is none");
                conn.writable().await;
            }
        }
    });
    let mut heard = Vec::new();
    while heard.len() < 50 && !sending.is_finished() {
        tokio::time::sleep(ms(10)).await;
        heard.extend(tokio::time::timeout(secs(10), raw.hear()).await);
    }
    sending.await.unwrap();
    heard.extend(raw.hear_all().await);
    assert!(numbers(&heard).into_iter().eq(0..50));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes() {
    let queue = SendQueue::default().bytes(256 * KIB).slow_peer(SlowPeer::DropNewest);
    let server = server(&JsonArray).send_queue(queue).build();
    let (mut raw, conn) = stopped(&server).await;
    let text = note("x".repeat(10 * KIB));
    for _ in 0..1000 {
        conn.send("note", &text).unwrap();
        settle().await;
    }
    let heard: usize = raw.hear_all().await.iter().map(String::len).sum();
    // The queue, the buffer of the socket, and the pipe.
    assert!((256 * KIB..(256 + 64 + 64 + 11) * KIB).contains(&heard), "{heard}");
}

/// Reading goes on after a pause, also when all that waited was written in one go.
#[tokio::test(start_paused = true)]
async fn calls_are_read_again_once_the_peer_reads() {
    for messages in [1, 2, 16, 100, 1024] {
        let server = server(&JsonArray)
            .send_queue(queue(messages, close_after(1000)))
            .procedure("echo", |_, text: Note| async move { wse::Ok(text) })
            .build();
        let (raw, _conn) = stopped(&server).await;
        let (mut sink, mut stream) = futures::StreamExt::split(raw.0);
        let sending = tokio::spawn(async move {
            let text = "x".repeat(KIB);
            for n in 1..=3000 {
                let call = format!(r#"["echo",{{"text":"{text}"}},"{n}"]"#);
                let message = wse_transport::ws::Message::text(call);
                futures::SinkExt::send(&mut sink, message).await.unwrap();
            }
        });
        // Nothing is read until the server has stopped reading.
        tokio::time::sleep(secs(1)).await;
        assert!(!sending.is_finished());
        for n in 1..=3000 {
            let next = futures::StreamExt::next(&mut stream);
            let answer = tokio::time::timeout(secs(60), next).await;
            assert!(answer.is_ok(), "queue of {messages}: nothing after {} answers", n - 1);
        }
        sending.await.unwrap();
    }
}

/// A flood of calls that wait: at most so many run, the rest waits in the peer's own socket.
#[tokio::test(start_paused = true)]
async fn a_flood_of_calls_is_bounded_by_the_handlers() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (count, record) = (Arc::clone(&running), Arc::clone(&most));
    let server = server(&JsonArray)
        .max_handlers(10)
        .procedure("echo", move |_, text: Note| {
            let (count, record) = (Arc::clone(&count), Arc::clone(&record));
            async move {
                record.fetch_max(count.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(secs(1)).await;
                count.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, Fault>(text.text.len() as i64)
            }
        })
        .build();
    let (raw, conn) = stopped(&server).await;
    let flooding = tokio::spawn(flood(raw, 500));
    let mut raw = flooding.await.unwrap();
    for _ in 0..500 {
        raw.hear().await;
    }
    assert_eq!(most.load(Ordering::Relaxed), 10);
    assert!(conn.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_close_behind_an_unread_queue_is_bounded_in_time() {
    let log = Log::default();
    let server = log
        .events(server(&JsonArray))
        .send_queue(queue(16, close_after(1000)))
        .close_timeout(secs(5))
        .build();
    let (raw, conn) = stopped(&server).await;
    fill(&conn).await;
    log.take();
    conn.close(Close::new(4001, "enough"));
    settle().await;
    // It counts as gone from the moment it is closed.
    assert_eq!(log.take(), ["disconnected ann 4001 enough", "left ann 4001 enough"]);
    assert!(server.users().is_empty());
    // All tasks end: that of the connection too.
    let (ended, took) = timed(server.shutdown(secs(100))).await;
    assert!(ended);
    assert!(took <= secs(5), "{took:?}");
    drop(raw);
}

/// The queue is written before the close frame, when the peer reads after all; but the handshake does not
/// get its time twice.
#[tokio::test(start_paused = true)]
async fn the_closing_handshake_has_one_deadline_for_all_of_it() {
    let server =
        server(&JsonArray).send_queue(queue(16, close_after(1000))).close_timeout(secs(10)).build();
    let (mut raw, conn) = stopped(&server).await;
    let sent = fill(&conn).await;
    let start = tokio::time::Instant::now();
    conn.close(Close::new(4001, "enough"));
    tokio::time::sleep(secs(9)).await;
    for _ in 0..sent {
        assert!(raw.hear().await.starts_with(r#"["note""#));
    }
    // The close frame is there now, and is not answered.
    settle().await;
    assert!(server.shutdown(secs(100)).await);
    assert!(start.elapsed() <= ms(10_010), "{:?}", start.elapsed());
}

/// Nothing is read while the queue is full; that the peer is gone must show all the same.
#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_behind_a_full_queue_is_noticed() {
    for policy in [SlowPeer::DropNewest, SlowPeer::LatestOnly, close_after(100_000)] {
        let log = Log::default();
        let server = log
            .events(server(&JsonArray))
            .send_queue(queue(16, policy))
            .procedure("echo", |_, text: Note| async move { wse::Ok(text) })
            .build();
        let (raw, conn) = stopped(&server).await;
        let flooding = tokio::spawn(flood(raw, 10_000));
        settle().await;
        assert!(!flooding.is_finished());
        log.take();
        flooding.abort();
        settle().await;
        assert_eq!(log.take(), ["disconnected ann 1006", "left ann 1006"], "{policy:?}");
        assert!(!conn.is_ready());
    }
}

/// Its last words are heard, though nothing can be written any more.
#[tokio::test(start_paused = true)]
async fn a_close_frame_behind_a_full_queue_is_heard() {
    let log = Log::default();
    let server = log
        .events(server(&JsonArray))
        .heartbeat(None)
        .send_queue(queue(16, SlowPeer::DropNewest))
        .build();
    let (mut raw, conn) = stopped(&server).await;
    for _ in 0..200 {
        conn.send("note", &note("x".repeat(KIB))).unwrap();
        settle().await;
    }
    log.take();
    raw.close(4100, "bye").await;
    let mut io = raw.0.into_parts().io;
    io.flush().await.unwrap();
    drop(io);
    settle().await;
    assert_eq!(log.take(), ["disconnected ann 4100 bye", "left ann 4100 bye"]);
}

/// A transport that says how many bytes it has taken.
struct Watched<F> {
    io: DuplexStream,
    on_write: F,
}

impl<F: Unpin> AsyncRead for Watched<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<F: FnMut(usize) + Unpin> AsyncWrite for Watched<F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        (self.on_write)(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// To the end of the queue of tasks; tokio's own `yield_now` waits for longer.
async fn next_turn() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_always_sent_to_lets_others_have_their_turn() {
    let server = server(&JsonArray).build();
    let (near, far) = tokio::io::duplex(64 << 20);
    let conn = Arc::<OnceLock<Conn<JsonArray>>>::default();
    let sent = Arc::<AtomicUsize>::default();
    let (writer, count) = (Arc::clone(&conn), Arc::clone(&sent));
    // As a thread that broadcasts without a break may do by chance.
    let sends = move |_| {
        if let Some(conn) = writer.get()
            && count.fetch_add(1, Ordering::Relaxed) < 20_000
        {
            conn.send("note", &note("x")).unwrap();
        }
    };
    tokio::spawn(server.clone().accept(Watched { io: far, on_write: sends }, None));
    let mut raw = Raw::upgrade(Box::new(near)).await;
    raw.greet("ann").await;
    raw.hear().await;
    let ann = server.user("ann").connections().remove(0);
    conn.set(ann.clone()).unwrap();
    ann.send("note", &note("x")).unwrap();
    let others = tokio::spawn(async move {
        let mut last = 0;
        while last < 20_000 {
            next_turn().await;
            let now = sent.load(Ordering::Relaxed);
            assert!(now - last < 1000, "{} rounds without a break", now - last);
            last = now;
        }
    });
    others.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_is_written_in_turns() {
    let all = 32 << 20;
    let server = server(&JsonArray).send_queue(SendQueue::default().bytes(2 * all)).build();
    let (near, far) = tokio::io::duplex(2 * all);
    let bytes = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&bytes);
    let counts = move |written| {
        count.fetch_add(written, Ordering::Relaxed);
    };
    tokio::spawn(server.clone().accept(Watched { io: far, on_write: counts }, None));
    let mut raw = Raw::upgrade(Box::new(near)).await;
    raw.greet("ann").await;
    raw.hear().await;
    let ann = server.user("ann").connections().remove(0);
    for _ in 0..512 {
        ann.send("note", &note("x".repeat(all / 512).as_str())).unwrap();
    }
    let mut last = bytes.load(Ordering::Relaxed);
    while last < all {
        next_turn().await;
        let now = bytes.load(Ordering::Relaxed);
        assert!(now - last < 1 << 20, "{} bytes without a break", now - last);
        last = now;
    }
}

#[tokio::test]
async fn limits_of_0_count_as_1() {
    let queue = SendQueue::default().bytes(0).messages(0);
    let server = server(&JsonArray).send_queue(queue).build();
    let ann = client(&JsonArray, &server, "ann").send_queue(queue).connect().await.unwrap();
    for _ in 0..3 {
        assert_eq!(adds(&ann).await.unwrap(), 3);
    }
}
