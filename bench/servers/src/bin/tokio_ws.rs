//! tokio-websockets. `poll_next` first flushes whatever is queued, so feeding between
//! reads would write once per message; instead the ready messages are taken first and
//! then fed and flushed together (vectored, zero-copy writes).

use common::{MAX_MESSAGE, option};
use futures::{Sink, Stream};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio_websockets::{Config, Limits, Message, ServerBuilder};

async fn echo(stream: TcpStream) {
    let batch_bytes = option("batch", 128 * 1024);
    let accepted = ServerBuilder::new()
        .config(
            Config::default().frame_size(usize::MAX).flush_threshold(option("write", 128 * 1024)),
        )
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)))
        .accept(stream)
        .await;
    let Ok((_, mut ws)) = accepted else { return };
    let mut batch: Vec<Message> = Vec::new();
    loop {
        let mut bytes = 0;
        let open = poll_fn(|cx| {
            loop {
                match Pin::new(&mut ws).poll_next(cx) {
                    Poll::Ready(Some(Ok(m))) => {
                        if m.is_text() || m.is_binary() {
                            bytes += m.as_payload().len();
                            batch.push(m);
                            if batch.len() >= 32 || bytes >= batch_bytes {
                                return Poll::Ready(true);
                            }
                        }
                    }
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending if batch.is_empty() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(true),
                }
            }
        })
        .await;
        if !open {
            return;
        }
        for m in batch.drain(..) {
            if poll_fn(|cx| Pin::new(&mut ws).poll_ready(cx)).await.is_err()
                || Pin::new(&mut ws).start_send(m).is_err()
            {
                return;
            }
        }
        if poll_fn(|cx| Pin::new(&mut ws).poll_flush(cx)).await.is_err() {
            return;
        }
    }
}

fn main() {
    common::serve(echo);
}
