//! Ours, through the public `Stream` and `Sink` of messages, with its default settings but for the largest
//! message. What has arrived is answered, then flushed together. `deflate=LEVEL` compresses, `takeover=1`
//! with the windows kept from message to message.

use common::{MAX_MESSAGE, option};
use futures::{SinkExt, StreamExt};
use std::future::poll_fn;
use std::task::{Poll, ready};
use tokio::net::TcpStream;
use wse_transport::ws::{self, Config, Deflate, Limits, Message};

async fn echo(stream: TcpStream) {
    let config = Config::default().limits(Limits::default().max_message(MAX_MESSAGE));
    let config = match option("deflate", 0) {
        0 => config,
        level => config.deflate(Some(
            Deflate::default().level(level as u8).takeover(option("takeover", 0) == 1),
        )),
    };
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
