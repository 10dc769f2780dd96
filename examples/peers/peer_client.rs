//! Judges an echo server of another library: `cargo run --example peer_client -- ws://127.0.0.1:9001`.
//!
//! The server sends each message back, as text or binary as it came. The text `close` makes it close with 4001 `bye`, and
//! `split`, if it can, send the text `é` in two frames, split inside the character. `--without NAME` leaves a check out that the
//! server cannot pass; `--not-empty` sends it no empty compressed message. It prints one line for each check: `ok NAME`, a note
//! behind it, or `failed NAME: CAUSE`.

use std::error::Error;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::time::timeout;
use wse_transport::dial::NetStream;
use wse_transport::ws::{
    CloseCode, CloseFrame, Config, Deflate, Frame, Limits, Message, Opcode, ProtocolError,
    WebSocket,
};

type Outcome = Result<String, Box<dyn Error>>;
type Socket = WebSocket<NetStream>;

const USAGE: &str = "usage: peer_client URL [--without NAME]... [--not-empty]";
const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or(USAGE)?;
    let mut without = Vec::new();
    let mut empty = true;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--without" => without.extend(args.next()),
            "--not-empty" => empty = false,
            _ => return Err(USAGE.into()),
        }
    }
    let mut failed = false;
    for name in ["sizes", "1MiB", "+1", "5MiB", "ping", "theirs", "ours", "deflate", "split"] {
        if without.iter().any(|it| it == name) {
            continue;
        }
        let outcome = timeout(SOON, check(name, &url, empty)).await;
        match outcome.unwrap_or_else(|_| Err("nothing came within 15 s".into())) {
            Ok(note) => println!("{}", format!("ok {name} {note}").trim_end()),
            Err(error) => {
                println!("failed {name}: {error}");
                failed = true;
            }
        }
    }
    if failed { Err("the peer failed".into()) } else { Ok(()) }
}

async fn check(name: &str, url: &str, empty: bool) -> Outcome {
    let raised = Limits::default().max_message(5 * MIB);
    let deflate = Deflate::default().threshold(0).takeover(true).peer_takeover(true);
    let config = match name {
        "5MiB" => Config::default().limits(raised),
        "deflate" => Config::default().deflate(Some(deflate)),
        _ => Config::default(),
    };
    let (mut socket, response) = wse_transport::connect(url, config).await?;
    let negotiated = response.headers().get("sec-websocket-extensions");
    let note = match name {
        "sizes" => {
            for len in [0, 1, 125, 126, 65_535, 65_536] {
                echo(&mut socket, Message::binary(vec![7; len])).await?;
                echo(&mut socket, Message::text("x".repeat(len))).await?;
            }
            echo(&mut socket, Message::text("grüße 😀 ".repeat(1000))).await?;
            String::new()
        }
        "1MiB" => echo(&mut socket, Message::binary(vec![7; MIB])).await?,
        // Its echo exceeds the limit of this side.
        "+1" => return too_big(socket).await,
        "5MiB" => echo(&mut socket, Message::binary(vec![7; 5 * MIB])).await?,
        "ping" => {
            socket.send(Message::Ping("are you there?".into())).await?;
            match socket.next().await.transpose()? {
                Some(Message::Pong(payload)) if payload == "are you there?" => String::new(),
                other => return Err(format!("{other:?} instead of a pong").into()),
            }
        }
        "theirs" => {
            socket.send(Message::text("close")).await?;
            let expected = Message::Close(Some(CloseFrame::new(CloseCode(4001), "bye")));
            match socket.next().await.transpose()? {
                Some(close) if close == expected => return end(socket, "4001").await,
                other => return Err(format!("{other:?} instead of a close frame").into()),
            }
        }
        "ours" => {
            socket.close(Some(CloseFrame::new(CloseCode(4002), "done")));
            return end(socket, "").await;
        }
        "deflate" => {
            let Some(agreed) = negotiated else {
                return Err("compression was not agreed on".into());
            };
            let agreed = agreed.to_str()?.trim_start_matches("permessage-deflate").to_owned();
            for times in [0, 1, 5000, 0, 5000] {
                if times > 0 || empty {
                    let text = "all work and no play ".repeat(times);
                    echo(&mut socket, Message::text(text)).await?;
                }
            }
            agreed.trim_start_matches([';', ' ']).to_owned()
        }
        _ => split(&mut socket).await?,
    };
    socket.close(None);
    end(socket, "").await?;
    Ok(note)
}

async fn echo(socket: &mut Socket, message: Message) -> Outcome {
    socket.send(message.clone()).await?;
    match socket.next().await.transpose()? {
        Some(back) if back == message => Ok(String::new()),
        Some(Message::Close(frame)) => Err(format!("it was closed with {frame:?}").into()),
        _ => Err("another message came back".into()),
    }
}

/// A text whose pieces end inside characters, there and back.
async fn split(socket: &mut Socket) -> Outcome {
    let text = "grüße 😀 ".as_bytes();
    let last = text.len() - 1;
    for (n, byte) in text.iter().enumerate() {
        let opcode = if n == 0 { Opcode::Text } else { Opcode::Continuation };
        let frame = Frame { fin: n == last, ..Frame::new(opcode, vec![*byte]) };
        socket.frames().send(frame).await?;
    }
    match socket.next().await.transpose()? {
        Some(Message::Text(back)) if back.as_str().as_bytes() == text => {}
        other => return Err(format!("{other:?} came back").into()),
    }
    socket.send(Message::text("split")).await?;
    match socket.next().await.transpose()? {
        Some(Message::Text(back)) if back.as_str() == "é" => Ok("both ways".to_owned()),
        Some(Message::Text(back)) if back.as_str() == "split" => Ok("there".to_owned()),
        other => Err(format!("{other:?} came instead of a split text").into()),
    }
}

async fn too_big(mut socket: Socket) -> Outcome {
    socket.send(Message::binary(vec![7; MIB + 1])).await?;
    let error = match socket.next().await {
        Some(Err(wse_transport::ws::Error::Protocol(error))) => error,
        other => return Err(format!("{other:?} instead of an error").into()),
    };
    match error {
        ProtocolError::FrameTooBig { .. } | ProtocolError::MessageTooBig { .. } => {}
        other => return Err(format!("{other} instead of a message that is too big").into()),
    }
    while socket.next().await.is_some() {}
    Ok("1009".to_owned())
}

/// Waits for the end, and notes how the peer has ended the connection if there is nothing else to note.
async fn end(mut socket: Socket, note: &str) -> Outcome {
    let mut end = "FIN alone".to_owned();
    while let Some(message) = socket.next().await {
        if let Message::Close(frame) = message? {
            end = frame.map_or("no code".to_owned(), |frame| frame.code.to_string());
        }
    }
    Ok(if note.is_empty() { end } else { note.to_owned() })
}
