//! [`Readable`]: what JSON writes for a type, CBOR and MessagePack write too.
//!
//! Types such as UUIDs and IP addresses are a text in formats for people, and bytes in others. A peer in JavaScript or Python
//! has the text, in every codec. So all codecs say that they are for people. The serializers of ciborium and rmp-serde do not
//! let every value know that, so this one wraps them.

use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};

/// A serializer, a part of one, or a value that is serialized by it.
pub(crate) struct Readable<T>(pub(crate) T);

impl<T: Serialize + ?Sized> Serialize for Readable<&T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Readable(serializer))
    }
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $name(self, $($arg: $type),*) -> Result<S::Ok, S::Error> {
            self.0.$name($($arg),*)
        }
    )*};
}

macro_rules! open {
    ($($name:ident($($arg:ident: $type:ty),*) -> $part:ident;)*) => {$(
        #[inline]
        fn $name(self, $($arg: $type),*) -> Result<Self::$part, S::Error> {
            self.0.$name($($arg),*).map(Readable)
        }
    )*};
}

impl<S: Serializer> Serializer for Readable<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Readable<S::SerializeSeq>;
    type SerializeTuple = Readable<S::SerializeTuple>;
    type SerializeTupleStruct = Readable<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Readable<S::SerializeTupleVariant>;
    type SerializeMap = Readable<S::SerializeMap>;
    type SerializeStruct = Readable<S::SerializeStruct>;
    type SerializeStructVariant = Readable<S::SerializeStructVariant>;

    forward! {
        serialize_bool(value: bool) serialize_char(value: char) serialize_str(value: &str)
        serialize_i8(value: i8) serialize_i16(value: i16) serialize_i32(value: i32)
        serialize_i64(value: i64) serialize_u8(value: u8) serialize_u16(value: u16)
        serialize_u32(value: u32) serialize_u64(value: u64) serialize_f32(value: f32)
        serialize_f64(value: f64) serialize_bytes(value: &[u8]) serialize_none() serialize_unit()
        serialize_unit_struct(name: &'static str)
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str)
    }

    /// As an integer of 64 bits, if it is one. MessagePack has no others.
    fn serialize_i128(self, value: i128) -> Result<S::Ok, S::Error> {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => self.0.serialize_u64(value),
            (_, Ok(value)) => self.0.serialize_i64(value),
            _ => self.0.serialize_i128(value),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<S::Ok, S::Error> {
        match u64::try_from(value) {
            Ok(value) => self.0.serialize_u64(value),
            Err(_) => self.0.serialize_u128(value),
        }
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Readable(value))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Readable(value))
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Readable(value))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    open! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeStructVariant;
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

macro_rules! parts {
    ($($part:ident: $($name:ident($($key:ident)?))*;)*) => {$(
        impl<S: ser::$part> ser::$part for Readable<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(
                #[inline]
                fn $name<T: Serialize + ?Sized>(
                    &mut self,
                    $($key: &'static str,)?
                    value: &T,
                ) -> Result<(), S::Error> {
                    self.0.$name($($key,)? &Readable(value))
                }
            )*

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key() serialize_value();
    SerializeStruct: serialize_field(key);
    SerializeStructVariant: serialize_field(key);
}
