//! The CBOR array: the examples of RFC 8949, and what an untrusted peer sends instead.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use ciborium::value::Value;
use serde::{Deserialize, Serialize};
use wse_codecs::{Cbor, CborFormat};
use wse_proto::{
    CodecError, CodecErrorKind, Decode, Encode, Envelope, ErrorCode, Fault, Format, Head, Hi,
    Protocol, Stamp,
};

/// Bytes written in hex, with spaces anywhere.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn unpack(text: &str) -> Result<Envelope, CodecError> {
    Cbor.unpack((&hex(text)).into())
}

fn kind(text: &str) -> CodecErrorKind {
    match unpack(text) {
        Err(error) => error.kind(),
        Ok(envelope) => panic!("{text} is taken as {envelope:?}"),
    }
}

fn read<T>(text: &str) -> Result<T, CodecError>
where
    CborFormat: Decode<T>,
{
    CborFormat.decode(&hex(text))
}

fn written<T: ?Sized>(value: &T) -> Bytes
where
    CborFormat: Encode<T>,
{
    let mut out = BytesMut::new();
    CborFormat.encode(value, &mut out).unwrap();
    out.freeze()
}

/// Head, payload and message.
fn vectors() -> Vec<(Head, &'static str, &'static str)> {
    let s1 = || Stamp::from("s1");
    vec![
        (Head::message("t"), "", "83 6174 f6 f6"),
        (Head::message("t"), "a1 6161 01", "83 6174 a16161 01 f6"),
        (Head::call("add", s1()), "05", "83 63616464 05 627331"),
        (Head::call("t", Stamp::Int(24)), "05", "83 6174 05 1818"),
        (Head::call("t", Stamp::Int(-1)), "05", "83 6174 05 20"),
        (Head::call("t", Stamp::Int(i64::MAX)), "05", "83 6174 05 1b7fffffffffffffff"),
        (Head::call("t", Stamp::Int(i64::MIN)), "05", "83 6174 05 3b7fffffffffffffff"),
        (Head::Hi, "a0", "83 677e7773653a6869 a0 f6"),
        (Head::reply(s1()), "", "83 6d7e7773653a726573706f6e7365 f6 627331"),
        (
            Head::Message { name: "t".into(), receipt: Some(s1()), reliable: false },
            "05",
            "84 6174 05 627331 03",
        ),
        (
            Head::Call { name: "t".into(), stamp: s1(), receipt: true, timeout: None },
            "05",
            "84 6174 05 627331 01",
        ),
    ]
}

#[test]
fn messages_are_written_and_read_back() {
    for (head, payload, wire) in vectors() {
        let mut out = BytesMut::new();
        Cbor.pack(&head, &hex(payload), &mut out);
        assert_eq!(out, hex(wire), "{wire}");
        assert_eq!(unpack(wire).unwrap(), Envelope { head, payload: hex(payload) }, "{wire}");
    }
}

#[test]
fn a_message_cut_off_anywhere_is_malformed() {
    for (_, _, wire) in vectors() {
        let whole = hex(wire);
        for end in 0..whole.len() {
            let error = Cbor.unpack((&whole.slice(..end)).into()).unwrap_err();
            assert_eq!(error.kind(), CodecErrorKind::Malformed, "{wire} until {end}");
        }
    }
}

/// RFC 8949 appendix A, all of it but the plain null and undefined.
const WELL_FORMED: &str = "
    00 01 0a 17 1818 1819 1864 1903e8 1a000f4240 1b000000e8d4a51000 1bffffffffffffffff
    c249010000000000000000 3bffffffffffffffff c349010000000000000000 20 29 3863 3903e7
    f90000 f98000 f93c00 fb3ff199999999999a f93e00 f97bff fa47c35000 fa7f7fffff
    fb7e37e43c8800759c f90001 f90400 f9c400 fbc010666666666666 f97c00 f97e00 f9fc00 fa7f800000
    fa7fc00000 faff800000 fb7ff0000000000000 fb7ff8000000000000 fbfff0000000000000
    f4 f5 f0 f8ff c074323031332d30332d32315432303a30343a30305a c11a514b67b0
    c1fb41d452d9ec200000 d74401020304 d818456449455446
    d82076687474703a2f2f7777772e6578616d706c652e636f6d
    40 4401020304 60 6161 6449455446 62225c 62c3bc 63e6b0b4 64f0908591
    80 83010203 8301820203820405 98190102030405060708090a0b0c0d0e0f101112131415161718181819
    a0 a201020304 a26161016162820203 826161a161626163 a56161614161626142616361436164614461656145
    5f42010243030405ff 7f657374726561646d696e67ff
    9fff 9f018202039f0405ffff 9f01820203820405ff 83018202039f0405ff 83019f0203ff820405
    9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff
    bf61610161629f0203ffff 826161bf61626163ff bf6346756ef563416d7421ff
";

/// RFC 8949 appendix F, by its headings.
const NOT_WELL_FORMED: &[(&str, &str)] = &[
    (
        "end of input in a head",
        "18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000",
    ),
    (
        "strings with short data",
        "41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203",
    ),
    ("maps and arrays without enough items", "81 818181818181818181 8200 a1 a20102 a100 a2000000"),
    ("a tag without content", "c0"),
    ("strings not closed by a break", "5f4100 7f6100"),
    (
        "maps and arrays not closed by a break",
        "9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff",
    ),
    (
        "reserved additional information",
        "1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe",
    ),
    ("reserved simple values", "f800 f801 f818 f81f"),
    ("chunks of another type", "5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff"),
    ("chunks of indefinite length", "5f5f4100ffff 7f7f6100ffff"),
    ("a break on its own", "ff"),
    (
        "a break in a definite array, map or tag",
        "81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff 9f829f819f9fffffffff",
    ),
    ("a break between key and value", "bf00ff bf000000ff"),
    ("additional information 31 where none can be", "1f 3f df"),
];

#[test]
fn well_formed_payloads_are_passed_on_as_slices() {
    for item in WELL_FORMED.split_whitespace() {
        let message = hex(&format!("83 6174 {item} f6"));
        let payload = Cbor.unpack((&message).into()).unwrap().payload;
        assert_eq!(payload, hex(item), "{item}");
        assert_eq!(payload.as_ptr(), message[3..].as_ptr(), "{item}");
        // In containers of either length, and behind what is read.
        for message in ["81", "9f", "a161 61", "bf6161", "d864"] {
            let end = if message == "9f" || message == "bf6161" { "ff" } else { "" };
            assert!(unpack(&format!("82 6174 {message}{item}{end}")).is_ok(), "{item}");
        }
        assert!(unpack(&format!("9f 6174 f6 f6 00 {item} ff")).is_ok(), "{item}");
    }
}

#[test]
fn ill_formed_payloads_are_malformed() {
    let items = |list: &'static str| list.split_whitespace();
    for (what, item) in
        NOT_WELL_FORMED.iter().flat_map(|(w, list)| items(list).map(move |i| (w, i)))
    {
        for text in [format!("82 6174 {item}"), format!("85 6174 f6 f6 f6 {item}"), item.into()] {
            assert_eq!(kind(&text), CodecErrorKind::Malformed, "{what}: {text}");
        }
        assert!(read::<Value>(item).is_err(), "{what}: {item}");
        assert!(read::<serde::de::IgnoredAny>(item).is_err(), "{what}: {item}");
    }
    for text in ["", "81 6174 00", "83 6174 f6 f6 f6", "81 61ff", "83 6174 f6 61ff"] {
        assert_eq!(kind(text), CodecErrorKind::Malformed, "{text}");
    }
}

#[test]
fn what_is_cbor_but_no_envelope_is_of_the_wrong_shape() {
    for text in "80 9fff 00 f6 6174 a0 c180".split_whitespace() {
        assert_eq!(kind(text), CodecErrorKind::Shape, "{text}: no array with elements");
    }
    for text in "81f6 81f7 8160 8101 814174 81c001 81816174 82f601 83600160".split_whitespace() {
        assert_eq!(kind(text), CodecErrorKind::Shape, "{text}: no type");
    }
    for stamp in
        "a0 80 f5 4101 c14101 f93e00 1b8000000000000000 3b8000000000000000".split_whitespace()
    {
        let text = format!("83 6174 f6 {stamp}");
        assert_eq!(kind(&text), CodecErrorKind::Shape, "{text}: no stamp");
    }
}

#[test]
fn short_long_and_indefinite_arrays_are_taken() {
    let message = Envelope { head: Head::message("t"), payload: Bytes::new() };
    let call = Envelope { head: Head::call("t", "s1".into()), payload: hex("05") };
    for (text, expected) in [
        ("81 6174", &message),
        ("82 6174 f7", &message),
        ("83 6174 f6 f7", &message),
        ("83 6174 f7 60", &message),
        ("83 6174 f6 00", &message),
        ("83 7f 6174 ff f6 f6", &message),
        ("9f 6174 ff", &message),
        ("9a 00000001 7801 74", &message),
        ("9f 6174 05 627331 ff", &call),
        ("83 6174 05 7f 6173 60 6131 ff", &call),
        ("85 6174 05 627331 f6 a0", &call),
        ("84 6174 05 627331 6178", &call),
        ("84 6174 05 627331 1b0000000100000000", &call),
    ] {
        assert_eq!(&unpack(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn hostile_lengths_and_depths_cost_nothing() {
    let nested = |depth| format!("82 6174 {} 00", "81".repeat(depth));
    let deepest = unpack(&nested(127)).unwrap();
    assert!(CborFormat.decode(&deepest.payload).map(|_: Value| ()).is_ok());
    assert_eq!(kind(&nested(128)), CodecErrorKind::Limit);
    for bomb in ["81", "9f", "a1", "bf", "c1", "d864", "a100"] {
        let bomb = bomb.repeat(100_000);
        assert_eq!(kind(&format!("82 6174 {bomb} 00")), CodecErrorKind::Limit);
        assert_eq!(kind(&format!("{bomb}00")), CodecErrorKind::Limit);
        assert!(read::<Value>(&bomb).is_err());
        assert!(read::<serde::de::IgnoredAny>(&bomb).is_err());
        assert!(CborFormat.decode_hi(&hex(&bomb)).is_err());
    }
    for length in ["5b", "7b", "9b", "bb"] {
        for count in
            ["7fffffffffffffff", "ffffffffffffffff", "8000000000000000", "0000000000100000"]
        {
            let item = format!("{length}{count}00");
            assert_eq!(kind(&format!("82 6174 {item}")), CodecErrorKind::Malformed);
            assert_eq!(read::<Value>(&item).unwrap_err().kind(), CodecErrorKind::Malformed);
            assert!(read::<Vec<u64>>(&item).is_err());
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(f64),
    Line(i8, i8),
    Text { at: (u8, u8), text: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Drawing {
    shapes: Vec<Shape>,
    by: Option<char>,
    layers: BTreeMap<String, Vec<u8>>,
    size: (u16, u32, u64, i16, i32, i64, u128, i128, f32),
    unit: (),
    on: bool,
}

fn drawing() -> Drawing {
    Drawing {
        shapes: vec![
            Shape::Dot,
            Shape::Circle(2.5),
            Shape::Line(-128, 127),
            Shape::Text { at: (1, 2), text: "ä".repeat(5000) },
        ],
        by: Some('€'),
        layers: BTreeMap::from([("a".into(), vec![1, 2]), (String::new(), vec![])]),
        size: (1, 2, u64::MAX, -3, -4, i64::MIN, u128::MAX, i128::MIN, 0.25),
        unit: (),
        on: true,
    }
}

#[test]
fn values_are_written_and_read_by_serde() {
    let bytes = written(&drawing());
    assert_eq!(CborFormat.decode(&bytes).map(|read: Drawing| read == drawing()).ok(), Some(true));
    for end in 0..bytes.len() {
        assert!(Decode::<Drawing>::decode(&CborFormat, &bytes.slice(..end)).is_err(), "{end}");
    }
    let value: Value = CborFormat.decode(&bytes).unwrap();
    assert_eq!(written(&value), bytes);
    let mut trailing = BytesMut::from(&bytes[..]);
    trailing.extend_from_slice(&[0]);
    assert!(Decode::<Drawing>::decode(&CborFormat, &trailing.freeze()).is_err());
}

#[test]
fn ciborium_reads_the_same_from_the_examples() {
    for item in WELL_FORMED.split_whitespace() {
        let ours = read::<Value>(item).map_err(|error| error.to_string());
        match ciborium::from_reader::<Value, _>(&hex(item)[..]) {
            Ok(theirs) if format!("{theirs:?}").contains("NaN") => {
                assert!(format!("{ours:?}").contains("NaN"), "{item}");
            }
            Ok(theirs) => assert_eq!(ours.unwrap(), theirs, "{item}"),
            Err(_) => assert!(ours.is_err(), "{item}"),
        }
    }
}

#[test]
fn numbers_are_read_as_whatever_they_fit_in() {
    // What JavaScript makes of 5, -3 and a time in milliseconds, which is beyond 32 bits.
    assert_eq!(read::<f64>("05").unwrap(), 5.0);
    assert_eq!(read::<f32>("22").unwrap(), -3.0);
    // -2^53 - 2, which is rounded once.
    assert_eq!(read::<f64>("3b0020000000000001").unwrap(), -9_007_199_254_740_994.0);
    assert_eq!(read::<f64>("3bffffffffffffffff").unwrap(), -(2_f64.powi(64)));
    assert_eq!(read::<f64>("c350ffffffffffffffffffffffffffffffff").unwrap(), -(2_f64.powi(128)));
    assert_eq!(read::<u64>("fb4279aa36cae7b000").unwrap(), 1_763_678_400_123);
    assert_eq!(read::<i8>("f9c000").unwrap(), -2);
    assert_eq!(read::<u64>("c2 48 ffffffffffffffff").unwrap(), u64::MAX);
    assert_eq!(read::<u128>("c2 50 ffffffffffffffffffffffffffffffff").unwrap(), u128::MAX);
    assert_eq!(read::<i128>("c3 41 00").unwrap(), -1);
    assert_eq!(read::<u64>("c1 1a514b67b0").unwrap(), 1_363_896_240);
    for (text, what) in [
        ("f93e00", "1.5"),
        ("f97e00", "NaN"),
        ("f97c00", "infinity"),
        ("20", "-1"),
        ("1b0000000100000000", "2^32"),
        ("fb41f0000000000000", "2^32"),
        ("fb7e37e43c8800759c", "1e300"),
        ("6131", "a text"),
        ("f6", "null"),
        ("c2 51 01 00000000000000000000000000000000", "2^128"),
    ] {
        assert_eq!(read::<u32>(text).unwrap_err().kind(), CodecErrorKind::Value, "{what}");
    }
}

#[test]
fn strings_tags_and_nothing_are_read_leniently() {
    assert_eq!(read::<String>("7f 62c3bc 6161 ff").unwrap(), "üa");
    assert_eq!(read::<String>("c0 6161").unwrap(), "a");
    assert_eq!(read::<Vec<u8>>("43 010203").unwrap(), [1, 2, 3]);
    assert_eq!(read::<Vec<u8>>("5f 4101 420203 ff").unwrap(), [1, 2, 3]);
    assert_eq!(read::<Option<u8>>("f7").unwrap(), None);
    assert_eq!(read::<Option<u8>>("f6").unwrap(), None);
    read::<()>("f7").unwrap();
    let () = CborFormat.decode(&Bytes::new()).unwrap();
    let tagged = Value::Tag(100, Box::new(Value::Bytes(vec![1])));
    assert_eq!(read::<Value>("d864 4101").unwrap(), tagged);
    assert_eq!(read::<serde_json::Value>("f7").unwrap(), serde_json::Value::Null);
    // RFC 8949 §3.2.3: each chunk is UTF-8 by itself.
    for (wrong, kind) in [
        ("61ff", CodecErrorKind::Malformed),
        ("7f 61c3 61bc ff", CodecErrorKind::Malformed),
        ("4161", CodecErrorKind::Value),
    ] {
        assert_eq!(read::<String>(wrong).unwrap_err().kind(), kind, "{wrong}");
    }
}

#[test]
fn pack_with_writes_in_place_and_takes_back_what_failed() {
    let head = Head::call("add", "s1".into());
    let mut out = BytesMut::from(&[0xee][..]);
    Cbor.pack_with(&head, &mut out, |out| CborFormat.encode(&[1, 2], out)).unwrap();
    assert_eq!(out, hex("ee 83 63616464 820102 627331"));
    Cbor.pack_with(&head, &mut out, |_| Ok(())).unwrap();
    assert_eq!(out, hex("ee 83 63616464 820102 627331 83 63616464 f6 627331"));
    let mut out = BytesMut::from(&[0xee][..]);
    let failed = Cbor.pack_with(&head, &mut out, |out| {
        out.extend_from_slice(b"half");
        Err(CodecError::value("x", "y"))
    });
    assert!(failed.is_err());
    assert_eq!(out, hex("ee"));
}

#[test]
fn greetings_and_faults() {
    let hi = Hi { identity: hex("6149"), meta: hex("a0"), resume: None };
    let mut out = BytesMut::new();
    CborFormat.encode_hi(&hi, &mut out);
    assert_eq!(out, hex("a2 68 6964656e74697479 6149 64 6d657461 a0"));
    assert_eq!(CborFormat.decode_hi(&out.freeze()).unwrap(), hi);
    // Another order, indefinite length, unknown members, a key that is no text.
    let other = hex("bf 01 02 6178 8101 64 6d657461 f7 68 6964656e74697479 6149 ff");
    let read = CborFormat.decode_hi(&other).unwrap();
    assert_eq!(read, Hi { identity: hex("6149"), meta: Bytes::new(), resume: None });
    for text in ["f6", "80", "a0", "00", "a1 68 6964656e74697479 f6", "a1 64 6d657461 a0"] {
        let error = CborFormat.decode_hi(&hex(text)).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape, "{text}");
    }
    assert!(CborFormat.decode_hi(&Bytes::new()).is_err());

    let full = Fault::new("my-code").message("näh").details(hex("a10102"));
    for fault in [Fault::new(ErrorCode::NotRegistered), full] {
        let mut out = BytesMut::new();
        CborFormat.encode_fault(&fault, &mut out);
        assert_eq!(CborFormat.decode_fault(&out.freeze()).unwrap(), fault);
    }
    for text in ["f6", "a0", "a1 64636f6465 05", "a1 64636f6465 f6", "8161 63"] {
        assert!(CborFormat.decode_fault(&hex(text)).is_err(), "{text}");
    }
}
