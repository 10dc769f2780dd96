//! Types without a value, such as `()`, from an empty object or array.

use serde::de::{Deserializer, Error as _, Visitor, value::Error};
use serde::{Deserialize, forward_to_deserialize_any};

/// Reads a type that has no value from `{}` or `[]`; `None` for other types and other texts.
#[cold]
pub(super) fn from_empty<'de, T: Deserialize<'de>>(text: &str) -> Option<T> {
    let empty = |open, close| {
        let inner = trim(text).strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| trim(inner).is_empty())
    };
    if !empty('{', '}') && !empty('[', ']') {
        return None;
    }
    T::deserialize(NoValue).ok()
}

/// Removes the white space of JSON, which excludes form feeds.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\n', '\r', '\t'])
}

/// Gives a unit to a type that asks for one, and an error to any other type.
struct NoValue;

impl<'de> Deserializer<'de> for NoValue {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
