//! Shows server-sent events and the page that displays them, on one port. A tick is sent each half second. When the
//! browser comes back, the ticks continue where it left off. It needs no crate of this project but wse-transport.
//!
//! ```text
//! $ cargo run --example event_source -- 127.0.0.1:4200
//! listening on http://127.0.0.1:4200/
//!
//! $ curl -N -H 'Accept: text/event-stream' -H 'Last-Event-ID: 41' http://127.0.0.1:4200/
//! retry: 500
//!
//! event: tick
//! id: 42
//! data: tick
//! data: 42
//! ```
//!
//! Or open the page in a browser. With a number after the address, each stream ends after that many ticks, and the
//! browser comes back.

use std::error::Error;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderValue, Request, Response, header};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use wse_transport::handshake::{HeadLimits, encode_response, read_request};
use wse_transport::sse::{self, Config, Event, Wanted};

const PAGE: &str = r#"<!doctype html>
<title>EventSource</title>
<pre id="ticks"></pre>
<script>
  const events = new EventSource('/')
  const show = (line) => { document.getElementById('ticks').textContent += line + '\n' }
  events.addEventListener('tick', ({ data, lastEventId }) => show(`${lastEventId}: ${data}`))
  events.onerror = () => show('lost, coming back')
</script>
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let ticks = args.next().map_or(Ok(u64::MAX), |it| it.parse())?;
    let listener = TcpListener::bind(addr).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    loop {
        let (stream, peer) = wse_transport::accept_tcp(&listener).await;
        tokio::spawn(async move {
            if let Err(error) = serve(stream, ticks).await {
                eprintln!("{peer}: {error:#}");
            }
        });
    }
}

async fn serve(mut io: TcpStream, ticks: u64) -> Result<(), Box<dyn Error>> {
    let limits = HeadLimits::default();
    let reading = timeout(Duration::from_secs(10), read_request(&mut io, &limits));
    let (request, leftover) = reading.await??;
    match Wanted::of(&request) {
        Wanted::EventSource => tick(io, leftover, &request, ticks).await,
        // A WebSocket could be accepted here too: see handshake::Upgrade.
        Wanted::WebSocket | Wanted::Other => page(io).await,
    }
}

async fn tick(
    io: TcpStream,
    leftover: BytesMut,
    request: &Request<()>,
    ticks: u64,
) -> Result<(), Box<dyn Error>> {
    let config = Config::default().retry(Some(Duration::from_millis(500)));
    let stream = sse::respond(io, leftover, request, &config).await?;
    let seen: u64 = stream.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0);
    for number in (seen.saturating_add(1)..).take(usize::try_from(ticks).unwrap_or(usize::MAX)) {
        let event = Event::new(format!("tick\n{number}")).name("tick")?.id(number.to_string())?;
        if let Err(end) = stream.send(event).await {
            eprintln!("after {number} ticks: {end}");
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(()) // dropping the stream closes it
}

async fn page(mut io: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(PAGE.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    io.write_all(&encode_response(&head, PAGE)).await?;
    Ok(io.shutdown().await?)
}
