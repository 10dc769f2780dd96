//! JSON-RPC 2.0: the examples of its specification, and what strangers send instead.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use wse_codecs::{Cbor, JsonRpc, RpcJson};
use wse_proto::{
    Body, CodecError, CodecErrorKind, Decode, Encode, Envelope, ErrorCode, Fault, Format, Head,
    Message, Negotiated, Pings, Protocol, ReceiptOf, Stamp, open_each, seal,
};

fn unpack(text: &str) -> Result<Envelope, CodecError> {
    JsonRpc::new().unpack(Bytes::copy_from_slice(text.as_bytes()))
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

/// What a driver does with a message: the complaints at once, and the messages for whoever answers them.
fn receive(rpc: &JsonRpc, text: &str) -> (Vec<Message>, Vec<Value>) {
    let mut messages = Vec::new();
    let mut sent = Vec::new();
    open_each(rpc, Bytes::copy_from_slice(text.as_bytes()), |message| match message {
        Ok(message) => messages.push(message),
        Err(error) => {
            let code = match error.kind() {
                CodecErrorKind::Malformed => ErrorCode::MessageProcessing,
                _ => ErrorCode::ProtocolViolation,
            };
            sent.push(Message { head: Head::Complaint, body: Body::Fault(code.into()) });
        }
    });
    (messages, send(rpc, sent))
}

fn send(rpc: &JsonRpc, messages: impl IntoIterator<Item = Message>) -> Vec<Value> {
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
fn answer(message: Message) -> Option<Message> {
    #[derive(Deserialize)]
    struct Subtract {
        minuend: i64,
        subtrahend: i64,
    }
    let Message { head: Head::Call { name, stamp, .. }, body: Body::Raw(payload) } = message else {
        return None;
    };
    let result = match name.as_str() {
        "subtract" => {
            let Subtract { minuend, subtrahend } = RpcJson.decode(&payload).unwrap();
            json!(minuend - subtrahend)
        }
        "sum" => {
            let numbers: Vec<i64> = RpcJson.decode(&payload).unwrap();
            json!(numbers.iter().sum::<i64>())
        }
        "get_data" => json!(["hello", 5]),
        _ => return Some(Message::fault(stamp, ErrorCode::NotRegistered.into())),
    };
    Some(Message::raw(Head::reply(stamp), result.to_string().into()))
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
        // Those that are complained about cannot be written.
        let (messages, complaints) = receive(&rpc, text);
        if !complaints.is_empty() {
            continue;
        }
        let valid = members.iter().filter(|it| it.get("jsonrpc").is_some()).cloned();
        // By another, which does not keep answers for the batch.
        assert_eq!(send(&JsonRpc::new(), messages), valid.collect::<Vec<_>>(), "{text}");
        seen += 1;
    }
    assert_eq!(seen, 21);
}

/// Head, payload, and the message that is made of them.
fn vectors() -> Vec<(Head, &'static str, String)> {
    let long = "an-id-that-is-too-long-to-be-kept-inline";
    let mut vectors = vec![
        (Head::message(""), "", r#"{"jsonrpc":"2.0","method":""}"#.to_owned()),
        (Head::message("ä\"\n"), "[]", r#"{"jsonrpc":"2.0","method":"ä\"\n","params":[]}"#.into()),
        (
            Head::message("rpc.discover"),
            "{}",
            r#"{"jsonrpc":"2.0","method":"rpc.discover","params":{}}"#.into(),
        ),
        (
            Head::Complaint,
            r#"{"code":-32700,"message":"no","data":[1]}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no","data":[1]},"id":null}"#
                .into(),
        ),
    ];
    let ints = [0, 1, -1, i64::MAX, i64::MIN].map(|int| (Stamp::Int(int), int.to_string()));
    let texts = ["", "0", "s1", long].map(|text| (Stamp::from(text), format!("\"{text}\"")));
    let escaped = (Stamp::from("\"\\\u{1}é"), "\"\\\"\\\\\\u0001é\"".to_owned());
    for (stamp, id) in ints.into_iter().chain(texts).chain([escaped]) {
        let rest = format!("\"id\":{id}}}");
        vectors.extend([
            (
                Head::call("add", stamp.clone()),
                r#"{"a":[5]}"#,
                format!(r#"{{"jsonrpc":"2.0","method":"add","params":{{"a":[5]}},{rest}"#),
            ),
            (
                Head::call("now", stamp.clone()),
                "",
                format!(r#"{{"jsonrpc":"2.0","method":"now",{rest}"#),
            ),
            (
                Head::reply(stamp.clone()),
                "\"x\"",
                format!(r#"{{"jsonrpc":"2.0","result":"x",{rest}"#),
            ),
            (Head::reply(stamp.clone()), "", format!(r#"{{"jsonrpc":"2.0","result":null,{rest}"#)),
            (
                Head::fault(stamp),
                r#"{"code":1,"message":""}"#,
                format!(r#"{{"jsonrpc":"2.0","error":{{"code":1,"message":""}},{rest}"#),
            ),
        ]);
    }
    vectors
}

#[test]
fn messages_and_ids_of_each_kind_come_back_as_they_were() {
    for (head, payload, wire) in vectors() {
        assert_eq!(pack(&head, payload), wire);
        let envelope = unpack(&wire).unwrap();
        assert_eq!((envelope.head, &envelope.payload[..]), (head, payload.as_bytes()), "{wire}");
    }
}

#[test]
fn a_message_cut_off_anywhere_is_malformed() {
    let batch = EXAMPLES.iter().map(|(request, _)| (*request).to_owned());
    for wire in vectors().into_iter().map(|(_, _, wire)| wire).chain(batch) {
        for end in 0..wire.len() {
            let rpc = JsonRpc::new();
            let cut = Bytes::copy_from_slice(&wire.as_bytes()[..end]);
            let error = match rpc.bundle(&cut) {
                Some(mut members) => {
                    assert_eq!(members.len(), 1, "{wire} at {end}");
                    members.remove(0).unwrap_err()
                }
                None => rpc.unpack(cut).unwrap_err(),
            };
            assert_eq!(error.kind(), CodecErrorKind::Malformed, "{wire} at {end}");
        }
    }
}

#[test]
fn order_space_unknown_members_and_escapes_do_not_matter() {
    let call = Envelope { head: Head::call("add", Stamp::Int(7)), payload: "[1, 2]".into() };
    for text in [
        r#"{"id":7,"params":[1, 2],"method":"add","jsonrpc":"2.0"}"#,
        " \n{ \"jsonrpc\" : \"2.0\" ,\t\"method\":\"add\", \"params\" : [1, 2] , \"id\": 7 }\r\n ",
        r#"{"jsonrpc":"2.0","method":"add","params":[1, 2],"id":7,"Id":8,"meta":{"id":[null]},"":0}"#,
        r#"{"jsonrpc":"1.0","jsonrpc":"2.0","id":null,"id":7,"method":"x","method":"add","params":[1, 2]}"#,
        r#"{"\u006asonrpc":"2\u002e0","method":"\u0061dd","p\u0061rams":[1, 2],"\u0069d":7}"#,
    ] {
        assert_eq!(unpack(text).unwrap(), call, "{text}");
    }
    let id = r#"{"jsonrpc":"2.0","method":"add","id":"\ud83d\ude00"}"#;
    assert_eq!(unpack(id).unwrap().head, Head::call("add", Stamp::from("😀")));
}

#[test]
fn what_is_no_request_and_no_response_is_of_the_wrong_shape() {
    for members in [
        r#""method":"m","id":null"#,
        r#""method":"m","id":1.5"#,
        r#""method":"m","id":1.0"#,
        r#""method":"m","id":1e3"#,
        r#""method":"m","id":-0"#,
        r#""method":"m","id":9223372036854775808"#,
        r#""method":"m","id":-9223372036854775809"#,
        r#""method":"m","id":true"#,
        r#""method":"m","id":[1]"#,
        r#""method":"m","id":{}"#,
        r#""method":null"#,
        r#""method":1,"id":1"#,
        r#""method":["m"]"#,
        r#""method":"m","params":null"#,
        r#""method":"m","params":"x""#,
        r#""method":"m","params":1,"id":1"#,
        r#""method":"m","params":false"#,
        r#""method":"m","result":1,"id":1"#,
        r#""method":"m","error":{"code":1,"message":""},"id":1"#,
        r#""result":1,"error":{"code":1,"message":""},"id":1"#,
        r#""result":1,"error":null,"id":1"#,
        r#""result":null,"error":{"code":1,"message":""},"id":1"#,
        r#""id":1"#,
        r#""params":[],"id":1"#,
        r#""result":1"#,
        r#""result":1,"id":null"#,
        r#""result":1,"id":1.5"#,
        r#""error":{"code":1,"message":""}"#,
        r#""error":{"code":1,"message":""},"id":false"#,
        r#""unknown":1"#,
    ] {
        assert_eq!(
            kind(&format!(r#"{{"jsonrpc":"2.0",{members}}}"#)),
            CodecErrorKind::Shape,
            "{members}"
        );
    }
    for version in ["1.0", "2", "2.00", " 2.0", "2.0 ", "", "12.01"] {
        let text = format!(r#"{{"jsonrpc":"{version}","method":"m"}}"#);
        assert_eq!(kind(&text), CodecErrorKind::Shape, "{text}");
    }
    for version in ["2.0", "2", "12.01", "null", "[\"2.0\"]", "{\"2.0\":1}"] {
        let text = format!(r#"{{"jsonrpc":{version},"method":"m"}}"#);
        assert_eq!(kind(&text), CodecErrorKind::Shape, "{text}");
    }
    for text in ["{}", r#"{"method":"m","id":1}"#, "[]", "[{}]", "null", "5", "\"2.0\"", "true"] {
        assert_eq!(kind(text), CodecErrorKind::Shape, "{text}");
    }
}

#[test]
fn what_is_no_json_is_malformed() {
    for text in [
        "",
        " ",
        "nul",
        "{} {}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\",}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"\\ud800\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"\\udead\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":01}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[1 2]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\"} x",
        "{'jsonrpc':'2.0'}",
        "\u{feff}{\"jsonrpc\":\"2.0\",\"method\":\"m\"}",
    ] {
        assert_eq!(kind(text), CodecErrorKind::Malformed, "{text}");
    }
    for bytes in [&b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}"[..], b"\xff"] {
        let error = JsonRpc::new().unpack(Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Malformed);
    }
    let complaint =
        json!({"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null});
    for text in ["[", "[{]", "[1,]", "[1] x", "[,1]", "[1}"] {
        assert_eq!(serve(&JsonRpc::new(), text), std::slice::from_ref(&complaint), "{text}");
    }
    let members = JsonRpc::new().bundle(&Bytes::from_static(b"[\"\xff\"]")).unwrap();
    assert_eq!(members[0].as_ref().unwrap_err().kind(), CodecErrorKind::Malformed);
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    let nested = |depth| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"m","params":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let deepest = unpack(&nested(127)).unwrap();
    assert!(Decode::<Value>::decode(&RpcJson, &deepest.payload).unwrap().is_array());
    for text in [nested(128), nested(100_000), "{\"a\":".repeat(100_000)] {
        assert_eq!(kind(&text), CodecErrorKind::Limit);
    }
    for text in ["[".repeat(100_000), "[{\"a\":".repeat(100_000), format!("[{}]", nested(127))] {
        let members = JsonRpc::new().bundle(&text.into()).unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].as_ref().unwrap_err().kind(), CodecErrorKind::Limit);
    }
    for deep in ["[", "{\"data\":", "{\"code\":1,\"data\":{\"code\":"] {
        let deep = Bytes::from(deep.repeat(100_000));
        assert!(RpcJson.decode_fault(&deep).is_err());
        assert!(Decode::<String>::decode(&RpcJson, &deep).is_err());
    }
}

#[test]
fn names_ids_and_params_are_slices_of_the_message() {
    let name = "a-name-that-is-too-long-to-be-kept-inline";
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{name}","params":[1],"id":"{name}"}}"#);
    let message = Bytes::from(text);
    let envelope = JsonRpc::new().unpack(message.clone()).unwrap();
    let Head::Call { name, stamp: Stamp::Text(stamp), .. } = &envelope.head else { panic!() };
    for part in [name.as_bytes(), stamp.as_bytes(), &envelope.payload] {
        assert!(message.as_ptr_range().contains(&part.as_ptr()));
    }
}

#[test]
fn params_are_structured_on_the_wire() {
    for (payload, params) in [
        ("", ""),
        ("null", ""),
        (" ", ""),
        ("[]", r#","params":[]"#),
        (" [1]", r#","params": [1]"#),
        ("{}", r#","params":{}"#),
        ("5", r#","params":[5]"#),
        ("\"x\"", r#","params":["x"]"#),
        ("false", r#","params":[false]"#),
    ] {
        let head = Head::message("m");
        let wire = format!(r#"{{"jsonrpc":"2.0","method":"m"{params}}}"#);
        assert_eq!(pack(&head, payload), wire);
        let mut out = BytesMut::from("before");
        let write = |out: &mut BytesMut| -> Result<(), CodecError> {
            out.extend_from_slice(payload.as_bytes());
            Ok(())
        };
        JsonRpc::new().pack_with(&head, &mut out, write).unwrap();
        assert_eq!(out, format!("before{wire}"));
    }
}

#[test]
fn heads_that_it_cannot_say_write_nothing() {
    let stamp = || Stamp::from("s1");
    for head in [
        Head::Hi,
        Head::Challenge,
        Head::Welcome,
        Head::Ping,
        Head::Pong,
        Head::Cancel { stamp: stamp() },
        Head::Receipt { stamp: stamp(), of: ReceiptOf::Call },
    ] {
        assert_eq!(pack(&head, "1"), "", "{head:?}");
    }
    // What else is known of a message or a call is left out.
    let message = Head::Message { name: "m".into(), receipt: Some(stamp()), reliable: true };
    assert_eq!(pack(&message, ""), pack(&Head::message("m"), ""));
    let call = Head::Call { name: "m".into(), stamp: stamp(), receipt: true, timeout: None };
    assert_eq!(pack(&call.with_timeout(5), ""), pack(&Head::call("m", stamp()), ""));
    // An error is an object.
    let error = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Server error"},"id":"s1"}"#;
    assert_eq!(pack(&Head::fault(stamp()), ""), error);

    let rpc = JsonRpc::default();
    let abilities = rpc.abilities();
    assert!(!abilities.receipts && abilities.complaints && abilities.pings == Pings::Never);
    assert!(!rpc.has_greeting() && rpc.subprotocols().is_empty());
    // It takes every offer.
    let server = Negotiated::new((Cbor, rpc));
    assert_eq!(server.select(&["wse-cbor"]).unwrap().variant(), 0);
    assert_eq!(server.select(&["other"]).unwrap().variant(), 1);
}

#[test]
fn values_are_read_by_position_by_name_and_alone() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Point {
        x: i64,
        y: i64,
    }
    fn read<T>(text: &str) -> Result<T, CodecError>
    where
        RpcJson: Decode<T>,
    {
        RpcJson.decode(&Bytes::copy_from_slice(text.as_bytes()))
    }
    for text in ["[1,2]", r#"{"x":1,"y":2}"#, r#"[{"x":1,"y":2}]"#, " [ [1,2] ] "] {
        assert_eq!(read::<Point>(text).unwrap(), Point { x: 1, y: 2 }, "{text}");
    }
    assert_eq!(read::<String>("[\"x\"]").unwrap(), "x");
    assert_eq!(read::<String>("\"x\"").unwrap(), "x");
    assert_eq!(read::<Vec<i64>>("[1]").unwrap(), [1]);
    assert_eq!(read::<Vec<i64>>("[[1]]").unwrap(), [1]);
    assert!(read::<Vec<i64>>("[]").unwrap().is_empty());
    assert_eq!(read::<Value>("[1]").unwrap(), json!([1]));
    assert_eq!(read::<Option<i64>>("[5]").unwrap(), Some(5));
    for text in ["", "null", "[]", "[null]"] {
        let () = read(text).unwrap();
        assert_eq!(read::<Option<i64>>(text).unwrap(), None, "{text}");
    }
    for text in ["[1,2]", "{\"x\":1}", "[[5]]", "[1", "[\"x\",]"] {
        assert!(read::<String>(text).is_err(), "{text}");
    }
    // The error is that of the array.
    let error = read::<Point>("[\"x\"]").unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Value);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("column 4"), "{source}");

    let mut out = BytesMut::new();
    RpcJson.encode(&("a", 1.0), &mut out).unwrap();
    assert_eq!(out, "[\"a\",1.0]");
}

#[test]
fn faults_have_the_codes_of_the_table() {
    let mine =
        |code: &str| json!({"code": -32000, "message": "Server error", "data": {"code": code}});
    for (code, error) in [
        (ErrorCode::MessageProcessing, json!({"code": -32700, "message": "Parse error"})),
        (ErrorCode::ProtocolViolation, json!({"code": -32600, "message": "Invalid Request"})),
        (ErrorCode::NotRegistered, json!({"code": -32601, "message": "Method not found"})),
        (ErrorCode::InvalidPayload, json!({"code": -32602, "message": "Invalid params"})),
        (ErrorCode::Failed, json!({"code": -32000, "message": "Server error"})),
        ("-32001".into(), json!({"code": -32001, "message": "Server error"})),
        ("-32099".into(), json!({"code": -32099, "message": "Server error"})),
        ("-32100".into(), json!({"code": -32100, "message": "Application error"})),
        ("0".into(), json!({"code": 0, "message": "Application error"})),
        ("9223372036854775807".into(), json!({"code": i64::MAX, "message": "Application error"})),
        ("-9223372036854775808".into(), json!({"code": i64::MIN, "message": "Application error"})),
        (ErrorCode::Timeout, mine("wse.client.rp.timeout")),
        ("my\"code".into(), mine("my\"code")),
        ("".into(), mine("")),
        ("+1".into(), mine("+1")),
        ("01".into(), mine("01")),
        ("-0".into(), mine("-0")),
        ("-".into(), mine("-")),
        ("1.0".into(), mine("1.0")),
        ("9223372036854775808".into(), mine("9223372036854775808")),
    ] {
        let mut out = BytesMut::new();
        RpcJson.encode_fault(&Fault::new(code.clone()), &mut out);
        assert_eq!(value(std::str::from_utf8(&out).unwrap()), error, "{code}");
        let standard = error["message"].as_str().unwrap();
        assert_eq!(
            RpcJson.decode_fault(&out.freeze()).unwrap(),
            Fault::new(code.clone()).message(standard)
        );

        // The last ones look like what carries a code.
        for details in
            ["[1]", "{}", "0", r#"{"code":"x"}"#, r#"{"code":"-32000","details":{"code":"7"}}"#]
        {
            let fault = Fault::new(code.clone()).message("näh\n").details(details.into());
            let mut out = BytesMut::new();
            RpcJson.encode_fault(&fault, &mut out);
            assert_eq!(RpcJson.decode_fault(&out.freeze()).unwrap(), fault);
        }
    }
    let mut out = BytesMut::new();
    RpcJson.encode_fault(&Fault::new("c").message("m").details("[1]".into()), &mut out);
    RpcJson.encode_fault(&Fault::new("7").message("m").details("[1]".into()), &mut out);
    RpcJson.encode_fault(&Fault::new("-32603"), &mut out);
    assert_eq!(
        out,
        concat!(
            r#"{"code":-32000,"message":"m","data":{"code":"c","details":[1]}}"#,
            r#"{"code":7,"message":"m","data":[1]}"#,
            r#"{"code":-32603,"message":"Internal error"}"#,
        )
    );
}

#[test]
fn faults_of_others_are_read() {
    let read = |text: &'static str| RpcJson.decode_fault(&Bytes::from_static(text.as_bytes()));
    for (text, fault) in [
        (r#"{"code":-32603,"message":"m"}"#, Fault::failed("m")),
        (
            r#" { "data" : [ 1 ] , "message" : "\u006d", "code" : 5 } "#,
            Fault::new("5").message("m").details("[ 1 ]".into()),
        ),
        (r#"{"code":5}"#, Fault::new("5")),
        (r#"{"code":5,"message":null,"data":null}"#, Fault::new("5")),
        // Data with a code, but not as ours.
        (
            r#"{"code":-32000,"message":"m","data":{"code":"x","more":1}}"#,
            Fault::failed("m").details(r#"{"code":"x","more":1}"#.into()),
        ),
        (
            r#"{"code":-32000,"message":"m","data":{"code":5}}"#,
            Fault::failed("m").details(r#"{"code":5}"#.into()),
        ),
        (
            r#"{"code":1,"message":"m","data":{"code":"x"}}"#,
            Fault::new("1").message("m").details(r#"{"code":"x"}"#.into()),
        ),
        (
            r#"{"code":-32000,"message":"m","data":{"code":"-32601","details":null}}"#,
            Fault::new(ErrorCode::NotRegistered).message("m"),
        ),
    ] {
        assert_eq!(read(text).unwrap(), fault, "{text}");
    }
    for text in [
        "null",
        "5",
        "\"x\"",
        "[]",
        "{}",
        r#"{"message":"m"}"#,
        r#"{"code":"1","message":"m"}"#,
        r#"{"code":1.0,"message":"m"}"#,
        r#"{"code":1e3,"message":"m"}"#,
        r#"{"code":null,"message":"m"}"#,
        r#"{"code":9223372036854775808,"message":"m"}"#,
        r#"{"code":1,"message":5}"#,
    ] {
        assert_eq!(read(text).unwrap_err().kind(), CodecErrorKind::Shape, "{text}");
    }
    assert_eq!(read("{\"code\":1").unwrap_err().kind(), CodecErrorKind::Malformed);
    // The call has failed all the same.
    let (messages, _) = receive(&JsonRpc::new(), r#"{"jsonrpc":"2.0","error":"no","id":1}"#);
    assert_eq!(messages, [Message::fault(Stamp::Int(1), Fault::new(ErrorCode::Failed))]);
}

fn call(id: impl std::fmt::Display) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"get_data","id":{id}}}"#)
}

fn calls(ids: std::ops::Range<usize>) -> String {
    format!("[{}]", ids.map(call).collect::<Vec<_>>().join(","))
}

fn reply(id: i64) -> Head {
    Head::reply(Stamp::Int(id))
}

const INVALID: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}"#;

#[test]
fn a_batch_is_answered_at_once_when_all_answers_are_there() {
    let rpc = JsonRpc::new();
    let (messages, sent) =
        receive(&rpc, &format!(" \t\n[{}, {}, 1, {}]", call(1), call("\"1\""), call(2)));
    assert_eq!((messages.len(), sent.len()), (3, 0));
    assert_eq!(pack_by(&rpc, &reply(2), "2"), "");
    // Others come between.
    assert_eq!(pack_by(&rpc, &reply(7), "7"), r#"{"jsonrpc":"2.0","result":7,"id":7}"#);
    assert_eq!(pack_by(&rpc, &Head::message("m"), ""), r#"{"jsonrpc":"2.0","method":"m"}"#);
    assert_eq!(
        pack_by(&rpc, &Head::call("m", Stamp::Int(1)), ""),
        r#"{"jsonrpc":"2.0","method":"m","id":1}"#
    );
    let (_, sent) = receive(&rpc, "5");
    assert_eq!(sent, [value(INVALID)]);
    assert_eq!(pack_by(&rpc, &Head::fault(Stamp::Int(1)), r#"{"code":1,"message":""}"#), "");
    let array = pack_by(&rpc, &Head::reply("1".into()), "");
    let expected = [
        INVALID,
        r#"{"jsonrpc":"2.0","result":2,"id":2}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":""},"id":1}"#,
        r#"{"jsonrpc":"2.0","result":null,"id":"1"}"#,
    ];
    assert_eq!(array, format!("[{}]", expected.join(",")));
    // All is forgotten.
    assert_eq!(pack_by(&rpc, &reply(1), "1"), r#"{"jsonrpc":"2.0","result":1,"id":1}"#);
}

#[test]
fn batches_without_calls_are_not_answered() {
    let rpc = JsonRpc::new();
    let (messages, sent) = receive(
        &rpc,
        r#"[{"jsonrpc":"2.0","method":"m"},{"jsonrpc":"2.0","result":1,"id":1},
            {"jsonrpc":"2.0","error":{"code":1,"message":""},"id":null}]"#,
    );
    let heads: Vec<_> = messages.into_iter().map(|message| message.head).collect();
    assert_eq!(heads, [Head::message("m"), reply(1), Head::Complaint]);
    assert!(sent.is_empty());
    assert_eq!(pack_by(&rpc, &reply(1), "1"), r#"{"jsonrpc":"2.0","result":1,"id":1}"#);
}

#[test]
fn members_of_a_batch_are_objects() {
    let rpc = JsonRpc::new();
    let text = format!("[[], [{}], {}, \"x\", {{}}]", call(1), call(2));
    let (messages, sent) = receive(&rpc, &text);
    assert_eq!((messages.len(), sent.len()), (1, 0));
    let result = r#"{"jsonrpc":"2.0","result":0,"id":2}"#;
    let expected = [INVALID, INVALID, INVALID, INVALID, result].join(",");
    assert_eq!(pack_by(&rpc, &reply(2), "0"), format!("[{expected}]"));
    // Taken alone an array is no message.
    assert_eq!(kind(&text), CodecErrorKind::Shape);
}

#[test]
fn an_id_is_taken_until_its_batch_is_answered() {
    let rpc = JsonRpc::new();
    let (messages, _) = receive(&rpc, &format!("[{},{},{}]", call(1), call(1), call(2)));
    let heads: Vec<_> = messages.into_iter().map(|message| message.head).collect();
    let get_data = |id| Head::call("get_data", Stamp::Int(id));
    assert_eq!(heads, [get_data(1), get_data(2)]);
    assert_eq!(pack_by(&rpc, &reply(1), "1"), "");
    for id in [1, 2] {
        // Alone, and in another batch, whose other members are not concerned.
        let (messages, sent) = receive(&rpc, &call(id));
        assert_eq!((messages.len(), sent), (0, vec![value(INVALID)]), "{id}");
        let sent = serve(&rpc, &format!("[{},{}]", call(id), call(3)));
        let data = json!({"jsonrpc": "2.0", "result": ["hello", 5], "id": 3});
        assert_eq!(sent, [json!([value(INVALID), data])], "{id}");
    }
    let first = r#"{"jsonrpc":"2.0","result":1,"id":1}"#;
    let second = r#"{"jsonrpc":"2.0","result":2,"id":2}"#;
    assert_eq!(pack_by(&rpc, &reply(2), "2"), format!("[{INVALID},{first},{second}]"));
    assert_eq!(serve(&rpc, &call(1)).len(), 1);
    assert_eq!(serve(&rpc, &calls(1..3)).len(), 1);
}

#[test]
fn batches_are_bounded() {
    let refused = |rpc: &JsonRpc, text: &str| {
        let members = rpc.bundle(&Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let kinds: Vec<_> = members.into_iter().filter_map(Result::err).map(|e| e.kind()).collect();
        kinds == [CodecErrorKind::Limit]
    };
    let rpc = JsonRpc::new();
    assert!(refused(&rpc, &calls(0..101)));
    assert!(refused(&rpc, &format!("[{}1]", "1,".repeat(300_000))));
    // Singly complained about, and without a trace.
    assert_eq!(serve(&rpc, &calls(0..101)), [value(INVALID)]);
    assert_eq!(serve(&rpc, &calls(0..100))[0].as_array().unwrap().len(), 100);
    assert!(refused(&rpc.clone().max_batch(0), "[1]"));

    let rpc = JsonRpc::new().max_batch(2_000);
    assert!(refused(&rpc, &calls(0..1025)));
    assert!(receive(&rpc, &calls(0..1000)).1.is_empty());
    assert!(refused(&rpc, &calls(1000..1025)));
    assert!(receive(&rpc, &calls(1000..1024)).1.is_empty());
    assert!(refused(&rpc, "[1]"));
    // What wants no answer is taken, and calls by themselves are.
    assert_eq!(receive(&rpc, r#"[{"jsonrpc":"2.0","method":"m"}]"#).0.len(), 1);
    assert_eq!(serve(&rpc, &call(5000)).len(), 1);
    // Answers that are kept count too.
    assert_eq!(pack_by(&rpc, &reply(0), "0"), "");
    assert!(refused(&rpc, "[1]"));
    for id in 1000..1023 {
        assert_eq!(pack_by(&rpc, &reply(id), ""), "");
    }
    let array = value(&pack_by(&rpc, &reply(1023), ""));
    assert_eq!(array.as_array().unwrap().len(), 24);
    assert_eq!(serve(&rpc, &calls(1000..1024)).len(), 1);
}

#[test]
fn each_connection_has_batches_of_its_own() {
    let rpc = JsonRpc::new().max_batch(2);
    let (one, other) = (rpc.select(&["x"]).unwrap(), rpc.select(&[]).unwrap());
    receive(&one, &calls(0..2));
    assert_ne!(pack_by(&other, &reply(0), "0"), "");
    // Clones share them.
    assert_eq!(pack_by(&one.clone(), &reply(0), "0"), "");
    assert_ne!(pack_by(&one, &reply(1), "0"), "");
    assert!(other.bundle(&calls(0..3).into()).unwrap()[0].is_err());
}

#[test]
fn what_fails_to_be_written_leaves_no_trace() {
    let rpc = JsonRpc::new();
    let keyed_by_lists = std::collections::BTreeMap::from([(vec![1], 1)]);
    receive(&rpc, &format!("[{},1]", call(1)));
    receive(&rpc, &calls(2..4));
    let heads = [
        Head::message("m"),
        Head::call("m", Stamp::Int(1)),
        reply(1),
        Head::fault(Stamp::Int(2)),
        reply(3),
    ];
    for head in heads.iter().chain([&Head::Complaint]) {
        let mut out = BytesMut::from("before");
        let failed = rpc.pack_with(head, &mut out, |out| {
            out.extend_from_slice(b"[1,");
            RpcJson.encode(&keyed_by_lists, out)
        });
        assert_eq!(failed.unwrap_err().kind(), CodecErrorKind::Value);
        assert_eq!(out, "before", "{head:?}");
    }
    assert_eq!(value(&pack_by(&rpc, &reply(1), "1")).as_array().unwrap().len(), 2);
    assert_eq!(pack_by(&rpc, &reply(2), "1"), "");
    assert_eq!(value(&pack_by(&rpc, &reply(3), "1")).as_array().unwrap().len(), 2);
}

/// Whatever comes: no panic, and what is read can be written and is then the same.
fn is_harmless(rpc: &JsonRpc, bytes: &Bytes) {
    open_each(rpc, bytes.clone(), drop);
    if let Ok(envelope) = JsonRpc::new().unpack(bytes.clone()) {
        let mut out = BytesMut::new();
        JsonRpc::new().pack(&envelope.head, &envelope.payload, &mut out);
        assert_eq!(
            JsonRpc::new().unpack(out.freeze()).expect("what was taken can be written"),
            envelope
        );
    }
    let _ = Decode::<String>::decode(&RpcJson, bytes);
    if let Ok(fault) = RpcJson.decode_fault(bytes) {
        let mut out = BytesMut::new();
        RpcJson.encode_fault(&fault, &mut out);
        let again = RpcJson.decode_fault(&out.freeze()).expect("a fault");
        assert_eq!((again.code, again.details), (fault.code, fault.details));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        is_harmless(&JsonRpc::new(), &bytes.into());
    }

    #[test]
    fn almost_messages_are_harmless(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "[", "]", "{", "}", ",", ":", "null", "1", "-0.5e3", "\"a\"", " ", "\"jsonrpc\":\"2.0\",",
                "\"method\":\"m\",", "\"id\":1,", "\"id\":\"\",", "\"params\":[1]", "\"result\":{}", "\"id\":2}",
                "\"error\":{\"code\":-32000,", "\"message\":\"m\"", "\"data\":{\"code\":\"x\"}", "\"details\":5",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", "{\"code\":-32000,\"data\":{\"code\":\"7\"",
            ]),
            0..12,
        ),
        frame in 0..3,
    ) {
        let parts = parts.concat();
        let text = match frame {
            0 => parts,
            1 => format!("[{parts}]"),
            _ => format!("{{\"jsonrpc\":\"2.0\",{parts}}}"),
        };
        is_harmless(&JsonRpc::new(), &text.into());
    }

    /// Whatever the order, each batch is answered once, by all its answers.
    #[test]
    fn every_batch_is_answered_once(
        batches in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 1..6), 1..8),
        order in any::<prop::sample::Index>(),
    ) {
        let rpc = JsonRpc::new();
        let (mut waiting, mut arrays, mut id) = (Vec::new(), Vec::new(), 0);
        for batch in &batches {
            let mut members = Vec::new();
            for valid in batch {
                members.push(if *valid { id += 1; call(id) } else { "{}".to_owned() });
            }
            let (messages, sent) = receive(&rpc, &format!("[{}]", members.join(",")));
            waiting.extend(messages);
            arrays.extend(sent);
        }
        while !waiting.is_empty() {
            let next = waiting.remove(order.index(waiting.len()));
            arrays.extend(send(&rpc, answer(next)));
        }
        let mut sizes: Vec<_> = arrays.iter().map(|it| it.as_array().unwrap().len()).collect();
        let mut expected: Vec<_> = batches.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(sizes, expected);
    }
}
