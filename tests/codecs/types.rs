//! Types that JSON, CBOR and MessagePack could treat differently, and do not.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wse_codecs::{CborFormat, JsonFormat, MessagePackFormat};
use wse_proto::{CodecError, CodecErrorKind, Decode, Encode};

use super::peers::{Tagged, cbor, is_refused, json, msgpack};

fn written<F: Encode<T>, T: ?Sized>(format: &F, value: &T) -> Bytes {
    let mut out = BytesMut::new();
    format.encode(value, &mut out).unwrap();
    out.freeze()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a value in each codec, compares the bytes, and reads them back.
fn is_written<T>(value: &T, json: &str, cbor: &str, msgpack: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let bytes = written(&JsonFormat, value);
    assert_eq!(bytes, json);
    assert_eq!(&Decode::<T>::decode(&JsonFormat, &bytes).unwrap(), value);
    let bytes = written(&CborFormat, value);
    assert_eq!(text(&bytes), cbor.replace(' ', ""), "{json}");
    assert_eq!(&Decode::<T>::decode(&CborFormat, &bytes).unwrap(), value);
    let bytes = written(&MessagePackFormat, value);
    assert_eq!(text(&bytes), msgpack.replace(' ', ""), "{json}");
    assert_eq!(&Decode::<T>::decode(&MessagePackFormat, &bytes).unwrap(), value);
}

/// As the crate uuid serializes it: a text for people, bytes for machines.
#[derive(Debug, PartialEq)]
struct Uuid([u8; 16]);

impl Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.0);
        }
        let hex = text(&self.0);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        serializer.serialize_str(&parts.join("-"))
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert!(deserializer.is_human_readable());
        let hex = String::deserialize(deserializer)?.replace('-', "");
        let value = u128::from_str_radix(&hex, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(value.to_be_bytes()))
    }
}

#[test]
fn types_with_a_form_for_people_are_written_in_it_by_every_codec() {
    let four = IpAddr::from([127, 0, 0, 1]);
    is_written(&four, "\"127.0.0.1\"", "69 3132372e302e302e31", "a9 3132372e302e302e31");
    let six = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
    is_written(&six, "\"::1\"", "63 3a3a31", "a3 3a3a31");
    let socket = SocketAddr::from(([1, 2, 3, 4], 5));
    is_written(&socket, "\"1.2.3.4:5\"", "69 312e322e332e343a35", "a9 312e322e332e343a35");
    // At any depth, and as a key.
    is_written(
        &vec![Some((four, 1))],
        "[[\"127.0.0.1\",1]]",
        "81 82 69 3132372e302e302e31 01",
        "91 92 a9 3132372e302e302e31 01",
    );
    is_written(
        &BTreeMap::from([(six, six)]),
        "{\"::1\":\"::1\"}",
        "a1 63 3a3a31 63 3a3a31",
        "81 a3 3a3a31 a3 3a3a31",
    );
    let uuid = Uuid(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
    let hex = text(b"00112233-4455-6677-8899-aabbccddeeff");
    is_written(
        &uuid,
        "\"00112233-4455-6677-8899-aabbccddeeff\"",
        &format!("7824{hex}"),
        &format!("d924{hex}"),
    );
    // What packages of Python write for such values in CBOR.
    assert_eq!(cbor::<Uuid>("d825 50 00112233445566778899aabbccddeeff").unwrap(), uuid);
    assert_eq!(cbor::<IpAddr>("d834 44 7f000001").unwrap(), four);
    assert_eq!(cbor::<IpAddr>("d836 50 00000000000000000000000000000001").unwrap(), six);
    assert_eq!(cbor::<Ipv4Addr>("d90104 44 7f000001").unwrap(), four);
    is_refused(cbor::<IpAddr>("44 7f000001"), "bytes without a tag");
    is_refused(cbor::<String>("d834 43 7f0000"), "a prefix");
}

#[test]
fn integers_of_128_bits_are_integers_where_they_fit() {
    is_written(&5_u128, "5", "05", "05");
    is_written(&-5_i128, "-5", "24", "fb");
    is_written(
        &u128::from(u64::MAX),
        "18446744073709551615",
        "1bffffffffffffffff",
        "cfffffffffffffffff",
    );
    is_written(
        &(1_u128 << 64),
        "18446744073709551616",
        "c249010000000000000000",
        "c410 00000000000000010000000000000000",
    );
    is_written(
        &i128::MIN,
        &i128::MIN.to_string(),
        "c350 7fffffffffffffffffffffffffffffff",
        "c410 80000000000000000000000000000000",
    );
    // As keys.
    is_written(
        &BTreeMap::from([(5_u128, 1), (u128::MAX, 2)]),
        "{\"5\":1,\"340282366920938463463374607431768211455\":2}",
        "a2 05 01 c250 ffffffffffffffffffffffffffffffff 02",
        "82 05 01 c410 ffffffffffffffffffffffffffffffff 02",
    );
    is_written(
        &BTreeMap::from([(i128::MIN, 1)]),
        "{\"-170141183460469231731687303715884105728\":1}",
        "a1 c350 7fffffffffffffffffffffffffffffff 01",
        "81 c410 80000000000000000000000000000000 01",
    );
    // Whole floats beyond 64 bits.
    assert_eq!(cbor::<u128>("fb43f0000000000000").unwrap(), 1 << 64);
    assert_eq!(cbor::<u128>("fb47e0000000000000").unwrap(), 1 << 127);
    assert_eq!(cbor::<i128>("fbc7e0000000000000").unwrap(), i128::MIN);
    assert_eq!(cbor::<i128>("fbc3f0000000000000").unwrap(), -(1 << 64));
    assert_eq!(msgpack::<u128>("cb43f0000000000000").unwrap(), 1 << 64);
    assert_eq!(msgpack::<u128>("cb47e0000000000000").unwrap(), 1 << 127);
    assert_eq!(json::<u128>("18446744073709551616.0").unwrap(), 1 << 64);
    assert_eq!(
        json::<Vec<i128>>("[1, -1.8446744073709551616e19, 18446744073709551617]").unwrap(),
        [1, -(1 << 64), (1 << 64) + 1]
    );
    is_refused(cbor::<u128>("fb47f0000000000000"), "2^128");
    is_refused(msgpack::<u128>("cb47f0000000000000"), "2^128");
    is_refused(cbor::<i128>("fb47e0000000000000"), "2^127");
    is_refused(json::<u128>("3.5e38"), "2^128");
    is_refused(cbor::<u128>("50 00000000000000000000000000000001"), "bytes in CBOR");
    is_refused(msgpack::<u128>("c40f 000000000000000000000000000001"), "15 bytes");
    // serde does not read them from its buffers.
    is_refused(json::<Tagged<u128>>(r#"{"type":"A","a":5}"#), "a buffer");
    is_refused(cbor::<Tagged<u128>>("a2 6474797065 6141 6161 05"), "a buffer");
    // A bignum of more than 128 bits is a float only.
    assert_eq!(cbor::<f64>("c251 0100000000000000000000000000000000").unwrap(), 2_f64.powi(128));
    is_refused(cbor::<u128>("c251 0100000000000000000000000000000000"), "2^128");
}

#[test]
fn floats_that_are_finite_do_not_become_infinite() {
    for (item, object) in
        [("fb7e37e43c8800759c", "cb7e37e43c8800759c"), ("fbc7f0000000000000", "cbc7f0000000000000")]
    {
        is_refused(cbor::<f32>(item), item);
        is_refused(cbor::<Vec<f32>>(&format!("d852 48 {}", &item[2..])), item);
        is_refused(cbor::<BTreeMap<String, f32>>(&format!("a1 6161 {item}")), item);
        is_refused(msgpack::<f32>(object), object);
    }
    assert_eq!(cbor::<f32>("fb47efffffe0000000").unwrap(), f32::MAX);
    assert_eq!(msgpack::<f32>("cb47efffffe0000000").unwrap(), f32::MAX);
    assert!(cbor::<f32>("f97c00").unwrap().is_infinite());
    assert!(cbor::<f32>("fb7ff0000000000000").unwrap().is_infinite());
    assert!(msgpack::<f32>("cb7ff8000000000000").unwrap().is_nan());
    is_refused(cbor::<f32>("c2 51 0100000000000000000000000000000000"), "2^128");
    for number in ["1e300", "-1e39", &"9".repeat(40)] {
        is_refused(json::<f32>(number), number);
        is_refused(json::<BTreeMap<String, Vec<f32>>>(&format!("{{\"a\":[{number}]}}")), number);
    }
    assert_eq!(json::<f32>("3.4028234663852886e38").unwrap(), f32::MAX);
    // Not a number, and infinity, are null in JSON, as `JSON.stringify` writes them. Others write them.
    assert_eq!(written(&JsonFormat, &[f64::NAN, f64::INFINITY]), "[null,null]");
    assert_eq!(text(&written(&CborFormat, &[f64::INFINITY])), "81f97c00");
    assert_eq!(text(&written(&MessagePackFormat, &[f64::INFINITY])), "91cb7ff0000000000000");
    assert_eq!(json::<Option<f64>>("null").unwrap(), None);
    is_refused(json::<f64>("null"), "null as a float");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Defaults {
    a: u8,
    b: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Options {
    a: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(Defaults);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Required {
    a: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Variant {
    Struct { a: u8, b: u8 },
}

#[test]
fn structs_are_read_from_arrays_and_unit_structs_from_null() {
    let struct_of = |a, b: &str| Defaults { a, b: Some(b.to_owned()) };
    assert_eq!(json::<Defaults>("[1,\"x\"]").unwrap(), struct_of(1, "x"));
    assert_eq!(cbor::<Defaults>("82 01 6178").unwrap(), struct_of(1, "x"));
    assert_eq!(cbor::<Defaults>("9f 01 6178 ff").unwrap(), struct_of(1, "x"));
    assert_eq!(msgpack::<Defaults>("92 01 a178").unwrap(), struct_of(1, "x"));
    let variant = Variant::Struct { a: 1, b: 2 };
    assert_eq!(json::<Variant>("{\"Struct\":[1,2]}").unwrap(), variant);
    assert_eq!(cbor::<Variant>("a1 66537472756374 82 01 02").unwrap(), variant);
    assert_eq!(msgpack::<Variant>("81 a6537472756374 92 01 02").unwrap(), variant);
    is_refused(cbor::<Required>("82 01 02"), "too many elements");
    is_refused(msgpack::<Required>("92 01 02"), "too many elements");
    // rmp-serde writes an empty array.
    is_written(&Unit, "null", "f6", "90");
    for item in ["f6", "f7", "80"] {
        cbor::<Unit>(item).unwrap();
    }
    for object in ["c0", "d40000", "90"] {
        msgpack::<Unit>(object).unwrap();
    }
}

#[test]
fn types_without_a_value_are_read_from_an_empty_map_and_array() {
    for text in ["a0", "80", "bfff", "9fff", "d864 a0", "f6", ""] {
        let () = cbor(text).unwrap();
        assert_eq!(cbor::<Unit>(text).unwrap(), Unit, "{text}");
    }
    for text in ["80", "90", "de0000", "dc0000", "df00000000", "dd00000000", "c0", ""] {
        let () = msgpack(text).unwrap();
        assert_eq!(msgpack::<Unit>(text).unwrap(), Unit, "{text}");
    }
    for text in ["a1 6161 01", "81 f6", "81 80", "00", "60", "40", "f4"] {
        is_refused(cbor::<()>(text), text);
        is_refused(cbor::<Unit>(text), text);
    }
    for text in ["81 a161 01", "91 c0", "91 90", "00", "a0", "c400", "c2"] {
        is_refused(msgpack::<()>(text), text);
        is_refused(msgpack::<Unit>(text), text);
    }
    // Types with a value are as strict as ever.
    for text in ["a0", "80"] {
        is_refused(cbor::<Required>(text), text);
        is_refused(cbor::<Option<u8>>(text), text);
        is_refused(cbor::<((), ())>(text), text);
        is_refused(cbor::<String>(text), text);
    }
    for text in ["80", "90"] {
        is_refused(msgpack::<Required>(text), text);
        is_refused(msgpack::<Option<u8>>(text), text);
        is_refused(msgpack::<((), ())>(text), text);
    }
}

#[test]
fn absent_payloads_are_structs_whose_fields_all_have_defaults() {
    fn absent<T: DeserializeOwned>() -> [Result<T, CodecError>; 3] {
        let none = Bytes::new();
        [JsonFormat.decode(&none), CborFormat.decode(&none), MessagePackFormat.decode(&none)]
    }
    for read in absent::<Defaults>() {
        assert_eq!(read.unwrap(), Defaults::default());
    }
    for read in absent::<Options>() {
        assert_eq!(read.unwrap(), Options { a: None });
    }
    for read in absent::<Newtype>() {
        assert_eq!(read.unwrap(), Newtype(Defaults::default()));
    }
    for read in absent::<Flat>() {
        assert_eq!(read.unwrap(), Flat { rest: BTreeMap::new() });
    }
    for read in absent::<Option<Defaults>>() {
        assert_eq!(read.unwrap(), None);
    }
    for read in absent::<Value>() {
        assert_eq!(read.unwrap(), Value::Null);
    }
    for read in absent::<()>() {
        read.unwrap();
    }
    for read in absent::<Required>() {
        assert_eq!(read.unwrap_err().kind(), CodecErrorKind::Value);
    }
    for read in absent::<Vec<u8>>() {
        assert_eq!(read.unwrap_err().kind(), CodecErrorKind::Value);
    }
    for read in absent::<String>() {
        assert_eq!(read.unwrap_err().kind(), CodecErrorKind::Value);
    }
    // A member that is null is none of these.
    is_refused(json::<Vec<Defaults>>("[null]"), "null");
    is_refused(cbor::<Vec<Defaults>>("81 f6"), "null");
    is_refused(msgpack::<Vec<Defaults>>("91 c0"), "nil");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TextKeys {
    #[serde(with = "wse_codecs::text_keys")]
    a: BTreeMap<i64, u8>,
    #[serde(with = "wse_codecs::text_keys")]
    b: BTreeMap<bool, u8>,
}

#[test]
fn keys_are_written_as_they_are_or_as_texts() {
    let map = BTreeMap::from([(-1, 2)]);
    is_written(&map, "{\"-1\":2}", "a1 20 02", "81 ff 02");
    let both = TextKeys { a: map, b: BTreeMap::from([(true, 1)]) };
    is_written(
        &both,
        "{\"a\":{\"-1\":2},\"b\":{\"true\":1}}",
        "a2 6161 a1 622d31 02 6162 a1 6474727565 01",
        "82 a161 81 a22d31 02 a162 81 a474727565 01",
    );
    #[derive(Serialize)]
    struct Wrong(#[serde(with = "wse_codecs::text_keys")] BTreeMap<Vec<u8>, u8>);
    let mut out = BytesMut::new();
    for value in [Wrong([(vec![], 1)].into()), Wrong([(vec![1], 1)].into())] {
        assert!(CborFormat.encode(&value, &mut out).is_err());
        assert!(MessagePackFormat.encode(&value, &mut out).is_err());
        assert!(JsonFormat.encode(&value, &mut out).is_err());
    }
}
