//! Ours, through the public `Stream` and `Sink` of messages, with its default settings but for the largest
//! message. What has arrived is answered, then flushed together.

use common::MAX_MESSAGE;
use futures::{SinkExt, StreamExt};
use std::future::poll_fn;
use std::task::{Poll, ready};
use tokio::net::TcpStream;
use wse_transport::ws::{self, Config, Limits, Message};

async fn echo(stream: TcpStream) {
    let config = Config::default().limits(Limits::default().max_message(MAX_MESSAGE));
    let Ok((mut socket, _)) = ws::accept(stream, config).await else { return };
    poll_fn(|cx| {
        loop {
            if ready!(socket.poll_ready_unpin(cx)).is_err() {
                return Poll::Ready(());
            }
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => {
                    if socket.start_send_unpin(message).is_err() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    let _ = ready!(socket.poll_flush_unpin(cx));
                    return Poll::Pending;
                }
            }
        }
    })
    .await;
}

fn main() {
    common::serve(echo);
}
