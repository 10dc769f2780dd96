//! The messages about resume, in every format that has them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::Message;
use prost_types::value::Kind;
use wse_codecs::{Cbor, JsonArray, JsonFormat, MessagePack, Protobuf, ProtobufFormat};
use wse_proto::{
    Body, DrainNotice, Format, Head, Hi, NotResumed, Outcome, Packed, Protocol, ResumeRequest,
    SessionInfo, SessionMessage, Value, open, seal,
};

const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODw";

fn session(outcome: Outcome, seen: u64) -> SessionMessage {
    let window = Duration::from_secs(60);
    let info = SessionInfo { session: "s1".into(), token: TOKEN.into(), window, outcome, seen };
    SessionMessage { head: Head::Session, body: Body::Session(Box::new(info)) }
}

/// Every message, and how the JSON array writes it.
fn messages() -> Vec<(SessionMessage, String)> {
    let of = |head, body| SessionMessage { head, body };
    let hi = |request: ResumeRequest| Hi {
        resume: Some(Box::new(request.to_value())),
        ..Hi::new("\"me\"", "{}")
    };
    let resume = ResumeRequest::Resume { session: "s1".into(), token: TOKEN.into(), seen: 7 };
    let info = |rest: &str| {
        let session = format!(r#""session":"s1","token":"{TOKEN}","window":60000"#);
        format!(r#"["~wse:session",{{{session},{rest}}},null]"#)
    };
    let ms = Duration::from_millis;
    vec![
        (
            of(Head::HiWithReceipts, Body::Hi(hi(ResumeRequest::New))),
            r#"["~wse:hi",{"identity":"me","meta":{},"resume":true},null,1]"#.into(),
        ),
        (
            of(Head::HiWithReceipts, Body::Hi(hi(resume))),
            format!(
                r#"["~wse:hi",{{"identity":"me","meta":{{}},"resume":{{"session":"s1","token":"{TOKEN}","seen":7}}}},null,1]"#
            ),
        ),
        (session(Outcome::New, 0), info(r#""outcome":"new","seen":0"#)),
        (session(Outcome::Full, 7), info(r#""outcome":"full","seen":7"#)),
        (
            session(Outcome::Partial { first: 3, last: 9 }, 7),
            info(r#""outcome":"partial","seen":7,"lost":[3,9]"#),
        ),
        (
            session(Outcome::None(NotResumed::Protocol), 0),
            info(r#""outcome":"none","seen":0,"reason":"protocol""#),
        ),
        (of(Head::Seen, Body::Seen(64)), r#"["~wse:seen",64,null]"#.into()),
        (
            of(Head::Drain, Body::Drain(DrainNotice { after: ms(100), spread: ms(2000) })),
            r#"["~wse:drain",{"after":100,"spread":2000},null]"#.into(),
        ),
        (
            of(Head::Expires, Body::Expires(Some(ms(30_000)))),
            r#"["~wse:expires",{"in":30000},null]"#.into(),
        ),
        (
            of(Head::Renew, Body::Hi(Hi::new("\"new\"", "{}"))),
            r#"["~wse:renew",{"identity":"new","meta":{}},null]"#.into(),
        ),
        (
            of(Head::Renewed, Body::Expires(Some(ms(30_000)))),
            r#"["~wse:renewed",{"in":30000},null]"#.into(),
        ),
        (of(Head::Renewed, Body::Expires(None)), r#"["~wse:renewed",null,null]"#.into()),
    ]
}

#[test]
fn the_json_array_writes_these_texts() {
    for (message, text) in messages() {
        let mut out = BytesMut::new();
        seal(&JsonArray, &message, &mut out);
        assert_eq!(out, text.as_bytes());
        assert_eq!(open(&JsonArray, (&out.freeze()).into()).unwrap(), message);
    }
}

fn comes_back<P: Protocol>(protocol: &P, identity: &Bytes) {
    assert!(protocol.info().can().has_resume());
    for (mut message, _) in messages() {
        if let Body::Hi(hi) = &mut message.body {
            (hi.identity, hi.meta) = (identity.clone(), protocol.format().empty_map());
        }
        let mut out = BytesMut::new();
        seal(protocol, &message, &mut out);
        let packed = out.freeze();
        let packed = Packed::of(protocol.info().kind(), &packed).unwrap();
        let read = open(protocol, packed).unwrap();
        match (&read.body, &message.body) {
            // The order of the members is the format's.
            (Body::Hi(read), Body::Hi(sent)) => {
                let request = |hi: &Hi| hi.resume.as_deref().map(ResumeRequest::from_value);
                assert_eq!(request(read), request(sent));
                assert_eq!(read.identity, sent.identity);
            }
            _ => assert_eq!(read, message),
        }
    }
}

#[test]
fn every_message_comes_back_in_every_format() {
    comes_back(&JsonArray, &Bytes::from("\"me\""));
    comes_back(&Cbor, &Bytes::from("\x62me"));
    comes_back(&MessagePack, &Bytes::from_static(b"\xa2me"));
    comes_back(&Protobuf, &Bytes::from("\x0a\x02me"));
}

#[test]
fn protobuf_writes_the_well_known_value() {
    let value = Value::Map(vec![
        ("seen".into(), Value::Integer(7)),
        ("lost".into(), Value::List(vec![Value::Integer(1), Value::Integer(2)])),
        ("token".into(), Value::Text("t".into())),
    ]);
    let mut out = BytesMut::new();
    ProtobufFormat.encode_value(&value, &mut out);
    let read = prost_types::Value::decode(&out[..]).unwrap();
    let Some(Kind::StructValue(fields)) = &read.kind else { panic!("{read:?}") };
    let kind = |name: &str| fields.fields[name].kind.clone().unwrap();
    assert_eq!(kind("seen"), Kind::NumberValue(7.0));
    assert_eq!(kind("token"), Kind::StringValue("t".into()));
    assert!(matches!(kind("lost"), Kind::ListValue(list) if list.values.len() == 2));
}

#[test]
fn whole_floats_are_integers_and_other_numbers_are_not() {
    let table = [
        ("7", Value::Integer(7)),
        ("7.0", Value::Integer(7)),
        ("9007199254740991", Value::Integer((1 << 53) - 1)),
        ("9007199254740992", Value::Other),
        ("-1", Value::Other),
        ("0.5", Value::Other),
        ("1e300", Value::Other),
        ("null", Value::Null),
        ("[1,{},[[2]],3]", {
            let nested = Value::List(vec![Value::Other]);
            Value::List(vec![Value::Integer(1), Value::Other, nested])
        }),
        (r#"{"other":[[[1]]],"in":1,"in":2}"#, Value::Map(vec![("in".into(), Value::Integer(2))])),
    ];
    for (text, value) in table {
        assert_eq!(JsonFormat.decode_value(&text.into()), Some(value), "{text}");
    }
    assert_eq!(JsonFormat.decode_value(&"{".into()), None);
}

/// A payload that is none stays raw: the session judges it, and a side without resume ignores it.
#[test]
fn payloads_that_are_none_are_no_errors_of_the_codec() {
    for text in [
        r#"["~wse:seen","7",null]"#,
        r#"["~wse:seen",-1,null]"#,
        r#"["~wse:seen"]"#,
        r#"["~wse:session",{"session":"s1"},null]"#,
        r#"["~wse:drain",{"after":1},null]"#,
        r#"["~wse:expires",5,null]"#,
        r#"["~wse:renew",null,null]"#,
        r#"["~wse:renewed",false,null]"#,
    ] {
        let read = open(&JsonArray, (&Bytes::from(text)).into()).unwrap();
        assert!(matches!(read.body, Body::Raw(_)), "{read:?}");
    }
    // With a stamp it is a call, as with every internal type.
    let read = open(&JsonArray, (&Bytes::from(r#"["~wse:seen",7,"s1"]"#)).into()).unwrap();
    assert_eq!(read.head, Head::call("~wse:seen", "s1".into()));
}
