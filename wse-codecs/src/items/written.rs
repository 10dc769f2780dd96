//! Value types that keep the form in which an item is written: `ciborium::Value` and `rmpv::Value`.
//!
//! Buffers of serde and values of JSON get plain numbers, sequences and texts. Other types that read any value get that too,
//! but bytes as bytes. These two have a variant for each form, so they are read as their own crates read them.

use std::borrow::Cow;

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::error::ItemError;
use super::sequence::Ext;
use super::source::{De, Item, Keys, Source};

type Result<T> = std::result::Result<T, ItemError>;

/// Whether a visitor is one of such a type. The crates have no other mark that a deserializer can see.
#[inline]
pub(super) fn keeps_form<V>() -> bool {
    let name = std::any::type_name::<V>();
    name.starts_with("ciborium::") || name.starts_with("rmpv::")
}

/// Whether a visitor is one of serde's buffers, or of `serde_json::Value`. What these keep is read as another type later.
#[inline]
pub(super) fn is_buffer<V>() -> bool {
    let name = std::any::type_name::<V>();
    ["serde::", "serde_core::", "serde_json::"].iter().any(|it| name.starts_with(it))
}

/// Reads the next item in the form in which it is written.
pub(super) fn visit<'de, S: Source<'de>, V: Visitor<'de>>(
    source: &mut S,
    visitor: V,
) -> Result<V::Value> {
    if let Some(tag) = source.tag(false)? {
        return visit_tagged(source, Some(tag), visitor);
    }
    if let Some((kind, data)) = source.ext()? {
        return visitor.visit_newtype_struct(Ext { kind, data, bytes: true, given: 0 });
    }
    match source.next()? {
        Item::Number(number) => number.visit_written(visitor),
        Item::Bytes(bytes, _) => match bytes {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        },
        Item::Simple => Err(ItemError::custom("a simple value without a meaning")),
        Item::Map(count) => De(source).visit_map(count, Keys::Written, visitor),
        item => De(source).visit_item(item, visitor),
    }
}

/// Reads a tagged item for `ciborium::value::Value` and the types of `ciborium::tag`.
pub(super) fn visit_tagged<'de, S: Source<'de>, V: Visitor<'de>>(
    source: &mut S,
    tag: Option<u64>,
    visitor: V,
) -> Result<V::Value> {
    source.enter()?;
    let value = visitor.visit_enum(Tagged { source, tag, given: 0 })?;
    source.leave();
    Ok(value)
}

/// A tag and its item, as the types of ciborium expect them: the variant `@@TAGGED@@` with the number of the tag and the
/// item, or the variant `@@UNTAGGED@@` with the item.
struct Tagged<'a, S> {
    source: &'a mut S,
    tag: Option<u64>,
    /// How many of variant, number and item were returned.
    given: u8,
}

impl<'de, S: Source<'de>> Deserializer<'de> for &mut Tagged<'_, S> {
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

impl<'de, S: Source<'de>> de::EnumAccess<'de> for Tagged<'_, S> {
    type Error = ItemError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self)> {
        let variant = seed.deserialize(&mut self)?;
        self.given = 1;
        Ok((variant, self))
    }
}

impl<'de, S: Source<'de>> de::VariantAccess<'de> for Tagged<'_, S> {
    type Error = ItemError;

    fn unit_variant(self) -> Result<()> {
        Err(ItemError::custom("an unexpected tag"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(De(self.source))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value> {
        Err(ItemError::custom("an unexpected tag"))
    }
}

impl<'de, S: Source<'de>> de::SeqAccess<'de> for Tagged<'_, S> {
    type Error = ItemError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.given += 1;
        match self.given {
            2 => seed.deserialize(self).map(Some),
            3 => seed.deserialize(De(&mut *self.source)).map(Some),
            _ => Ok(None),
        }
    }
}
