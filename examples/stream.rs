//! Shows one message of any length, echoed through a WebSocket in little memory. It needs no crate of this project but
//! wse-transport.
//!
//! Client and server are in this process, over TCP. The client streams a single binary message in
//! fragments of 64 KiB, the server sends each piece back as it comes, and the client checks what returns.
//! Neither side ever holds the whole message.
//!
//! `cargo run --release --example stream -- 64` (the default is 1024 MiB) prints:
//!
//! ```text
//! 64 MiB came back in 2034 pieces
//! peak memory of both ends together: 9 MiB
//! ```

use std::error::Error;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use wse_transport::ws::{self, Config, Frame, Limits, Opcode};

const FRAGMENT: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mib: usize = std::env::args().nth(1).map_or(Ok(1024), |it| it.parse())?;
    let fragments = mib * (1 << 20) / FRAGMENT;
    // The message is never assembled, so its length costs nothing.
    let config = Config::default().limits(Limits::unlimited());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let server = tokio::spawn(async move {
        let (io, _) = wse_transport::accept_tcp(&listener).await;
        let (mut socket, _) = wse_transport::accept(io, config).await?;
        let (mut write, mut read) = socket.frames().split();
        while let Some(frame) = read.next().await {
            let frame = frame?;
            match frame.opcode {
                // The WebSocket has answered it already.
                Opcode::Ping | Opcode::Pong | Opcode::Close => {}
                _ => write.send(frame).await?,
            }
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });

    let (mut socket, _) = wse_transport::connect(&url, config).await?;
    let (mut write, mut read) = socket.frames().split();
    let sending = async {
        for index in 0..fragments {
            let opcode = if index == 0 { Opcode::Binary } else { Opcode::Continuation };
            let fin = index + 1 == fragments;
            write.send(Frame { fin, ..Frame::new(opcode, fragment(index)) }).await?;
        }
        Ok::<_, ws::Error>(())
    };
    let receiving = async {
        let (mut bytes, mut pieces) = (0, 0_u64);
        while let Some(frame) = read.next().await.transpose()? {
            let mut payload = &frame.payload[..];
            while !payload.is_empty() {
                let (index, at) = (bytes / FRAGMENT, bytes % FRAGMENT);
                let here = payload.len().min(FRAGMENT - at);
                assert_eq!(payload[..here], fragment(index)[at..at + here], "fragment {index}");
                payload = &payload[here..];
                bytes += here;
            }
            pieces += 1;
            if frame.fin {
                break;
            }
        }
        Ok::<_, ws::Error>((bytes, pieces))
    };
    let ((), (bytes, pieces)) = futures::try_join!(sending, receiving)?;
    println!("{} MiB came back in {pieces} pieces", bytes >> 20);
    drop((write, read));
    SinkExt::close(&mut socket).await?;
    server.await?.map_err(|error| error.to_string())?;
    match peak_memory() {
        Some(kib) => println!("peak memory of both ends together: {} MiB", kib.div_ceil(1024)),
        None => println!("peak memory is not known on this system"),
    }
    Ok(())
}

/// The fragment of the message with this index.
fn fragment(index: usize) -> Vec<u8> {
    vec![index as u8 ^ (index >> 8) as u8; FRAGMENT]
}

/// The most memory that this process has ever had, in KiB (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
