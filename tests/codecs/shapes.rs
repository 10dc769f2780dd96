//! Keys, times, and other shapes that differ between languages.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::peers::{Tagged, cbor, is_refused, json, msgpack, reads, reads_msgpack};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy, Serialize, Deserialize)]
enum Color {
    Red,
    #[serde(rename = "2")]
    Two,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy, Serialize, Deserialize)]
struct Id(u32);

/// JavaScript has texts as keys of objects, whatever they stand for.
#[test]
fn text_keys_are_read_as_json_reads_them() {
    assert_eq!(cbor::<BTreeMap<u64, String>>("a1 6131 6161").unwrap(), [(1, "a".into())].into());
    assert_eq!(msgpack::<BTreeMap<u64, String>>("81 a131 a161").unwrap(), [(1, "a".into())].into());
    for (key, int) in [("0", 0), ("1", 1), ("-1", -1), ("9007199254740993", 9_007_199_254_740_993)]
    {
        let expected = BTreeMap::from([(int, 7)]);
        let text = key.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(json::<BTreeMap<i64, u8>>(&format!("{{\"{key}\":7}}")).unwrap(), expected);
        assert_eq!(
            cbor::<BTreeMap<i64, u8>>(&format!("a1 {:02x} {text} 07", 0x60 + key.len())).unwrap(),
            expected,
            "{key}"
        );
        assert_eq!(
            msgpack::<BTreeMap<i64, u8>>(&format!("81 {:02x} {text} 07", 0xa0 + key.len()))
                .unwrap(),
            expected
        );
        let wide = BTreeMap::from([(i128::from(int), 7)]);
        assert_eq!(
            cbor::<BTreeMap<i128, u8>>(&format!("a1 {:02x} {text} 07", 0x60 + key.len())).unwrap(),
            wide,
            "{key}"
        );
        assert_eq!(
            msgpack::<BTreeMap<i128, u8>>(&format!("81 {:02x} {text} 07", 0xa0 + key.len()))
                .unwrap(),
            wide
        );
    }
    for key in ["01", "+1", " 1", "1 ", "", "-", "0x1", "1.5", "256", "-1", "1e", "x", "1."] {
        let text = key.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        is_refused(cbor::<HashMap<u8, u8>>(&format!("a1 {:02x} {text} 07", 0x60 + key.len())), key);
        is_refused(
            msgpack::<HashMap<u8, u8>>(&format!("81 {:02x} {text} 07", 0xa0 + key.len())),
            key,
        );
        assert!(json::<HashMap<u8, u8>>(&format!("{{\"{key}\":7}}")).is_err(), "{key}");
    }
    let bools = BTreeMap::from([(false, 1), (true, 2)]);
    assert_eq!(json::<BTreeMap<bool, u8>>(r#"{"true":2,"false":1}"#).unwrap(), bools);
    assert_eq!(cbor::<BTreeMap<bool, u8>>("a2 6474727565 02 6566616c7365 01").unwrap(), bools);
    assert_eq!(cbor::<BTreeMap<bool, u8>>("a2 f5 02 f4 01").unwrap(), bools);
    assert_eq!(msgpack::<BTreeMap<bool, u8>>("82 a474727565 02 a566616c7365 01").unwrap(), bools);
    is_refused(cbor::<BTreeMap<bool, u8>>("a1 6131 02"), "1 as a boolean");
    let colors = BTreeMap::from([(Color::Red, 1), (Color::Two, 2)]);
    assert_eq!(json::<BTreeMap<Color, u8>>(r#"{"Red":1,"2":2}"#).unwrap(), colors);
    assert_eq!(cbor::<BTreeMap<Color, u8>>("a2 63526564 01 6132 02").unwrap(), colors);
    assert_eq!(msgpack::<BTreeMap<Color, u8>>("82 a3526564 01 a132 02").unwrap(), colors);
    // A newtype, an option and a character; a whole float; numbers as they are.
    assert_eq!(cbor::<BTreeMap<Id, u8>>("a1 6131 02").unwrap(), [(Id(1), 2)].into());
    assert_eq!(
        cbor::<BTreeMap<Option<u8>, u8>>("a2 6131 02 f6 03").unwrap(),
        [(Some(1), 2), (None, 3)].into()
    );
    assert_eq!(cbor::<BTreeMap<char, u8>>("a1 6131 02").unwrap(), [('1', 2)].into());
    assert_eq!(cbor::<BTreeMap<u8, u8>>("a1 f94500 02").unwrap(), [(5, 2)].into());
    assert_eq!(cbor::<BTreeMap<u8, u8>>("a1 d864 6135 02").unwrap(), [(5, 2)].into());
    assert_eq!(cbor::<BTreeMap<u8, u8>>("bf 05 02 ff").unwrap(), [(5, 2)].into());
    assert_eq!(msgpack::<BTreeMap<u8, u8>>("81 05 02").unwrap(), [(5, 2)].into());
    // Floats, as JSON reads them.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Weights(#[serde(with = "pairs")] Vec<(f64, u8)>);
    assert_eq!(
        cbor::<Weights>("a2 63312e35 02 fb3ff8000000000000 03").unwrap(),
        Weights(vec![(1.5, 2), (1.5, 3)])
    );
}

/// `json.dumps` of Python writes the key `1.0` so.
#[test]
fn text_keys_that_are_whole_floats_are_integers_in_every_codec() {
    for (key, int) in [("1.0", 1), ("1e3", 1000), ("-5.0", -5), ("-0", 0), ("2.5e1", 25)] {
        let text = key.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let expected = BTreeMap::from([(int, 7)]);
        let wide = BTreeMap::from([(i128::from(int), 7)]);
        let object = format!("{{\"{key}\":7}}");
        let map = format!("a1 {:02x} {text} 07", 0x60 + key.len());
        let msgpack_map = format!("81 {:02x} {text} 07", 0xa0 + key.len());
        assert_eq!(json::<BTreeMap<i64, u8>>(&object).unwrap(), expected, "{key}");
        assert_eq!(json::<BTreeMap<i128, u8>>(&object).unwrap(), wide, "{key}");
        assert_eq!(cbor::<BTreeMap<i64, u8>>(&map).unwrap(), expected, "{key}");
        assert_eq!(cbor::<BTreeMap<i128, u8>>(&map).unwrap(), wide, "{key}");
        assert_eq!(msgpack::<BTreeMap<i64, u8>>(&msgpack_map).unwrap(), expected, "{key}");
        assert_eq!(msgpack::<BTreeMap<i128, u8>>(&msgpack_map).unwrap(), wide, "{key}");
    }
    let nested = r#"{"a":{"1.0":{"2.0":3.0}}}"#;
    let read: HashMap<String, BTreeMap<Id, HashMap<u128, u8>>> = json(nested).unwrap();
    assert_eq!(read["a"][&Id(1)][&2], 3);
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Wide(u128);
    let wide = BTreeMap::from([(Wide(1), 7), (Wide(u128::MAX), 8)]);
    let object = format!("{{\"1.0\":7,\"{}\":8.0}}", u128::MAX);
    assert_eq!(json::<BTreeMap<Wide, u8>>(&object).unwrap(), wide);
    let some = BTreeMap::from([(Some(1), 7)]);
    assert_eq!(json::<BTreeMap<Option<u128>, u8>>(r#"{"1.0":7}"#).unwrap(), some);
    for key in ["01.0", "+1.0", " 1.0", "1.0 ", "1.5", "256.0", "1.", "1e", "1e400", "-1.0"] {
        is_refused(json::<HashMap<u8, u8>>(&format!("{{\"{key}\":7}}")), key);
    }
    // A text is not read as a number where it is no key.
    is_refused(json::<u128>("\"5\""), "a text");
    is_refused(json::<Vec<u128>>("[5.0,\"5\"]"), "a text");
}

/// The entries of a map, in order.
mod pairs {
    use super::*;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<(f64, u8)>, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<(f64, u8)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut pairs = vec![];
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        d.deserialize_map(Visitor)
    }
}

/// Dictionaries of Python have keys of any type. `json.dumps` makes texts of them.
#[test]
fn other_keys_are_texts_where_texts_are_wanted() {
    let expected = |key: &str| BTreeMap::from([(key.to_owned(), 7)]);
    for (key, object, text) in [
        ("01", "01", "1"),
        ("20", "ff", "-1"),
        ("f5", "c3", "true"),
        ("f4", "c2", "false"),
        ("f6", "c0", "null"),
        ("fb3ff8000000000000", "cb3ff8000000000000", "1.5"),
        ("f94500", "ca40a00000", "5"),
        ("1bffffffffffffffff", "cfffffffffffffffff", "18446744073709551615"),
    ] {
        assert_eq!(cbor::<BTreeMap<String, u8>>(&format!("a1 {key} 07")).unwrap(), expected(text));
        assert_eq!(
            msgpack::<BTreeMap<String, u8>>(&format!("81 {object} 07")).unwrap(),
            expected(text)
        );
        assert_eq!(cbor::<Value>(&format!("a1 {key} 07")).unwrap(), json!({ text: 7 }));
        assert_eq!(msgpack::<Value>(&format!("81 {object} 07")).unwrap(), json!({ text: 7 }));
    }
    // Values that are read as texts are also keys that are.
    for (key, text) in [
        ("c11a514b67b0", "2013-03-21T20:04:00Z"),
        ("c109", "1970-01-01T00:00:09Z"),
        ("d825 50 00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff"),
        ("d834 44 7f000001", "127.0.0.1"),
        ("d90104 50 00000000000000000000000000000001", "::1"),
    ] {
        assert_eq!(cbor::<BTreeMap<String, u8>>(&format!("a1 {key} 07")).unwrap(), expected(text));
    }
    let address = BTreeMap::from([(std::net::IpAddr::from([127, 0, 0, 1]), 7)]);
    assert_eq!(cbor::<BTreeMap<_, u8>>("a1 d834 44 7f000001 07").unwrap(), address);
    assert_eq!(
        msgpack::<BTreeMap<String, u8>>("81 d7ff77359400514b67b0 07").unwrap(),
        expected("2013-03-21T20:04:00.500Z")
    );
    for key in ["4161", "80", "a0", "d855 40"] {
        is_refused(cbor::<BTreeMap<String, u8>>(&format!("a1 {key} 07")), key);
    }
    for key in ["c40161", "90", "80", "d40100"] {
        is_refused(msgpack::<BTreeMap<String, u8>>(&format!("81 {key} 07")), key);
    }
}

#[derive(Debug, PartialEq, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    a: u8,
    b: u8,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "t")]
enum Message {
    M {
        #[serde(default)]
        a: u8,
        #[serde(default)]
        inner: Fields,
        #[serde(default)]
        by: BTreeMap<u64, u8>,
    },
}

/// A number as a key is not the index of a field, and an unknown key of any type is that of no field.
#[test]
fn unknown_keys_of_any_type_are_ignored() {
    let none = Fields::default();
    for key in [
        "00",
        "01",
        "20",
        "f5",
        "f6",
        "f93c00",
        "4101",
        "80",
        "a0",
        "8100",
        "c11a514b67b0",
        "d855 40",
        "f0",
        "c24100",
    ] {
        assert_eq!(cbor::<Fields>(&format!("a1 {key} 07")).unwrap(), none, "{key}");
        assert_eq!(cbor::<Fields>(&format!("a2 {key} 07 6162 02")).unwrap(), Fields { a: 0, b: 2 });
        assert_eq!(cbor::<Fields>(&format!("a2 6162 02 {key} 07")).unwrap(), Fields { a: 0, b: 2 });
        for message in
            [format!("a3 6174 614d 6161 03 {key} 07"), format!("bf {key} 07 6174 614d 6161 03 ff")]
        {
            let Message::M { a, .. } = cbor(&message).unwrap();
            assert_eq!(a, 3, "{message}");
        }
    }
    for key in [
        "00",
        "01",
        "ff",
        "c3",
        "c0",
        "ca3f800000",
        "c40101",
        "90",
        "80",
        "9100",
        "d6ff514b67b0",
        "d40000",
        "d401ff",
    ] {
        assert_eq!(msgpack::<Fields>(&format!("81 {key} 07")).unwrap(), none, "{key}");
        assert_eq!(
            msgpack::<Fields>(&format!("82 {key} 07 a162 02")).unwrap(),
            Fields { a: 0, b: 2 }
        );
        for message in
            [format!("83 a174 a14d a161 03 {key} 07"), format!("83 {key} 07 a174 a14d a161 03")]
        {
            let Message::M { a, .. } = msgpack(&message).unwrap();
            assert_eq!(a, 3, "{message}");
        }
    }
    // Inside of a buffer: with a text beside it, a number is not an index. Alone, it may be the key of a map.
    let Message::M { inner, .. } = cbor("a2 6174 614d 65696e6e6572 a2 00 07 6162 02").unwrap();
    assert_eq!(inner, Fields { a: 0, b: 2 });
    for key in ["00", "01", "f90000", "c24101", "c100", "d86400"] {
        let read = cbor::<Message>(&format!("a2 6174 614d 65696e6e6572 a1 {key} 07"));
        is_refused(read, "a struct of numbers in a buffer");
        let read = cbor::<Message>(&format!("a2 6174 614d 626279 a1 {key} 07"));
        let Message::M { by, .. } = read.unwrap();
        assert_eq!(by.into_values().collect::<Vec<_>>(), [7], "{key}");
    }
    for key in ["00", "01", "d000", "ca00000000", "d6ff00000001"] {
        let read = msgpack::<Message>(&format!("82 a174 a14d a5696e6e6572 81 {key} 07"));
        is_refused(read, "a struct of numbers in a buffer");
    }
    let Message::M { by, .. } = cbor("a2 6174 614d 626279 a1 1bffffffffffffffff 07").unwrap();
    assert_eq!(by, [(u64::MAX, 7)].into());
    let Message::M { by, .. } = cbor("a2 6174 614d 626279 a2 05 07 06 08").unwrap();
    assert_eq!(by, [(5, 7), (6, 8)].into());
    let Message::M { by, .. } = msgpack("82 a174 a14d a26279 82 05 07 06 08").unwrap();
    assert_eq!(by, [(5, 7), (6, 8)].into());
    // A field that is known by its bytes.
    assert_eq!(cbor::<Fields>("a1 4161 07").unwrap(), Fields { a: 7, b: 0 });
    // The cost of reading ahead is bounded: maps of numbers in maps of numbers.
    let deep = format!("{} 07", "a1 05".repeat(120));
    let message = format!("a2 6174 614d 6178 98c8 {}", format!("{deep} ").repeat(200));
    assert!(matches!(cbor(&message).unwrap(), Message::M { .. }));
}

/// A time that is written as text, as those of the usual crates are.
#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
struct Text(String);

#[test]
fn times_are_read_as_texts_numbers_and_times_of_the_standard_library() {
    let time = |seconds: u64, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
    for (item, text, seconds, nanos) in [
        ("d6ff 514b67b0", "2013-03-21T20:04:00Z", 1_363_896_240, 0),
        ("d7ff 77359400514b67b0", "2013-03-21T20:04:00.500Z", 1_363_896_240, 500_000_000),
        (
            "c70cff 1dcd6500 00000000514b67b0",
            "2013-03-21T20:04:00.500Z",
            1_363_896_240,
            500_000_000,
        ),
        ("c70cff 00000001 00000000514b67b0", "2013-03-21T20:04:00.000000001Z", 1_363_896_240, 1),
    ] {
        assert_eq!(msgpack::<String>(item).unwrap(), text, "{item}");
        assert_eq!(msgpack::<Text>(item).unwrap(), Text(text.into()), "{item}");
        assert_eq!(msgpack::<SystemTime>(item).unwrap(), time(seconds, nanos), "{item}");
        let float = seconds as f64 + f64::from(nanos) / 1e9;
        reads_msgpack(item, float);
        assert_eq!(msgpack::<u64>(item).ok(), (nanos == 0).then_some(seconds), "{item}");
        assert_eq!(msgpack::<i128>(item).is_ok(), nanos == 0, "{item}");
    }
    reads_msgpack("d6ff 514b67b0", 1_363_896_240_u64);
    let past = msgpack::<String>("c70cff 3b9ac9ff ffffffffffffffff").unwrap();
    assert_eq!(past, "1969-12-31T23:59:59.999999999Z");
    for (item, text, seconds, nanos) in [
        ("c1 1a514b67b0", "2013-03-21T20:04:00Z", 1_363_896_240, 0),
        ("c1 fb41d452d9ec200000", "2013-03-21T20:04:00.500Z", 1_363_896_240, 500_000_000),
        ("d9d9f7 c1 fb41d452d9ec000000", "2013-03-21T20:04:00Z", 1_363_896_240, 0),
        ("c1 d9d9f7 1a514b67b0", "2013-03-21T20:04:00Z", 1_363_896_240, 0),
    ] {
        assert_eq!(cbor::<String>(item).unwrap(), text, "{item}");
        assert_eq!(cbor::<SystemTime>(item).unwrap(), time(seconds, nanos), "{item}");
        reads(item, seconds as f64 + f64::from(nanos) / 1e9);
        assert_eq!(cbor::<u64>(item).ok(), (nanos == 0).then_some(seconds), "{item}");
    }
    reads("c0 74323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z".to_owned());
    assert_eq!(cbor::<String>("c1 20").unwrap(), "1969-12-31T23:59:59Z");
    for wrong in
        ["c1 f97e00", "c1 fb7e37e43c8800759c", "c1 1bffffffffffffffff", "c1 1b000000ffffffffff"]
    {
        is_refused(cbor::<String>(wrong), wrong);
    }
    // More nanoseconds than a second has, and lengths that no timestamp has.
    for wrong in
        ["d7ff ffffffff514b67b0", "c70cff 3b9aca00 0000000000000000", "d5ff 0000", "c700ff"]
    {
        is_refused(msgpack::<String>(wrong), wrong);
        is_refused(msgpack::<u64>(wrong), wrong);
    }
}

#[test]
fn undefined_of_msgpackr_is_nil() {
    assert_eq!(msgpack::<Option<u8>>("d40000").unwrap(), None);
    msgpack::<()>("d40000").unwrap();
    assert_eq!(msgpack::<Value>("82 a161 d40000 a162 01").unwrap(), json!({"a": null, "b": 1}));
    assert_eq!(msgpack::<Vec<Option<u8>>>("93 d40000 c0 05").unwrap(), [None, None, Some(5)]);
    let member: Tagged<Option<u8>> = msgpack("82 a474797065 a141 a161 d40000").unwrap();
    assert_eq!(member, Tagged::A { a: None });
    is_refused(msgpack::<u8>("d40000"), "undefined as a number");
    is_refused(msgpack::<Option<u8>>("d40001"), "another ext");
    is_refused(msgpack::<Option<u8>>("d40100"), "another ext");
}
