//! A bare WebSocket server that sends each message back, for the Autobahn conformance suite and the interop tests.
//!
//!     cargo run --example echo_server -- --addr 127.0.0.1:9001 --threads 1
//!
//! Flags: `--addr HOST:PORT` (default 127.0.0.1:0, any free port), `--max-message BYTES`,
//! `--max-fragments N`, `--threads N` (default: one per core), `--deflate` (agrees to compression), `--commands` (the text
//! `close` is answered by a close frame, 4001 `bye`; `split` by the text `é` in two frames, split inside the character).

use std::{env, error::Error, process::exit, str::FromStr};

use futures::{SinkExt, StreamExt, future::poll_immediate};
use tokio::net::{TcpListener, TcpStream};
use wse_transport::ws::{CloseCode, CloseFrame, Config, Deflate, Frame, Limits, Message, Opcode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = String::from("127.0.0.1:0");
    let mut limits = Limits::default();
    let mut deflate = None;
    let mut threads = None;
    let mut commands = false;
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--addr" => addr = parse(args.next()),
            "--max-message" => limits = limits.max_message(parse(args.next())),
            "--max-fragments" => limits = limits.max_fragments(parse(args.next())),
            "--threads" => threads = Some(parse(args.next())),
            "--commands" => commands = true,
            // All of it, for the conformance suite.
            "--deflate" => {
                deflate = Some(Deflate::default().threshold(0).takeover(true).peer_takeover(true));
            }
            _ => usage(),
        }
    }

    let mut runtime = match threads {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = threads {
        runtime.worker_threads(threads);
    }
    let config = Config::default().limits(limits).deflate(deflate);
    runtime.enable_all().build()?.block_on(serve(&addr, config, commands))
}

async fn serve(addr: &str, config: Config, commands: bool) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(addr).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = wse_transport::accept_tcp(&listener).await;
        tokio::spawn(async move {
            if let Err(error) = echo(stream, config, commands).await {
                eprintln!("{peer}: {error:#}");
            }
        });
    }
}

async fn echo(stream: TcpStream, config: Config, commands: bool) -> Result<(), Box<dyn Error>> {
    let (mut socket, _) = wse_transport::accept(stream, config).await?;
    // Answers all that has arrived, then writes once. The socket answers pings and closes; after a
    // violation the stream ends.
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Ok(Message::Text(text)) if commands && text.as_str() == "close" => {
                    socket.close(Some(CloseFrame::new(CloseCode(4001), "bye")));
                }
                Ok(Message::Text(text)) if commands && text.as_str() == "split" => {
                    let [first, last] = [&b"\xc3"[..], b"\xa9"];
                    let mut frames = socket.frames();
                    frames.feed(Frame::fragment(Opcode::Text, first)).await?;
                    frames.feed(Frame::new(Opcode::Continuation, last)).await?;
                }
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    socket.feed(message).await?;
                }
                _ => {}
            }
            next = poll_immediate(socket.next()).await.flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

fn parse<T: FromStr>(value: Option<String>) -> T {
    value.and_then(|it| it.parse().ok()).unwrap_or_else(|| usage())
}

fn usage() -> ! {
    eprintln!(
        "usage: echo_server [--addr HOST:PORT] [--max-message BYTES] [--max-fragments N] \
         [--threads N] [--deflate] [--commands]"
    );
    exit(2)
}
