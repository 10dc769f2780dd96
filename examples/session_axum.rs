//! Shows a session over the WebSocket of axum, driven by `session/mod.rs`. At the other end is a client of this crate.
//!
//! `cargo run --example session_axum` prints:
//!
//! ```text
//! server greeted by ann
//! client welcome: hi, ann
//! server note: good morning
//! server called: Europe/Lisbon
//! client has the receipt
//! client called: QUIET
//! client called in vain: the peer answered with a fault: wse.server.rp.not-registered
//! client news: it is late in Europe/Lisbon
//! client pings were answered: true
//! server closed: 1000 wse.by-client; pings were answered: true
//! ```

#[allow(dead_code)] // the other example uses the rest
mod session;

use std::future::ready;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use session::{App, Failure, Frame, Handle, drive};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wse::session::{Close, Event, Session, SessionLimits};
use wse::{Client, CodecError, Decode, Encode, ErrorCode, Fault, Heartbeat, Hi, JsonArray};
use wse::{JsonFormat, Liveness, Protocol};

/// So that a short program sees some pings.
const OFTEN: Heartbeat = Heartbeat::fixed(Duration::from_millis(20), Duration::from_secs(5));

/// How a connection ended, and what was known of the peer.
type End = (Close, Option<Liveness>);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/chat", listener.local_addr()?);
    let (tell, mut ended) = mpsc::channel(1);
    let app = Router::new().route("/chat", any(chat)).with_state(tell);
    let server = tokio::spawn(async { axum::serve(listener, app).await });
    let (told, mut news) = mpsc::channel(1);
    let client = Client::builder(JsonArray, url)
        .identity("ann".to_owned())
        .heartbeat(OFTEN)
        .procedure("time zone", |_, (): ()| async move { wse::Ok("Europe/Lisbon".to_owned()) })
        .on("news", move |_, text: String| {
            let told = told.clone();
            async move { told.send(text).await }
        })
        .connect()
        .await?;
    println!("client welcome: {}", client.welcome::<String>()?);
    client.send_acked("note", "good morning").await?;
    println!("client has the receipt");
    println!("client called: {}", client.call::<_, String>("shout", "quiet").await?);
    if let Err(error) = client.call::<_, String>("whisper", "").await {
        println!("client called in vain: {error}");
    }
    println!("client news: {}", news.recv().await.unwrap_or_default());
    tokio::time::sleep(Duration::from_millis(200)).await;
    println!("client pings were answered: {}", client.liveness().is_some_and(|it| it.pongs > 1));
    client.close();
    client.closed().await;
    if let Some((close, liveness)) = ended.recv().await {
        let answered = liveness.is_some_and(|it| it.pongs > 1);
        println!("server closed: {close}; pings were answered: {answered}");
    }
    server.abort();
    Ok(())
}

async fn chat(State(tell): State<mpsc::Sender<End>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(JsonArray.info().subprotocol()).max_message_size(1 << 20).on_upgrade(
        async move |socket| {
            let _ = tell.send(serve(socket).await).await;
        },
    )
}

async fn serve(socket: WebSocket) -> End {
    let (outgoing, incoming) = socket.split();
    let incoming = incoming.scan((), |(), message| ready(message.ok()));
    let incoming = incoming.filter_map(|message| ready(from_axum(message)));
    let outgoing = outgoing.with(|frame| ready(to_axum(frame)));

    let deadline = Some(Duration::from_secs(10));
    let session = Session::server(JsonArray.info(), deadline, SessionLimits::default())
        .with_heartbeat(OFTEN, None, Duration::ZERO, 0.5);
    let (commands, does) = mpsc::channel(16);
    let driven = drive(JsonArray, session, Chat, does, incoming, outgoing);
    let talk = async {
        let client = Handle { format: JsonFormat, commands };
        let zone: String = client.call("time zone", &()).await?;
        println!("server called: {zone}");
        client.send("news", &format!("it is late in {zone}")).await
    };
    let (end, talk) = tokio::join!(driven, talk);
    if let Err(error) = talk {
        println!("server failed: {error}");
    }
    end
}

/// What the driver gets of a message. axum answers pings by itself.
fn from_axum(message: Message) -> Option<Frame> {
    Some(match message {
        Message::Text(text) => Frame::Text(text.into()),
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Ping(_) => return None,
        Message::Pong(payload) => Frame::Pong(payload),
        Message::Close(frame) => {
            Frame::Close(frame.map(|frame| (frame.code, frame.reason.to_string())))
        }
    })
}

fn to_axum(frame: Frame) -> Result<Message, axum::Error> {
    Ok(match frame {
        Frame::Text(bytes) => Message::Text(Utf8Bytes::try_from(bytes).map_err(axum::Error::new)?),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Ping(payload) => Message::Ping(payload),
        Frame::Pong(payload) => Message::Pong(payload),
        Frame::Close(frame) => {
            Message::Close(frame.map(|(code, reason)| CloseFrame { code, reason: reason.into() }))
        }
    })
}

/// How the server handles messages.
struct Chat;

impl App for Chat {
    fn greeted(&mut self, hi: &Hi) -> Option<Bytes> {
        let identity: String = JsonFormat.decode(&hi.identity).ok()?;
        println!("server greeted by {identity}");
        encoded(&format!("hi, {identity}")).ok()
    }

    fn message(&mut self, name: &str, payload: Bytes) {
        let text: Result<String, _> = JsonFormat.decode(&payload);
        println!("server {name}: {}", text.unwrap_or_else(|error| error.to_string()));
    }

    fn call(&mut self, name: &str, payload: Bytes) -> Result<Bytes, Fault> {
        let text: Result<String, _> = JsonFormat.decode(&payload);
        let text = text.map_err(|_| Fault::new(ErrorCode::InvalidPayload))?;
        match name {
            "shout" => {
                encoded(&text.to_uppercase()).map_err(|error| Fault::failed(error.to_string()))
            }
            _ => Err(Fault::new(ErrorCode::NotRegistered)),
        }
    }

    fn other(&mut self, event: Event) {
        println!("server {event:?}");
    }
}

fn encoded(text: &str) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::new();
    JsonFormat.encode(text, &mut out)?;
    Ok(out.freeze())
}
