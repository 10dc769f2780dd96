//! Another program sends to users, with nothing but what docs/cluster.md says.

use std::time::Duration;

use crate::server::*;
use crate::support::*;

/// A field of protobuf with bytes in it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn note(name: &str, except: Option<&str>, protocol: &str, payload: &str) -> String {
    let payload = [field(1, protocol.as_bytes()), field(2, payload.as_bytes())].concat();
    let except = except.map(|user| field(2, user.as_bytes())).unwrap_or_default();
    let message = [field(1, name.as_bytes()), except, field(3, &payload)].concat();
    let frame = [field(1, b"sixteen bytes :)"), field(5, &message)].concat();
    String::from_utf8([vec![1, 0], frame].concat()).unwrap()
}

#[tokio::test]
async fn another_program_sends_to_users_rooms_and_all() {
    let server = RedisServer::start().await;
    let node = server.node("a", 1).await;
    let log = Log::default();
    let [ann, _bob] = [client(&node, "ann", &log).await, client(&node, "bob", &log).await];
    ann.send("join", &"lobby".to_owned()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let publish = async |channel: &str, message: String| {
        server.command(&["PUBLISH", channel, &message]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        log.sorted()
    };
    let json = "wse-default-json";
    assert_eq!(publish("wse:all", note("note", None, json, "\"1\"")).await, ["ann 1", "bob 1"]);
    assert_eq!(publish("wse:user/bob", note("note", None, json, "\"2\"")).await, ["bob 2"]);
    assert_eq!(publish("wse:room/lobby", note("note", None, json, "\"3\"")).await, ["ann 3"]);
    let but_ann = note("note", Some("ann"), json, "\"4\"");
    assert_eq!(publish("wse:all", but_ann).await, ["bob 4"]);
    // Nothing that these clients can read, and a name that is the protocol's own.
    assert!(publish("wse:all", note("note", None, "wse-cbor", "x")).await.is_empty());
    assert!(publish("wse:all", note("~wse:hi", None, json, "1")).await.is_empty());
    assert!(publish("wse:elsewhere", note("note", None, json, "\"5\"")).await.is_empty());
    assert_eq!(ann.status(), wse::Status::Ready);
}
