//! Single messages, sound and otherwise.

use super::*;

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
            Head::ErrorReport,
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
            let error = match rpc.unpack_batch((&cut).into()) {
                Some(mut members) => {
                    assert_eq!(members.len(), 1, "{wire} at {end}");
                    members.remove(0).unwrap_err()
                }
                None => rpc.unpack((&cut).into()).unwrap_err(),
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
        r#""method":"m","id":1e-1"#,
        r#""method":"m","id":1e400"#,
        r#""method":"m","id":9223372036854775808.0"#,
        r#""method":"m","id":-0"#,
        r#""method":"m","id":9223372036854775808"#,
        r#""method":"m","id":-9223372036854775809"#,
        r#""method":"m","id":true"#,
        r#""method":"m","id":[1]"#,
        r#""method":"m","id":{}"#,
        r#""method":null"#,
        r#""method":1,"id":1"#,
        r#""method":["m"]"#,
        r#""method":"m","params":"x""#,
        r#""method":"m","params":1,"id":1"#,
        r#""method":"m","params":false"#,
        r#""method":"m","result":1,"id":1"#,
        r#""method":"m","error":{"code":1,"message":""},"id":1"#,
        r#""result":1,"error":{"code":1,"message":""},"id":1"#,
        r#""error":null,"id":1"#,
        r#""method":null,"id":1"#,
        r#""method":null,"result":1,"error":{"code":1,"message":""},"id":1"#,
        r#""id":1"#,
        r#""params":[],"id":1"#,
        r#""result":1"#,
        r#""result":1,"id":null"#,
        r#""result":1,"id":1.5"#,
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

/// What the message was, as far as it could be read: an answer ends its call, a call is answered under its id.
fn unread(rpc: &JsonRpc, text: &str) -> Option<Unread> {
    let message = Bytes::copy_from_slice(text.as_bytes());
    rpc.unpack((&message).into()).unwrap_err().unread().cloned()
}

#[test]
fn a_request_that_cannot_be_read_has_its_id() {
    for members in [
        r#""method":"m","params":5,"id":7"#,
        r#""method":"m","params":"x","id":7"#,
        r#""method":"m","params":false,"id":7"#,
        r#""method":1,"id":7"#,
        r#""method":null,"id":7"#,
        r#""method":["m"],"params":[],"id":7"#,
        r#""method":"\ud800","id":7"#,
        r#""method":"m","result":1,"id":7"#,
        r#""method":"m","error":{"code":1,"message":""},"id":7"#,
        r#""params":[],"id":7"#,
        r#""id":7"#,
    ] {
        for version in [r#""jsonrpc":"2.0","#, r#""jsonrpc":"1.0","#, ""] {
            let text = format!("{{{version}{members}}}");
            let call = Some(Unread::Call(Stamp::Int(7)));
            assert_eq!(unread(&JsonRpc::new(), &text), call, "{text}");
            let text = text.replace("\"id\":7", r#""id":"a\u0062""#);
            let call = Some(Unread::Call("ab".into()));
            assert_eq!(unread(&JsonRpc::new(), &text), call, "{text}");
            for id in ["null", "1.5", "[7]", "true"] {
                let text = text.replace(r#""a\u0062""#, id);
                assert_eq!(unread(&JsonRpc::new(), &text), None, "{text}");
            }
        }
    }
    for version in ["1.0", "2.00", ""] {
        let text = format!(r#"{{"jsonrpc":"{version}","method":"m","id":7}}"#);
        assert_eq!(unread(&JsonRpc::new(), &text), Some(Unread::Call(Stamp::Int(7))), "{text}");
    }
    assert_eq!(unread(&JsonRpc::new(), r#"{"jsonrpc":"2.0","method":1}"#), None);
}

#[test]
fn a_response_that_cannot_be_read_is_known_as_one() {
    let seven = || Some(Unread::Answer(Some(Stamp::Int(7))));
    for (text, answer) in [
        (r#"{"result":1,"id":7}"#, seven()),
        (r#"{"result":null,"id":7}"#, seven()),
        (r#"{"jsonrpc":"1.0","result":1,"error":null,"id":7}"#, seven()),
        (r#"{"error":{"code":1,"message":""},"id":7}"#, seven()),
        (r#"{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":""},"id":7}"#, seven()),
        (r#"{"jsonrpc":"2.0","method":null,"result":1,"error":0,"id":7}"#, seven()),
        (r#"{"jsonrpc":"2.0","error":null,"id":7}"#, seven()),
        (r#"{"jsonrpc":"2.0","result":1}"#, Some(Unread::Answer(None))),
        (r#"{"jsonrpc":"2.0","result":1,"id":null}"#, Some(Unread::Answer(None))),
        (r#"{"jsonrpc":"2.0","result":1,"id":1.5}"#, Some(Unread::Answer(None))),
        (r#"{"jsonrpc":"2.0","error":{},"id":{}}"#, Some(Unread::Answer(None))),
        (r#"{"error":{"code":1,"message":""},"id":null}"#, Some(Unread::Answer(None))),
    ] {
        assert_eq!(unread(&JsonRpc::new(), text), answer, "{text}");
    }
    // An object with an id only is an answer if this side has called with that id.
    let rpc = JsonRpc::new();
    let bare = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":"{id}"}}"#);
    assert_eq!(unread(&rpc, &bare("2")), Some(Unread::Call("2".into())));
    for id in ["1", "2"] {
        pack_by(&rpc, &Head::call("m", id.into()), "");
    }
    for id in ["1", "2"] {
        assert_eq!(unread(&rpc, &bare(id)), Some(Unread::Answer(Some(id.into()))));
    }
    for id in ["3", "02", "0", "x", ""] {
        assert_eq!(unread(&rpc, &bare(id)), Some(Unread::Call(id.into())));
    }
    assert_eq!(unread(&rpc.clone(), &bare("1")), Some(Unread::Call("1".into())));
}

#[test]
fn members_that_are_null_count_as_absent_beside_others() {
    let reply = |payload: &'static str| Envelope {
        head: Head::reply(Stamp::Int(1)),
        payload: Bytes::from_static(payload.as_bytes()),
    };
    let error = r#"{"code":1,"message":""}"#;
    for (members, expected) in [
        (r#""result":5,"error":null,"id":1"#.to_owned(), reply("5")),
        (r#""result":null,"error":null,"id":1"#.to_owned(), reply("")),
        (r#""method":null,"params":null,"result":5,"id":1"#.to_owned(), reply("5")),
        (
            format!(r#""result":null,"error":{error},"id":1"#),
            Envelope { head: Head::fault(Stamp::Int(1)), payload: error.into() },
        ),
        (
            format!(r#""error":{error}"#),
            Envelope { head: Head::ErrorReport, payload: error.into() },
        ),
        (
            r#""method":"m","params":null,"id":1"#.to_owned(),
            Envelope { head: Head::call("m", Stamp::Int(1)), payload: Bytes::new() },
        ),
        (
            r#""method":"m","params":null,"result":null,"error":null"#.to_owned(),
            Envelope { head: Head::message("m"), payload: Bytes::new() },
        ),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0",{members}}}"#);
        assert_eq!(unpack(&text).unwrap(), expected, "{text}");
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
        let error = JsonRpc::new().unpack((&Bytes::from_static(bytes)).into()).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Malformed);
    }
    let report = json!({"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null});
    for text in ["[", "[{]", "[1,]", "[1] x", "[,1]", "[1}"] {
        assert_eq!(serve(&JsonRpc::new(), text), std::slice::from_ref(&report), "{text}");
    }
    let members = JsonRpc::new().unpack_batch((&Bytes::from_static(b"[\"\xff\"]")).into()).unwrap();
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
    assert!(Decode::<Value>::decode(&JsonRpcFormat, &deepest.payload).unwrap().is_array());
    for text in [nested(128), nested(100_000), "{\"a\":".repeat(100_000)] {
        assert_eq!(kind(&text), CodecErrorKind::Limit);
    }
    for text in ["[".repeat(100_000), "[{\"a\":".repeat(100_000), format!("[{}]", nested(127))] {
        let members = JsonRpc::new().unpack_batch((&Bytes::from(text)).into()).unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].as_ref().unwrap_err().kind(), CodecErrorKind::Limit);
    }
    for deep in ["[", "{\"data\":", "{\"code\":1,\"data\":{\"code\":"] {
        let deep = Bytes::from(deep.repeat(100_000));
        assert!(JsonRpcFormat.decode_fault(&deep).is_err());
        assert!(Decode::<String>::decode(&JsonRpcFormat, &deep).is_err());
    }
}

#[test]
fn names_ids_and_params_are_slices_of_the_message() {
    let name = "a-name-that-is-too-long-to-be-kept-inline";
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{name}","params":[1],"id":"{name}"}}"#);
    let message = Bytes::from(text);
    let envelope = JsonRpc::new().unpack((&message).into()).unwrap();
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
    assert_eq!(rpc.info().can(), Capabilities::NONE.error_reports().pings(Pings::Never));
    assert!(!rpc.info().has_greeting() && rpc.subprotocols().is_empty());
    // It takes every offer.
    let server = Negotiated::new((Cbor, rpc));
    let first = server.select(&["wse-cbor"]).unwrap();
    assert_eq!(first.info().name(), "wse-cbor");
    let second = server.select(&["other"]).unwrap();
    assert_eq!(second.info().name(), "json-rpc");
}

/// Whatever comes: no panic, and what is read can be written and is then the same.
fn is_harmless(rpc: &JsonRpc, bytes: &Bytes) {
    open_each(rpc, bytes.into(), drop);
    if let Ok(envelope) = JsonRpc::new().unpack(bytes.into()) {
        let mut out = BytesMut::new();
        JsonRpc::new().pack(&envelope.head, &envelope.payload, &mut out);
        assert_eq!(
            JsonRpc::new().unpack((&out.freeze()).into()).expect("what was taken can be written"),
            envelope
        );
    }
    let _ = Decode::<String>::decode(&JsonRpcFormat, bytes);
    if let Ok(fault) = JsonRpcFormat.decode_fault(bytes) {
        let mut out = BytesMut::new();
        JsonRpcFormat.encode_fault(&fault, &mut out);
        let again = JsonRpcFormat.decode_fault(&out.freeze()).expect("a fault");
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
}
