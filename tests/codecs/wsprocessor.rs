//! The format of the npm package wsprocessor: its bytes, and what an untrusted peer sends instead.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wse_codecs::{WsProcessor, WsProcessorFormat};
use wse_proto::{
    Body, Capabilities, CodecError, CodecErrorKind, Decode, Encode, Envelope, ErrorCode, Fault,
    Format, Head, MessageKind, Negotiate, Pings, Protocol, ReceiptOf, SessionMessage, Stamp, open,
    seal,
};

const BARE: WsProcessor = WsProcessor::new();
const NAMED: WsProcessor = WsProcessor::named();

/// Names that every object of JavaScript has.
const INHERITED: [&str; 6] =
    ["toString", "constructor", "hasOwnProperty", "__proto__", "__defineGetter__", "valueOf"];

fn unpack(protocol: WsProcessor, text: &str) -> Result<Envelope, CodecError> {
    protocol.unpack((&Bytes::copy_from_slice(text.as_bytes())).into())
}

/// As [`pack_stamped`], without the stamp that a note has even if it wants no receipt.
fn pack(protocol: WsProcessor, head: &Head, payload: &str) -> String {
    let text = pack_stamped(protocol, head, payload);
    if !matches!(head, Head::Message { receipt: None, .. }) {
        return text;
    }
    const START: &str = r#"{"type":"note","sendAck":false"#;
    let (stamp, rest) = text.strip_prefix(START).unwrap().split_once(",\"data\"").unwrap();
    is_uuid(stamp.strip_prefix(r#","stamp":""#).unwrap().strip_suffix('"').unwrap());
    format!("{START},\"data\"{rest}")
}

/// Fails unless it is a UUID of version 4, as those of the package are.
#[track_caller]
fn is_uuid(stamp: &str) {
    let parts: Vec<_> = stamp.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{stamp}");
    assert!(stamp.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9' | b'a'..=b'f')), "{stamp}");
    assert_eq!(&stamp[14..15], "4", "{stamp}");
    assert!(matches!(&stamp[19..20], "8" | "9" | "a" | "b"), "{stamp}");
}

#[test]
fn a_note_has_a_stamp_as_those_of_the_package_have() {
    let stamp = |head: &Head, payload: &str| {
        let note: Value = serde_json::from_str(&pack_stamped(NAMED, head, payload)).unwrap();
        let names: Vec<_> = note.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names.len(), 4, "{note}");
        note["stamp"].as_str().unwrap().to_owned()
    };
    let (one, other) = (Head::message("one"), Head::message("other"));
    let stamps =
        [(&one, "1"), (&one, "2"), (&other, "1"), (&one, "")].map(|(head, data)| stamp(head, data));
    stamps.iter().for_each(|stamp| is_uuid(stamp));
    let different: std::collections::BTreeSet<_> = stamps.iter().collect();
    assert_eq!(different.len(), stamps.len());
    assert_eq!(stamp(&one, "1"), stamps[0], "it is made from the name and the data");
    // It asks for no receipt.
    let wire = pack_stamped(BARE, &one, "1");
    assert_eq!(unpack(BARE, &wire).unwrap().head, note(None));
}

fn pack_stamped(protocol: WsProcessor, head: &Head, payload: &str) -> String {
    let mut out = BytesMut::from("before");
    protocol.pack(head, payload.as_bytes(), &mut out);
    let mut in_place = BytesMut::from("before");
    let written = protocol.pack_with(head, &mut in_place, |out| {
        out.extend_from_slice(payload.as_bytes());
        Ok(())
    });
    written.unwrap();
    assert_eq!(in_place, out);
    String::from_utf8(out.split_off("before".len()).to_vec()).unwrap()
}

fn kind(protocol: WsProcessor, text: &str) -> CodecErrorKind {
    match unpack(protocol, text) {
        Err(error) => error.kind(),
        Ok(envelope) => panic!("{text} is taken as {envelope:?}"),
    }
}

fn sealed(message: &SessionMessage) -> String {
    let mut out = BytesMut::new();
    seal(&BARE, message, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn opened(text: &str) -> SessionMessage {
    open(&BARE, (&Bytes::copy_from_slice(text.as_bytes())).into()).unwrap()
}

fn stamp() -> Stamp {
    Stamp::from("aa72919e-83c6-477f-aa69-d305bd4489ce")
}

fn note(receipt: Option<Stamp>) -> Head {
    Head::Message { name: "note".into(), reliable: receipt.is_some(), receipt }
}

fn request(stamp: Stamp, receipt: bool) -> Head {
    Head::Call { name: "request".into(), stamp, receipt, timeout: None }
}

/// Head, payload, and the message that the package makes of them.
#[rustfmt::skip]
fn vectors() -> Vec<(Head, &'static str, &'static str)> {
    vec![
        (note(Some(stamp())), r#"{"a":1}"#, r#"{"type":"note","sendAck":true,"stamp":"aa72919e-83c6-477f-aa69-d305bd4489ce","data":{"a":1}}"#),
        (note(None), "\"hi\"", r#"{"type":"note","sendAck":false,"data":"hi"}"#),
        (request(stamp(), false), "\"hi\"", r#"{"type":"request","sendAck":false,"stamp":"aa72919e-83c6-477f-aa69-d305bd4489ce","data":"hi"}"#),
        (request(stamp(), true), "0", r#"{"type":"request","sendAck":true,"stamp":"aa72919e-83c6-477f-aa69-d305bd4489ce","data":0}"#),
        (request(Stamp::Int(-5), true), "false", r#"{"type":"request","sendAck":true,"stamp":-5,"data":false}"#),
        (request("\"\\\u{1}ä😀".into(), false), "[]", r#"{"type":"request","sendAck":false,"stamp":"\"\\\u0001ä😀","data":[]}"#),
        (Head::reply(stamp()), "\"\"", r#"{"type":"response","sendAck":false,"stamp":"aa72919e-83c6-477f-aa69-d305bd4489ce","data":"","failureCode":0}"#),
        (Head::Reply { stamp: "s".into(), receipt: true }, "[1]", r#"{"type":"response","sendAck":true,"stamp":"s","data":[1],"failureCode":0}"#),
        (Head::fault("s".into()), r#"[400,"no"]"#, r#"{"type":"response","sendAck":false,"stamp":"s","data":"no","failureCode":400}"#),
        (Head::Fault { stamp: Stamp::Int(5), receipt: true }, r#"[1.5,{"a":[]}]"#, r#"{"type":"response","sendAck":true,"stamp":5,"data":{"a":[]},"failureCode":1.5}"#),
        (Head::Receipt { stamp: stamp(), of: ReceiptOf::Message }, "", r#"{"type":"noteAck","stamp":"aa72919e-83c6-477f-aa69-d305bd4489ce"}"#),
        (Head::Receipt { stamp: "s".into(), of: ReceiptOf::Call }, "", r#"{"type":"requestAck","stamp":"s"}"#),
        (Head::Receipt { stamp: Stamp::Int(7), of: ReceiptOf::Answer }, "", r#"{"type":"responseAck","stamp":7}"#),
        (Head::Ping, "1", r#"{"type":"ping","data":1}"#),
        (Head::Pong, r#"{"any":["thing"]}"#, r#"{"type":"pong","data":{"any":["thing"]}}"#),
        (Head::ErrorReport, r#"["wse.server.msg-processing-error","why \"so\"?"]"#, r#"{"type":"error","data":"why \"so\"?"}"#),
        // What is null.
        (note(None), "", r#"{"type":"note","sendAck":false,"data":null}"#),
        (Head::Ping, "", r#"{"type":"ping","data":null}"#),
        (Head::Pong, "", r#"{"type":"pong","data":null}"#),
    ]
}

#[test]
fn it_needs_no_subprotocol_and_no_greeting() {
    for protocol in [BARE, NAMED, WsProcessor::default()] {
        let info = protocol.info();
        assert_eq!((info.subprotocol(), info.kind()), (None, MessageKind::Text));
        assert!(!info.has_greeting() && protocol.subprotocols().is_empty());
        let can = Capabilities::NONE.receipts().pings(Pings::Always).error_reports();
        assert_eq!(info.can(), can);
    }
    assert_eq!(WsProcessor::default(), BARE);
}

#[test]
fn messages_are_written_as_the_package_does_and_read_back() {
    for (head, payload, wire) in vectors() {
        assert_eq!(pack(BARE, &head, payload), wire);
        let envelope = unpack(BARE, wire).unwrap();
        assert_eq!((envelope.head, &envelope.payload[..]), (head, payload.as_bytes()), "{wire}");
    }
}

#[test]
fn a_message_cut_off_anywhere_is_malformed() {
    for (head, payload, wire) in vectors() {
        let wires = [wire.to_owned(), pack(NAMED, &head, payload)];
        for (protocol, wire) in [BARE, NAMED].into_iter().zip(wires) {
            for end in (0..wire.len()).filter(|end| wire.is_char_boundary(*end)) {
                let cut = &wire[..end];
                assert_eq!(kind(protocol, cut), CodecErrorKind::Malformed, "{cut}");
            }
        }
    }
    let not_utf8 =
        BARE.unpack((&Bytes::from_static(b"{\"type\":\"note\",\"data\":\"\xff\"}")).into());
    assert_eq!(not_utf8.unwrap_err().kind(), CodecErrorKind::Malformed);
}

#[test]
fn what_it_cannot_say_is_not_written() {
    for head in [Head::Hi, Head::Challenge, Head::Welcome, Head::Cancel { stamp: stamp() }] {
        assert_eq!(pack(BARE, &head, "{}"), "", "{head:?}");
        assert_eq!(pack(NAMED, &head, "{}"), "", "{head:?}");
    }
}

#[test]
fn bare_messages_lose_their_names() {
    let call = Head::call("add", "s".into()).with_timeout(750);
    let wire = r#"{"type":"request","sendAck":false,"stamp":"s","data":5}"#;
    assert_eq!(pack(BARE, &call, "5"), wire);
    assert_eq!(unpack(BARE, wire).unwrap().head, request("s".into(), false));
    let wire = r#"{"type":"note","sendAck":false,"data":5}"#;
    assert_eq!(pack(BARE, &Head::message("news"), "5"), wire);
    assert_eq!(unpack(BARE, wire).unwrap().head, note(None));
    // Delivery under one stamp: the same bytes whether the sender may repeat it or not.
    let once = Head::Message { name: "n".into(), receipt: Some("s".into()), reliable: false };
    let wire = r#"{"type":"note","sendAck":true,"stamp":"s","data":5}"#;
    assert_eq!(pack(BARE, &once, "5"), wire);
    assert_eq!(unpack(BARE, wire).unwrap().head, note(Some("s".into())));
}

#[test]
#[rustfmt::skip]
fn names_are_in_the_data_of_named_messages() {
    let receipt = Some(Stamp::from("s"));
    for (head, payload, wire) in [
        (Head::message("news"), "5", r#"{"type":"note","sendAck":false,"data":{"name":"news","data":5}}"#),
        (Head::message("n\"ä"), "", r#"{"type":"note","sendAck":false,"data":{"name":"n\"ä","data":null}}"#),
        (Head::Message { name: "news".into(), receipt, reliable: true }, "[]", r#"{"type":"note","sendAck":true,"stamp":"s","data":{"name":"news","data":[]}}"#),
        (Head::call("add", "s".into()), r#"{"a":1}"#, r#"{"type":"request","sendAck":false,"stamp":"s","data":{"name":"add","data":{"a":1}}}"#),
        (Head::call("__proto__", "s".into()), "", r#"{"type":"request","sendAck":false,"stamp":"s","data":{"name":"__proto__","data":null}}"#),
        // Answers and the rest are as ever.
        (Head::reply("s".into()), "1", r#"{"type":"response","sendAck":false,"stamp":"s","data":1,"failureCode":0}"#),
        (Head::Pong, r#"{"name":1}"#, r#"{"type":"pong","data":{"name":1}}"#),
    ] {
        assert_eq!(pack(NAMED, &head, payload), wire);
        let envelope = unpack(NAMED, wire).unwrap();
        assert_eq!((envelope.head, &envelope.payload[..]), (head, payload.as_bytes()), "{wire}");
    }
    let loose = r#"{"type":"note","data": { "x":1, "data" : [ 2 ] , "name":1, "n\u0061me" : "\u0061" } }"#;
    let envelope = unpack(NAMED, loose).unwrap();
    assert_eq!((envelope.head, &envelope.payload[..]), (Head::message("a"), &b"[ 2 ]"[..]));
    assert_eq!(unpack(NAMED, r#"{"type":"note","data":{"name":"a"}}"#).unwrap().payload, "");
}

#[test]
fn named_messages_without_a_name_are_of_the_wrong_shape() {
    let data = ["null", "5", "\"a\"", "[]", "[\"a\",1]", "{}", r#"{"data":1}"#, r#"{"Name":"a"}"#];
    let names =
        ["null", "5", "{}", "[]", "true"].map(|name| format!(r#"{{"name":{name},"data":1}}"#));
    for data in data.into_iter().map(str::to_owned).chain(names) {
        for text in [
            format!(r#"{{"type":"note","data":{data}}}"#),
            format!(r#"{{"type":"request","stamp":"s","data":{data}}}"#),
        ] {
            assert_eq!(kind(NAMED, &text), CodecErrorKind::Shape, "{text}");
        }
    }
    assert_eq!(kind(NAMED, r#"{"type":"note"}"#), CodecErrorKind::Shape);
    let surrogate = r#"{"type":"note","data":{"name":"\ud800"}}"#;
    assert_eq!(kind(NAMED, surrogate), CodecErrorKind::Malformed);
}

#[test]
fn null_is_no_data_of_calls_and_replies() {
    for payload in ["", "null", " null "] {
        let wire = pack(BARE, &request("s".into(), false), payload);
        assert_eq!(wire, r#"{"type":"request","sendAck":false,"stamp":"s","data":{}}"#);
        assert_eq!(unpack(BARE, &wire).unwrap().payload, "{}");
        let reply = r#"{"type":"response","sendAck":false,"stamp":"s","data":{},"failureCode":0}"#;
        for protocol in [BARE, NAMED] {
            assert_eq!(pack(protocol, &Head::reply("s".into()), payload), reply);
        }
        let note = r#"{"type":"note","sendAck":false,"data":null}"#;
        assert_eq!(pack(BARE, &Head::message("n"), payload), note);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
}

#[test]
fn an_empty_object_is_read_as_null_where_nothing_else_fits() {
    let empty = Bytes::from_static(b"{}");
    let () = WsProcessorFormat.decode(&empty).unwrap();
    assert_eq!(Decode::<Option<i64>>::decode(&WsProcessorFormat, &empty).unwrap(), None);
    assert_eq!(Decode::<Option<Point>>::decode(&WsProcessorFormat, &empty).unwrap(), None);
    assert_eq!(Decode::<Value>::decode(&WsProcessorFormat, &empty).unwrap(), serde_json::json!({}));
    assert_eq!(Decode::<Value>::decode(&WsProcessorFormat, &Bytes::new()).unwrap(), Value::Null);
    let error = Decode::<Point>::decode(&WsProcessorFormat, &empty).unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Value);
    // Of what was there, not of the null that was tried instead.
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("missing field"));
    for text in ["[]", "{\"x\":null}", "5x"] {
        let error =
            Decode::<Option<Point>>::decode(&WsProcessorFormat, &Bytes::from(text)).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Value, "{text}");
    }
    let mut out = BytesMut::new();
    WsProcessorFormat.encode(&Point { x: 0.5 }, &mut out).unwrap();
    assert_eq!(out, r#"{"x":0.5}"#);
    assert_eq!(WsProcessorFormat.empty_map(), "{}");
}

#[test]
fn members_are_found_wherever_and_however_they_are() {
    let call = request("s".into(), true);
    for text in [
        r#"{"data":5,"stamp":"s","sendAck":true,"type":"request"}"#,
        " {\n\"type\" : \"request\" , \"x\":[{\"type\":\"note\"}],\"sendAck\":true,\r\"stamp\"\t: \"s\",\"data\":5 } ",
        r#"{"\u0074ype":"r\u0065quest","sendAck":true,"st\u0061mp":"\u0073","d\u0061ta":5}"#,
        r#"{"type":"note","stamp":1,"data":0,"sendAck":false,"type":"request","stamp":"s","data":5,"sendAck":true}"#,
        r#"{"type":"request","sendAck":1,"stamp":"s","data":5}"#,
        r#"{"type":"request","sendAck":{},"stamp":"s","data":5,"failureCode":"x","__proto__":{"type":"note"}}"#,
    ] {
        let expected = Envelope { head: call.clone(), payload: Bytes::from_static(b"5") };
        assert_eq!(unpack(BARE, text).unwrap(), expected, "{text}");
    }
    for no in ["false", "null", "0", "-0.0", "\"\""] {
        let text = format!(r#"{{"type":"request","sendAck":{no},"stamp":"s","data":5}}"#);
        assert_eq!(unpack(BARE, &text).unwrap().head, request("s".into(), false), "{text}");
    }
}

#[test]
fn a_note_needs_a_stamp_to_be_acknowledged() {
    for text in [
        r#"{"type":"note"}"#,
        r#"{"type":"note","data":null}"#,
        r#"{"type":"note","sendAck":false,"stamp":"s","data":null}"#,
        r#"{"type":"note","sendAck":true}"#,
        r#"{"type":"note","sendAck":true,"stamp":null}"#,
        r#"{"type":"note","sendAck":true,"stamp":""}"#,
    ] {
        let expected = Envelope { head: note(None), payload: Bytes::new() };
        assert_eq!(unpack(BARE, text).unwrap(), expected, "{text}");
    }
    assert_eq!(kind(BARE, r#"{"type":"note","sendAck":true,"stamp":{}}"#), CodecErrorKind::Shape);
}

#[test]
#[rustfmt::skip]
fn what_is_json_but_no_message_is_of_the_wrong_shape() {
    let mut texts: Vec<String> = [
        "5", "null", "true", "\"text\"", "[]", "[{\"type\":\"note\"}]", "{}", r#"{"data":1}"#, r#"{"Type":"note"}"#,
        r#"{"type":null}"#, r#"{"type":5}"#, r#"{"type":true}"#, r#"{"type":{}}"#, r#"{"type":["note"]}"#,
        r#"{"type":""}"#, r#"{"type":"nope"}"#, r#"{"type":"Note"}"#, r#"{"type":"note "}"#, r#"{"type":"\ud800"}"#,
        r#"{"type":"note\u0000"}"#, r#"{"type":"note","type":5}"#,
        r#"{"type":"request","stamp":"s"}"#, r#"{"type":"request","stamp":"s","data":null}"#,
        r#"{"type":"response","stamp":"s"}"#, r#"{"type":"response","stamp":"s","data":null,"failureCode":0}"#,
    ].map(str::to_owned).to_vec();
    texts.extend(INHERITED.map(|name| format!(r#"{{"type":"{name}","stamp":"{name}","data":1}}"#)));
    for kind in ["request", "response", "noteAck", "requestAck", "responseAck"] {
        texts.push(format!(r#"{{"type":"{kind}","data":1}}"#));
        for stamp in ["null", "\"\"", "{}", "[]", "true", "1.5", "1e-1", "9223372036854775808"] {
            texts.push(format!(r#"{{"type":"{kind}","stamp":{stamp},"data":1}}"#));
        }
    }
    for text in texts {
        assert_eq!(kind(BARE, &text), CodecErrorKind::Shape, "{text}");
    }
}

/// As in the package: it is refused, and the call runs into its time limit.
#[test]
fn a_response_without_data_is_refused() {
    for data in ["", ",\"data\":null"] {
        let text = format!(r#"{{"type":"response","stamp":"s","failureCode":0{data}}}"#);
        assert_eq!(unpack(BARE, &text).unwrap_err().unread(), None, "{text}");
    }
}

#[test]
fn what_is_no_json_is_malformed() {
    for text in [
        "",
        " ",
        "x",
        "{",
        "}",
        "{]",
        "{,}",
        "{\"type\":\"note\",}",
        "{type:\"note\"}",
        "{\"type\":\"note\"} x",
        "{\"type\":\"note\"}{}",
        "{\"type\":\"note\",\"data\":01}",
        "{\"type\":\"note\",\"data\":+1}",
        "{\"type\":\"note\",\"x\":nul}",
        "\u{feff}{}",
        "{\"type\":\"note\",\"data\":\"\u{1}\"}",
        "{\"type\":\"note\",\"x\":\"\\x\"}",
        "NaN",
        "{\"type\":\"note\",\"sendAck\":true,\"stamp\":\"\\udead\"}",
    ] {
        assert_eq!(kind(BARE, text), CodecErrorKind::Malformed, "{text}");
    }
}

#[test]
fn inherited_names_are_stamps_as_any_other() {
    for name in INHERITED {
        for of in ["noteAck", "requestAck", "responseAck"] {
            let text = format!(r#"{{"type":"{of}","stamp":"{name}"}}"#);
            let Head::Receipt { stamp, .. } = unpack(BARE, &text).unwrap().head else { panic!() };
            assert_eq!(stamp, Stamp::from(name));
        }
        let head = request(name.into(), true);
        let wire = pack(BARE, &head, "1");
        assert_eq!(unpack(BARE, &wire).unwrap().head, head);
    }
}

#[test]
fn any_failure_code_that_javascript_takes_for_yes_is_a_failure() {
    let with = |member: &str| {
        opened(&format!(r#"{{"type":"response","stamp":"s",{member}"data":"text"}}"#))
    };
    for no in ["0", "-0", "0.0", "0e9", "1e-999", "null", "false", "\"\""] {
        let reply = with(&format!(r#""failureCode":{no},"#));
        assert_eq!(reply, SessionMessage::raw(Head::reply("s".into()), "\"text\"".into()), "{no}");
    }
    assert_eq!(with("").head, Head::reply("s".into()));
    for (code, text) in [
        ("1", "1"),
        ("-1", "-1"),
        ("2.2", "2.2"),
        ("1e999", "1e999"),
        ("\"0\"", "0"),
        ("\"no\\n\"", "no\n"),
        ("true", "true"),
        ("[ 1 ]", "[ 1 ]"),
        ("{\"a\":0}", "{\"a\":0}"),
    ] {
        let fault = with(&format!(r#""failureCode":{code},"#));
        assert_eq!(
            fault,
            SessionMessage::fault("s".into(), Fault::new(text).message("text")),
            "{code}"
        );
    }
}

#[test]
fn the_text_of_a_failure_is_its_data() {
    let with = |data: &str| {
        let text = format!(r#"{{"type":"response","stamp":"s","failureCode":4,"data":{data}}}"#);
        match opened(&text).body {
            Body::Fault(fault) => fault,
            body => panic!("{body:?}"),
        }
    };
    for (data, text) in
        [("\"\"", ""), ("\"ä\\n\"", "ä\n"), ("5", "5"), ("{\"a\":[]}", "{\"a\":[]}")]
    {
        let fault = Fault::new("4").message(text);
        // What is no text can be decoded, too.
        let details = if data.starts_with('"') { "" } else { data };
        assert_eq!(with(data), fault.details(Bytes::copy_from_slice(details.as_bytes())));
    }
    assert_eq!(with("null"), Fault::new("4"));
    let absent = opened(r#"{"type":"response","stamp":"s","failureCode":4}"#);
    assert_eq!(absent, SessionMessage::fault("s".into(), Fault::new("4")));
    // It cannot be a text here. The call has failed all the same.
    assert_eq!(with("\"\\ud800\""), Fault::new(ErrorCode::Failed));
}

#[test]
fn faults_are_written_with_their_code_as_a_number_if_it_is_one() {
    for (code, written) in [
        ("400", "400"),
        ("1.5", "1.5"),
        ("-3", "-3"),
        ("1e3", "1e3"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("0", "\"0\""),
        ("-0.0", "\"-0.0\""),
        ("1e-999", "\"1e-999\""),
        ("1e999", "\"1e999\""),
        ("01", "\"01\""),
        ("+1", "\"+1\""),
        (" 1", "\" 1\""),
        ("1 ", "\"1 \""),
        ("1.", "\"1.\""),
        ("-", "\"-\""),
        ("NaN", "\"NaN\""),
        ("true", "\"true\""),
        ("my\"code", "\"my\\\"code\""),
        ("wse.server.rp.not-registered", "\"wse.server.rp.not-registered\""),
    ] {
        let fault = Fault::new(code).message("näh \"x\"");
        let message = SessionMessage::fault("s".into(), fault.clone());
        let wire = sealed(&message);
        let rest =
            r#"{"type":"response","sendAck":false,"stamp":"s","data":"näh \"x\"","failureCode":"#;
        assert_eq!(wire, format!("{rest}{written}}}"));
        assert_eq!(opened(&wire), message);
    }
}

#[test]
fn faults_say_their_message_or_details_or_code() {
    let fault = |details: &'static str| Fault::new("400").details(details.into());
    for (fault, data) in [
        (fault("[1]"), "[1]"),
        (fault("{\"a\":null}"), "{\"a\":null}"),
        (fault("[1]").message("no"), "\"no\""),
        (fault("null"), "\"400\""),
    ] {
        let wire = sealed(&SessionMessage::fault(Stamp::Int(1), fault));
        let rest = r#"{"type":"response","sendAck":false,"stamp":1,"data":"#;
        assert_eq!(wire, format!("{rest}{data},\"failureCode\":400}}"));
    }
    let wire = sealed(&SessionMessage::fault(Stamp::Int(1), Fault::new("400")));
    assert_eq!(
        wire,
        r#"{"type":"response","sendAck":false,"stamp":1,"data":"400","failureCode":400}"#
    );
    // An empty code would be success.
    let wire = sealed(&SessionMessage::fault("s".into(), Fault::new("")));
    assert_eq!(opened(&wire).head, Head::fault("s".into()));
    let Body::Fault(fault) = opened(&wire).body else { panic!("{wire}") };
    assert_eq!(fault.code, ErrorCode::Failed);
}

#[test]
fn a_payload_that_is_no_fault_is_still_a_failure() {
    for (payload, data) in
        [("", "\"\""), ("null", "\"\""), ("{\"a\":1}", "{\"a\":1}"), ("[]", "[]")]
    {
        let wire = pack(BARE, &Head::fault("s".into()), payload);
        let rest = r#"{"type":"response","sendAck":false,"stamp":"s","data":"#;
        assert_eq!(wire, format!("{rest}{data},\"failureCode\":1}}"));
        assert_eq!(unpack(BARE, &wire).unwrap().head, Head::fault("s".into()));
        assert_eq!(pack(BARE, &Head::ErrorReport, payload), r#"{"type":"error","data":""}"#);
    }
    for payload in ["", "null", "[]", "{}", "[1", "\"x\"", "[\"\\ud800\",1]"] {
        let error = WsProcessorFormat.decode_fault(&Bytes::from(payload)).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape, "{payload}");
    }
    assert_eq!(WsProcessorFormat.decode_fault(&Bytes::from("[5]")).unwrap(), Fault::new("5"));
}

#[test]
fn error_reports_are_texts() {
    let report = |fault| SessionMessage { head: Head::ErrorReport, body: Body::Fault(fault) };
    let fault = Fault::new(ErrorCode::MessageProcessing);
    let full = report(fault.clone().message("näh"));
    assert_eq!(sealed(&full), r#"{"type":"error","data":"näh"}"#);
    assert_eq!(opened(r#"{"type":"error","data":"näh"}"#), full);
    assert_eq!(
        sealed(&report(fault.clone())),
        r#"{"type":"error","data":"wse.server.msg-processing-error"}"#
    );
    for member in ["", ",\"data\":null", ",\"data\":5", ",\"data\":{\"a\":1}", ",\"data\":true"] {
        let text = format!(r#"{{"type":"error"{member}}}"#);
        assert_eq!(opened(&text), report(fault.clone()), "{text}");
    }
}

#[test]
fn pings_are_numbered_and_pongs_repeat_what_came() {
    let ping = SessionMessage { head: Head::Ping, body: Body::Serial(1) };
    assert_eq!(sealed(&ping), r#"{"type":"ping","data":1}"#);
    let pong = SessionMessage { head: Head::Pong, body: Body::Serial(12) };
    assert_eq!(opened(r#"{"type":"pong","data":12}"#), pong);
    for data in ["\"12\"", "-1", "1.5", "{}", "[12]", "18446744073709551616"] {
        let text = format!(r#"{{"type":"pong","data":{data}}}"#);
        assert_eq!(opened(&text), SessionMessage::raw(Head::Pong, data.into()), "{text}");
        let Body::Raw(payload) = opened(&text.replace("pong", "ping")).body else { panic!() };
        assert_eq!(sealed(&SessionMessage::raw(Head::Pong, payload)), text);
    }
    assert_eq!(opened(r#"{"type":"pong"}"#), SessionMessage::raw(Head::Pong, Bytes::new()));
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    let nested = |depth| {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"type":"note","data":{value}}}"#)
    };
    let deepest = unpack(BARE, &nested(127)).unwrap();
    let _: Value = WsProcessorFormat.decode(&deepest.payload).unwrap();
    for text in [nested(128), nested(100_000), "[".repeat(100_000), "{\"data\":".repeat(100_000)] {
        assert_eq!(kind(BARE, &text), CodecErrorKind::Limit);
        assert_eq!(kind(NAMED, &text), CodecErrorKind::Limit);
    }
    // Behind what is needed, too.
    let behind = format!(r#"{{"type":"note","data":1,"x":{}"#, "[".repeat(100_000));
    assert_eq!(kind(BARE, &behind), CodecErrorKind::Limit);
    let deep = nested(127).replace("\"note\"", r#""response","stamp":"s","failureCode":1"#);
    assert!(matches!(opened(&deep).body, Body::Fault(fault) if fault.code == ErrorCode::from("1")));
}

#[test]
fn stamps_and_payloads_are_slices_of_the_message() {
    let stamp = "a-stamp-that-is-too-long-to-be-kept-inline";
    let before = "{\"type\":\"request\",\"stamp\":\"";
    let message = Bytes::from(format!("{before}{stamp}\",\"data\":[1]}}"));
    let envelope = BARE.unpack((&message).into()).unwrap();
    let Some(Stamp::Text(read)) = envelope.head.stamp() else { panic!("{envelope:?}") };
    assert_eq!(read.as_str().as_ptr(), message[before.len()..].as_ptr());
    assert_eq!(envelope.payload.as_ptr(), message[message.len() - 4..].as_ptr());
}

#[test]
fn pack_with_takes_back_what_failed() {
    let keyed_by_lists = std::collections::BTreeMap::from([(vec![1], 1)]);
    for head in [note(None), request("s".into(), false), Head::reply("s".into())] {
        for protocol in [BARE, NAMED] {
            let mut out = BytesMut::from("before");
            let failed = protocol
                .pack_with(&head, &mut out, |out| WsProcessorFormat.encode(&keyed_by_lists, out));
            assert_eq!(failed.unwrap_err().kind(), CodecErrorKind::Value);
            assert_eq!(out, "before");
        }
    }
}

/// Texts that are nearly messages.
fn near() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("note"),
        Just("noteAck"),
        Just("request"),
        Just("requestAck"),
        Just("response"),
        Just("responseAck"),
        Just("ping"),
        Just("pong"),
        Just("error"),
        Just("toString"),
        Just("\\u0061"),
        Just("\\ud800"),
    ];
    let value = prop_oneof![
        3 => word.prop_map(|word| format!("\"{word}\"")),
        3 => prop_oneof![
            Just("null"), Just("0"), Just("-1.5e3"), Just("true"), Just("{}"), Just("[]"), Just("\"\""), Just(""),
            Just("{\"name\":\"a\"}"), Just("{\"name\":0,\"data\":1}"), Just("[[{}]]"), Just("1e999"), Just("{"),
        ].prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    let name = prop_oneof![
        Just("type"),
        Just("sendAck"),
        Just("stamp"),
        Just("data"),
        Just("failureCode"),
        Just("t\\u0079pe"),
        Just("x")
    ];
    proptest::collection::vec((name, value), 0..7).prop_map(|members| {
        let members: Vec<_> =
            members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Takes it apart in every way; what is taken can be written again, and is then taken as the same.
fn harmless(message: &Bytes) -> Result<(), TestCaseError> {
    for protocol in [BARE, NAMED] {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(message).is_ok();
        let Ok(envelope) = protocol.unpack(message.into()) else { continue };
        prop_assert!(is_json, "{:?}", message);
        let mut out = BytesMut::new();
        protocol.pack(&envelope.head, &envelope.payload, &mut out);
        let again = protocol.unpack((&out.freeze()).into()).unwrap();
        prop_assert_eq!(&again.head, &envelope.head);
        // A report without a text gets an empty one.
        if envelope.head != Head::ErrorReport {
            prop_assert_eq!(&again.payload, &envelope.payload);
        }
        let opened = open(&protocol, message.into()).unwrap();
        seal(&protocol, &opened, &mut BytesMut::new());
        let _ = Decode::<Value>::decode(&WsProcessorFormat, &envelope.payload);
    }
    Ok(())
}

proptest! {
    #[test]
    fn untrusted_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "\\PC{0,60}", near in near()) {
        harmless(&Bytes::from(bytes.clone()))?;
        harmless(&Bytes::from(text.clone()))?;
        harmless(&Bytes::from(near))?;
        let _ = WsProcessorFormat.decode_fault(&Bytes::from(bytes));
        let _ = WsProcessorFormat.decode_fault(&Bytes::from(format!("[{text}]")));
    }

    #[test]
    fn faults_survive(code in "\\PC{1,12}|-?[0-9]{1,4}(\\.[0-9]{0,2})?", text in ".*", receipt in any::<bool>()) {
        let head = Head::Fault { stamp: "s".into(), receipt };
        let message = SessionMessage { head, body: Body::Fault(Fault::new(code).message(text)) };
        prop_assert_eq!(opened(&sealed(&message)), message);
    }
}
