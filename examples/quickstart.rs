//! Shows a server and its clients in one process, over real sockets on 127.0.0.1: authentication, messages, calls both
//! ways, several devices of one user, broadcasts and events. It runs once for each of three codecs.
//!
//! `cargo run --example quickstart` prints, for each codec:
//!
//! ```text
//! == wse-default-json ==
//! mallory refused: 1000 wse.not-authorized
//! server  ann joined
//! server  ann connected with phone
//! phone   welcome: hi, ann
//! server  ann says: good morning
//! phone   welcome: hello back
//! phone   5 + 3 = 8
//! phone   asked to be asked: you said "fine"
//! server  ann connected with desktop
//! server  sent to 2 devices
//! desktop sync: for all your devices
//! desktop announcement: for everybody
//! phone   sync: for all your devices
//! phone   announcement: for everybody
//! server  ann disconnected: 1000 wse.clients-concurrency
//! server  ann connected with tablet
//! phone   closed: 1000 wse.clients-concurrency
//! server  ann disconnected: 1000 wse.by-client
//! server  ann disconnected: 1001 wse.by-server
//! server  ann left: 1001 wse.by-server
//! tablet  closed: 1001 wse.by-server
//! ```

use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use wse::{Accept, Client, ConnectError, Hello, Refuse, Server, ServerEvent};
use wse::{Cbor, CodecError, JsonArray, Protobuf, Protocol, Speaks};

/// What is sent, by any codec: serde serves JSON and CBOR, prost serves protobuf.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Add {
    #[prost(int64, tag = "1")]
    a: i64,
    #[prost(int64, tag = "2")]
    b: i64,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Device {
    #[prost(string, tag = "1")]
    device: String,
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // The codec is the only thing that differs.
    demo(JsonArray).await?;
    demo(Cbor).await?;
    demo(Protobuf).await?;
    Ok(())
}

async fn demo<P>(protocol: P) -> Result<(), Failure>
where
    P: Protocol + Speaks<Add> + Speaks<Note> + Speaks<Device> + Speaks<String> + Speaks<i64>,
{
    println!("== {} ==", protocol.info().name());

    // A server: which users it accepts, and what it does with their messages.
    let server = Server::builder(protocol.clone())
        .connections_per_user(2)
        .identify(|hello: Hello<String, Device>| async move {
            match hello.identity.strip_prefix("secret of ") {
                Some(user) => Ok(Accept::user(user).welcome(note(&format!("hi, {user}")))),
                None => Err(Refuse::not_authorized()),
            }
        })
        .on("hello", |conn, hello: Note| async move {
            println!("server  {} says: {}", conn.user_id(), hello.text);
            conn.send("welcome", &note("hello back"))
        })
        .procedure("add", |_, Add { a, b }: Add| async move { wse::Ok(a + b) })
        .procedure("ask me", |conn, question: Note| async move {
            // Calls go both ways, also while a call is being answered.
            let answer: String = conn.call("answer", &question).await?;
            wse::Ok(format!("you said {answer:?}"))
        })
        .on_event(|event| match event {
            ServerEvent::Joined(conn) => println!("server  {} joined", conn.user_id()),
            ServerEvent::Connected(conn) => {
                let device = conn.meta::<Device>().map(|meta| meta.device).unwrap_or_default();
                println!("server  {} connected with {device}", conn.user_id());
            }
            ServerEvent::Disconnected(conn, close) => {
                println!("server  {} disconnected: {close}", conn.user_id());
            }
            ServerEvent::Left(user, close) => println!("server  {user} left: {close}"),
            _ => {}
        })
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url().ok_or("not listening")?;

    // A client that the server does not know.
    let refused = Client::builder(protocol.clone(), &url).identity("guess".to_owned()).connect();
    match refused.await {
        Err(ConnectError::Refused(close)) => println!("mallory refused: {close}"),
        other => return Err(format!("not refused: {other:?}").into()),
    }

    // Ann's phone: a welcome, a message and its echo, a call, and a call the other way.
    let phone = device(&protocol, &url, "phone").await?;
    println!("phone   welcome: {}", phone.welcome::<Note>()?.text);
    phone.send("hello", &note("good morning"))?;
    let sum: i64 = phone.call("add", &Add { a: 5, b: 3 }).await?;
    println!("phone   5 + 3 = {sum}");
    let echo: String = phone.call("ask me", &note("how are you?")).await?;
    println!("phone   asked to be asked: {echo}");

    // Her desktop: what is sent to the user reaches both, a broadcast reaches everybody.
    let desktop = device(&protocol, &url, "desktop").await?;
    let reached = server.user("ann").send("sync", &note("for all your devices"))?;
    println!("server  sent to {reached} devices");
    server.all().send("announcement", &note("for everybody"))?;
    settle(&desktop).await?;
    settle(&phone).await?;

    // A third device is one too many: the server closes the oldest connection.
    let tablet = device(&protocol, &url, "tablet").await?;
    if let Some(close) = phone.closed().await {
        println!("phone   closed: {close}");
    }

    // Events are a stream, too.
    let mut events = server.events();
    desktop.close();
    while !matches!(events.next().await, None | Some(ServerEvent::Disconnected(..))) {}
    server.shutdown(Duration::from_secs(5)).await;
    if let Some(close) = tablet.closed().await {
        println!("tablet  closed: {close}\n");
    }
    Ok(())
}

/// One of Ann's devices, which prints what it gets.
async fn device<P>(protocol: &P, url: &str, name: &'static str) -> Result<Client<P>, Failure>
where
    P: Speaks<Note> + Speaks<Device> + Speaks<String>,
{
    let client = Client::builder(protocol.clone(), url)
        .identity("secret of ann".to_owned())
        .meta(Device { device: name.to_owned() })
        .procedure("answer", |_, _question: Note| async move { wse::Ok("fine".to_owned()) })
        .unhandled(move |client, message| async move {
            let Note { text } = client.decode(&message.payload)?;
            println!("{name:7} {}: {text}", message.name);
            Ok::<_, CodecError>(())
        })
        .connect()
        .await?;
    Ok(client)
}

/// Waits until this client has handled all that was sent to it: the answer arrives after all of that.
async fn settle<P: Speaks<Add> + Speaks<i64>>(client: &Client<P>) -> Result<(), Failure> {
    let _: i64 = client.call("add", &Add { a: 0, b: 0 }).await?;
    Ok(())
}

fn note(text: &str) -> Note {
    Note { text: text.to_owned() }
}
