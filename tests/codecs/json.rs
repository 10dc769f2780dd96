//! The JSON array: bytes of the JavaScript package wse, and what an untrusted peer sends instead.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use wse_codecs::{JsonArray, JsonFormat};
use wse_proto::{
    CodecError, CodecErrorKind, Decode, Encode, Envelope, ErrorCode, Fault, Format, Head, Hi,
    Protocol, ReceiptOf, Stamp,
};

fn unpack(text: &str) -> Result<Envelope, CodecError> {
    JsonArray.unpack((&Bytes::copy_from_slice(text.as_bytes())).into())
}

fn pack(head: &Head, payload: &str) -> String {
    let mut out = BytesMut::from("before");
    JsonArray.pack(head, payload.as_bytes(), &mut out);
    String::from_utf8(out.split_off("before".len()).to_vec()).unwrap()
}

fn kind(text: &str) -> CodecErrorKind {
    match unpack(text) {
        Err(error) => error.kind(),
        Ok(envelope) => panic!("{text} is taken as {envelope:?}"),
    }
}

/// Head, payload, and the message that JSON.stringify makes of them.
fn vectors() -> Vec<(Head, &'static str, &'static str)> {
    let s1 = || Stamp::from("s1");
    vec![
        (Head::message("t"), "", r#"["t",null,null]"#),
        (Head::message("t"), "5", r#"["t",5,null]"#),
        (Head::call("rp", Stamp::from("Ab3dEf9hIj")), "", r#"["rp",null,"Ab3dEf9hIj"]"#),
        (Head::call("add", s1()), r#"{"a":5,"b":3}"#, r#"["add",{"a":5,"b":3},"s1"]"#),
        (Head::call("rp", Stamp::Int(-12345)), "[]", r#"["rp",[],-12345]"#),
        (Head::call("rp", Stamp::Int(i64::MIN)), "0", r#"["rp",0,-9223372036854775808]"#),
        (
            Head::Hi,
            r#"{"identity":"I","meta":{}}"#,
            r#"["~wse:hi",{"identity":"I","meta":{}},null]"#,
        ),
        (Head::Challenge, r#"{"a":1}"#, r#"["~wse:challenge",{"a":1},null]"#),
        (Head::Welcome, "{}", r#"["~wse:welcome",{},null]"#),
        (Head::reply(s1()), "", r#"["~wse:response",null,"s1"]"#),
        (
            Head::fault(s1()),
            r#"{"code":"wse.server.rp.not-registered"}"#,
            r#"["~wse:response-err",{"code":"wse.server.rp.not-registered"},"s1"]"#,
        ),
        (
            Head::Message { name: "t".into(), receipt: Some(s1()), reliable: false },
            "1",
            r#"["t",1,"s1",3]"#,
        ),
        (
            Head::Call { name: "t".into(), stamp: s1(), receipt: true, timeout: None },
            "1",
            r#"["t",1,"s1",1]"#,
        ),
        (Head::Receipt { stamp: s1(), of: ReceiptOf::Call }, "", r#"["~wse:receipt",null,"s1"]"#),
        (Head::Ping, "7", r#"["~wse:ping",7,null]"#),
        (Head::Pong, "7", r#"["~wse:pong",7,null]"#),
        // JSON.stringify(["\"\\\b\f\n\r\t\u0001\u001f\u007fäß€😀\u2028/"]) in Node 20.
        (
            Head::message("\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}äß€😀\u{2028}/"),
            "",
            "[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}äß€😀\u{2028}/\",null,null]",
        ),
    ]
}

#[test]
fn messages_are_written_as_javascript_does_and_read_back() {
    for (head, payload, wire) in vectors() {
        assert_eq!(pack(&head, payload), wire);
        let envelope = unpack(wire).unwrap();
        assert_eq!((envelope.head, &envelope.payload[..]), (head, payload.as_bytes()), "{wire}");
    }
}

#[test]
fn a_message_cut_off_anywhere_is_malformed() {
    for (_, _, wire) in vectors() {
        for end in (0..wire.len()).filter(|end| wire.is_char_boundary(*end)) {
            assert_eq!(kind(&wire[..end]), CodecErrorKind::Malformed, "{}", &wire[..end]);
        }
    }
}

#[test]
fn short_long_and_spaced_arrays_are_taken() {
    let call = Envelope { head: Head::call("t", "s".into()), payload: Bytes::from("{\"a\" : 1}") };
    let message = Envelope { head: Head::message("t"), payload: Bytes::new() };
    for (text, expected) in [
        (r#"["t"]"#, &message),
        (r#"["t",null]"#, &message),
        (" [ \"t\" \r\n,\tnull , null ] \n", &message),
        (r#"["t",null,""]"#, &message),
        (r#"["t",null,0]"#, &message),
        (r#"["t",null,null,null,{"x":[1,2,{}]},"more"]"#, &message),
        (r#"["t",{"a" : 1},"s"]"#, &call),
        (r#" [ "t" , {"a" : 1} , "s" , "no flags" , [[]] ]"#, &call),
        (r#"["t",{"a" : 1},"s",-1]"#, &call),
        (r#"["t",{"a" : 1},"s",4294967296]"#, &call),
        (r#"["t",{"a" : 1},"s",1.5]"#, &call),
        ("[\"\\u0074\",{\"a\" : 1},\"\\u0073\"]", &call),
    ] {
        assert_eq!(&unpack(text).unwrap(), expected, "{text}");
    }
    assert_eq!(unpack(r#"[null,1,"s"]"#).unwrap().head, Head::call("", "s".into()));
}

#[test]
fn escapes_in_names_are_undone_and_lone_surrogates_are_not() {
    let name = unpack(r#"["\ud83d\ude00\/\"\\\b\f\n\r\tä"]"#).unwrap().head;
    assert_eq!(name, Head::message("😀/\"\\\u{8}\u{c}\n\r\tä"));
    for text in [r#"["\ud83d"]"#, r#"["\ude00\ud83d"]"#, r#"["t",1,"\udead"]"#] {
        assert_eq!(kind(text), CodecErrorKind::Malformed, "{text}");
    }
}

#[test]
fn what_is_no_json_is_malformed_wherever_it_is() {
    let values = [
        "",
        "x",
        "tru",
        "nulL",
        "truefalse",
        "+1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "--1",
        "NaN",
        "Infinity",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u12\"",
        "\"\u{1}\"",
        "\"\n\"",
        "{",
        "}",
        "[",
        "{]",
        "[}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "[1]]",
        "{\"a\":[}]",
        "/**/1",
        "1\u{a0}",
        "\u{feff}1",
    ];
    for value in values {
        for text in [
            format!("[\"t\",{value},null]"),
            format!("[\"t\",{{\"a\":[{value}]}},null]"),
            format!("[\"t\",null,null,0,{value}]"),
        ] {
            // One of them is an empty array inside, which is fine.
            if value.is_empty() && text.contains("[]") {
                continue;
            }
            assert_eq!(kind(&text), CodecErrorKind::Malformed, "{text}");
        }
        if !value.is_empty() {
            assert!(serde_json::from_str::<serde_json::Value>(value).is_err(), "{value}");
        }
    }
    for text in ["", " ", "[", "]", "[\"t\"", "[\"t\",]", "[\"t\"] x", "[\"t\"][]", "[]]", "5 5"] {
        assert_eq!(kind(text), CodecErrorKind::Malformed, "{text}");
    }
    let not_utf8 = JsonArray.unpack((&Bytes::from_static(b"[\"t\",\"\xff\",null]")).into());
    assert_eq!(not_utf8.unwrap_err().kind(), CodecErrorKind::Malformed);
}

/// Strings are read eight bytes at a time: each byte must be seen at each place.
#[test]
fn every_character_is_judged_wherever_it_is_in_a_string() {
    for place in 0..20 {
        for character in (0..=0xff).map(char::from) {
            let value = format!("\"{}{character}{}\"", "-".repeat(place), "-".repeat(19 - place));
            let text = format!("[\"t\",{{{value}:{value}}}]");
            let ours = unpack(&text).map_err(|error| error.kind());
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                assert_eq!(ours.unwrap().payload.len(), text.len() - 6, "{text}");
            } else {
                assert_eq!(ours.unwrap_err(), CodecErrorKind::Malformed, "{text}");
            }
        }
    }
}

#[test]
fn every_character_is_judged_wherever_it_is_in_a_number() {
    for character in (1..128_u8).map(char::from) {
        for place in 0..18 {
            let value = format!("1{}{character}{}", "9".repeat(place), "0".repeat(17 - place));
            let text = format!("[\"t\",[{value}],null]");
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            assert_eq!(
                JsonArray.unpack((&Bytes::from(text.clone())).into()).is_ok(),
                is_json,
                "{text:?}"
            );
        }
    }
}

#[test]
fn what_is_json_but_no_envelope_is_of_the_wrong_shape() {
    for text in [
        "null",
        "5",
        "\"abc\"",
        "true",
        "{}",
        "{\"0\":\"t\"}",
        "[]",
        " [ ] ",
        "[null]",
        "[\"\"]",
        "[\"\",1]",
        "[\"\",1,\"\"]",
        "[5]",
        "[{}]",
        "[[\"t\"]]",
        "[true]",
        "[\"t\",1,{}]",
        "[\"t\",1,[]]",
        "[\"t\",1,true]",
        "[\"t\",1,1.5]",
        "[\"t\",1,9223372036854775808]",
    ] {
        assert_eq!(kind(text), CodecErrorKind::Shape, "{text}");
    }
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    let nested = |depth| format!("[\"t\",{}{}]", "[".repeat(depth), "]".repeat(depth));
    let deepest = unpack(&nested(127)).unwrap();
    // What is let through can be decoded.
    let value: serde_json::Value = JsonFormat.decode(&deepest.payload).unwrap();
    assert!(value.is_array());
    assert_eq!(kind(&nested(128)), CodecErrorKind::Limit);
    assert_eq!(kind(&nested(100_000)), CodecErrorKind::Limit);
    assert_eq!(kind(&"[".repeat(100_000)), CodecErrorKind::Limit);
    assert_eq!(kind(&"{\"a\":".repeat(100_000)), CodecErrorKind::Limit);
    let deep = Bytes::from("[".repeat(100_000));
    assert!(Decode::<serde_json::Value>::decode(&JsonFormat, &deep).is_err());
    assert!(JsonFormat.decode_hi(&Bytes::from("{\"identity\":".repeat(100_000))).is_err());
}

#[test]
fn names_stamps_and_payloads_are_slices_of_the_message() {
    let name = "a-name-that-is-too-long-to-be-kept-inline";
    let message = Bytes::from(format!("[\"{name}\",{{\"a\":1}},\"s1\"]"));
    let envelope = JsonArray.unpack((&message).into()).unwrap();
    let Head::Call { name: read, .. } = &envelope.head else { panic!("{envelope:?}") };
    assert_eq!(read.as_str().as_ptr(), message[2..].as_ptr());
    assert_eq!(envelope.payload.as_ptr(), message[name.len() + 4..].as_ptr());
}

#[test]
fn pack_with_writes_in_place_and_takes_back_what_failed() {
    let head = Head::call("add", "s1".into());
    let mut out = BytesMut::from("before");
    JsonArray.pack_with(&head, &mut out, |out| JsonFormat.encode(&[1, 2], out)).unwrap();
    assert_eq!(out, "before[\"add\",[1,2],\"s1\"]");
    JsonArray.pack_with(&head, &mut out, |_| Ok(())).unwrap();
    assert_eq!(out, "before[\"add\",[1,2],\"s1\"][\"add\",null,\"s1\"]");

    let mut out = BytesMut::from("before");
    let keyed_by_lists = std::collections::BTreeMap::from([(vec![1], 1)]);
    let failed =
        JsonArray.pack_with(&head, &mut out, |out| JsonFormat.encode(&keyed_by_lists, out));
    assert_eq!(failed.unwrap_err().kind(), CodecErrorKind::Value);
    assert_eq!(out, "before");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    label: Option<String>,
}

#[test]
fn values_are_written_and_read_by_serde() {
    let mut out = BytesMut::new();
    let point = Point { x: 0.5, label: Some("ä\"\n".into()) };
    JsonFormat.encode(&point, &mut out).unwrap();
    assert_eq!(out, r#"{"x":0.5,"label":"ä\"\n"}"#);
    assert_eq!(Decode::<Point>::decode(&JsonFormat, &out.split().freeze()).unwrap(), point);
    JsonFormat.encode("text", &mut out).unwrap();
    JsonFormat.encode(&[f64::NAN, f64::INFINITY], &mut out).unwrap();
    assert_eq!(out, "\"text\"[null,null]");

    let () = JsonFormat.decode(&Bytes::new()).unwrap();
    for wrong in ["{", "5", "{\"x\":1} x", "{\"x\":\"\u{1}\"}"] {
        assert!(Decode::<Point>::decode(&JsonFormat, &Bytes::from(wrong)).is_err(), "{wrong}");
    }
    let error = Decode::<Point>::decode(&JsonFormat, &Bytes::from("5")).unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Value);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("expected struct"));
}

/// Clients write a call without parameters so.
#[test]
fn types_without_a_value_are_read_from_an_empty_object_and_array() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(());
    fn read<T>(text: &str) -> Result<T, CodecError>
    where
        JsonFormat: Decode<T>,
    {
        JsonFormat.decode(&Bytes::copy_from_slice(text.as_bytes()))
    }
    for text in ["{}", "[]", " { } ", "\n[\t]\r", "null", ""] {
        let () = read(text).unwrap();
        assert_eq!(read::<Unit>(text).unwrap(), Unit, "{text}");
        assert_eq!(read::<Wrapped>(text).unwrap(), Wrapped(()), "{text}");
    }
    for text in
        ["{\"a\":1}", "[1]", "[null]", "[[]]", "0", "false", "\"\"", "{]", "[}", "{}{}", "{\u{c}}"]
    {
        assert!(read::<()>(text).is_err(), "{text}");
        assert!(read::<Unit>(text).is_err(), "{text}");
    }
    // Types with a value are as strict as ever.
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Point {
        x: i64,
    }
    for text in ["{}", "[]"] {
        assert!(read::<Point>(text).is_err() && read::<Option<Point>>(text).is_err(), "{text}");
        assert!(read::<i64>(text).is_err() && read::<Option<i64>>(text).is_err(), "{text}");
        assert!(read::<String>(text).is_err() && read::<((), ())>(text).is_err(), "{text}");
    }
    let error = read::<Option<i64>>("{}").unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Value);
}

#[test]
fn greetings() {
    let hi = |text: &'static str| JsonFormat.decode_hi(&Bytes::from_static(text.as_bytes()));
    for (text, identity, meta) in [
        (r#"{"identity":"I","meta":{"a":1}}"#, "\"I\"", r#"{"a":1}"#),
        (r#" {"meta":null,"more":[1],"identity": [ 1 ] } "#, "[ 1 ]", ""),
        (r#"{"identity":"","meta":{}}"#, "\"\"", "{}"),
        (r#"{"identity":0}"#, "0", ""),
    ] {
        assert_eq!(
            hi(text).unwrap(),
            Hi { identity: identity.into(), meta: meta.into(), resume: None }
        );
    }
    for text in [
        "",
        "null",
        "5",
        "[]",
        "[1,{}]",
        "{}",
        "{\"identity\":null}",
        "{\"meta\":{}}",
        "{\"identity\":1",
    ] {
        assert_eq!(hi(text).unwrap_err().kind(), CodecErrorKind::Shape, "{text}");
    }
    let mut out = BytesMut::new();
    JsonFormat
        .encode_hi(&Hi { identity: "\"I\"".into(), meta: "{}".into(), resume: None }, &mut out);
    JsonFormat.encode_hi(&Hi { identity: "1".into(), meta: Bytes::new(), resume: None }, &mut out);
    assert_eq!(out, r#"{"identity":"I","meta":{}}{"identity":1,"meta":null}"#);
}

#[test]
fn faults() {
    let full = Fault::new("my\"code").message("näh").details("{\"rpc\":\"add\"}".into());
    for (fault, text) in [
        (Fault::new(ErrorCode::NotRegistered), r#"{"code":"wse.server.rp.not-registered"}"#),
        (full, r#"{"code":"my\"code","message":"näh","details":{"rpc":"add"}}"#),
    ] {
        let mut out = BytesMut::new();
        JsonFormat.encode_fault(&fault, &mut out);
        assert_eq!(out, text);
        assert_eq!(JsonFormat.decode_fault(&out.freeze()).unwrap(), fault);
    }
    let read = |text: &'static str| JsonFormat.decode_fault(&Bytes::from_static(text.as_bytes()));
    let loose = read(r#"{"stack":"x","details":null,"message":null,"code":"c"}"#).unwrap();
    assert_eq!(loose, Fault::new("c"));
    for text in ["", "null", "\"c\"", "[\"c\"]", "{}", "{\"code\":5}", "{\"code\":null}"] {
        assert_eq!(read(text).unwrap_err().kind(), CodecErrorKind::Shape, "{text}");
    }
}
