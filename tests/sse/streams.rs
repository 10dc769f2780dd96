//! Streams of events on connections of our own: requests and their answers, sending, pings, ends.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::event_source::*;
use futures::{FutureExt, SinkExt, StreamExt, future::join_all};
use http::{HeaderValue, Request, StatusCode, header};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, advance, sleep, timeout};
use wse_transport::handshake::{HeadLimits, OriginPolicy, Rejection, read_request};
use wse_transport::sse::{
    self, Config, End, Event, EventStream, OpenError, TrySendError, Wanted, is_event_source,
    last_event_id,
};

/// Long for a test, and never waited for unless it fails.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future).await.expect("the test hangs")
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A stream and its browser, behind a pipe of `capacity` bytes each way.
async fn open(config: Config, capacity: usize) -> (EventStream, Browser<DuplexStream>) {
    let (ours, theirs) = duplex(capacity);
    let request = get("/", "");
    let (accepted, browser) =
        soon(futures::future::join(sse::accept(ours, config), Browser::open(theirs, &request)))
            .await;
    (accepted.unwrap().0, browser)
}

/// What a request is answered with, as it comes over the wire, and what the server makes of it.
async fn answer(config: Config, request: &str) -> (String, Result<EventStream, OpenError>) {
    let (ours, mut theirs) = duplex(1 << 20);
    let request = request.to_owned();
    let asking = async move {
        theirs.write_all(request.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (accepted, answer) = soon(futures::future::join(sse::accept(ours, config), asking)).await;
    (answer, accepted.map(|(stream, _)| stream))
}

// Requests and their answers.

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_its_head_and_the_retry_time_and_ends_with_the_last_chunk() {
    let (stream, mut browser) = open(Config::default(), 4096).await;
    let mut lines: Vec<_> = browser.head.trim_end().lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 200 OK",
            "cache-control: no-cache, no-transform",
            "connection: close",
            "content-type: text/event-stream",
            "transfer-encoding: chunked",
            "x-accel-buffering: no",
        ]
    );
    stream.send("hello").await.unwrap();
    let event = Event::new("two\nlines").name("news").unwrap().id("7").unwrap();
    stream.send(event).await.unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "hello", "")));
    assert_eq!(browser.parser.retry, Some(5000));
    assert_eq!(soon(browser.next()).await, Ok(heard("news", "two\nlines", "7")));
    assert!(!stream.is_closed());
    stream.feed("last").await.unwrap();
    stream.close();
    assert!(stream.is_closed());
    assert!(matches!(stream.send("late").await, Err(End::Closed)));
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "last", "7")));
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
    assert!(matches!(soon(stream.closed()).await, End::Closed));
    assert_eq!(browser.io.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn http_1_0_gets_no_chunks() {
    let (ours, theirs) = duplex(4096);
    let request = "GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n";
    let opening =
        futures::future::join(sse::accept(ours, Config::default()), Browser::open(theirs, request));
    let (accepted, mut browser) = soon(opening).await;
    let (stream, _) = accepted.unwrap();
    assert_eq!(browser.status(), "200");
    assert_eq!(browser.field("transfer-encoding"), None);
    assert_eq!(browser.field("connection"), Some("close"));
    stream.send("hello").await.unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "hello", "")));
    drop(stream);
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
}

#[tokio::test(start_paused = true)]
async fn the_request_and_the_last_event_id_reach_the_server() {
    for (fields, expected) in [
        ("Last-Event-ID: 7\r\n", Some("7")),
        ("last-event-id: zwölf\r\n", Some("zwölf")),
        ("Last-Event-ID:\r\n", None),
        ("Last-Event-ID: 7\r\nLast-Event-ID: 8\r\n", None),
        ("", None),
    ] {
        let (ours, theirs) = duplex(4096);
        let request = get("/news?from=1", fields);
        let opening = futures::future::join(
            sse::accept(ours, Config::default()),
            Browser::open(theirs, &request),
        );
        let (stream, request) = soon(opening).await.0.unwrap();
        assert_eq!(stream.last_event_id(), expected, "{fields:?}");
        assert_eq!(last_event_id(&request), expected);
        assert_eq!(request.uri(), "/news?from=1");
    }
    let bytes = HeaderValue::from_bytes(b"\xff").unwrap();
    let request = Request::builder().header("last-event-id", bytes).body(()).unwrap();
    assert_eq!(last_event_id(&request), None);
}

#[test]
fn what_asks_for_events_is_told_from_what_does_not() {
    for (method, accept, expected) in [
        ("GET", &["text/event-stream"][..], true),
        ("GET", &["Text/Event-Stream"], true),
        ("GET", &["text/html, text/event-stream;q=0.5"], true),
        ("GET", &["text/html", "text/event-stream ; x=y"], true),
        ("GET", &["text/event-stream;q=0"], false),
        ("GET", &["text/event-stream; Q=0.000"], false),
        ("GET", &["text/event-stream;q=0.001"], true),
        ("GET", &["text/event-streams"], false),
        ("GET", &["*/*"], false),
        ("GET", &["text/*"], false),
        ("GET", &[""], false),
        ("GET", &[], false),
        ("POST", &["text/event-stream"], false),
        ("HEAD", &["text/event-stream"], false),
    ] {
        let mut request = Request::builder().method(method);
        for value in accept {
            request = request.header(header::ACCEPT, *value);
        }
        let request = request.body(()).unwrap();
        assert_eq!(is_event_source(&request), expected, "{method} {accept:?}");
        let wanted = if expected { Wanted::EventSource } else { Wanted::Other };
        assert_eq!(Wanted::of(&request), wanted);
    }
    let upgrade = Request::builder().header("upgrade", "WebSocket").header("accept", "*/*");
    assert_eq!(Wanted::of(&upgrade.body(()).unwrap()), Wanted::WebSocket);
}

#[tokio::test(start_paused = true)]
async fn pages_of_other_hosts_read_only_what_the_policy_lets_them() {
    let list = || OriginPolicy::List(vec!["https://a.example".into(), "https://b.example".into()]);
    let allow = "access-control-allow-origin";
    for (policy, origin, status, allowed) in [
        (OriginPolicy::SameHost, None, "200", None),
        (OriginPolicy::SameHost, Some("http://test"), "200", None),
        (OriginPolicy::SameHost, Some("http://evil.example"), "403", None),
        (list(), Some("https://b.example"), "200", Some("https://b.example")),
        (list(), Some("https://c.example"), "403", None),
        (list(), Some("null"), "403", None),
        (list(), None, "200", None),
        (OriginPolicy::Any, Some("http://evil.example"), "200", Some("*")),
        (OriginPolicy::Any, None, "200", Some("*")),
    ] {
        let fields = origin.map(|it| format!("Origin: {it}\r\n")).unwrap_or_default();
        let (ours, theirs) = duplex(4096);
        let config = Config::default().origin(policy.clone()).credentials(true);
        let request = get("/", &fields);
        let opening =
            futures::future::join(sse::accept(ours, config), Browser::open(theirs, &request));
        let (_accepted, browser) = soon(opening).await;
        assert_eq!(browser.status(), status, "{policy:?} {origin:?}");
        assert_eq!(browser.field(allow), allowed, "{policy:?} {origin:?}");
        let is_list = matches!(policy, OriginPolicy::List(_)) && status == "200";
        assert_eq!(browser.field("vary"), is_list.then_some("Origin"));
        let credentials = (is_list && allowed.is_some()).then_some("true");
        assert_eq!(browser.field("access-control-allow-credentials"), credentials);
    }
}

#[tokio::test(start_paused = true)]
async fn own_headers_are_sent_and_those_that_frame_the_response_are_refused() {
    let value = HeaderValue::from_static;
    let config = Config::default()
        .header(header::SET_COOKIE, value("a=1"))
        .and_then(|it| it.header(header::SET_COOKIE, value("b=2")))
        .and_then(|it| it.header(header::CACHE_CONTROL, value("no-store")))
        .unwrap();
    let (_stream, browser) = open(config, 4096).await;
    assert!(browser.head.contains("set-cookie: a=1\r\n"), "{}", browser.head);
    assert!(browser.head.contains("set-cookie: b=2\r\n"), "{}", browser.head);
    assert_eq!(browser.head.matches("cache-control").count(), 1);
    assert_eq!(browser.field("cache-control"), Some("no-store"));
    for name in ["content-type", "content-length", "transfer-encoding", "connection"] {
        let refused = Config::default().header(name.parse().unwrap(), value("x"));
        assert_eq!(refused.unwrap_err().to_string(), format!("caller set reserved header {name}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_refused_with_any_status_or_served_by_its_own_configuration() {
    for status in [StatusCode::NO_CONTENT, StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS]
    {
        let (ours, mut theirs) = duplex(4096);
        theirs.write_all(get("/secret", "").as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let refused = sse::accept_with(ours, Config::default(), |request, _| {
            assert_eq!(request.uri(), "/secret");
            Err(Rejection::new(status, "no"))
        });
        let refused = soon(refused).await.unwrap_err();
        assert!(matches!(&refused, OpenError::Rejected(it) if it.status() == status));
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {} ", status.as_u16())), "{answer}");
        // RFC 9110 §8.6 and §15.3.5.
        let has_body = answer.ends_with("\r\n\r\nno") && answer.contains("content-length: 2");
        assert_eq!(has_body, status != StatusCode::NO_CONTENT, "{answer}");
        assert_eq!(answer.contains("content-"), has_body, "{answer}");
    }
    let (ours, theirs) = duplex(4096);
    let decide = |_: &Request<()>, config: Config| Ok(config.retry(Some(secs(1))));
    let request = get("/", "");
    let opening = futures::future::join(
        sse::accept_with(ours, Config::default(), decide),
        Browser::open(theirs, &request),
    );
    let (accepted, mut browser) = soon(opening).await;
    let _stream = accepted.unwrap();
    soon(browser.read()).await.unwrap();
    assert_eq!(browser.parser.retry, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn bad_requests_get_answers_that_say_what_is_wrong() {
    let sse = "Accept: text/event-stream\r\n";
    let long = "x".repeat(9000);
    for (request, status, reason) in [
        (format!("POST / HTTP/1.1\r\nHost: x\r\n{sse}\r\n"), 405, "method must be GET"),
        ("GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n".into(), 406, "Accept must have"),
        (format!("GET / HTTP/1.1\r\n{sse}\r\n"), 400, "Host is missing"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n{sse}\r\n"), 400, "Host is malformed"),
        (get("/", "Content-Length: 3\r\n") + "abc", 400, "must not have a body"),
        (get("/", "Content-Length: 0\r\nContent-Length: 0\r\n"), 400, "Content-Length is"),
        (get("/", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, "must not have a body"),
        (get(&format!("/{long}"), ""), 414, "first line is too long"),
        (get("/", &format!("X: {long}\r\n")), 431, "header field is too long"),
        (get("/", &"X: y\r\n".repeat(200)), 431, "too many header fields"),
        (get("/", &format!("X: {}\r\n", "y".repeat(8000)).repeat(5)), 431, "head is too long"),
        ("GET / HTTP/2.0\r\n\r\n".into(), 400, "malformed"),
        ("\u{16}\u{3}\u{1}".into(), 400, "malformed"),
        ("GET / HTTP/1.1\nHost: x\n\n".into(), 400, "malformed"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nAccept : text/event-stream\r\n\r\n".into(),
            400,
            "malformed",
        ),
    ] {
        let (answer, accepted) = answer(Config::default(), &request).await;
        let start = &request[..request.len().min(60)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start:?}: {answer}");
        assert!(answer.contains(reason), "{start:?}: {answer}");
        let Err(OpenError::Rejected(rejection)) = accepted else { panic!("{start:?}") };
        assert_eq!(rejection.status(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_arrive_byte_by_byte_but_not_for_ever() {
    let (ours, mut theirs) = duplex(4096);
    let accepting = tokio::spawn(sse::accept(ours, Config::default()));
    for byte in get("/", "Last-Event-ID: 7\r\n").bytes() {
        theirs.write_all(&[byte]).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let (stream, _) = soon(accepting).await.unwrap().unwrap();
    assert_eq!(stream.last_event_id(), Some("7"));

    let (ours, mut theirs) = duplex(4096);
    theirs.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let begin = Instant::now();
    let late = soon(sse::accept(ours, Config::default())).await;
    assert!(matches!(late, Err(OpenError::Timeout)), "{late:?}");
    assert_eq!(begin.elapsed(), secs(10));

    let (ours, theirs) = duplex(4096);
    drop(theirs);
    let gone = soon(sse::accept(ours, Config::default())).await;
    assert!(matches!(gone, Err(OpenError::Io(_))), "{gone:?}");
}

// Sending.

#[tokio::test(start_paused = true)]
async fn pings_come_after_silence_and_only_then() {
    let (stream, mut browser) = open(Config::default().retry(None), 4096).await;
    let begin = Instant::now();
    let mut pings = Vec::new();
    while pings.len() < 2 {
        soon(browser.read()).await.unwrap();
        pings.push(begin.elapsed());
        assert_eq!(browser.parser.comments.len(), pings.len());
    }
    assert_eq!(pings, [secs(15), secs(30)]);
    sleep(secs(10)).await;
    stream.send("x").await.unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "x", "")));
    soon(browser.read()).await.unwrap();
    // 15 s after what was written last, at 40 s.
    assert_eq!(begin.elapsed(), secs(55));
    assert_eq!(browser.parser.comments, ["", "", ""]);

    let config = Config::default().ping(Some(Duration::from_millis(500)));
    let (_stream, mut browser) = open(config, 4096).await;
    let begin = Instant::now();
    while browser.parser.comments.len() < 4 {
        soon(browser.read()).await.unwrap();
    }
    assert_eq!(begin.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn pings_can_be_turned_off() {
    let (stream, mut browser) = open(Config::default().ping(None).retry(None), 4096).await;
    assert!(timeout(secs(86_400), browser.read()).await.is_err());
    assert!(!stream.is_closed());
    stream.feed("fed").await.unwrap();
    assert!(timeout(secs(86_400), browser.read()).await.is_err(), "nothing was flushed");
    stream.try_send("tried").unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "fed", "")));
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "tried", "")));
    stream.close();
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
}

#[tokio::test(start_paused = true)]
async fn sending_waits_for_a_peer_that_does_not_read() {
    let config = Config::default().buffer(1000).retry(None);
    let (stream, mut browser) = open(config, 64).await;
    let event = "x".repeat(92); // 100 bytes with its field and the empty line
    let mut fed = 0;
    while timeout(secs(1), stream.feed(event.as_str())).await.is_ok() {
        fed += 1;
        assert!(fed <= 10, "more than the buffer holds");
    }
    assert_eq!((fed, stream.queued()), (10, 1000));
    assert!(matches!(stream.try_send("y"), Err(TrySendError::Full)));
    // What was given up is not queued.
    assert!(timeout(secs(1), stream.feed("never")).await.is_err());
    let more = async {
        stream.feed("after").await.unwrap();
        stream.flush().await.unwrap();
    };
    let reading = async {
        for _ in 0..10 {
            assert_eq!(browser.next().await, Ok(heard("message", &event, "")));
        }
        assert_eq!(browser.next().await, Ok(heard("message", "after", "")));
    };
    soon(futures::future::join(more, reading)).await;
    assert_eq!(stream.queued(), 0);
    stream.try_send("z").unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "z", "")));
}

#[tokio::test(start_paused = true)]
async fn tiny_events_are_counted_too() {
    let (stream, _browser) = open(Config::default(), 64).await;
    let fed = std::iter::repeat_with(|| stream.try_send(Event::default()));
    let fed = fed.take(10_000).filter(Result::is_ok).count();
    assert!((1000..=1024).contains(&fed), "{fed}");
}

#[tokio::test(start_paused = true)]
async fn an_event_may_be_larger_than_every_buffer() {
    let (stream, mut browser) = open(Config::default().buffer(10), 64).await;
    let huge = "y".repeat(300_000);
    let sending = stream.send(huge.as_str());
    let (sent, got) = soon(futures::future::join(sending, browser.next())).await;
    sent.unwrap();
    assert_eq!(got.unwrap().data, huge);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up_after_the_write_timeout() {
    let (stream, mut browser) = open(Config::default().write_timeout(secs(7)), 64).await;
    let begin = Instant::now();
    stream.feed("x".repeat(1000)).await.unwrap();
    let (flushed, end) = soon(futures::future::join(stream.flush(), stream.closed())).await;
    assert!(matches!(flushed, Err(End::Slow)));
    assert!(matches!(end, End::Slow));
    assert_eq!(begin.elapsed(), secs(7));
    assert_eq!(stream.queued(), 1008 + "retry: 5000\n\n".len());
    assert_eq!(
        stream.send("y").await.unwrap_err().to_string(),
        "peer read the event stream too slowly"
    );
    // It can tell that something is missing.
    assert_eq!(soon(browser.next()).await, Err(Ending::Broken));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up_too_when_only_pings_are_for_it() {
    let config = Config::default().ping(Some(secs(1))).write_timeout(secs(5));
    let (stream, _browser) = open(config, 64).await;
    assert!(matches!(soon(stream.closed()).await, End::Slow));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_but_steadily_gets_everything() {
    let (stream, mut browser) = open(Config::default().write_timeout(secs(10)), 8192).await;
    let sending = async {
        for number in 0..10 {
            let data = number.to_string().repeat(50_000);
            stream.send(Event::new(data)).await.unwrap();
        }
        stream.close();
        stream.closed().await
    };
    let reading = async {
        let mut got = 0;
        loop {
            sleep(secs(1)).await;
            match browser.read().await {
                Ok(()) => got += browser.parser.events.drain(..).count(),
                Err(ending) => return (got, ending),
            }
        }
    };
    let (end, got) = soon(futures::future::join(sending, reading)).await;
    assert!(matches!(end, End::Closed), "{end}");
    assert_eq!(got, (10, Ending::Whole));
}

#[tokio::test(start_paused = true)]
async fn an_event_encoded_once_is_shared_by_all_streams() {
    let event = Event::new("for all").name("news").unwrap().encode();
    let config = Config::default().retry(None);
    for _ in 0..3 {
        let (stream, mut body) = sse::channel(&config);
        stream.try_send(&event).unwrap();
        let piece = soon(body.next()).await.unwrap().unwrap();
        assert!(std::ptr::eq(piece.as_ptr(), event.as_ref().as_ptr()));
        assert_eq!(piece, event.as_ref());
    }
    let mut open = join_all((0..20).map(|_| open(config.clone(), 4096))).await;
    for (stream, _) in &open {
        stream.try_send(&event).unwrap();
    }
    for (_, browser) in &mut open {
        assert_eq!(soon(browser.next()).await, Ok(heard("news", "for all", "")));
    }
}

/// Counts writes.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn many_events_fed_and_flushed_once_are_few_writes() {
    let (ours, theirs) = duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let request = get("/", "");
    let opening = futures::future::join(
        sse::accept(Counted(ours, Arc::clone(&writes)), Config::default().retry(None)),
        Browser::open(theirs, &request),
    );
    let (accepted, mut browser) = soon(opening).await;
    let (stream, _) = accepted.unwrap();
    writes.store(0, Ordering::Relaxed);
    for number in 0..500 {
        stream.feed(number.to_string()).await.unwrap();
    }
    stream.flush().await.unwrap();
    // 64 slices fit into a write.
    assert!(writes.load(Ordering::Relaxed) <= 9, "{writes:?}");
    for number in 0..500 {
        assert_eq!(soon(browser.next()).await, Ok(heard("message", &number.to_string(), "")));
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_a_sink_with_backpressure() {
    let config = Config::default().buffer(100);
    let (mut stream, mut browser) = open(config, 64).await;
    let numbers = futures::stream::iter(0..1000).map(|it| Ok(Event::new(it.to_string())));
    let sending = async {
        numbers.forward(&mut stream).await.unwrap();
        // Forwarding closes it.
        stream.closed().await
    };
    let reading = async {
        for number in 0..1000 {
            assert_eq!(browser.next().await, Ok(heard("message", &number.to_string(), "")));
        }
        browser.next().await
    };
    let (end, got) = soon(futures::future::join(sending, reading)).await;
    assert!(matches!(end, End::Closed));
    assert_eq!(got, Err(Ending::Whole));
    let late = SinkExt::<Event>::feed(&mut stream, Event::new("late")).await;
    assert!(matches!(late, Err(End::Closed)));

    let config = Config::default().buffer(50_000).ping(None).retry(None);
    let (mut stream, mut browser) = open(config, 4096).await;
    // Written in two parts, after the first of which there is room.
    let event = Event::new("x".repeat(100_000));
    while poll_fed(&mut stream, &event) {}
    assert_eq!(stream.queued(), 100_008);
    // What waits for room and is given up does not pass for what waits for the transport.
    let flushing = async {
        SinkExt::<Event>::flush(&mut stream).await.unwrap();
        stream.queued()
    };
    let reading = async {
        sleep(secs(1)).await;
        browser.next().await.unwrap();
    };
    let (queued, ()) = soon(futures::future::join(flushing, reading)).await;
    assert_eq!(queued, 0);
    while poll_fed(&mut stream, &event) {}
    drop(browser);
    let left = SinkExt::<Event>::send(&mut stream, event).await;
    assert!(matches!(left, Err(End::Left)), "{left:?}");
}

fn poll_fed(stream: &mut EventStream, event: &Event) -> bool {
    match SinkExt::<Event>::feed(stream, event.clone()).now_or_never() {
        Some(fed) => fed.map(|()| true).unwrap(),
        None => false,
    }
}

#[tokio::test(start_paused = true)]
async fn several_tasks_send_on_one_stream() {
    let (stream, mut browser) = open(Config::default().buffer(50), 64).await;
    let stream = Arc::new(stream);
    for task in 0..8 {
        let stream = Arc::clone(&stream);
        tokio::spawn(async move {
            for number in 0..50 {
                stream.send(format!("{task} {number}")).await.unwrap();
            }
        });
    }
    let mut next = [0; 8];
    for _ in 0..400 {
        let event = soon(browser.next()).await.unwrap();
        let (task, number) = event.data.split_once(' ').unwrap();
        let expected = &mut next[task.parse::<usize>().unwrap()];
        assert_eq!(number, expected.to_string());
        *expected += 1;
    }
    assert_eq!(next, [50; 8]);
}

// Ends.

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_noticed_while_nothing_is_sent() {
    let (stream, browser) = open(Config::default().ping(None), 4096).await;
    let watching = soon(async {
        tokio::select! {
            end = stream.closed() => Some(end),
            () = sleep(secs(5)) => None,
        }
    });
    assert!(watching.await.is_none());
    drop(browser);
    let begin = Instant::now();
    assert!(matches!(soon(stream.closed()).await, End::Left));
    assert_eq!(begin.elapsed(), secs(0));
    assert!(matches!(stream.try_send("x"), Err(TrySendError::Ended(End::Left))));
    assert!(matches!(stream.closed().await, End::Left));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_talking_is_cut_off() {
    let (stream, mut browser) = open(Config::default(), 4096).await;
    browser.io.write_all(&[b'x'; 16 * 1024]).await.unwrap();
    stream.send("still here").await.unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "still here", "")));
    browser.io.write_all(b"x").await.unwrap();
    assert!(matches!(soon(stream.closed()).await, End::Chatter));
    assert_eq!(soon(browser.next()).await, Err(Ending::Broken));
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_request_counts_as_talking() {
    let (ours, theirs) = duplex(8192);
    let request = get("/", "") + &"x".repeat(3000);
    let opening = futures::future::join(
        sse::accept(ours, Config::default()),
        Browser::open(theirs, &request),
    );
    let (accepted, mut browser) = soon(opening).await;
    browser.io.write_all(&[b'x'; 14_000]).await.unwrap();
    assert!(matches!(soon(accepted.unwrap().0.closed()).await, End::Chatter));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_behind_the_first_is_ignored() {
    let (ours, theirs) = duplex(4096);
    let both = get("/", "") + &get("/second", "");
    let opening =
        futures::future::join(sse::accept(ours, Config::default()), Browser::open(theirs, &both));
    let (accepted, mut browser) = soon(opening).await;
    let (stream, request) = accepted.unwrap();
    assert_eq!(request.uri(), "/");
    stream.send("one").await.unwrap();
    drop(stream);
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "one", "")));
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever_for_a_peer_that_does_not_read() {
    let config = Config::default().ping(None).write_timeout(secs(3));
    let (stream, _browser) = open(config, 64).await;
    let watching = async {
        let begin = Instant::now();
        (stream.closed().await, begin.elapsed())
    };
    let closing = async {
        sleep(secs(100)).await;
        stream.feed("x".repeat(100)).await.unwrap();
        stream.close();
    };
    let ((end, took), ()) = soon(futures::future::join(watching, closing)).await;
    assert!(matches!(end, End::Slow));
    assert_eq!(took, secs(103));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_delivers_what_it_was_given() {
    let (stream, mut browser) = open(Config::default(), 64).await;
    for number in 0..100 {
        stream.try_send(number.to_string()).unwrap();
    }
    drop(stream);
    for number in 0..100 {
        assert_eq!(soon(browser.next()).await, Ok(heard("message", &number.to_string(), "")));
    }
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
}

#[tokio::test]
async fn over_tcp_peers_that_end_or_reset_their_connection_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for reset in [false, true] {
        let io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        if reset {
            #[allow(deprecated)] // resets, and so does not block
            io.set_linger(Some(Duration::ZERO)).unwrap();
        }
        let (ours, _) = listener.accept().await.unwrap();
        let request = get("/", "");
        let opening = futures::future::join(
            sse::accept(ours, Config::default()),
            Browser::open(io, &request),
        );
        let (accepted, mut browser) = soon(opening).await;
        let (stream, _) = accepted.unwrap();
        stream.send("hello").await.unwrap();
        assert_eq!(soon(browser.next()).await, Ok(heard("message", "hello", "")));
        drop(browser);
        let end = soon(stream.closed()).await;
        assert!(matches!(end, End::Left), "{end:?}");
    }
}

#[tokio::test]
async fn over_tcp_a_peer_that_never_reads_holds_no_more_than_the_buffer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    let request = get("/", "");
    let config = Config::default().write_timeout(Duration::from_millis(300));
    let opening = futures::future::join(sse::accept(ours, config), Browser::open(io, &request));
    let (accepted, _browser) = soon(opening).await;
    let (stream, _) = accepted.unwrap();
    let event = Event::new("x".repeat(10_000)).encode();
    let end = loop {
        if let Err(end) = soon(stream.feed(&event)).await {
            break end;
        }
        assert!(stream.queued() < 64 * 1024 + 10_100, "{}", stream.queued());
    };
    assert!(matches!(end, End::Slow), "{end:?}");
}

#[tokio::test]
async fn one_port_serves_events_websockets_and_pages() {
    use wse_transport::handshake::{Upgrade, encode_response, write_response};
    use wse_transport::ws::{self, Message, Role, WebSocket};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut io, _) = listener.accept().await.unwrap();
            let (request, rest) = read_request(&mut io, &HeadLimits::default()).await.unwrap();
            tokio::spawn(async move {
                match Wanted::of(&request) {
                    Wanted::EventSource => {
                        let config = Config::default();
                        let stream = sse::respond(io, rest, &request, &config).await.unwrap();
                        stream.send("an event").await.unwrap();
                    }
                    Wanted::WebSocket => {
                        let upgrade = Upgrade::from_request(&request).unwrap();
                        let response = upgrade.response(None, &http::HeaderMap::new()).unwrap();
                        write_response(&mut io, &response).await.unwrap();
                        let config = ws::Config::default();
                        let mut ws = WebSocket::with_leftover(io, rest, Role::Server, config);
                        ws.send(Message::text("a message")).await.unwrap();
                        let _ = SinkExt::close(&mut ws).await;
                    }
                    Wanted::Other => {
                        let head = http::Response::new(());
                        io.write_all(&encode_response(&head, "a page")).await.unwrap();
                    }
                }
            });
        }
    });
    let io = TcpStream::connect(addr).await.unwrap();
    let mut browser = soon(Browser::open(io, &get("/", ""))).await;
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "an event", "")));
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
    let (mut ws, _) =
        wse_transport::connect(&format!("ws://{addr}"), ws::Config::default()).await.unwrap();
    assert_eq!(soon(ws.next()).await.unwrap().unwrap(), Message::text("a message"));
    let mut io = TcpStream::connect(addr).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut page = String::new();
    soon(io.read_to_string(&mut page)).await.unwrap();
    assert!(page.ends_with("\r\n\r\na page"), "{page}");
}

/// A stream may be dropped and its body live on, and the other way round.
#[tokio::test(start_paused = true)]
async fn a_body_ends_as_its_stream_does() {
    let (stream, mut body) = sse::channel(&Config::default().retry(None));
    stream.try_send("x").unwrap();
    stream.close();
    assert_eq!(soon(body.next()).await.unwrap().unwrap(), "data: x\n\n");
    assert!(soon(body.next()).await.is_none());
    assert!(soon(body.next()).await.is_none());
    drop(body);
    assert!(matches!(soon(stream.closed()).await, End::Closed));

    let (stream, body) = sse::channel(&Config::default());
    drop(body);
    assert!(matches!(soon(stream.send("x")).await, Err(End::Left)));

    // The body is not read: a waiting sender ends it, and the body ends with one error.
    let (stream, mut body) = sse::channel(&Config::default());
    let begin = Instant::now();
    assert!(matches!(soon(stream.send("x")).await, Err(End::Slow)));
    assert_eq!(begin.elapsed(), secs(30));
    assert!(matches!(soon(body.next()).await, Some(Err(End::Slow))));
    assert!(soon(body.next()).await.is_none());

    let (stream, _body) = sse::channel(&Config::default());
    stream.close();
    assert!(matches!(soon(stream.closed()).await, End::Slow));
    assert_eq!(begin.elapsed(), secs(60));

    // A sender that already waits when it is closed is woken too.
    let (stream, _body) = sse::channel(&Config::default());
    let closing = async {
        sleep(secs(100)).await;
        stream.close();
    };
    let (end, ()) = soon(futures::future::join(stream.closed(), closing)).await;
    assert!(matches!(end, End::Slow));
    assert_eq!(begin.elapsed(), secs(190));

    let (stream, mut body) = sse::channel(&Config::default().retry(None));
    let waiting = tokio::spawn(async move { (body.next().await, body) });
    advance(secs(14)).await;
    assert!(!waiting.is_finished());
    let (ping, _body) = soon(waiting).await.unwrap();
    assert_eq!(ping.unwrap().unwrap(), ":\n\n");
    assert_eq!(stream.queued(), 0);
}
