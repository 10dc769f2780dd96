//! Streams of events inside hyper 1 and axum 0.8, over TCP.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::event_source::*;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http_body_util::{BodyExt, Either, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wse_transport::sse::{self, Config, End, Event, EventStream, TrySendError};

/// Long for a test, and never waited for unless it fails.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("the test hangs")
}

async fn browse(addr: SocketAddr, request: &str) -> Browser<TcpStream> {
    soon(Browser::open(TcpStream::connect(addr).await.unwrap(), request)).await
}

/// A hyper server that hands out the streams it opens.
async fn serve_hyper(config: Config) -> (SocketAddr, mpsc::UnboundedReceiver<EventStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (opened, streams) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let (opened, config) = (opened.clone(), config.clone());
            let service = service_fn(move |request| {
                let response = match sse::response(&request, &config) {
                    Ok((stream, response)) => {
                        opened.send(stream).unwrap();
                        response.map(Either::Left)
                    }
                    Err(rejection) => {
                        rejection.to_response().map(|body| Either::Right(Full::new(body)))
                    }
                };
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(io), service));
        }
    });
    (addr, streams)
}

#[tokio::test]
async fn hyper_serves_a_stream_to_its_end() {
    let (addr, mut streams) = serve_hyper(Config::default()).await;
    let mut browser = browse(addr, &get("/", "Last-Event-ID: 7\r\n")).await;
    let stream = soon(streams.recv()).await.unwrap();
    assert_eq!(browser.status(), "200");
    assert_eq!(browser.field("content-type"), Some("text/event-stream"));
    assert_eq!(browser.field("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(stream.last_event_id(), Some("7"));
    soon(stream.send(Event::new("a\nb").id("8").unwrap())).await.unwrap();
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "a\nb", "8")));
    assert_eq!(browser.parser.retry, Some(5000));
    stream.try_send("last").unwrap();
    stream.close();
    assert!(matches!(soon(stream.closed()).await, End::Closed));
    assert_eq!(soon(browser.next()).await, Ok(heard("message", "last", "8")));
    assert_eq!(soon(browser.next()).await, Err(Ending::Whole));
}

#[tokio::test]
async fn hyper_answers_what_is_refused() {
    let (addr, _streams) = serve_hyper(Config::default()).await;
    for (request, status) in [
        (get("/", "Origin: http://evil.example\r\n"), "403"),
        ("GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(), "406"),
        ("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".to_owned(), "405"),
    ] {
        assert_eq!(browse(addr, &request).await.status(), status, "{request}");
    }
}

#[tokio::test]
async fn hyper_drops_the_body_when_the_peer_leaves() {
    let (addr, mut streams) = serve_hyper(Config::default().ping(None)).await;
    for reset in [false, true] {
        let browser = browse(addr, &get("/", "")).await;
        let stream = soon(streams.recv()).await.unwrap();
        if reset {
            #[allow(deprecated)] // resets, and so does not block
            browser.io.set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(browser);
        assert!(matches!(soon(stream.closed()).await, End::Left));
        assert!(matches!(stream.try_send("x"), Err(TrySendError::Ended(End::Left))));
    }
}

#[tokio::test]
async fn a_peer_of_hyper_that_never_reads_is_given_up() {
    let config = Config::default().write_timeout(Duration::from_millis(300));
    let (addr, mut streams) = serve_hyper(config).await;
    let mut browser = browse(addr, &get("/", "")).await;
    let stream = soon(streams.recv()).await.unwrap();
    let event = Event::new("x".repeat(10_000)).encode();
    let end = loop {
        if let Err(end) = soon(stream.feed(&event)).await {
            break end;
        }
        assert!(stream.queued() < 64 * 1024 + 10_100, "{}", stream.queued());
    };
    assert!(matches!(end, End::Slow), "{end:?}");
    // When it reads after all, it can tell that something is missing.
    while soon(browser.read()).await.is_ok() {}
    assert_eq!(soon(browser.read()).await, Err(Ending::Broken));
}

#[tokio::test]
async fn hyper_writes_pings_while_nothing_is_sent() {
    let config = Config::default().ping(Some(Duration::from_millis(20)));
    let (addr, mut streams) = serve_hyper(config).await;
    let mut browser = browse(addr, &get("/", "")).await;
    let _stream = soon(streams.recv()).await.unwrap();
    while browser.parser.comments.len() < 3 {
        soon(browser.read()).await.unwrap();
    }
}

#[tokio::test]
async fn an_axum_handler_returns_the_stream_as_its_response() {
    async fn events(State(config): State<Config>, request: Request) -> Response {
        match sse::response(&request, &config) {
            Ok((stream, response)) => {
                tokio::spawn(async move {
                    for number in 0.. {
                        let event = Event::new(format!("tick {number}"));
                        if stream.send(event).await.is_err() {
                            break;
                        }
                    }
                });
                response.map(Body::new)
            }
            Err(rejection) => rejection.to_response().map(Body::from),
        }
    }
    let app = Router::new().route("/events", get_route(events)).with_state(Config::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut browser = browse(addr, &get("/events", "")).await;
    for number in 0..100 {
        let expected = heard("message", &format!("tick {number}"), "");
        assert_eq!(soon(browser.next()).await, Ok(expected));
    }
    let refused = browse(addr, "GET /events HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(refused.status(), "406");
}

/// `get` is a request here.
fn get_route<H, T>(handler: H) -> axum::routing::MethodRouter<Config>
where
    H: axum::handler::Handler<T, Config>,
    T: 'static,
{
    axum::routing::get(handler)
}

#[tokio::test]
async fn the_body_collects_to_all_that_was_sent() {
    let (stream, body) = sse::channel(&Config::default().retry(None));
    stream.try_send("a").unwrap();
    stream.try_send("b").unwrap();
    drop(stream);
    let all = soon(BodyExt::collect(body)).await.unwrap().to_bytes();
    assert_eq!(all, "data: a\n\ndata: b\n\n");
}
