//! Shows a WebSocket server as a loop over raw frames. It needs no crate of this project but wse-transport.
//!
//! The handshake, each frame and the close are in this file, to be changed. It does not check what a
//! `WebSocket` checks: UTF-8, fragments, limits of messages, deadlines.
//!
//! ```text
//! $ cargo run --example low_level -- 127.0.0.1:4200
//! listening on ws://127.0.0.1:4200
//! text "hi", bits [0, 0, 0]
//! 0 bytes with opcode 10
//! closed
//! ```
//!
//! The last three lines are printed for a client that sends `hi` and closes: its text, its pong, its close.

use std::error::Error;

use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, FramedParts};
use wse_transport::accept_tcp;
use wse_transport::handshake::{
    HandshakeError, HeadLimits, Upgrade, read_request, write_rejection, write_response,
};
use wse_transport::ws::{CloseCode, Opcode, RawCodec, RawFrame, close_payload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (io, peer) = accept_tcp(&listener).await;
        tokio::spawn(async move {
            if let Err(error) = serve(io).await {
                eprintln!("{peer}: {error:#}");
            }
        });
    }
}

async fn serve(mut io: TcpStream) -> Result<(), Box<dyn Error>> {
    let (request, leftover) = read_request(&mut io, &HeadLimits::default()).await?;
    let upgrade = match Upgrade::from_request(&request) {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            write_rejection(&mut io, &rejection).await?;
            return Err(HandshakeError::Rejected(rejection).into());
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-powered-by", HeaderValue::from_static("frames"));
    write_response(&mut io, &upgrade.response(None, &headers)?).await?;

    // The bytes after the request are the first frames.
    let mut parts = FramedParts::new::<RawFrame>(io, RawCodec::default());
    parts.read_buf = leftover;
    let mut frames = Framed::from_parts(parts);
    frames.send(RawFrame::new(Opcode::Ping.bits(), "")).await?;
    frames.send(RawFrame::new(Opcode::Text.bits(), "Hello from the frames.")).await?;

    while let Some(frame) = frames.next().await {
        let frame = frame?;
        if frame.mask.is_none() {
            let payload = close_payload(CloseCode::PROTOCOL_ERROR, "frame was not masked", b"");
            frames.send(RawFrame::new(Opcode::Close.bits(), payload)).await?;
            break;
        }
        let bits = [frame.rsv1, frame.rsv2, frame.rsv3].map(u8::from);
        match frame.known_opcode() {
            Ok(Opcode::Text) => {
                println!("text {:?}, bits {bits:?}", String::from_utf8_lossy(&frame.payload));
                frames.send(RawFrame::new(Opcode::Text.bits(), frame.payload)).await?;
            }
            Ok(Opcode::Ping) => {
                frames.send(RawFrame::new(Opcode::Pong.bits(), frame.payload)).await?;
            }
            Ok(Opcode::Close) => {
                println!("closed");
                frames.send(RawFrame::new(Opcode::Close.bits(), frame.payload)).await?;
                break;
            }
            Ok(Opcode::Binary | Opcode::Pong | Opcode::Continuation) => {
                println!("{} bytes with opcode {}", frame.payload.len(), frame.opcode);
            }
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}
