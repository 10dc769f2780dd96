//! What a call costs without anything but a WebSocket (ours) and serde: the array is read, the sum written.
//! No sessions, no handlers, no queues, no limits: the least that answers these calls.

use common::Add;
use futures::{SinkExt, StreamExt};
use std::future::poll_fn;
use std::task::{Poll, ready};
use tokio::net::TcpStream;
use wse_transport::ws::{self, Config, Message, Text};

fn answer(call: &str) -> Option<Message> {
    if call.starts_with(r#"["~wse:hi""#) {
        return Some(Message::text(r#"["~wse:welcome",null,null]"#));
    }
    let (_, Add { a, b }, stamp): (&str, Add, &str) = serde_json::from_str(call).ok()?;
    let answer = serde_json::to_vec(&("~wse:response", a + b, stamp)).ok()?;
    Some(Message::Text(Text::try_from(bytes::Bytes::from(answer)).ok()?))
}

async fn serve(stream: TcpStream) {
    let Ok((mut socket, _)) = ws::accept(stream, Config::default()).await else { return };
    poll_fn(|cx| {
        loop {
            if ready!(socket.poll_ready_unpin(cx)).is_err() {
                return Poll::Ready(());
            }
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Message::Text(call)))) => {
                    let Some(answer) = answer(&call) else { return Poll::Ready(()) };
                    if socket.start_send_unpin(answer).is_err() {
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
    common::serve(serve);
}
