//! Absent payloads of types that are not read from null.

use std::marker::PhantomData;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

/// Reads an absent payload as a struct or map without members. A struct is read so if all its fields have defaults.
#[cold]
pub(crate) fn read<T: DeserializeOwned, E: Error>() -> Result<T, E> {
    T::deserialize(Absent(PhantomData))
}

struct Absent<E>(PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for Absent<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_map(MapDeserializer::new(std::iter::empty::<((), ())>()))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 bool f32 f64 char str string bytes byte_buf seq map
        struct tuple tuple_struct identifier ignored_any option unit unit_struct enum
    }
}
