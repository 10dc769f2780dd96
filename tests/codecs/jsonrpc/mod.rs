//! JSON-RPC 2.0: the examples of its specification, and what an untrusted peer sends instead.

mod batches;
mod messages;
mod values;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use wse_codecs::{Cbor, JsonRpc, JsonRpcFormat};
use wse_proto::{
    Body, Capabilities, CodecError, CodecErrorKind, Decode, Encode, Envelope, ErrorCode, Fault,
    Format, Head, Negotiate, Negotiated, Pings, Protocol, ReceiptOf, SessionMessage, Stamp, Unread,
    open_each, seal,
};

fn unpack(text: &str) -> Result<Envelope, CodecError> {
    JsonRpc::new().unpack((&Bytes::copy_from_slice(text.as_bytes())).into())
}

fn pack_by(rpc: &JsonRpc, head: &Head, payload: &str) -> String {
    let mut out = BytesMut::from("before");
    rpc.pack(head, payload.as_bytes(), &mut out);
    String::from_utf8(out.split_off("before".len()).to_vec()).unwrap()
}

fn pack(head: &Head, payload: &str) -> String {
    pack_by(&JsonRpc::new(), head, payload)
}

fn kind(text: &str) -> CodecErrorKind {
    match unpack(text) {
        Err(error) => error.kind(),
        Ok(envelope) => panic!("{text} is taken as {envelope:?}"),
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// What a driver does with a message: it sends the error reports at once, and returns the messages to be answered.
fn receive(rpc: &JsonRpc, text: &str) -> (Vec<SessionMessage>, Vec<Value>) {
    let mut messages = Vec::new();
    let mut sent = Vec::new();
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    open_each(rpc, (&bytes).into(), |message| match message {
        Ok(message) => messages.push(message),
        Err(error) => {
            let code = match error.kind() {
                CodecErrorKind::Malformed => ErrorCode::MessageProcessing,
                _ => ErrorCode::ProtocolViolation,
            };
            let head = match error.unread() {
                None => Head::ErrorReport,
                Some(Unread::Call(stamp)) => Head::fault(stamp.clone()),
                Some(_) => return,
            };
            sent.push(SessionMessage { head, body: Body::Fault(code.into()) });
        }
    });
    (messages, send(rpc, sent))
}

fn send(rpc: &JsonRpc, messages: impl IntoIterator<Item = SessionMessage>) -> Vec<Value> {
    let mut sent = Vec::new();
    for message in messages {
        let mut out = BytesMut::new();
        seal(rpc, &message, &mut out);
        if !out.is_empty() {
            sent.push(value(std::str::from_utf8(&out).unwrap()));
        }
    }
    sent
}

/// The procedures of the specification's examples (§7).
fn answer(message: SessionMessage) -> Option<SessionMessage> {
    #[derive(Deserialize)]
    struct Subtract {
        minuend: i64,
        subtrahend: i64,
    }
    let SessionMessage { head: Head::Call { name, stamp, .. }, body: Body::Raw(payload) } = message
    else {
        return None;
    };
    let result = match name.as_str() {
        "subtract" => {
            let Subtract { minuend, subtrahend } = JsonRpcFormat.decode(&payload).unwrap();
            json!(minuend - subtrahend)
        }
        "sum" => {
            let numbers: Vec<i64> = JsonRpcFormat.decode(&payload).unwrap();
            json!(numbers.iter().sum::<i64>())
        }
        "get_data" => json!(["hello", 5]),
        _ => return Some(SessionMessage::fault(stamp, ErrorCode::NotRegistered.into())),
    };
    Some(SessionMessage::raw(Head::reply(stamp), result.to_string().into()))
}

/// All that is sent because of `text`. The last call is answered first.
fn serve(rpc: &JsonRpc, text: &str) -> Vec<Value> {
    let (messages, mut sent) = receive(rpc, text);
    sent.extend(send(rpc, messages.into_iter().rev().filter_map(answer)));
    sent
}

/// The responses of an array may come in any order (§6).
fn sorted(mut value: Value) -> Value {
    if let Value::Array(responses) = &mut value {
        responses.sort_by_key(Value::to_string);
    }
    value
}

/// §7, each request with its response, if there is one.
const EXAMPLES: &[(&str, &str)] = &[
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#,
        r#"{"jsonrpc": "2.0", "result": -19, "id": 2}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 3}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 4}"#,
    ),
    (r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#, ""),
    (r#"{"jsonrpc": "2.0", "method": "foobar"}"#, ""),
    (
        r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
    ),
    (
        r#"[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    ),
    (
        "[]",
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
    ),
    (
        "[1]",
        r#"[{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}]"#,
    ),
    (
        "[1,2,3]",
        r#"[
            {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
            {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
            {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
        ]"#,
    ),
    (
        r#"[
            {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]"#,
        r#"[
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
            {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
        ]"#,
    ),
    (
        r#"[
            {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]"#,
        "",
    ),
];

#[test]
fn the_examples_of_the_specification_are_answered() {
    let connection = JsonRpc::new();
    for (request, response) in EXAMPLES {
        let expected: Vec<_> =
            [response].iter().filter(|it| !it.is_empty()).map(|it| sorted(value(it))).collect();
        // On one connection all along, and on one of its own.
        for rpc in [connection.clone(), connection.select(&[]).unwrap()] {
            let sent: Vec<_> = serve(&rpc, request).into_iter().map(sorted).collect();
            assert_eq!(sent, expected, "{request}");
        }
    }
}

#[test]
fn the_examples_of_the_specification_are_written_as_they_are_read() {
    let mut seen = 0;
    for text in EXAMPLES.iter().flat_map(|(request, response)| [request, response]) {
        let Ok(whole) = serde_json::from_str::<Value>(text) else { continue };
        let members = whole.as_array().cloned().unwrap_or(vec![whole]);
        let rpc = JsonRpc::new();
        // What gets an error report cannot be written.
        let (messages, reports) = receive(&rpc, text);
        if !reports.is_empty() {
            continue;
        }
        let valid = members.iter().filter(|it| it.get("jsonrpc").is_some()).cloned();
        // By another, which does not keep answers for the batch.
        assert_eq!(send(&JsonRpc::new(), messages), valid.collect::<Vec<_>>(), "{text}");
        seen += 1;
    }
    assert_eq!(seen, 21);
}
