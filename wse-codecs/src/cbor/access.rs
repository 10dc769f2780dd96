//! Access for serde to the members of containers, variants and tags.

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::error::ItemError;
use super::reader::Reader;
use super::scan;

type Result<T> = std::result::Result<T, ItemError>;

/// The elements of an array, or the entries of a map.
pub(super) struct Items<'a, 'de> {
    pub(super) reader: &'a mut Reader<'de>,
    /// How many items are left; `None` until the break, if the length is indefinite.
    pub(super) left: Option<u64>,
}

impl<'de> Items<'_, 'de> {
    /// Moves to the next item. Returns whether there is one.
    fn advance(&mut self) -> Result<bool> {
        match &mut self.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if scan::is_break(self.reader.bytes, self.reader.at)? => {
                self.reader.at += 1;
                self.left = Some(0);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Reads the only item.
    pub(super) fn one<T>(&mut self, read: impl FnOnce(&mut Reader<'de>) -> Result<T>) -> Result<T> {
        if self.advance()? { read(self.reader) } else { Err(ItemError::custom("an empty map")) }
    }

    /// Checks that no item is left.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.advance()? { Err(ItemError::custom("more items than expected")) } else { Ok(()) }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = ItemError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.advance()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        // It was checked that there are at least as many bytes.
        self.left.and_then(|left| left.try_into().ok())
    }
}

impl<'de> de::MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = ItemError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.advance()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.left.and_then(|left| left.try_into().ok())
    }
}

/// An enum variant: its name and data.
pub(super) struct Variant<'a, 'de>(pub(super) &'a mut Reader<'de>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = ItemError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name = seed.deserialize(&mut *self.0)?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = ItemError;

    fn unit_variant(self) -> Result<()> {
        de::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.0.deserialize_map(visitor)
    }
}

/// A tag and its item, as the types of ciborium expect them: the variant `@@TAGGED@@` with the number of the tag and the
/// item, or the variant `@@UNTAGGED@@` with the item.
pub(super) struct Tagged<'a, 'de> {
    reader: &'a mut Reader<'de>,
    tag: Option<u64>,
    /// How many of variant, number and item were returned.
    given: u8,
}

impl<'a, 'de> Tagged<'a, 'de> {
    pub(super) fn new(reader: &'a mut Reader<'de>, tag: Option<u64>) -> Self {
        Self { reader, tag, given: 0 }
    }
}

impl<'de> Deserializer<'de> for &mut Tagged<'_, 'de> {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match (self.given, self.tag) {
            (0, Some(_)) => visitor.visit_borrowed_str("@@TAGGED@@"),
            (0, None) => visitor.visit_borrowed_str("@@UNTAGGED@@"),
            (_, tag) => visitor.visit_u64(tag.unwrap_or_default()),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 bool f32 f64 char str string bytes byte_buf seq map
        struct tuple tuple_struct identifier ignored_any option unit unit_struct newtype_struct enum
    }
}

impl<'de> de::EnumAccess<'de> for Tagged<'_, 'de> {
    type Error = ItemError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self)> {
        let variant = seed.deserialize(&mut self)?;
        self.given = 1;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Tagged<'_, 'de> {
    type Error = ItemError;

    fn unit_variant(self) -> Result<()> {
        Err(ItemError::custom("an unexpected tag"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value> {
        Err(ItemError::custom("an unexpected tag"))
    }
}

impl<'de> de::SeqAccess<'de> for Tagged<'_, 'de> {
    type Error = ItemError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.given += 1;
        match self.given {
            2 => seed.deserialize(self).map(Some),
            3 => seed.deserialize(&mut *self.reader).map(Some),
            _ => Ok(None),
        }
    }
}
