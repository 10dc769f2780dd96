//! The WebSocket of wse-transport, through its public `Stream` and `Sink` of messages, with its default settings but
//! for the largest message. What has arrived is answered, then flushed together. `deflate=LEVEL` compresses, `takeover=1`
//! with the windows kept from message to message.

use common::{MAX_MESSAGE, option};
use tokio::net::TcpStream;
use wse_transport::ws::{Config, Deflate, Limits, Message};

/// No `async fn`, whose task would be larger.
fn echo(stream: TcpStream) -> impl Future<Output = ()> {
    let config = Config::default().limits(Limits::default().max_message(MAX_MESSAGE));
    let config = match option("deflate", 0) {
        0 => config,
        level => config.deflate(Some(
            Deflate::default().level(level as u8).takeover(option("takeover", 0) == 1),
        )),
    };
    let back =
        |message| matches!(message, Message::Text(_) | Message::Binary(_)).then_some(message);
    common::websocket(stream, config, back)
}

fn main() {
    common::serve(echo);
}
