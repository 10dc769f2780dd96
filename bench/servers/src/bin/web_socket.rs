//! web-socket over BufReader/BufWriter, flushed when the read buffer is empty. The
//! library does not check UTF-8; `send` takes a `&str`, so the echo checks it.

use common::{MAX_MESSAGE, option};
use tokio::io::{BufReader, BufWriter};
use tokio::net::TcpStream;
use web_socket::{DataType, Event, MessageType, WebSocket};

async fn run(mut stream: TcpStream) -> std::io::Result<()> {
    common::handshake(&mut stream).await?;
    let io = BufReader::with_capacity(
        option("read", 128 * 1024),
        BufWriter::with_capacity(option("write", 128 * 1024), stream),
    );
    let mut ws = WebSocket::server(io);
    ws.max_payload_len = MAX_MESSAGE;
    loop {
        match ws.recv().await? {
            Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                let text =
                    std::str::from_utf8(&data).map_err(|_| std::io::ErrorKind::InvalidData)?;
                ws.send(text).await?;
            }
            Event::Data { ty: DataType::Complete(MessageType::Binary), data } => {
                ws.send(&*data).await?
            }
            Event::Data { .. } => return Ok(()), // fragments: not sent by the load generator
            Event::Ping(data) => ws.send_pong(data).await?,
            Event::Pong(_) => {}
            Event::Error(_) | Event::Close { .. } => return Ok(()),
        }
        if ws.stream.buffer().is_empty() {
            ws.flash().await?;
        }
    }
}

fn main() {
    common::serve(|s| async {
        let _ = run(s).await;
    });
}
