//! [`Lenient`]: JSON for serde, where a float that is a whole number is read as an integer.
//!
//! It wraps the deserializer of serde_json, and every visitor and seed, so that members at any depth are read so, also those
//! that serde buffers. It is slower, and only used for what serde_json refuses.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::value::RawValue;

use super::scan;

/// A deserializer, visitor, seed or access whose members are read leniently. `KEY` is set for the key of a map, which is a
/// text.
pub(super) struct Lenient<T, const KEY: bool = false>(T);

/// A value whose members are read leniently, if it is no key.
pub(super) fn lenient<T>(value: T) -> Lenient<T> {
    Lenient(value)
}

/// How a visitor takes floats that are whole numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Floats,
    /// Integers of 64 bits, for the buffers of serde.
    Plain,
    Integers,
}

/// A visitor, and how it takes numbers.
struct Numbers<V, const KEY: bool>(V, Wanted);

/// Gives the visitor the integer that a float is, or the float.
fn visit_float<'de, V: Visitor<'de>, E: Error>(
    float: f64,
    visitor: V,
    wanted: Wanted,
) -> Result<V::Value, E> {
    let whole = wanted != Wanted::Floats && float.fract() == 0.0;
    // The conversions are exact: these are whole numbers.
    if whole && (0.0..2_f64.powi(64)).contains(&float) {
        visitor.visit_u64(float as u64)
    } else if whole && (-(2_f64.powi(63))..=0.0).contains(&float) {
        visitor.visit_i64(float as i64)
    } else if whole && wanted == Wanted::Integers && float > 0.0 && float < 2_f64.powi(128) {
        visitor.visit_u128(float as u128)
    } else if whole && wanted == Wanted::Integers && float < 0.0 && float >= -(2_f64.powi(127)) {
        visitor.visit_i128(float as i128)
    } else {
        visitor.visit_f64(float)
    }
}

macro_rules! forward {
    ($($wanted:ident: $($name:ident($($arg:ident: $type:ty),*))*;)*) => {$($(
        fn $name<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$name($($arg,)* Numbers::<_, KEY>(visitor, Wanted::$wanted))
        }
    )*)*};
}

impl<'de, D: Deserializer<'de>, const KEY: bool> Deserializer<'de> for Lenient<D, KEY> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        // `serde_json::Value` keeps the form of a number, here as where nothing is refused.
        let keeps_form = std::any::type_name::<V>().starts_with("serde_json::");
        let wanted = if keeps_form { Wanted::Floats } else { Wanted::Plain };
        self.0.deserialize_any(Numbers::<_, KEY>(visitor, wanted))
    }

    /// serde_json reads an integer of 128 bits from digits only, and integers beyond 64 bits for other types inexactly.
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let text = number::<_, KEY>(self.0)?;
        match text.parse() {
            Ok(value) => visitor.visit_i128(value),
            Err(_) => visit_wide(text, visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let text = number::<_, KEY>(self.0)?;
        match text.parse() {
            Ok(value) => visitor.visit_u128(value),
            Err(_) => visit_wide(text, visitor),
        }
    }

    forward! {
        Integers:
            deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
            deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64();
        Floats:
            deserialize_f32() deserialize_f64() deserialize_bool() deserialize_char()
            deserialize_str() deserialize_string() deserialize_bytes() deserialize_byte_buf()
            deserialize_option() deserialize_unit() deserialize_unit_struct(name: &'static str)
            deserialize_newtype_struct(name: &'static str) deserialize_seq()
            deserialize_tuple(len: usize) deserialize_map() deserialize_identifier()
            deserialize_tuple_struct(name: &'static str, len: usize)
            deserialize_struct(name: &'static str, fields: &'static [&'static str])
            deserialize_enum(name: &'static str, variants: &'static [&'static str])
            deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// The text of a number, or of a value that is none. Of a key, it is inside of the quotes.
fn number<'de, D: Deserializer<'de>, const KEY: bool>(value: D) -> Result<&'de str, D::Error> {
    let text = <&RawValue>::deserialize(value)?.get();
    if !KEY {
        return Ok(text);
    }
    let text = text.trim_matches('"');
    let is_json = scan::value(text.as_bytes(), 0).is_ok_and(|end| end == text.len());
    if is_json { Ok(text) } else { Err(D::Error::custom("a key that is no number")) }
}

/// Reads a float that is a whole number as an integer of 128 bits.
fn visit_wide<'de, V: Visitor<'de>, E: Error>(text: &str, visitor: V) -> Result<V::Value, E> {
    match text.parse() {
        Ok(float) => visit_float(float, visitor, Wanted::Integers),
        Err(_) => Err(E::invalid_type(serde::de::Unexpected::Other("no number"), &visitor)),
    }
}

macro_rules! visit {
    ($($name:ident($type:ty))*) => {$(
        fn $name<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$name(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>, const KEY: bool> Visitor<'de> for Numbers<V, KEY> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visit! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_char(char)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String) visit_bytes(&[u8])
        visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_f32<E: Error>(self, float: f32) -> Result<V::Value, E> {
        visit_float(float.into(), self.0, self.1)
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<V::Value, E> {
        visit_float(float, self.0, self.1)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Lenient::<_, KEY>(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Lenient::<_, KEY>(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(lenient(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(lenient(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(lenient(variant))
    }
}

impl<'de, T: DeserializeSeed<'de>, const KEY: bool> DeserializeSeed<'de> for Lenient<T, KEY> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Lenient::<_, KEY>(inner))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(lenient(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(Lenient::<_, true>(seed))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(lenient(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Lenient<A> {
    type Error = A::Error;
    type Variant = Lenient<A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let (name, variant) = self.0.variant_seed(seed)?;
        Ok((name, lenient(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.0.newtype_variant_seed(lenient(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Numbers::<_, false>(visitor, Wanted::Floats))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Numbers::<_, false>(visitor, Wanted::Floats))
    }
}
