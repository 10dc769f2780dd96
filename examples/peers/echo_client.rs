//! The client for the Autobahn conformance suite: it sends each message of the fuzzing server back.
//!
//!     cargo run --example echo_client -- ws://127.0.0.1:9001
//!
//! The server's URL is the argument or `$AUTOBAHN_URL`. Flags: `--max-message BYTES`,
//! `--max-fragments N`, `--deflate` (offers compression). See tests/autobahn.

use std::{env, error::Error, process::exit, str::FromStr};

use futures::{SinkExt, StreamExt};
use wse_transport::ws::{Config, Deflate, Limits, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut url = env::var("AUTOBAHN_URL").ok();
    let mut limits = Limits::default();
    let mut deflate = None;
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--max-message" => limits = limits.max_message(parse(args.next())),
            "--max-fragments" => limits = limits.max_fragments(parse(args.next())),
            // All of it, for the conformance suite.
            "--deflate" => {
                deflate = Some(Deflate::default().threshold(0).takeover(true).peer_takeover(true));
            }
            _ => url = Some(arg),
        }
    }
    let url: String = parse(url);
    let url = url.trim_end_matches('/');
    let config = Config::default().limits(limits).deflate(deflate);

    let cases = case_count(&format!("{url}/getCaseCount"), config).await?;
    for case in 1..=cases {
        if let Err(error) = echo(&format!("{url}/runCase?case={case}&agent=wse"), config).await {
            eprintln!("case {case}: {error:#}");
        }
    }
    echo(&format!("{url}/updateReports?agent=wse"), config).await
}

async fn case_count(url: &str, config: Config) -> Result<u32, Box<dyn Error>> {
    let (mut socket, _response) = wse_transport::connect(url, config).await?;
    match socket.next().await.transpose()? {
        Some(Message::Text(count)) => Ok(count.parse()?),
        other => Err(format!("no case count but {other:?}").into()),
    }
}

async fn echo(url: &str, config: Config) -> Result<(), Box<dyn Error>> {
    let (mut socket, _response) = wse_transport::connect(url, config).await?;
    while let Some(message) = socket.next().await {
        // Many cases are violations: the stream then ends.
        if let Ok(message @ (Message::Text(_) | Message::Binary(_))) = message {
            socket.send(message).await?;
        }
    }
    Ok(())
}

fn parse<T: FromStr>(value: Option<String>) -> T {
    value.and_then(|it| it.parse().ok()).unwrap_or_else(|| {
        eprintln!("usage: echo_client [--max-message BYTES] [--max-fragments N] [--deflate] URL");
        exit(2)
    })
}
