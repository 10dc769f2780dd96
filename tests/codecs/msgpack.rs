//! The MessagePack array: each format of its specification, and what an untrusted peer sends instead.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde_json::Value;
use wse_codecs::{MessagePack, MessagePackFormat};
use wse_proto::{
    CodecError, CodecErrorKind, Decode, Encode, Envelope, Format, Head, Protocol, ReceiptOf, Stamp,
};

use super::plain;

/// Bytes written in hex, with spaces anywhere.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn unpack(text: &str) -> Result<Envelope, CodecError> {
    MessagePack.unpack((&hex(text)).into())
}

fn kind(text: &str) -> CodecErrorKind {
    match unpack(text) {
        Err(error) => error.kind(),
        Ok(envelope) => panic!("{text} is taken as {envelope:?}"),
    }
}

fn read<T>(text: &str) -> Result<T, CodecError>
where
    MessagePackFormat: Decode<T>,
{
    MessagePackFormat.decode(&hex(text))
}

fn written<T: ?Sized>(value: &T) -> Bytes
where
    MessagePackFormat: Encode<T>,
{
    let mut out = BytesMut::new();
    MessagePackFormat.encode(value, &mut out).unwrap();
    out.freeze()
}

fn packed(head: &Head, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    MessagePack.pack(head, payload, &mut out);
    out.freeze()
}

/// Bytes that are no array.
struct Bin(Vec<u8>);

impl<'de> serde::Deserialize<'de> for Bin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bin;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bin, E> {
                Ok(Bin(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// The name by which rmp-serde knows an ext.
#[derive(serde::Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Ext(#[allow(dead_code)] (i8, Bin));

/// Head, payload and message.
fn vectors() -> Vec<(Head, &'static str, &'static str)> {
    let s1 = || Stamp::from("s1");
    let note = |reliable| Head::Message { name: "t".into(), receipt: Some(s1()), reliable };
    let receipt = |of| Head::Receipt { stamp: s1(), of };
    vec![
        (Head::message("t"), "", "93 a174 c0 c0"),
        (Head::message("t"), "81 a161 01", "93 a174 81a16101 c0"),
        (Head::call("add", s1()), "05", "93 a3616464 05 a27331"),
        (Head::call("", s1()), "05", "93 a0 05 a27331"),
        (Head::call("t", s1()).with_timeout(300), "05", "95 a174 05 a27331 00 cd012c"),
        (
            Head::Call { name: "t".into(), stamp: s1(), receipt: true, timeout: None },
            "05",
            "94 a174 05 a27331 01",
        ),
        (
            Head::Call { name: "t".into(), stamp: s1(), receipt: true, timeout: None }
                .with_timeout(u32::MAX),
            "",
            "95 a174 c0 a27331 01 ceffffffff",
        ),
        (note(false), "05", "94 a174 05 a27331 03"),
        (note(true), "05", "94 a174 05 a27331 0b"),
        (Head::Hi, "80", "93 a77e7773653a6869 80 c0"),
        (Head::Challenge, "01", "93 ae7e7773653a6368616c6c656e6765 01 c0"),
        (Head::Welcome, "", "93 ac7e7773653a77656c636f6d65 c0 c0"),
        (Head::Ping, "07", "93 a97e7773653a70696e67 07 c0"),
        (Head::Pong, "07", "93 a97e7773653a706f6e67 07 c0"),
        (Head::ErrorReport, "80", "93 ae7e7773653a636f6d706c61696e74 80 c0"),
        (Head::Cancel { stamp: s1() }, "", "93 ab7e7773653a63616e63656c c0 a27331"),
        (Head::reply(s1()), "c2", "93 ad7e7773653a726573706f6e7365 c2 a27331"),
        (
            Head::Reply { stamp: s1(), receipt: true },
            "",
            "94 ad7e7773653a726573706f6e7365 c0 a27331 01",
        ),
        (Head::fault(s1()), "80", "93 b17e7773653a726573706f6e73652d657272 80 a27331"),
        (receipt(ReceiptOf::Call), "", "93 ac7e7773653a72656365697074 c0 a27331"),
        (receipt(ReceiptOf::Message), "", "94 ac7e7773653a72656365697074 c0 a27331 02"),
        (receipt(ReceiptOf::Answer), "", "94 ac7e7773653a72656365697074 c0 a27331 04"),
    ]
}

#[test]
fn messages_are_written_and_read_back() {
    for (head, payload, wire) in vectors() {
        assert_eq!(packed(&head, &hex(payload)), hex(wire), "{wire}");
        assert_eq!(unpack(wire).unwrap(), Envelope { head, payload: hex(payload) }, "{wire}");
    }
}

#[test]
fn a_message_cut_off_anywhere_or_continued_is_malformed() {
    for (_, _, wire) in vectors() {
        let whole = hex(wire);
        for end in 0..whole.len() {
            let error = MessagePack.unpack((&whole.slice(..end)).into()).unwrap_err();
            assert_eq!(error.kind(), CodecErrorKind::Malformed, "{wire} until {end}");
        }
        for more in ["c0", "c1", "93", "00"] {
            assert_eq!(kind(&format!("{wire}{more}")), CodecErrorKind::Malformed, "{wire} {more}");
        }
    }
}

/// Integers at the limits of their formats, written in the shortest.
const INTEGERS: &[(i64, &str)] = &[
    (1, "01"),
    (0x7f, "7f"),
    (0x80, "cc80"),
    (0xff, "ccff"),
    (0x100, "cd0100"),
    (0xffff, "cdffff"),
    (0x1_0000, "ce00010000"),
    (0xffff_ffff, "ceffffffff"),
    (0x1_0000_0000, "cf0000000100000000"),
    (i64::MAX, "cf7fffffffffffffff"),
    (-1, "ff"),
    (-0x20, "e0"),
    (-0x21, "d0df"),
    (-0x80, "d080"),
    (-0x81, "d1ff7f"),
    (-0x8000, "d18000"),
    (-0x8001, "d2ffff7fff"),
    (-0x8000_0000, "d280000000"),
    (-0x8000_0001, "d3ffffffff7fffffff"),
    (i64::MIN, "d38000000000000000"),
];

#[test]
fn integers_are_stamps_and_written_in_the_shortest_form() {
    for (int, wire) in INTEGERS {
        let head = Head::call("t", Stamp::Int(*int));
        let message = format!("93 a174 c0 {wire}");
        assert_eq!(packed(&head, &[]), hex(&message), "{int}");
        assert_eq!(unpack(&message).unwrap().head, head, "{int}");
        // As rmp-serde does.
        assert_eq!(written(int), hex(wire), "{int}");
        assert_eq!(read::<i64>(wire).unwrap(), *int);
        if let Ok(serial) = u64::try_from(*int) {
            let mut out = BytesMut::new();
            MessagePackFormat.encode_serial(serial, &mut out);
            assert_eq!(out, hex(wire), "{int}");
            assert_eq!(MessagePackFormat.decode_serial(&out.freeze()), Some(serial));
        }
    }
    for (wire, int) in [
        ("cc01", 1),
        ("cd0001", 1),
        ("ce00000001", 1),
        ("cf0000000000000001", 1),
        ("d001", 1),
        ("d10001", 1),
        ("d200000001", 1),
        ("d30000000000000001", 1),
        ("d0ff", -1),
        ("d37fffffffffffffff", i64::MAX),
    ] {
        let head = unpack(&format!("93 a174 c0 {wire}")).unwrap().head;
        assert_eq!(head, Head::call("t", Stamp::Int(int)), "{wire}");
    }
}

#[test]
fn texts_are_written_in_the_shortest_form() {
    for (len, wire) in [
        (31, "bf"),
        (32, "d920"),
        (61, "d93d"),
        (255, "d9ff"),
        (256, "da0100"),
        (65_535, "daffff"),
        (65_536, "db00010000"),
    ] {
        let text = "x".repeat(len);
        let head = Head::call(text.as_str(), Stamp::from(text.as_str()));
        let message = packed(&head, &[]);
        let text = [&hex(wire)[..], text.as_bytes()].concat();
        assert_eq!(message, [&b"\x93"[..], &text, b"\xc0", &text].concat(), "{len}");
        assert_eq!(MessagePack.unpack((&message).into()).unwrap().head, head, "{len}");
    }
    for wire in ["a174", "d90174", "da000174", "db0000000174"] {
        let message = format!("93 {wire} c0 {wire}");
        assert_eq!(unpack(&message).unwrap().head, Head::call("t", Stamp::from("t")), "{wire}");
    }
}

/// Objects of each format of the specification, but nil.
const WELL_FORMED: &str = "
    00 7f cc00 ccff cd0000 ce00000000 cf0000000000000000 cfffffffffffffffff
    e0 ff d080 d18000 d280000000 d38000000000000000 c2 c3
    ca00000000 ca7fc00000 cb3ff199999999999a cbfff0000000000000
    a0 a161 a2c3bc d900 d90161 da0000 da000161 db00000000 db0000000161
    c400 c401ff c50000 c50001ff c600000000 c600000001ff
    90 91c0 93010203 9301920203920405 dc0000 dc000101 dd00000000 dd0000000101
    80 81a161c0 82a16101a16202 81a161920203 de0000 de0001a16101 df00000000 df00000001a16101
    810102 81c0c0 8191c080 d400ff d501ffff d67f00000000 d7ff0000000000000000
    d88000000000000000000000000000000000 c70001 c7030100ffff c8000001 c800030100ffff
    c90000000001 c90000000301ffffff c70cff000000000000000000000000
";

/// Cut off, or with the byte that is never used.
const NOT_WELL_FORMED: &str = "
    c1 91c1 81c101 8101c1 9301c102
    a1 bf d9 d901 da da00 da0001 db db000000 db00000001 d9ff61 daffff61 dbffffffff61
    c4 c401 c5 c500 c50001 c6 c6000000 c600000001 c4ff00 c5ffff00 c6ffffffff c6ffffffff00
    c7 c700 c70101 c7ff0100 c8 c80000 c80001 c8ffff0100 c9 c900000000 c9ffffffff0100
    c9ffffffff d4 d401 d501ff d601ffffff d7 d8 d801ff
    91 9f 9200 dc dc00 dc0001 dcffff00 dd dd000000 dd00000001 ddffffffff ddffffffff00
    81 8101 820102 8f de de00 de0001 deffff01 df df000000 df0000000101 dfffffffff dfffffffff0000
    df80000000 dd80000000 df80000001 919fc0 9181
    cc cd cd00 ce ce000000 cf cf00000000000000 d0 d1 d100 d2 d2000000 d3 d300000000000000
    ca ca000000 cb cb00000000000000
";

#[test]
fn well_formed_payloads_are_passed_on_as_slices() {
    for object in WELL_FORMED.split_whitespace() {
        let message = hex(&format!("93 a174 {object} c0"));
        let payload = MessagePack.unpack((&message).into()).unwrap().payload;
        assert_eq!(payload, hex(object), "{object}");
        assert_eq!(payload.as_ptr(), message[3..].as_ptr(), "{object}");
        read::<IgnoredAny>(object).unwrap();
        // In containers, and behind what is read.
        for container in ["91", "dc0001", "dd00000001", "81a161", "de0001a161", "df00000001a161"] {
            assert!(unpack(&format!("92 a174 {container}{object}")).is_ok(), "{object}");
        }
        // As a key: the format leaves open what a key may be.
        assert!(unpack(&format!("92 a174 81{object}c0")).is_ok(), "{object}");
        assert!(unpack(&format!("95 a174 c0 c0 00 {object}")).is_ok(), "{object}");
        assert!(unpack(&format!("96 a174 c0 c0 00 00 {object}")).is_ok(), "{object}");
    }
}

#[test]
fn ill_formed_payloads_are_malformed() {
    for object in NOT_WELL_FORMED.split_whitespace() {
        for text in
            [format!("92 a174 {object}"), format!("95 a174 c0 c0 c0 {object}"), object.into()]
        {
            assert_eq!(kind(&text), CodecErrorKind::Malformed, "{text}");
        }
        for error in [
            read::<IgnoredAny>(object).map(drop).unwrap_err(),
            read::<Value>(object).map(drop).unwrap_err(),
            read::<String>(object).map(drop).unwrap_err(),
            read::<Vec<u64>>(object).map(drop).unwrap_err(),
            MessagePackFormat.decode_hi(&hex(object)).unwrap_err(),
            MessagePackFormat.decode_fault(&hex(object)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), CodecErrorKind::Malformed, "{object}");
        }
    }
    for text in ["", "91 a174 00", "93 a174 c0 c0 c0", "91 a1ff", "93 a174 c0 a1ff", "91 d901c3"] {
        assert_eq!(kind(text), CodecErrorKind::Malformed, "{text}");
    }
}

#[test]
fn what_is_messagepack_but_no_envelope_is_of_the_wrong_shape() {
    for text in "90 dc0000 dd00000000 00 c0 a174 80 c40174 d40174".split_whitespace() {
        assert_eq!(kind(text), CodecErrorKind::Shape, "{text}: no array with elements");
    }
    for text in "91c0 91a0 9101 91c40174 91d40174 9191a174 92c001 93a001a0 91c2".split_whitespace()
    {
        assert_eq!(kind(text), CodecErrorKind::Shape, "{text}: no type");
    }
    for stamp in
        "80 90 c2 c3 c40161 d40161 ca3fc00000 cb3ff8000000000000 cf8000000000000000 cfffffffffffffffff"
            .split_whitespace()
    {
        let text = format!("93 a174 c0 {stamp}");
        assert_eq!(kind(&text), CodecErrorKind::Shape, "{text}: no stamp");
    }
}

#[test]
fn short_and_long_arrays_are_taken() {
    let message = Envelope { head: Head::message("t"), payload: Bytes::new() };
    let call = Envelope { head: Head::call("t", "s1".into()), payload: hex("05") };
    let flagged = Head::Call { name: "t".into(), stamp: "s1".into(), receipt: true, timeout: None };
    let flagged = Envelope { head: flagged, payload: hex("05") };
    let timed = Envelope { head: call.head.clone().with_timeout(7), payload: hex("05") };
    for (text, expected) in [
        ("91 a174", &message),
        ("92 a174 c0", &message),
        ("93 a174 c0 c0", &message),
        ("93 a174 c0 a0", &message),
        ("93 a174 c0 00", &message),
        ("dc0001 d90174", &message),
        ("dd00000003 db0000000174 c0 c0", &message),
        ("93 a174 05 a27331", &call),
        ("95 a174 05 a27331 c0 80", &call),
        ("94 a174 05 a27331 a178", &call),
        ("94 a174 05 a27331 cf0000000100000001", &call),
        ("94 a174 05 a27331 ff", &call),
        ("94 a174 05 a27331 d301ffffffffffffff", &call),
        ("94 a174 05 a27331 cb3ff0000000000000", &call),
        ("9f a174 05 a27331 00 00 90 80 c2 d401ff a178 c40100 01 02 03 04", &call),
        ("94 a174 05 a27331 01", &flagged),
        ("94 a174 05 a27331 cf0000000000000001", &flagged),
        ("94 a174 05 a27331 d001", &flagged),
        ("95 a174 05 a27331 c0 07", &timed),
        ("95 a174 05 a27331 00 d200000007", &timed),
        ("95 a174 05 a27331 00 cd0007", &timed),
    ] {
        assert_eq!(&unpack(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn depths_are_limited() {
    let nested = |depth| format!("92 a174 {} 00", "91".repeat(depth));
    let deepest = unpack(&nested(127)).unwrap();
    assert!(MessagePackFormat.decode(&deepest.payload).map(|_: Value| ()).is_ok());
    assert_eq!(kind(&nested(128)), CodecErrorKind::Limit);
    for depth in [127, 128] {
        let payload = read::<Value>(&format!("{} 00", "91".repeat(depth)));
        assert_eq!(payload.is_ok(), depth == 127);
    }
    // The deepest container that is taken may be empty, and nothing lies in it then.
    assert!(unpack(&format!("92 a174 {} 90", "91".repeat(126))).is_ok());
    assert_eq!(kind(&format!("92 a174 {} 90", "91".repeat(127))), CodecErrorKind::Limit);

    // Arrays, and maps of which the values or the keys nest.
    for level in ["91", "81c0", "81", "dc0001", "dd00000001", "de000100", "df0000000100"] {
        let bomb = hex(level).repeat(1_000_000);
        let message = [&b"\x92\xa1t"[..], &bomb].concat();
        let bomb = Bytes::from(bomb);
        for error in [
            MessagePack.unpack((&Bytes::from(message)).into()).unwrap_err(),
            MessagePack.unpack((&bomb).into()).unwrap_err(),
            Decode::<Value>::decode(&MessagePackFormat, &bomb).unwrap_err(),
            Decode::<IgnoredAny>::decode(&MessagePackFormat, &bomb).unwrap_err(),
            MessagePackFormat.decode_hi(&bomb).unwrap_err(),
            MessagePackFormat.decode_fault(&bomb).unwrap_err(),
        ] {
            assert_eq!(error.kind(), CodecErrorKind::Limit, "{level}");
        }
    }
}

#[test]
fn hostile_lengths_cost_nothing() {
    for first in ["db", "c6", "c9", "dd", "df"] {
        for length in ["ffffffff", "7fffffff", "80000000", "80000001", "00100000"] {
            let object = format!("{first}{length}00");
            for text in [object.clone(), format!("92 a174 {object}"), format!("91 {object}")] {
                assert_eq!(kind(&text), CodecErrorKind::Malformed, "{text}");
            }
            for error in [
                read::<Value>(&object).unwrap_err(),
                read::<Vec<[u64; 32]>>(&object).unwrap_err(),
                read::<BTreeMap<String, Vec<String>>>(&object).unwrap_err(),
                read::<String>(&object).unwrap_err(),
                MessagePackFormat.decode_hi(&hex(&object)).unwrap_err(),
                MessagePackFormat.decode_fault(&hex(&object)).unwrap_err(),
            ] {
                assert_eq!(error.kind(), CodecErrorKind::Malformed, "{object}");
            }
        }
    }
}

#[test]
fn rmp_serde_reads_the_same_from_the_examples() {
    for object in WELL_FORMED.split_whitespace() {
        let theirs = rmp_serde::from_slice::<Value>(&hex(object)).map_err(|e| e.to_string());
        // rmp-serde has no `Value` for a bin, a timestamp, and a map whose keys are no text.
        let bytes = rmp_serde::from_slice::<Bin>(&hex(object));
        match (read::<Value>(object), theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, plain(theirs), "{object}"),
            (Ok(Value::Object(ours)), Err(_)) => assert!(!ours.is_empty(), "{object}"),
            (Ok(Value::Null | Value::Number(_)), Err(_)) => {
                read::<Ext>(object).unwrap();
            }
            (Ok(ours), Err(_)) => assert_eq!(ours, Value::from(bytes.unwrap().0), "{object}"),
            (Err(error), Err(_)) => assert_eq!(error.kind(), CodecErrorKind::Value, "{object}"),
            (ours, theirs) => panic!("{object}: {ours:?}, {theirs:?}"),
        }
    }
}

#[test]
fn pack_with_writes_in_place_and_takes_back_what_failed() {
    let head = Head::call("add", "s1".into());
    let mut out = BytesMut::from(&[0xee][..]);
    MessagePack.pack_with(&head, &mut out, |out| MessagePackFormat.encode(&[1, 2], out)).unwrap();
    assert_eq!(out, hex("ee 93 a3616464 920102 a27331"));
    MessagePack.pack_with(&head, &mut out, |_| Ok(())).unwrap();
    assert_eq!(out, hex("ee 93 a3616464 920102 a27331 93 a3616464 c0 a27331"));
    let mut out = BytesMut::from(&[0xee][..]);
    let failed = MessagePack.pack_with(&head, &mut out, |out| {
        out.extend_from_slice(b"half");
        Err(CodecError::value("x", "y"))
    });
    assert!(failed.is_err());
    assert_eq!(out, hex("ee"));
}
