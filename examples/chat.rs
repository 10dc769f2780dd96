//! Shows a chat on the command line: a server, and clients that reconnect and queue what is typed meanwhile.
//!
//! ```text
//! $ cargo run --example chat -- serve 127.0.0.1:4200
//! listening on ws://127.0.0.1:4200
//!
//! $ cargo run --example chat -- join ws://127.0.0.1:4200 ann
//! here: ann
//! bob: *joined*
//! bob: good morning
//! ```

use std::io::{self, BufRead};
use std::process::ExitCode;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wse::{Accept, Backoff, Client, Close, Hello, JsonArray, Refuse, Server, ServerEvent};

#[derive(Serialize, Deserialize)]
struct Said {
    by: String,
    text: String,
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With its causes.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", addr] => serve(addr).await,
        ["join", url, name] => join(url, name).await,
        _ => Err("usage: chat serve HOST:PORT | chat join URL NAME".into()),
    }
}

async fn serve(addr: &str) -> Result<(), Failure> {
    let server = Server::builder(JsonArray)
        .connections_per_user(3)
        .identify(|hello: Hello<String>| async move {
            if hello.identity.trim().is_empty() {
                return Err(Refuse::with(Close::new(4022, "say who you are")));
            }
            Ok(Accept::user(hello.identity))
        })
        .on("say", |conn, text: String| async move {
            // To all users; the speaker's other devices get it too.
            let said = Said { by: conn.user_id().to_owned(), text };
            conn.server().all().send("said", &said).map(drop)
        })
        .procedure("who", |conn, (): ()| async move {
            let users = conn.server().users();
            let mut names: Vec<_> = users.iter().map(|user| user.id().to_owned()).collect();
            names.sort();
            wse::Ok(names)
        })
        .build();

    let mut events = server.events();
    println!("listening on ws://{}", server.listen(addr).await?);
    while let Some(event) = events.next().await {
        let (by, text) = match &event {
            ServerEvent::Joined(conn) => (conn.user_id(), "*joined*"),
            ServerEvent::Left(user, _) => (user.as_str(), "*left*"),
            _ => continue,
        };
        server
            .all()
            .except_user(by)
            .send("said", &Said { by: by.to_owned(), text: text.to_owned() })?;
    }
    Ok(())
}

async fn join(url: &str, name: &str) -> Result<(), Failure> {
    let client = Client::builder(JsonArray, url)
        .identity(name.to_owned())
        .reconnect(Backoff::default())
        .offline_queue(100)
        .on("said", |_, Said { by, text }: Said| async move { println!("{by}: {text}") })
        .connect()
        .await?;
    let names: Vec<String> = client.call("who", &()).await?;
    println!("here: {}", names.join(", "));

    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        client.send("say", &line)?;
    }
    // Messages are handled in order: with this answer, the server has all that was sent before.
    let _: Vec<String> = client.call("who", &()).await?;
    client.close();
    client.closed().await;
    Ok(())
}

/// Standard input, read by a thread of its own.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}
