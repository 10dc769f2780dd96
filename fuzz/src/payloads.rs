//! Payloads of an untrusted peer, read as types that serde reads in different ways: by fields, from buffers, by keys, as bytes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use wse_codecs::{CborFormat, JsonFormat, MessagePackFormat};
use wse_proto::{CodecError, CodecErrorKind, Decode, Encode};

/// A format of serde, and the parts of a map around an item.
pub trait Codec: Copy {
    fn read<T: DeserializeOwned>(self, payload: &Bytes) -> Result<T, CodecError>;

    fn write<T: Serialize>(self, value: &T) -> Bytes;

    /// A map with the tag `{"t": "A"}`, first or last, and the member `a`.
    fn tagged(self, item: &[u8], tag_first: bool) -> Bytes;

    /// NaN and infinities are null.
    const IS_JSON: bool = false;
}

macro_rules! codec {
    ($format:ident, $open:expr, $tag:expr, $between:expr, $member:expr, $end:expr $(, $more:item)?) => {
        impl Codec for $format {
            fn read<T: DeserializeOwned>(self, payload: &Bytes) -> Result<T, CodecError> {
                Decode::<T>::decode(&self, payload)
            }

            fn write<T: Serialize>(self, value: &T) -> Bytes {
                let mut out = BytesMut::new();
                self.encode(value, &mut out).expect("what was read can be written");
                out.freeze()
            }

            fn tagged(self, item: &[u8], tag_first: bool) -> Bytes {
                let (open, tag, between, member, end): (&[u8], &[u8], &[u8], &[u8], &[u8]) =
                    ($open, $tag, $between, $member, $end);
                match tag_first {
                    true => [open, tag, between, member, item, end].concat(),
                    false => [open, member, item, between, tag, end].concat(),
                }
                .into()
            }

            $($more)?
        }
    };
}

codec!(JsonFormat, b"{", b"\"t\":\"A\"", b",", b"\"a\":", b"}", const IS_JSON: bool = true;);
codec!(CborFormat, b"\xa2", b"\x61t\x61A", b"", b"\x61a", b"");
codec!(MessagePackFormat, b"\x82", b"\xa1t\xa1A", b"", b"\xa1a", b"");

/// Types whose members serde reads into a buffer first.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Tagged<T> {
    A { a: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
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

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Fields {
    #[serde(default)]
    a: u64,
    // Not a text: a time is one, but a number in a buffer.
    b: Option<bool>,
    #[serde(default)]
    c: Vec<i16>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(i32),
    Line(u8, f64),
    Square { a: bool },
}

/// Whatever the payload is, reads it as many types.
pub fn run<C: Codec>(codec: C, payload: &Bytes) {
    alike::<C, u64>(codec, payload);
    alike::<C, i64>(codec, payload);
    alike::<C, f64>(codec, payload);
    alike::<C, bool>(codec, payload);
    alike::<C, Option<u8>>(codec, payload);
    alike::<C, Vec<u8>>(codec, payload);
    alike::<C, Vec<Option<i32>>>(codec, payload);
    alike::<C, (u8, f64)>(codec, payload);
    alike::<C, Fields>(codec, payload);
    alike::<C, Shape>(codec, payload);
    // A time is a text, but a number in a buffer.
    written_again::<C, String>(codec, payload);
    written_again::<C, char>(codec, payload);
    // A buffer does not know that a text will be read as a number.
    written_again::<C, BTreeMap<u64, u8>>(codec, payload);
    written_again::<C, BTreeMap<i128, Fields>>(codec, payload);
    written_again::<C, BTreeMap<u128, Tagged<u8>>>(codec, payload);
    written_again::<C, BTreeMap<bool, Shape>>(codec, payload);
    written_again::<C, BTreeMap<Option<char>, ()>>(codec, payload);
    written_again::<C, BTreeMap<String, Vec<f64>>>(codec, payload);
    written_again::<C, Flat<BTreeMap<String, u8>>>(codec, payload);
    written_again::<C, u128>(codec, payload);
    written_again::<C, SystemTime>(codec, payload);
    written_again::<C, Vec<u16>>(codec, payload);
    let _ = codec.read::<Vec<f32>>(payload);
    if let Ok(value) = codec.read::<Value>(payload) {
        same_in_all(&value);
    }
}

/// A type that is read from a payload is read from it in a member too, also through a buffer.
fn alike<C: Codec, T>(codec: C, payload: &Bytes)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let Some(value) = written_again::<C, T>(codec, payload) else { return };
    if payload.is_empty() {
        return;
    }
    for tag_first in [true, false] {
        let member = codec.tagged(payload, tag_first);
        let same = |read: Result<T, CodecError>, how: &str| match read {
            Ok(read) => assert!(is_same(&read, &value), "{how}: {read:?}, not {value:?}"),
            // What is not read may be nested deeper, or be a text that is not UTF-8, or a number of JSON beyond `f64`.
            Err(error) => assert!(
                error.kind() != CodecErrorKind::Value || is_out_of_range(&error),
                "{how}: {error:?}"
            ),
        };
        same(codec.read(&member).map(|Plain { a }| a), "plain");
        let tagged = codec.read(&member).map(|Tagged::A { a }| a);
        // A buffer takes a map without a text as a key for no struct.
        if tagged.as_ref().is_err_and(|error| format!("{error:?}").contains("field identifier")) {
            continue;
        }
        same(tagged, "tagged");
        same(codec.read(&member).map(|Untagged::A { a }| a), "untagged");
        same(codec.read(&member).map(|Flat { inner: Plain { a } }| a), "flattened");
    }
}

fn is_out_of_range(error: &CodecError) -> bool {
    format!("{error:?}").contains("number out of range")
}

/// What is read can be written by every codec, and is read back.
fn written_again<C: Codec, T>(codec: C, payload: &Bytes) -> Option<T>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let value: T = codec.read(payload).ok()?;
    back(JsonFormat, &value);
    back(CborFormat, &value);
    back(MessagePackFormat, &value);
    Some(value)
}

fn back<C: Codec, T>(codec: C, value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    if C::IS_JSON && ["NaN", "inf"].iter().any(|it| format!("{value:?}").contains(it)) {
        return;
    }
    let written = codec.write(value);
    match codec.read::<T>(&written) {
        Ok(read) => assert!(is_same(&read, value), "{read:?}, not {value:?}"),
        Err(error) => panic!("{value:?} as {written:?}: {error:?}"),
    }
}

/// NaN is not equal to itself.
fn is_same<T: PartialEq + Debug>(a: &T, b: &T) -> bool {
    a == b || format!("{a:?}").contains("NaN") && format!("{a:?}") == format!("{b:?}")
}

/// A value of JSON is read as the same, or refused, whichever codec writes it.
fn same_in_all(value: &Value) {
    let [json, cbor, msgpack] =
        [JsonFormat.write(value), CborFormat.write(value), MessagePackFormat.write(value)];
    fn same<T: DeserializeOwned + PartialEq + Debug>([json, cbor, msgpack]: [&Bytes; 3]) {
        let expected = JsonFormat.read::<T>(json);
        for (name, read) in
            [("CBOR", CborFormat.read(cbor)), ("MessagePack", MessagePackFormat.read(msgpack))]
        {
            match (&expected, read) {
                (Ok(expected), Ok(read)) => {
                    assert!(
                        *expected == read,
                        "{json:?}: {expected:?} in JSON, {read:?} in {name}"
                    );
                }
                (Err(_), Err(_)) => {}
                (json, read) => panic!("{json:?} in JSON, {read:?} in {name}"),
            }
        }
    }
    let all = [&json, &cbor, &msgpack];
    same::<u8>(all);
    same::<i64>(all);
    same::<u64>(all);
    same::<u128>(all);
    same::<f64>(all);
    same::<bool>(all);
    same::<String>(all);
    same::<char>(all);
    same::<Option<i32>>(all);
    same::<()>(all);
    same::<Vec<u16>>(all);
    same::<Vec<Option<f64>>>(all);
    same::<(u8, String)>(all);
    same::<Fields>(all);
    same::<Shape>(all);
    same::<Vec<Shape>>(all);
    same::<Plain<Fields>>(all);
    same::<Tagged<Fields>>(all);
    same::<Untagged<Shape>>(all);
    same::<Flat<Option<u64>>>(all);
    same::<BTreeMap<u64, f64>>(all);
    same::<BTreeMap<i8, u8>>(all);
    same::<BTreeMap<i128, u8>>(all);
    same::<BTreeMap<bool, u8>>(all);
    same::<BTreeMap<char, u8>>(all);
    same::<BTreeMap<String, Plain<u8>>>(all);
    same::<SystemTime>(all);
}
