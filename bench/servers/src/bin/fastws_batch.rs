//! fastwebsockets, batched: after the hyper upgrade the plain TcpStream is taken back
//! (no boxed I/O), split with the `unstable-split` feature, written through a
//! BufWriter, and flushed only when the next read would wait.

use common::{MAX_MESSAGE, option, poll_once};
use fastwebsockets::{
    FragmentCollectorRead, Frame, OpCode, Role, WebSocket, WebSocketError, after_handshake_split,
    upgrade,
};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use std::task::Poll;
use tokio::io::BufWriter;
use tokio::net::TcpStream;

async fn client(fut: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let ws: WebSocket<TokioIo<hyper::upgrade::Upgraded>> = fut.await?;
    let parts = ws.into_inner().into_inner().downcast::<TokioIo<TcpStream>>().expect("a TcpStream");
    assert!(parts.read_buf.is_empty());
    let (r, w) = parts.io.into_inner().into_split();
    let (mut rx, mut tx) = after_handshake_split(
        r,
        BufWriter::with_capacity(option("write", 128 * 1024), w),
        Role::Server,
    );
    rx.set_max_message_size(MAX_MESSAGE + 1);
    let mut rx = FragmentCollectorRead::new(rx);
    let mut dirty = false;
    // The load generator sends neither pings nor closes, so nothing is owed.
    let mut owed = |_: Frame<'_>| async { Err::<(), _>(WebSocketError::ConnectionClosed) };
    loop {
        let frame = {
            let mut read = pin!(rx.read_frame(&mut owed));
            match poll_once(&mut read).await {
                Poll::Ready(f) => f?,
                Poll::Pending => {
                    if dirty {
                        tx.flush().await?;
                        dirty = false;
                    }
                    read.await?
                }
            }
        };
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                tx.write_frame(frame).await?;
                dirty = true;
            }
            _ => {}
        }
    }
}

async fn on_request(mut req: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, fut) = upgrade::upgrade(&mut req)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = client(fut).await;
    }));
    Ok(response)
}

async fn serve(stream: TcpStream) {
    let io = TokioIo::new(stream);
    let _ =
        http1::Builder::new().serve_connection(io, service_fn(on_request)).with_upgrades().await;
}

fn main() {
    common::serve(serve);
}
