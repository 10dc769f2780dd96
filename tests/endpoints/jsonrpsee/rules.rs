//! Peers that break the rules.

use std::collections::BTreeSet;

use futures::{SinkExt, StreamExt};
use jsonrpsee::core::client::{ClientT, SubscriptionClientT};
use jsonrpsee::rpc_params;
use wse_transport::ws::{self, Message};

use super::*;

/// Invalid input from an unknown peer.
struct Row {
    what: &'static str,
    sent: String,
    /// What comes back; of an error its code.
    back: Vec<Value>,
    /// How far `unreadable`, `complaints` and `unknown_answers` go on.
    counted: [u64; 3],
}

fn row(what: &'static str, sent: impl Into<String>, back: Value, counted: [u64; 3]) -> Row {
    let Value::Array(back) = back else { panic!("{what}: not a list of messages") };
    Row { what, sent: sent.into(), back, counted }
}

/// A message without the words of its errors.
fn terse(message: &Value) -> Value {
    match message {
        Value::Array(members) => members.iter().map(terse).collect(),
        Value::Object(members) => {
            assert_eq!(members.get("jsonrpc"), Some(&json!("2.0")), "{message}");
            let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
            match members.get("error") {
                Some(error) => {
                    assert_eq!(names, ["error", "id", "jsonrpc"].into());
                    assert!(
                        error["message"].as_str().is_some_and(|it| !it.is_empty()),
                        "{message}"
                    );
                    json!([members["id"], "error", error["code"]])
                }
                None => {
                    assert_eq!(names, ["id", "jsonrpc", "result"].into());
                    json!([members["id"], members["result"]])
                }
            }
        }
        other => panic!("{other}"),
    }
}

fn call(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"subtract","params":[5,3],"id":{id}}}"#)
}

fn rows() -> Vec<Row> {
    const NOTE: &str = r#"{"jsonrpc":"2.0","method":"note","params":["x"]}"#;
    let parse_error = || json!([[null, "error", -32700]]);
    let invalid = || json!([[null, "error", -32600]]);
    let invalid_call = || json!([[1, "error", -32600]]);
    let batch = |members: &[&str]| format!("[{}]", members.join(","));
    let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let one = call("1");
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|it| call(&it.to_string())).collect();
        format!("[{}]", members.join(","))
    };
    let hundred: Value = (0..100).map(|it| json!([it, 2])).collect();
    vec![
        // Sound, though odd.
        row("an id of 0", call("0"), json!([[0, 2]]), [0; 3]),
        row("a whole float as id", call("1e3"), json!([[1000.0, 2]]), [0; 3]),
        row("an empty id", call(r#""""#), json!([["", 2]]), [0; 3]),
        row("a negative id", call("-7"), json!([[-7, 2]]), [0; 3]),
        row("an id with escapes", call(r#""a\u0000\"b""#), json!([["a\u{0}\"b", 2]]), [0; 3]),
        row("a batch of a hundred", members(100), json!([hundred]), [0; 3]),
        row("a batch of notifications", batch(&[NOTE, NOTE, NOTE]), json!([]), [0; 3]),
        row("an unknown notification", r#"{"jsonrpc":"2.0","method":"foo"}"#, json!([]), [0; 3]),
        row("white space", format!(" \n\r\t[ {one} , {NOTE} ] "), json!([[[1, 2]]]), [0; 3]),
        row(
            "no numbers to add",
            r#"{"jsonrpc":"2.0","method":"sum","params":[],"id":1}"#,
            json!([[1, 0]]),
            [0; 3],
        ),
        row("an id that comes again, later", batch(&[&one]), json!([[[1, 2]]]), [0; 3]),
        // Calls that fail.
        row(
            "an unknown method",
            r#"{"jsonrpc":"2.0","method":"foo","id":"x"}"#,
            json!([["x", "error", -32601]]),
            [0; 3],
        ),
        row(
            "an internal name",
            r#"{"jsonrpc":"2.0","method":"rpc.foo","id":"x"}"#,
            json!([["x", "error", -32601]]),
            [0; 3],
        ),
        row(
            "a name of wse's own",
            r#"{"jsonrpc":"2.0","method":"~wse:hi","params":{"identity":"me"},"id":2}"#,
            json!([[2, "error", -32601]]),
            [0; 3],
        ),
        row(
            "params of the wrong type",
            r#"{"jsonrpc":"2.0","method":"subtract","params":{"minuend":"five"},"id":2}"#,
            json!([[2, "error", -32602]]),
            [0; 3],
        ),
        // Not JSON.
        row("nothing", "", parse_error(), [1, 0, 0]),
        row("words", "hello", parse_error(), [1, 0, 0]),
        row("half an object", r#"{"jsonrpc":"2.0","method":"#, parse_error(), [1, 0, 0]),
        row("half a batch", format!("[{one},"), parse_error(), [1, 0, 0]),
        row("two objects", format!("{one}{one}"), parse_error(), [1, 0, 0]),
        row("a lone surrogate", call(r#""\ud800""#), parse_error(), [1, 0, 0]),
        // No requests.
        row("a number", "1", invalid(), [1, 0, 0]),
        row("null", "null", invalid(), [1, 0, 0]),
        row("an empty object", "{}", invalid(), [1, 0, 0]),
        row("no version", r#"{"method":"sum","id":1}"#, invalid_call(), [1, 0, 0]),
        row("version 1", r#"{"jsonrpc":"1.0","method":"sum","id":1}"#, invalid_call(), [1, 0, 0]),
        row("a version in figures", r#"{"jsonrpc":2.0,"method":"sum"}"#, invalid(), [1, 0, 0]),
        row("no method", r#"{"jsonrpc":"2.0","id":1}"#, invalid_call(), [1, 0, 0]),
        row("method 1", r#"{"jsonrpc":"2.0","method":1,"id":1}"#, invalid_call(), [1, 0, 0]),
        row(
            "params that are a text",
            r#"{"jsonrpc":"2.0","method":"upper","params":"a","id":1}"#,
            invalid_call(),
            [1, 0, 0],
        ),
        row(
            "params that are null",
            r#"{"jsonrpc":"2.0","method":"nothing","params":null,"id":1}"#,
            json!([[1, null]]),
            [0; 3],
        ),
        row(
            "params that are empty",
            r#"{"jsonrpc":"2.0","method":"nothing","params":{},"id":1}"#,
            json!([[1, null]]),
            [0; 3],
        ),
        row(
            "request and response in one",
            r#"{"jsonrpc":"2.0","method":"sum","result":1,"id":1}"#,
            invalid_call(),
            [1, 0, 0],
        ),
        row(
            "result and error in one",
            r#"{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":""},"id":1}"#,
            json!([]),
            [1, 0, 0],
        ),
        row("too deep", format!(r#"{{"jsonrpc":{}}}"#, deep(500)), invalid(), [1, 0, 0]),
        // Ids.
        row("an id of null", call("null"), invalid(), [1, 0, 0]),
        row("a fraction as id", call("1.5"), invalid(), [1, 0, 0]),
        row("an id beyond 64 bits", call("9223372036854775808"), invalid(), [1, 0, 0]),
        row("an id of true", call("true"), invalid(), [1, 0, 0]),
        row("an object as id", call("{}"), invalid(), [1, 0, 0]),
        row(
            "an id twice in a batch",
            batch(&[&one, &one]),
            json!([[[1, 2], [null, "error", -32600]]]),
            [1, 0, 0],
        ),
        row(
            "a number and a text as ids",
            batch(&[&one, &call(r#""1""#)]),
            json!([[[1, 2], ["1", 2]]]),
            [0; 3],
        ),
        // Batches.
        row("an empty batch", " [ ] ", invalid(), [1, 0, 0]),
        row("a batch too large", members(101), invalid(), [1, 0, 0]),
        row("a batch far too large", members(10_000), invalid(), [1, 0, 0]),
        row(
            "a batch of numbers",
            "[1,2]",
            json!([[[null, "error", -32600], [null, "error", -32600]]]),
            [2, 0, 0],
        ),
        row(
            "a batch in a batch",
            batch(&[&batch(&[&one])]),
            json!([[[null, "error", -32600]]]),
            [1, 0, 0],
        ),
        row("a batch too deep", deep(500), invalid(), [1, 0, 0]),
        row(
            "a mixed batch",
            batch(&[
                &one,
                NOTE,
                "1",
                r#"{"jsonrpc":"2.0","method":"foo","id":"2"}"#,
                r#"{"foo":"boo"}"#,
                r#"{"jsonrpc":"2.0","result":1,"id":99}"#,
                r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}"#,
                &call("null"),
            ]),
            json!([[
                [1, 2],
                [null, "error", -32600],
                ["2", "error", -32601],
                [null, "error", -32600],
                [null, "error", -32600],
            ]]),
            [3, 1, 1],
        ),
        // Responses.
        row(
            "a response to nothing",
            r#"{"jsonrpc":"2.0","result":1,"id":99}"#,
            json!([]),
            [0, 0, 1],
        ),
        row(
            "an error to nothing",
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"no"},"id":"99"}"#,
            json!([]),
            [0, 0, 1],
        ),
        row(
            "a batch of responses",
            batch(&[
                r#"{"jsonrpc":"2.0","result":1,"id":1}"#,
                r#"{"jsonrpc":"2.0","result":1,"id":2}"#,
            ]),
            json!([]),
            [0, 0, 2],
        ),
        row(
            "an error without id",
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}"#,
            json!([]),
            [0, 1, 0],
        ),
        row("a result without id", r#"{"jsonrpc":"2.0","result":1}"#, json!([]), [1, 0, 0]),
        row("a result, id null", r#"{"jsonrpc":"2.0","result":1,"id":null}"#, json!([]), [1, 0, 0]),
        row(
            "an error that is none",
            r#"{"jsonrpc":"2.0","error":"no","id":1}"#,
            json!([]),
            [0, 0, 1],
        ),
        row(
            "an error without code",
            r#"{"jsonrpc":"2.0","error":{"message":"no"},"id":1}"#,
            json!([]),
            [0, 0, 1],
        ),
    ]
}

#[tokio::test]
async fn what_breaks_the_rules_is_complained_about_and_harms_nobody() {
    let (server, log) = open_server().await;
    let bystander = see(&server).await;
    let mut news = soon(bystander.subscribe_to_method::<Value>("news")).await.unwrap();
    let bystanding: String = soon(bystander.request("who", rpc_params![])).await.unwrap();
    let url = server.url().unwrap();
    let (mut socket, _) = soon(wse_transport::connect(&url, ws::Config::default())).await.unwrap();
    let counts = || {
        let Counts { unreadable, error_reports, unknown_answers, .. } = server.counts();
        [unreadable, error_reports, unknown_answers]
    };
    for Row { what, sent, back, counted } in rows() {
        let before = counts();
        soon(socket.send(Message::text(sent))).await.unwrap();
        // The connection is as usable as before, and what came for the row came first.
        soon(socket.send(Message::text(call(r#""after""#)))).await.unwrap();
        let mut heard = Vec::new();
        loop {
            let message = match soon(socket.next()).await {
                Some(Ok(Message::Text(text))) => serde_json::from_str(text.as_str()).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                other => panic!("{what}: {other:?}"),
            };
            let message = terse(&message);
            if message == json!(["after", 2]) {
                break;
            }
            heard.push(message);
        }
        assert_eq!(heard, back, "{what}");
        let after = counts();
        let grown: Vec<u64> = after.iter().zip(before).map(|(after, it)| after - it).collect();
        assert_eq!(grown, counted, "{what}");
        assert!(!log.take().iter().any(|line| line.contains(&bystanding)), "{what}");
        let sum = soon(bystander.request::<i64, _>("sum", array([1, 2]))).await;
        assert_eq!(sum.unwrap(), 3, "{what}");
    }
    // One that is over the limit of messages is no matter of JSON-RPC any more.
    soon(socket.send(Message::text("[".repeat(2 << 20)))).await.unwrap();
    let end = loop {
        match soon(socket.next()).await {
            Some(Ok(Message::Close(frame))) => break frame.map(|it| u16::from(it.code)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, Some(1009));
    assert_eq!(server.all().send("news", &subtract(1, 1)).unwrap(), 1);
    assert_eq!(soon(news.next()).await.unwrap().unwrap()["minuend"], 1);
    assert!(bystander.is_connected());
    assert!(!log.take().iter().any(|line| line.contains(&bystanding)));
}
