//! Payloads in MessagePack: what serde writes and reads, and what its reader must not be left alone with.

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wse_codecs::{MessagePack, MessagePackFormat};
use wse_proto::{
    CodecError, CodecErrorKind, Decode, Encode, ErrorCode, Fault, Format, Hi, Protocol,
};

/// Bytes written in hex, with spaces anywhere.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
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

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(f64),
    Line(i8, i8),
    Text { at: (u8, u8), text: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Drawing {
    shapes: Vec<Shape>,
    by: Option<char>,
    layers: BTreeMap<String, Vec<u8>>,
    size: (u16, u32, u64, i16, i32, i64, u128, i128, f32),
    unit: ((), Unit),
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
        unit: ((), Unit),
        on: true,
    }
}

#[test]
fn values_are_written_and_read_as_by_rmp_serde() {
    let bytes = written(&drawing());
    assert_eq!(bytes, rmp_serde::to_vec_named(&drawing()).unwrap());
    assert_eq!(rmp_serde::from_slice::<Drawing>(&bytes).unwrap(), drawing());
    assert_eq!(
        MessagePackFormat.decode(&bytes).map(|read: Drawing| read == drawing()).ok(),
        Some(true)
    );
    for end in 1..bytes.len() {
        assert!(
            Decode::<Drawing>::decode(&MessagePackFormat, &bytes.slice(..end)).is_err(),
            "{end}"
        );
    }
    // A struct written as an array, as some peers do.
    let array = Bytes::from(rmp_serde::to_vec(&drawing()).unwrap());
    assert_eq!(
        MessagePackFormat.decode(&array).map(|read: Drawing| read == drawing()).ok(),
        Some(true)
    );
    for more in [&b"\x00"[..], b"\xc0", b"\xc1", b"\x91"] {
        let trailing = Bytes::from([&bytes[..], more].concat());
        let error = Decode::<Drawing>::decode(&MessagePackFormat, &trailing).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Malformed);
    }
}

/// Bytes, which serde's own types have no way to ask for.
#[derive(Debug, PartialEq)]
struct Bin(Vec<u8>);

impl Serialize for Bin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bin;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Ext((i8, Bin));

#[test]
fn bins_and_exts_are_read_by_who_asks_for_them() {
    assert_eq!(written(&Bin(vec![1, 255])), hex("c402 01ff"));
    assert_eq!(read::<Bin>("c402 01ff").unwrap(), Bin(vec![1, 255]));
    assert_eq!(read::<Vec<u8>>("c402 01ff").unwrap(), [1, 255]);
    assert_eq!(read::<Vec<u8>>("92 01ccff").unwrap(), [1, 255]);
    for (wire, ext) in [
        ("d4 01 ff", Ext((1, Bin(vec![255])))),
        ("d6 ff 00000001", Ext((-1, Bin(vec![0, 0, 0, 1])))),
        ("c7 03 80 010203", Ext((-128, Bin(vec![1, 2, 3])))),
        ("c7 00 05", Ext((5, Bin(vec![])))),
    ] {
        assert_eq!(written(&ext), hex(wire), "{wire}");
        assert_eq!(read::<Ext>(wire).unwrap(), ext, "{wire}");
        assert_eq!(read::<(Ext, Ext)>(&format!("92{wire}{wire}")).unwrap().1, ext, "{wire}");
        // A timestamp is a number of seconds. Nothing else is known of other exts.
        let seconds = (wire == "d6 ff 00000001").then_some(1);
        match seconds {
            Some(seconds) => assert_eq!(read::<Value>(wire).unwrap(), Value::from(seconds)),
            None => {
                let error = read::<Value>(wire).unwrap_err();
                assert_eq!(error.kind(), CodecErrorKind::Value, "{wire}");
            }
        }
        match read::<u64>(wire) {
            Ok(read) => assert_eq!(Some(read), seconds),
            Err(error) => assert_eq!((error.kind(), seconds), (CodecErrorKind::Value, None)),
        }
    }
    // An ext that ends with its message, and one that does not.
    assert_eq!(read::<Ext>("c7 03 01 0203").unwrap_err().kind(), CodecErrorKind::Malformed);
}

#[test]
fn numbers_texts_and_nothing() {
    assert_eq!(read::<f64>("05").unwrap(), 5.0);
    assert_eq!(read::<f32>("fd").unwrap(), -3.0);
    assert_eq!(read::<f64>("ca3fc00000").unwrap(), 1.5);
    assert_eq!(read::<u8>("cf0000000000000005").unwrap(), 5);
    assert_eq!(read::<u8>("d005").unwrap(), 5);
    assert_eq!(read::<u128>("cfffffffffffffffff").unwrap(), u64::MAX.into());
    assert_eq!(read::<Option<u8>>("c0").unwrap(), None);
    assert_eq!(read::<Option<u8>>("").unwrap(), None);
    assert_eq!(read::<Value>("").unwrap(), Value::Null);
    read::<()>("c0").unwrap();
    read::<()>("").unwrap();
    for (wrong, what) in [
        ("ff", "-1"),
        ("cf0000000100000000", "2^32"),
        ("cb3ff8000000000000", "1.5"),
        ("a131", "a text"),
        ("c0", "nil"),
        ("", "nothing"),
        ("80", "a map"),
    ] {
        assert_eq!(read::<u32>(wrong).unwrap_err().kind(), CodecErrorKind::Value, "{what}");
    }
    assert_eq!(read::<String>("a2c3bc").unwrap(), "ü");
    for (wrong, kind) in [
        ("a1ff", CodecErrorKind::Malformed),
        ("d902c328", CodecErrorKind::Malformed),
        ("05", CodecErrorKind::Value),
    ] {
        assert_eq!(read::<String>(wrong).unwrap_err().kind(), kind, "{wrong}");
    }
    // What its reader does not read may be no UTF-8, as in a payload that is passed on.
    read::<IgnoredAny>("a1ff").unwrap();
    let message = MessagePack.unpack((&hex("92 a174 a1ff")).into()).unwrap();
    assert_eq!(message.payload, hex("a1ff"));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Nest {
    Leaf,
    In(Box<Nest>),
    Tuple(u8, Box<Nest>),
    Struct { inner: Box<Nest> },
}

/// The reader of rmp-serde would follow them as deep as they go.
#[test]
fn enums_do_not_nest_deeper_than_messages() {
    let [newtype, tuple, structure] =
        ["81 a2496e", "81 a55475706c65 92 01", "81 a6537472756374 81 a5696e6e6572"];
    for (level, containers) in [(newtype, 1), (tuple, 2), (structure, 2)] {
        let nest = |levels| read::<Nest>(&format!("{} a44c656166", level.repeat(levels)));
        assert!(nest(127 / containers).is_ok(), "{level}");
        for levels in [127 / containers + 1, 50_000] {
            assert_eq!(nest(levels).unwrap_err().kind(), CodecErrorKind::Limit, "{level}");
        }
    }
    for length in ["dd", "df", "db"] {
        let error = read::<Nest>(&format!("{length} ffffffff 00")).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Malformed);
    }
}

#[test]
fn serials_are_unsigned_integers() {
    for (wire, serial) in [
        ("cfffffffffffffffff", Some(u64::MAX)),
        ("d005", Some(5)),
        ("d0ff", None),
        ("ff", None),
        ("a135", None),
        ("c0", None),
        ("", None),
        ("0505", None),
        ("cd01", None),
        ("c1", None),
    ] {
        assert_eq!(MessagePackFormat.decode_serial(&hex(wire)), serial, "{wire}");
    }
}

#[test]
fn greetings_and_faults() {
    let hi = Hi { identity: hex("a149"), meta: hex("80"), resume: None };
    let mut out = BytesMut::new();
    MessagePackFormat.encode_hi(&hi, &mut out);
    assert_eq!(out, hex("82 a86964656e74697479 a149 a46d657461 80"));
    assert_eq!(MessagePackFormat.decode_hi(&out.freeze()).unwrap(), hi);
    assert_eq!(MessagePackFormat.empty_map(), written(&BTreeMap::<String, u8>::new()));
    // Another order, other forms, unknown members, keys that are no str or no UTF-8, one that is there twice.
    let other = hex("df00000007 0102 a178 9101 a1ff 03 c40469646974 04
         a86964656e74697479 01 d9046d657461 c0 d9086964656e74697479 a149");
    let read = MessagePackFormat.decode_hi(&other).unwrap();
    assert_eq!(read, Hi { identity: hex("a149"), meta: Bytes::new(), resume: None });
    for text in ["c0", "90", "80", "00", "81 a86964656e74697479 c0", "81 a46d657461 80"] {
        let error = MessagePackFormat.decode_hi(&hex(text)).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape, "{text}");
    }
    assert!(MessagePackFormat.decode_hi(&Bytes::new()).is_err());

    let full = Fault::new("my-code").message("näh").details(hex("810102"));
    for fault in [Fault::new(ErrorCode::NotRegistered), full] {
        let mut out = BytesMut::new();
        MessagePackFormat.encode_fault(&fault, &mut out);
        assert_eq!(MessagePackFormat.decode_fault(&out.freeze()).unwrap(), fault);
    }
    let fault = hex("83 a4636f6465 a163 a76d657373616765 c0 a764657461696c73 c0");
    assert_eq!(MessagePackFormat.decode_fault(&fault).unwrap(), Fault::new("c"));
    for text in ["c0", "80", "81 a4636f6465 05", "81 a4636f6465 c0", "91a163", "81a4636f6465a1ff"] {
        assert!(MessagePackFormat.decode_fault(&hex(text)).is_err(), "{text}");
    }
}
