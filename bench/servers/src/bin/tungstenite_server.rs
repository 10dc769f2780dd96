//! tokio-tungstenite with a hand-made loop for broadcasts: a queue for each connection, whose task takes what
//! waits and flushes it together. With its message shared (`Utf8Bytes`) and 4 KiB buffers, which suit these.
//! `tls=1` listens for `wss://`, through tokio-rustls.

use common::{news, option};
use futures::{Sink, Stream};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig};

type Everybody = Arc<Mutex<Vec<UnboundedSender<Message>>>>;

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, everybody: Everybody) {
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(4096);
    let Ok(mut ws) = accept_async_with_config(io, Some(config)).await else { return };
    let (sender, mut queue) = unbounded_channel();
    everybody.lock().unwrap().push(sender);
    let news = Utf8Bytes::from(news());
    let mut next: Option<Message> = None;
    poll_fn(|cx| {
        loop {
            match Pin::new(&mut ws).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if message.is_text() {
                        for one in everybody.lock().unwrap().iter() {
                            let _ = one.send(Message::Text(news.clone()));
                        }
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        loop {
            if next.is_none() {
                match queue.poll_recv(cx) {
                    Poll::Ready(Some(message)) => next = Some(message),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            if ready!(Pin::new(&mut ws).poll_ready(cx)).is_err()
                || Pin::new(&mut ws).start_send(next.take().unwrap()).is_err()
            {
                return Poll::Ready(());
            }
        }
        match Pin::new(&mut ws).poll_flush(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

fn main() {
    let everybody = Everybody::default();
    let acceptor = (option("tls", 0) == 1).then(|| TlsAcceptor::from(common::rustls_config()));
    common::serve(move |stream| {
        let (everybody, acceptor) = (everybody.clone(), acceptor.clone());
        async move {
            match acceptor {
                None => serve(stream, everybody).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, everybody).await;
                    }
                }
            }
        }
    });
}
