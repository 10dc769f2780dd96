//! Payloads as the usual packages of JavaScript and Python write them, read by serde.

use std::collections::HashSet;
use std::fmt::Debug;

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wse_codecs::{CborFormat, JsonFormat, MessagePackFormat};
use wse_proto::{CodecError, CodecErrorKind, Decode};

/// Bytes written in hex, with spaces anywhere.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

pub(crate) fn json<T: DeserializeOwned>(text: &str) -> Result<T, CodecError> {
    JsonFormat.decode(&Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn cbor<T: DeserializeOwned>(text: &str) -> Result<T, CodecError> {
    CborFormat.decode(&hex(text))
}

pub(crate) fn msgpack<T: DeserializeOwned>(text: &str) -> Result<T, CodecError> {
    MessagePackFormat.decode(&hex(text))
}

/// The payload is well-formed, but not of the type.
pub(crate) fn is_refused<T: Debug>(read: Result<T, CodecError>, what: &str) {
    match read {
        Err(error) => assert_eq!(error.kind(), CodecErrorKind::Value, "{what}: {error}"),
        Ok(value) => panic!("{what} is read as {value:?}"),
    }
}

/// Types that serde reads into a buffer first, with a member of type `T`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Tagged<T> {
    A { a: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    A { a: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent<T> {
    A { a: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    #[serde(flatten)]
    inner: Plain<T>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plain<T> {
    a: T,
}

/// Reads `item` as `T`: alone, as an element and as a member of each kind of type that serde buffers.
pub(crate) fn reads<T>(item: &str, expected: T)
where
    T: DeserializeOwned + Debug + PartialEq + Clone,
{
    let read = |text: &str| cbor::<T>(text).unwrap_or_else(|error| panic!("{item}: {error:?}"));
    assert_eq!(read(item), expected, "{item}");
    assert_eq!(
        cbor::<Vec<T>>(&format!("81{item}")).unwrap(),
        std::slice::from_ref(&expected),
        "{item}"
    );
    assert_eq!(
        cbor::<Vec<T>>(&format!("9f{item}ff")).unwrap(),
        std::slice::from_ref(&expected),
        "{item}"
    );
    assert_eq!(cbor::<Option<T>>(item).unwrap(), Some(expected.clone()), "{item}");
    buffered(
        &CborFormat,
        ["a2", "6474797065", "6161", "6141", "6178", "6174", "6163"],
        item,
        expected,
    );
}

/// The same for MessagePack.
pub(crate) fn reads_msgpack<T>(item: &str, expected: T)
where
    T: DeserializeOwned + Debug + PartialEq + Clone,
{
    let read = |text: &str| msgpack::<T>(text).unwrap_or_else(|error| panic!("{item}: {error:?}"));
    assert_eq!(read(item), expected, "{item}");
    assert_eq!(
        msgpack::<Vec<T>>(&format!("91{item}")).unwrap(),
        std::slice::from_ref(&expected),
        "{item}"
    );
    assert_eq!(msgpack::<Option<T>>(item).unwrap(), Some(expected.clone()), "{item}");
    buffered(
        &MessagePackFormat,
        ["82", "a474797065", "a161", "a141", "a178", "a174", "a163"],
        item,
        expected,
    );
}

fn buffered<F, T>(format: &F, parts: [&str; 7], item: &str, expected: T)
where
    F: Decode<Tagged<T>> + Decode<Untagged<T>> + Decode<Adjacent<T>> + Decode<Flat<T>>,
    T: Debug + PartialEq + Clone,
{
    let [two, type_, a, name, x, t, c] = parts;
    let one = [&two[..1], "1"].concat();
    let a_of = || Plain { a: expected.clone() };
    // The tag first, and last.
    for text in [format!("{two}{type_}{name}{a}{item}"), format!("{two}{a}{item}{type_}{name}")] {
        let read: Tagged<T> = format.decode(&hex(&text)).unwrap();
        assert_eq!(read, Tagged::A { a: expected.clone() }, "{text}");
    }
    let text = format!("{two}{a}{item}{x}{item}");
    let read: Untagged<T> = format.decode(&hex(&text)).unwrap();
    assert_eq!(read, Untagged::A { a: expected.clone() }, "{text}");
    let read: Flat<T> = format.decode(&hex(&text)).unwrap();
    assert_eq!(read, Flat { inner: a_of() }, "{text}");
    let text = format!("{two}{c}{one}{a}{item}{t}{name}");
    let read: Adjacent<T> = format.decode(&hex(&text)).unwrap();
    assert_eq!(read, Adjacent::A { a: expected.clone() }, "{text}");
}

/// RFC 8746: what the packages of JavaScript write for a typed array.
#[test]
fn typed_arrays_are_the_numbers_that_they_hold() {
    reads("d855 48 0000c03f00000040", vec![1.5_f32, 2.0]);
    reads("d855 48 0000c03f00000040", vec![1.5_f64, 2.0]);
    reads("d845 44 01000200", vec![1_u16, 2]);
    reads("d840 43 0102ff", vec![1_u8, 2, 255]);
    reads("d840 43 0102ff", vec![1_u64, 2, 255]);
    reads("d844 42 01ff", vec![1_u8, 255]);
    reads("d841 44 00010002", vec![1_u16, 2]);
    reads("d842 44 00000102", vec![258_u32]);
    reads("d843 48 0000000000000102", vec![258_u64]);
    reads("d846 44 02010000", vec![258_i32]);
    reads("d847 48 0201000000000000", vec![258_u64]);
    reads("d848 42 01ff", vec![1_i8, -1]);
    reads("d849 44 0001ff00", vec![1_i16, -256]);
    reads("d84a 44 ffffff00", vec![-256_i32]);
    reads("d84b 48 ffffffffffffff00", vec![-256_i64]);
    reads("d84d 44 010000ff", vec![1_i16, -256]);
    reads("d84e 44 00ffffff", vec![-256_i32]);
    reads("d84f 48 00ffffffffffffff", vec![-256_i64]);
    reads("d850 44 3e00c000", vec![1.5_f64, -2.0]);
    reads("d854 44 003e00c0", vec![1.5_f32, -2.0]);
    reads("d851 44 3fc00000", vec![1.5_f32]);
    reads("d852 48 3ff8000000000000", vec![1.5_f64]);
    reads("d856 48 000000000000f83f", vec![1.5_f64]);
    reads("d853 50 3fff8000000000000000000000000000", vec![1.5_f64]);
    reads("d857 50 000000000000000000000000008000c0", vec![-3.0_f64]);
    // Whole numbers in floats, into integers. In chunks. In a tuple and an array. Without elements.
    reads("d855 44 00000040", vec![2_u8]);
    reads("d845 5f 4101 43000200 ff", vec![1_u16, 2]);
    assert_eq!(cbor::<(u16, f32)>("d845 44 01000200").unwrap(), (1, 2.0));
    assert_eq!(cbor::<[Option<u32>; 2]>("d845 44 01000200").unwrap(), [Some(1), Some(2)]);
    reads("d855 40", Vec::<f32>::new());
    // In an array of more dimensions: the tags around it say no more.
    assert_eq!(cbor::<(Vec<u8>, Vec<u16>)>("d828 82 820102 d845 4401000200").unwrap().1, [1, 2]);
    assert_eq!(cbor::<Value>("d855 48 0000c03f00000040").unwrap(), json!([1.5, 2]));

    is_refused(cbor::<Vec<u8>>("d855 44 0000c03f"), "1.5 as a byte");
    is_refused(cbor::<Vec<u8>>("d845 44 01000001"), "256 as a byte");
    is_refused(cbor::<(u16,)>("d845 44 01000200"), "two numbers as one");
    is_refused(cbor::<Vec<u32>>("d848 41 ff"), "-1 as a u32");
    for cut in ["d845 43 010002", "d855 41 00", "d857 48 0000000000000000"] {
        assert!(cbor::<Vec<f64>>(cut).is_err(), "{cut}");
        assert!(cbor::<Value>(cut).is_err(), "{cut}");
        // What is not read is passed over.
        cbor::<IgnoredAny>(cut).unwrap();
    }
}

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct Byte(u8);

/// Of what type their numbers are is not said.
#[test]
fn untagged_byte_strings_are_bytes_only() {
    reads("43 0102ff", vec![1_u8, 2, 255]);
    reads("43 0102ff", vec![Byte(1), Byte(2), Byte(255)]);
    reads("d818 43 0102ff", vec![1_u8, 2, 255]);
    assert_eq!(cbor::<[u8; 2]>("42 0102").unwrap(), [1, 2]);
    assert_eq!(cbor::<HashSet<u8>>("42 0102").unwrap(), HashSet::from([1, 2]));
    reads_msgpack("c403 0102ff", vec![1_u8, 2, 255]);
    reads_msgpack("c40101", vec![Byte(1)]);
    for (cbor_item, bin) in
        [("48 0000c03f00000040", "c408 0000c03f00000040"), ("42 0102", "c402 0102")]
    {
        is_refused(cbor::<Vec<f32>>(cbor_item), cbor_item);
        is_refused(cbor::<Vec<f64>>(cbor_item), cbor_item);
        is_refused(cbor::<Vec<u16>>(cbor_item), cbor_item);
        is_refused(cbor::<Vec<i8>>(cbor_item), cbor_item);
        is_refused(cbor::<Vec<Option<u8>>>(cbor_item), cbor_item);
        is_refused(cbor::<Vec<Value>>(cbor_item), cbor_item);
        is_refused(cbor::<Vec<bool>>(cbor_item), cbor_item);
        is_refused(msgpack::<Vec<f32>>(bin), bin);
        is_refused(msgpack::<Vec<f64>>(bin), bin);
        is_refused(msgpack::<Vec<u16>>(bin), bin);
        is_refused(msgpack::<Vec<i8>>(bin), bin);
        is_refused(msgpack::<Vec<u128>>(bin), bin);
        is_refused(msgpack::<(u32, u32)>(bin), bin);
    }
    // A value of JSON has numbers only.
    assert_eq!(cbor::<Value>("43 0102ff").unwrap(), json!([1, 2, 255]));
    assert_eq!(msgpack::<Value>("c403 0102ff").unwrap(), json!([1, 2, 255]));
}

/// The item is what cbor-x and msgpackr write for `Date.now()`.
#[test]
fn whole_floats_are_integers() {
    const NOW: u64 = 1_764_250_000_000;
    reads("fb4279ac57e9a80000", NOW);
    reads("fb4279ac57e9a80000", NOW as i64);
    reads("fb4279ac57e9a80000", NOW as f64);
    reads("f94500", 5_u8);
    reads("fac0a00000", -5_i8);
    reads("f98000", 0_u8);
    reads("fb43efffffffffffff", u64::MAX - 2047);
    reads("fbc3e0000000000000", i64::MIN);
    reads("d864 f94500", 5_u8);
    reads_msgpack("cb4279ac57e9a80000", NOW);
    reads_msgpack("cb4279ac57e9a80000", NOW as i64);
    reads_msgpack("cb4279ac57e9a80000", NOW as f64);
    reads_msgpack("ca40a00000", 5_u8);
    reads_msgpack("cbc014000000000000", -5_i8);
    reads_msgpack("cb8000000000000000", 0_u8);
    reads_msgpack("cb43efffffffffffff", u64::MAX - 2047);
    assert_eq!(cbor::<Value>("fb4279ac57e9a80000").unwrap(), json!(NOW));
    assert_eq!(msgpack::<Value>("cb4279ac57e9a80000").unwrap(), json!(NOW));
    for (text, int) in [("5.0", 5), ("1e3", 1000), ("1.5e1", 15), ("-0.0", 0), ("-5.00", -5)] {
        assert_eq!(json::<i64>(text).unwrap(), int, "{text}");
        assert_eq!(json::<Option<i16>>(text).unwrap(), Some(int as i16), "{text}");
        let members = format!("{{\"type\":\"A\",\"a\":{text},\"x\":1.5}}");
        assert_eq!(json::<Tagged<i64>>(&members).unwrap(), Tagged::A { a: int }, "{text}");
        assert_eq!(json::<Untagged<i32>>(&members).unwrap(), Untagged::A { a: int as i32 });
        assert_eq!(json::<Flat<i64>>(&members).unwrap(), Flat { inner: Plain { a: int } });
        assert_eq!(json::<Plain<Vec<i64>>>(&format!("{{\"a\":[1,{text}]}}")).unwrap().a, [1, int]);
    }
    assert_eq!(json::<u64>("1764250000000.0").unwrap(), NOW);
    assert_eq!(json::<u128>("3.402823669209384e38").unwrap(), 3.402_823_669_209_384e38_f64 as u128);
    // A value of JSON keeps the form in which it is written.
    assert_eq!(json::<Value>("[5.0, 5]").unwrap(), json!([5.0, 5]));

    for (text, cbor_item, object, what) in [
        ("5.5", "f94580", "ca40b00000", "a fraction"),
        ("256.0", "f95c00", "ca43800000", "beyond the range"),
        ("-1.0", "f9bc00", "cabf800000", "below the range"),
        ("1e300", "fb7e37e43c8800759c", "cb7e37e43c8800759c", "far beyond the range"),
        ("\"5\"", "6135", "a135", "a text"),
    ] {
        is_refused(json::<u8>(text), what);
        is_refused(json::<Vec<u8>>(&format!("[1,{text}]")), what);
        is_refused(cbor::<u8>(cbor_item), what);
        is_refused(cbor::<Tagged<u8>>(&format!("a2 6474797065 6141 6161 {cbor_item}")), what);
        is_refused(msgpack::<u8>(object), what);
        is_refused(msgpack::<Tagged<u8>>(&format!("82 a474797065 a141 a161 {object}")), what);
    }
    for (item, object) in [
        ("f97c00", "ca7f800000"),
        ("f97e00", "ca7fc00000"),
        ("fbfff0000000000000", "cbfff0000000000000"),
    ] {
        is_refused(cbor::<i64>(item), item);
        is_refused(msgpack::<i64>(object), object);
        assert!(!cbor::<f64>(item).unwrap().is_finite());
        assert!(!msgpack::<f64>(object).unwrap().is_finite());
    }
}

/// Members that nobody reads must not make a message fail, and those that are read must not depend on the place.
#[test]
fn buffers_of_serde_take_what_typed_reads_take() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type")]
    enum Message {
        A { a: u64 },
    }
    for unread in [
        "c11a514b67b0",
        "c074323031332d30332d32315432303a30343a30305a",
        "d864 4101",
        "4101",
        "f7",
        "f0",
        "f8ff",
        "f97e00",
        "fb7e37e43c8800759c",
        "c249010000000000000000",
        "c351 0100000000000000000000000000000000",
        "3bffffffffffffffff",
        "d855 44 0000c03f",
        "d825 41 01",
        "81 d9d9f7 a101 02",
        "bf 5f 4101ff 9fff ff",
        "c482 21 196ab3",
        "d9010283010203",
        "7f 6161 ff",
        "a1 80 80",
        "a1 a0 f6",
        "a1 f5 f6",
        "a1 4101 f6",
    ] {
        for message in [
            format!("a3 6474797065 6141 6161 01 6178 {unread}"),
            format!("a3 6178 {unread} 6161 01 6474797065 6141"),
        ] {
            assert_eq!(cbor::<Message>(&message).unwrap(), Message::A { a: 1 }, "{message}");
        }
        let flat: Flat<u64> = cbor(&format!("a2 6178 {unread} 6161 01")).unwrap();
        assert_eq!(flat.inner.a, 1, "{unread}");
        cbor::<Untagged<u64>>(&format!("a2 6178 {unread} 6161 01")).unwrap();
    }
    for unread in [
        "c40101",
        "d40000",
        "d4 01 ff",
        "d6ff 514b67b0",
        "c7 0c ff 00000000 ffffffffffffffff",
        "d5ff 0000",
        "c7 00 05",
        "ca7fc00000",
        "cb7e37e43c8800759c",
        "81 01 02",
        "81 c0 c0",
        "81 90 c0",
        "81 c40101 c0",
        "81 c3 c0",
    ] {
        let message = format!("83 a474797065 a141 a161 01 a178 {unread}");
        assert_eq!(msgpack::<Message>(&message).unwrap(), Message::A { a: 1 }, "{message}");
        msgpack::<Flat<u64>>(&format!("82 a178 {unread} a161 01")).unwrap();
        msgpack::<Untagged<u64>>(&format!("82 a178 {unread} a161 01")).unwrap();
    }
    // Values of JSON.
    for (item, value) in [
        ("c1 1a514b67b0", json!(1_363_896_240)),
        ("c1 fb41d452d9ec200000", json!(1_363_896_240.5)),
        ("c0 6161", json!("a")),
        ("d9d9f7 82 d864 01 f7", json!([1, null])),
        ("c2 48 ffffffffffffffff", json!(u64::MAX)),
        ("c2 49 010000000000000000", json!(2_f64.powi(64))),
        ("c3 41 00", json!(-1)),
        ("3bffffffffffffffff", json!(-(2_f64.powi(64)))),
        ("d825 50 00112233445566778899aabbccddeeff", json!("00112233-4455-6677-8899-aabbccddeeff")),
        ("a2 01 02 f5 03", json!({"1": 2, "true": 3})),
        ("a2 20 02 fb3ff8000000000000 03", json!({"-1": 2, "1.5": 3})),
    ] {
        assert_eq!(cbor::<Value>(item).unwrap(), value, "{item}");
        assert_eq!(cbor::<Value>(&format!("d864 81 {item}")).unwrap(), json!([value]), "{item}");
    }
    assert_eq!(msgpack::<Value>("d6ff 514b67b0").unwrap(), json!(1_363_896_240));
    assert_eq!(msgpack::<Value>("92 d40000 c0").unwrap(), json!([null, null]));
    assert_eq!(msgpack::<Value>("81 01 02").unwrap(), json!({"1": 2}));
}

/// A value type of an application, with a variant for bytes.
#[derive(Debug, PartialEq)]
enum Own {
    Bytes(Vec<u8>),
    List(Vec<Own>),
    Other,
}

impl<'de> Deserialize<'de> for Own {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> serde::de::Visitor<'de> for Read {
            type Value = Own;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Own, E> {
                Ok(Own::Bytes(bytes.to_vec()))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Own, E> {
                Ok(Own::Other)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Own, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Own::List(list))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// Only serde's own buffers and the values of JSON get bytes as numbers.
#[test]
fn value_types_of_applications_get_bytes_as_bytes() {
    let expected = || Own::List(vec![Own::Bytes(vec![]), Own::Bytes(vec![0, 255]), Own::Other]);
    assert_eq!(cbor::<Own>("83 40 42 00ff 05").unwrap(), expected());
    assert_eq!(cbor::<Own>("83 40 5f 4100 41ff ff 05").unwrap(), expected());
    assert_eq!(msgpack::<Own>("93 c400 c402 00ff 05").unwrap(), expected());
}
