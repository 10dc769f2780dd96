//! The tables of docs/payloads.md: every cell is written and read.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::{Bytes as Buffer, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wse_codecs::{CborFormat, JsonFormat, MessagePackFormat};
use wse_proto::{CodecError, Decode, Encode};

const PAGE: &str = include_str!("../../docs/payloads.md");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(u8);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: u8,
    y: u8,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(u8),
    Line(u8, u8),
    Box { w: u8 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Tagged {
    A { at: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Text(String),
    Of { at: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct At {
    at: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    at: At,
    x: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct TextKeys(#[serde(with = "wse_codecs::text_keys")] BTreeMap<u64, u8>);

/// Bytes, for which serde has a method, but no type.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

const CODECS: [&str; 3] = ["JSON", "CBOR", "MessagePack"];

fn bytes(codec: usize, cell: &str) -> Buffer {
    if codec == 0 {
        return Buffer::copy_from_slice(cell.as_bytes());
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    cell.as_bytes().chunks(2).map(byte).collect()
}

fn read<T: DeserializeOwned>(codec: usize, payload: &Buffer) -> Result<T, CodecError> {
    match codec {
        0 => JsonFormat.decode(payload),
        1 => CborFormat.decode(payload),
        _ => MessagePackFormat.decode(payload),
    }
}

/// The forms in the cells of JSON, CBOR and MessagePack.
type Cells = [Vec<String>; 3];

fn same<T>(value: T, cells: &Cells, writes: bool)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for (codec, forms) in cells.iter().enumerate() {
        if writes {
            let mut out = BytesMut::new();
            match codec {
                0 => JsonFormat.encode(&value, &mut out),
                1 => CborFormat.encode(&value, &mut out),
                _ => MessagePackFormat.encode(&value, &mut out),
            }
            .unwrap();
            assert_eq!(out, bytes(codec, &forms[0]), "{value:?} in {}", CODECS[codec]);
        }
        for form in forms {
            match read::<T>(codec, &bytes(codec, form)) {
                Ok(read) => assert_eq!(read, value, "{form} in {}", CODECS[codec]),
                Err(error) => panic!("{form} in {} as {value:?}: {error:?}", CODECS[codec]),
            }
        }
    }
}

fn check(name: &str, cells: &Cells, writes: bool) {
    match name {
        "0_u8" => same(0_u8, cells, writes),
        "5_u64" => same(5_u64, cells, writes),
        "9_u64" => same(9_u64, cells, writes),
        "-5_i32" => same(-5_i32, cells, writes),
        "5_u128" => same(5_u128, cells, writes),
        "u128::MAX" => same(u128::MAX, cells, writes),
        "1_u128 << 64" => same(1_u128 << 64, cells, writes),
        "1_764_250_000_000_u64" => same(1_764_250_000_000_u64, cells, writes),
        "1_764_250_000_000_f64" => same(1_764_250_000_000_f64, cells, writes),
        "12_345_678_901_234_567_890_u64" => same(12_345_678_901_234_567_890_u64, cells, writes),
        "5.0_f64" => same(5.0_f64, cells, writes),
        "1.5_f32" => same(1.5_f32, cells, writes),
        "true" => same(true, cells, writes),
        "\"a\"" => same("a".to_owned(), cells, writes),
        "\"2013-03-21T20:04:00.500Z\"" => {
            same("2013-03-21T20:04:00.500Z".to_owned(), cells, writes);
        }
        "'a'" => same('a', cells, writes),
        "None" => same(None::<u8>, cells, writes),
        "Some(5)" => same(Some(5_u8), cells, writes),
        "()" => same((), cells, writes),
        "struct Unit" => same(Unit, cells, writes),
        "vec![1_u8, 2]" => same(vec![1_u8, 2], cells, writes),
        "vec![1_u16, 2]" => same(vec![1_u16, 2], cells, writes),
        "vec![1.5_f32, 2.0]" => same(vec![1.5_f32, 2.0], cells, writes),
        "Bytes" => same(Bytes(vec![1, 2]), cells, writes),
        "(1_u8, \"a\")" => same((1_u8, "a".to_owned()), cells, writes),
        "Newtype(5)" => same(Newtype(5), cells, writes),
        "Point { x: 1, y: 2 }" => same(Point { x: 1, y: 2 }, cells, writes),
        "Shape::Dot" => same(Shape::Dot, cells, writes),
        "Shape::Circle(5)" => same(Shape::Circle(5), cells, writes),
        "Shape::Line(1, 2)" => same(Shape::Line(1, 2), cells, writes),
        "Shape::Box { w: 1 }" => same(Shape::Box { w: 1 }, cells, writes),
        "Tagged::A { at: 5 }" => same(Tagged::A { at: 5 }, cells, writes),
        "Untagged::Of { at: 5 }" => same(Untagged::Of { at: 5 }, cells, writes),
        "Flat { at: 5, x: 1 }" => same(Flat { at: At { at: 5 }, x: 1 }, cells, writes),
        "Value" => same::<Value>(json!({"at": 5}), cells, writes),
        "map \"1\" → 2" => same(BTreeMap::from([("1".to_owned(), 2_u8)]), cells, writes),
        "map 1 → 2" => same(BTreeMap::from([(1_u64, 2_u8)]), cells, writes),
        "map 1 → 2 text_keys" => same(TextKeys(BTreeMap::from([(1, 2)])), cells, writes),
        "map u128::MAX → 2" => same(BTreeMap::from([(u128::MAX, 2_u8)]), cells, writes),
        "map true → 2" => same(BTreeMap::from([(true, 2_u8)]), cells, writes),
        "map Shape::Dot → 2" => same(BTreeMap::from([(Shape::Dot, 2_u8)]), cells, writes),
        "IpAddr" => same(IpAddr::from([127, 0, 0, 1]), cells, writes),
        "SystemTime" => same(SystemTime::UNIX_EPOCH + Duration::from_secs(9), cells, writes),
        other => panic!("the table has a value that the test does not know: {other}"),
    }
}

fn refuse<T: DeserializeOwned + Debug>(cells: &Cells) {
    for (codec, form) in cells.iter().enumerate().flat_map(|(n, it)| it.iter().map(move |f| (n, f)))
    {
        let read = read::<T>(codec, &bytes(codec, form));
        assert!(read.is_err(), "{form} in {} is read as {read:?}", CODECS[codec]);
    }
}

/// The code in a cell.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of the table under a heading, without its head.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row[1..row.len() - 1].split('|').map(str::trim).collect()).collect()
}

fn cells(row: &[&str]) -> Cells {
    [code(row[0]), code(row[1]), code(row[2])]
}

#[test]
fn every_shape_is_written_and_read_as_its_row_says() {
    let rows = rows("Shapes");
    assert!(rows.len() > 30);
    for row in rows {
        let name = match &code(row[0])[..] {
            [name, more] if more == "text_keys" => format!("{name} {more}"),
            names => names[0].clone(),
        };
        let cells = cells(&row[1..]);
        assert!(cells.iter().all(|forms| !forms.is_empty()), "{name} has an empty cell");
        check(&name, &cells, true);
    }
}

#[test]
fn what_peers_write_is_read_as_its_row_says() {
    let rows = rows("What peers write");
    assert!(rows.len() > 15);
    for row in rows {
        for name in code(row[4]) {
            check(&name, &cells(&row[1..]), false);
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused_as_its_row_says() {
    let rows = rows("What is refused");
    assert!(rows.len() > 5);
    for row in rows {
        let cells = cells(&row[2..]);
        match &code(row[1])[0][..] {
            "u8" => refuse::<u8>(&cells),
            "u64" => refuse::<u64>(&cells),
            "f32" => refuse::<f32>(&cells),
            "Vec<f32>" => refuse::<Vec<f32>>(&cells),
            "Vec<u16>" => refuse::<Vec<u16>>(&cells),
            "String" => refuse::<String>(&cells),
            other => panic!("the table has a type that the test does not know: {other}"),
        }
    }
}
