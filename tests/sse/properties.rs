//! Streams of events under hostile schedules: pipes of any width, readers that pause, senders that give up.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::support::event_source::*;
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use wse_transport::sse::{self, Config, End, Event};
use wse_transport::tls::{ClientTls, ServerTls};

#[derive(Clone, Debug)]
enum Step {
    /// Feeds so many bytes, and gives up after so many milliseconds.
    Feed(usize, u64),
    Send(usize, u64),
    TrySend(usize),
    Flush(u64),
    Rest(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0..20_usize, 0..3000_usize];
    prop_oneof![
        4 => (size(), 0..50_u64).prop_map(|(size, wait)| Step::Feed(size, wait)),
        2 => (size(), 0..50_u64).prop_map(|(size, wait)| Step::Send(size, wait)),
        2 => size().prop_map(Step::TrySend),
        1 => (0..50_u64).prop_map(Step::Flush),
        1 => (0..2000_u64).prop_map(Step::Rest),
    ]
}

/// Plays the steps against a reader that pauses; what was queued for sure, what may have been, and what came.
async fn play(
    steps: Vec<Step>,
    buffer: usize,
    capacity: usize,
    pauses: Vec<u64>,
) -> (Vec<String>, Vec<String>) {
    let (ours, theirs) = duplex(capacity);
    let config = Config::default().buffer(buffer).ping(Some(Duration::from_millis(300)));
    let request = get("/", "");
    let opening = futures::future::join(sse::accept(ours, config), Browser::open(theirs, &request));
    let (accepted, mut browser) = opening.await;
    let (stream, _) = accepted.unwrap();
    let sending = async {
        let mut queued = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let data = |size: usize| format!("{number} {}", "x".repeat(size));
            match step {
                Step::Feed(size, wait) => {
                    let feeding = timeout(Duration::from_millis(wait), stream.feed(data(size)));
                    if feeding.await.is_ok_and(|fed| fed.is_ok()) {
                        queued.push(data(size));
                    }
                }
                Step::Send(size, wait) => {
                    // Whole or not at all: it went in if more was ever queued than before.
                    let before = stream.queued();
                    let mut sending = Box::pin(stream.send(data(size)));
                    let at_once = sending.as_mut().now_or_never();
                    let was_queued = at_once.is_some() || stream.queued() > before;
                    let wait = Duration::from_millis(wait);
                    let sent = at_once.is_some() || timeout(wait, sending).await.is_ok();
                    if sent || was_queued {
                        queued.push(data(size));
                    } else {
                        queued.push(format!("perhaps {}", data(size)));
                    }
                }
                Step::TrySend(size) => {
                    if stream.try_send(data(size)).is_ok() {
                        queued.push(data(size));
                    }
                }
                Step::Flush(wait) => {
                    let flushing = timeout(Duration::from_millis(wait), stream.flush()).await;
                    // A ping may have come after.
                    assert!(flushing.is_err() || stream.queued() <= 3);
                }
                Step::Rest(time) => sleep(Duration::from_millis(time)).await,
            }
            assert!(stream.queued() < buffer + 3100);
        }
        stream.close();
        assert!(matches!(stream.closed().await, End::Closed));
        queued
    };
    let reading = async {
        let mut came = Vec::new();
        for pause in pauses.iter().cycle() {
            match browser.next().await {
                Ok(event) => came.push(event.data),
                Err(ending) => {
                    assert_eq!(ending, Ending::Whole);
                    break;
                }
            }
            sleep(Duration::from_millis(*pause)).await;
        }
        came
    };
    futures::future::join(sending, reading).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_queued_arrives_once_and_in_order_whoever_gives_up(
        steps in proptest::collection::vec(step(), 0..40),
        buffer in prop_oneof![0..50_usize, 0..5000_usize],
        capacity in prop_oneof![1..30_usize, 30..5000_usize],
        pauses in proptest::collection::vec(0..200_u64, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (queued, came) = runtime.block_on(async {
            let playing = play(steps, buffer, capacity, pauses);
            timeout(Duration::from_secs(86_400), playing).await.expect("it does not hang")
        });
        let mut came = came.into_iter().peekable();
        for data in queued {
            match data.strip_prefix("perhaps ") {
                Some(data) => drop(came.next_if(|it| it == data)),
                None => prop_assert_eq!(came.next(), Some(data)),
            }
        }
        prop_assert_eq!(came.next(), None);
    }
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let server = ServerTls::from_pem(chain.clone(), key).unwrap();
    let client = ClientTls::builder().ca_pem(chain).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for leaves in [false, true] {
        let io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        let (ours, theirs) =
            futures::future::join(server.accept(ours), client.connect("localhost", io)).await;
        let request = get("/", "");
        let opening = futures::future::join(
            sse::accept(ours.unwrap(), Config::default()),
            Browser::open(theirs.unwrap(), &request),
        );
        let (accepted, mut browser) = timeout(Duration::from_secs(30), opening).await.unwrap();
        let (stream, _) = accepted.unwrap();
        let large = "x".repeat(300_000);
        let (sent, got) = futures::future::join(stream.send(large.as_str()), browser.next()).await;
        sent.unwrap();
        assert_eq!(got.unwrap().data, large);
        if leaves {
            // Without a word of TLS.
            drop(browser);
        } else {
            stream.close();
            assert_eq!(browser.next().await, Err(Ending::Whole));
            // TLS is ended in its own way too, or this were an error.
            assert_eq!(browser.io.read(&mut [0]).await.unwrap(), 0);
        }
        let end = timeout(Duration::from_secs(30), stream.closed()).await.unwrap();
        assert!(
            if leaves { matches!(end, End::Left) } else { matches!(end, End::Closed) },
            "{end}"
        );
    }
}

/// A waker may be the last thing that holds a task, and that task a stream.
#[tokio::test]
async fn a_waker_that_holds_the_stream_can_be_dropped_by_the_body() {
    struct Holds(#[allow(dead_code)] Arc<sse::EventStream>);
    impl Wake for Holds {
        fn wake(self: Arc<Self>) {}
    }
    let (stream, mut body) = sse::channel(&Config::default().retry(None).ping(None));
    let holding = Waker::from(Arc::new(Holds(Arc::new(stream))));
    assert!(body.poll_next_unpin(&mut Context::from_waker(&holding)).is_pending());
    drop(holding);
    let mut other = Context::from_waker(Waker::noop());
    assert!(body.poll_next_unpin(&mut other).is_pending());
    // Dropping the stream has closed it.
    assert!(matches!(body.poll_next_unpin(&mut other), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_do_no_harm() {
    let extremes = [Duration::ZERO, Duration::MAX];
    for time in extremes {
        let config = Config::default().ping(Some(time)).retry(Some(time)).buffer(0);
        let (stream, mut body) = sse::channel(&config);
        let first = body.next().await.unwrap().unwrap();
        let retry = if time.is_zero() { "retry: 0\n\n" } else { "retry: 2147483647\n\n" };
        assert_eq!(first, retry);
        assert!(timeout(Duration::from_secs(86_400 * 365), body.next()).await.is_err());
        stream.feed(Event::new("x")).await.unwrap();
        stream.close();
        assert_eq!(body.next().await.unwrap().unwrap(), "data: x\n\n");
        assert!(body.next().await.is_none());
    }
    let config = Config::default().write_timeout(Duration::MAX).handshake_timeout(Duration::MAX);
    let (ours, theirs) = duplex(100);
    let request = get("/", "");
    let opening = futures::future::join(sse::accept(ours, config), Browser::open(theirs, &request));
    let (accepted, mut browser) = opening.await;
    accepted.unwrap().0.send("x").await.unwrap();
    assert_eq!(browser.next().await, Ok(heard("message", "x", "")));
}
