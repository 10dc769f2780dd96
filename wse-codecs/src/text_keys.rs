//! Maps whose keys are written as texts in every codec, as JSON writes them.
//!
//! JSON writes a key that is a number or a boolean as a text. CBOR and MessagePack write it as it is, and some packages of
//! other languages refuse such maps. For a field with this module, all codecs write texts:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use bytes::BytesMut;
//! use serde::{Deserialize, Serialize};
//! # #[cfg(feature = "cbor")]
//! # fn main() -> Result<(), wse_proto::CodecError> {
//! use wse_codecs::CborFormat;
//! use wse_proto::{Decode, Encode};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Scores {
//!     #[serde(with = "wse_codecs::text_keys")]
//!     by_user: BTreeMap<u64, i32>,
//! }
//!
//! let scores = Scores { by_user: BTreeMap::from([(7, 100)]) };
//! let mut out = BytesMut::new();
//! CborFormat.encode(&scores, &mut out)?;
//! assert_eq!(out, &b"\xa1\x67by_user\xa1\x617\x18\x64"[..]);
//! let read: Scores = CborFormat.decode(&out.freeze())?;
//! assert_eq!(read, scores);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "cbor"))]
//! # fn main() {}
//! ```
//!
//! Reading needs no such attribute: a number is read from a text and from a number in every codec.

use std::fmt::Display;

use serde::ser::{Error, Impossible};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a map with texts as keys: those of integers, floats, booleans, characters, and variants without data.
///
/// # Errors
///
/// The one of the serializer, also when a key is of another type.
pub fn serialize<'a, M, K, V, S>(map: &'a M, serializer: S) -> Result<S::Ok, S::Error>
where
    &'a M: IntoIterator<Item = (&'a K, &'a V)>,
    K: Serialize + 'a,
    V: Serialize + 'a,
    S: Serializer,
{
    serializer.collect_map(map.into_iter().map(|(key, value)| (Key(key), value)))
}

/// Reads a map.
///
/// # Errors
///
/// The one of the deserializer.
pub fn deserialize<'de, M, D>(deserializer: D) -> Result<M, D::Error>
where
    M: Deserialize<'de>,
    D: Deserializer<'de>,
{
    M::deserialize(deserializer)
}

/// A key, or the serializer of one.
struct Key<T>(T);

impl<T: Serialize> Serialize for Key<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Key(serializer))
    }
}

#[cold]
fn refused<T, E: Error>() -> Result<T, E> {
    Err(E::custom("a key must be a text, a number, a boolean or a variant without data"))
}

macro_rules! displayed {
    ($($name:ident($type:ty))*) => {$(
        fn $name(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.collect_str(&value)
        }
    )*};
}

macro_rules! refused {
    ($($name:ident($($arg:ty),*) -> $ok:ty;)*) => {$(
        fn $name(self, $(_: $arg),*) -> Result<$ok, S::Error> {
            refused()
        }
    )*};
}

type Never<S> = Impossible<<S as Serializer>::Ok, <S as Serializer>::Error>;

impl<S: Serializer> Serializer for Key<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Never<S>;
    type SerializeTuple = Never<S>;
    type SerializeTupleStruct = Never<S>;
    type SerializeTupleVariant = Never<S>;
    type SerializeMap = Never<S>;
    type SerializeStruct = Never<S>;
    type SerializeStructVariant = Never<S>;

    displayed! {
        serialize_bool(bool) serialize_char(char)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.collect_str(&value) } else { refused() }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.collect_str(&value) } else { refused() }
    }

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        self.0.serialize_str(value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_str(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        refused()
    }

    refused! {
        serialize_bytes(&[u8]) -> S::Ok;
        serialize_none() -> S::Ok;
        serialize_unit() -> S::Ok;
        serialize_unit_struct(&'static str) -> S::Ok;
        serialize_seq(Option<usize>) -> Never<S>;
        serialize_tuple(usize) -> Never<S>;
        serialize_tuple_struct(&'static str, usize) -> Never<S>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never<S>;
        serialize_map(Option<usize>) -> Never<S>;
        serialize_struct(&'static str, usize) -> Never<S>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never<S>;
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}
