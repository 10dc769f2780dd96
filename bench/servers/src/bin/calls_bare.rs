//! What a call costs with nothing but the WebSocket of wse-transport and serde: the array is read, the sum written.
//! No sessions, no handlers, no queues, no limits: the least that answers these calls.

use bytes::Bytes;
use common::Add;
use wse_transport::ws::{Config, Message, Utf8Bytes};

fn answer(call: Message) -> Option<Message> {
    let Message::Text(call) = call else { return None };
    if call.starts_with(r#"["~wse:hi""#) {
        return Some(Message::text(r#"["~wse:welcome",null,null]"#));
    }
    let (_, Add { a, b }, stamp): (&str, Add, &str) = serde_json::from_str(&call).ok()?;
    let answer = serde_json::to_vec(&("~wse:response", a + b, stamp)).ok()?;
    Some(Message::Text(Utf8Bytes::try_from(Bytes::from(answer)).ok()?))
}

fn main() {
    common::serve(|stream| common::websocket(stream, Config::default(), answer));
}
