//! Access for serde to the members of containers and variants.

use serde::de::{self, DeserializeSeed, Error as _, Visitor};

use super::error::ItemError;
use super::key::Key;
use super::source::{De, Keys, Source};

type Result<T> = std::result::Result<T, ItemError>;

/// The elements of an array, or the entries of a map.
pub(super) struct Items<'a, S> {
    pub(super) source: &'a mut S,
    /// How many items are left; `None` until the break, if the length is indefinite.
    pub(super) left: Option<u64>,
    pub(super) keys: Keys,
}

impl<'de, S: Source<'de>> Items<'_, S> {
    /// Moves to the next item. Returns whether there is one.
    #[inline]
    fn advance(&mut self) -> Result<bool> {
        match &mut self.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.source.ends()? => {
                self.left = Some(0);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Reads the only entry of a map.
    pub(super) fn one<T>(&mut self, read: impl FnOnce(&mut S) -> Result<T>) -> Result<T> {
        if self.advance()? { read(self.source) } else { Err(ItemError::custom("an empty map")) }
    }

    /// Checks that no item is left.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.advance()? { Err(ItemError::custom("more items than expected")) } else { Ok(()) }
    }
}

impl<'de, S: Source<'de>> de::SeqAccess<'de> for &mut Items<'_, S> {
    type Error = ItemError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.advance()? { seed.deserialize(De(&mut *self.source)).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        // It was checked that there are at least as many bytes.
        self.left.and_then(|left| left.try_into().ok())
    }
}

impl<'de, S: Source<'de>> de::MapAccess<'de> for &mut Items<'_, S> {
    type Error = ItemError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.advance()? {
            seed.deserialize(Key { source: &mut *self.source, keys: self.keys }).map(Some)
        } else {
            Ok(None)
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(De(&mut *self.source))
    }

    fn size_hint(&self) -> Option<usize> {
        self.left.and_then(|left| left.try_into().ok())
    }
}

/// An enum variant: its name and data.
pub(super) struct Variant<'a, S>(pub(super) &'a mut S);

impl<'de, S: Source<'de>> de::EnumAccess<'de> for Variant<'_, S> {
    type Error = ItemError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name = seed.deserialize(De(&mut *self.0))?;
        Ok((name, self))
    }
}

impl<'de, S: Source<'de>> de::VariantAccess<'de> for Variant<'_, S> {
    type Error = ItemError;

    fn unit_variant(self) -> Result<()> {
        de::Deserialize::deserialize(De(self.0))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(De(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(De(self.0), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        de::Deserializer::deserialize_struct(De(self.0), "", fields, visitor)
    }
}
