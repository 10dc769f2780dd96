//! [`De`]: which items are read as which types.
//!
//! The deserializers of ciborium and rmp-serde are not used because of what peers in other languages send. JavaScript has
//! one type of number: its packages write a whole number as an integer, whatever the type of the field is, and a number
//! beyond 32 bits, such as a time in milliseconds, as a float. serde buffers the members of some types before it reads
//! them, and from a buffer only exact types are read. So [`De`] gives a buffer the plainest form of an item.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, StringDeserializer};
use serde::de::{self, Deserializer, Error as _, Unexpected, Visitor};

use super::access::{Items, Variant};
use super::error::ItemError;
use super::number::{Number, narrow};
use super::sequence::{self, Ext};
use super::source::{De, EXT, Integer, Item, Keys, READABLE, Source};
use super::{special, written};

type Result<T> = std::result::Result<T, ItemError>;

/// The fields by which serde reads a time of the standard library.
const SYSTEM_TIME: [&str; 2] = ["secs_since_epoch", "nanos_since_epoch"];

impl Item<'_> {
    /// The error for an item of another type.
    #[cold]
    pub(super) fn unexpected(&self, expected: &dyn de::Expected) -> ItemError {
        let found = match self {
            Item::Null => Unexpected::Other("null"),
            Item::Bool(value) => Unexpected::Bool(*value),
            Item::Number(Number::Float(float)) => Unexpected::Float(*float),
            Item::Number(Number::Positive(value)) => match u64::try_from(*value) {
                Ok(value) => Unexpected::Unsigned(value),
                Err(_) => Unexpected::Other("integer of more than 64 bits"),
            },
            Item::Number(Number::Negative(_)) => Unexpected::Other("negative integer"),
            Item::Time(_) => Unexpected::Other("time"),
            Item::Text(_) => Unexpected::Other("string"),
            Item::Bytes(..) => Unexpected::Other("byte string"),
            Item::Numbers(_) => Unexpected::Other("typed array"),
            Item::Array(_) => Unexpected::Seq,
            Item::Map(_) => Unexpected::Map,
            Item::Ext(..) => Unexpected::Other("value of an application's type"),
            Item::Simple => Unexpected::Other("simple value"),
        };
        ItemError::invalid_type(found, expected)
    }
}

impl<'de, S: Source<'de>> De<'_, S> {
    /// Reads a number.
    pub(super) fn number(&mut self, expected: &dyn de::Expected) -> Result<Number> {
        match self.0.next()? {
            Item::Number(number) => Ok(number),
            Item::Time(time) => Ok(time.number()),
            item => Err(item.unexpected(expected)),
        }
    }

    #[inline]
    fn visit_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.integer()? {
            Some(Integer::Unsigned(value)) => visitor.visit_u64(value),
            Some(Integer::Signed(value)) => visitor.visit_i64(value),
            None => self.visit_other_integer(visitor),
        }
    }

    fn visit_other_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.next()? {
            Item::Number(number) => number.visit_integer(visitor),
            Item::Time(time) if !time.has_nanos() => time.number().visit_integer(visitor),
            item => Err(item.unexpected(&visitor)),
        }
    }

    /// Reads an integer of 128 bits.
    fn visit_wide<V: Visitor<'de>>(
        self,
        visitor: V,
        visit: impl FnOnce(V, [u8; 16]) -> Result<V::Value>,
    ) -> Result<V::Value> {
        if !S::WIDE_IN_BYTES {
            return self.visit_integer(visitor);
        }
        match self.0.next()? {
            Item::Number(number) => number.visit_integer(visitor),
            Item::Time(time) if !time.has_nanos() => time.number().visit_integer(visitor),
            Item::Bytes(bytes, _) if bytes.len() == 16 => {
                let mut array = [0; 16];
                array.copy_from_slice(&bytes);
                visit(visitor, array)
            }
            item => Err(item.unexpected(&visitor)),
        }
    }

    /// Reads the items of the array or map whose head was read.
    fn visit_items<T>(
        self,
        count: Option<u64>,
        keys: Keys,
        visit: impl FnOnce(&mut Items<'_, S>) -> Result<T>,
    ) -> Result<T> {
        self.0.enter()?;
        let mut items = Items { source: &mut *self.0, left: count, keys };
        let value = visit(&mut items)?;
        items.finish()?;
        self.0.leave();
        Ok(value)
    }

    fn visit_array<V: Visitor<'de>>(self, count: Option<u64>, visitor: V) -> Result<V::Value> {
        self.visit_items(count, Keys::Plain, |items| visitor.visit_seq(items))
    }

    pub(super) fn visit_map<V: Visitor<'de>>(
        self,
        count: Option<u64>,
        keys: Keys,
        visitor: V,
    ) -> Result<V::Value> {
        self.visit_items(count, keys, |items| visitor.visit_map(items))
    }

    /// How a buffer reads the keys of the map whose head was read.
    ///
    /// A map with a text as a key may become a struct, and gets no numbers as keys: a struct is not read from these. A map with
    /// numbers only may become a map with numbers as keys. When there is nothing left to read ahead, the form of a struct is
    /// chosen.
    fn keys(&mut self, count: Option<u64>) -> Result<Keys> {
        let start = self.0.position();
        let mut left = count;
        let keys = loop {
            match &mut left {
                Some(0) => break Keys::Plain,
                Some(left) => *left -= 1,
                None if self.0.ends()? => break Keys::Plain,
                None => {}
            }
            if self.0.is_text() || *self.0.ahead() == 0 {
                break Keys::Texts;
            }
            let before = self.0.position();
            self.0.skip()?;
            self.0.skip()?;
            let read = self.0.position() - before;
            let ahead = self.0.ahead();
            *ahead = ahead.saturating_sub(read);
        };
        self.0.seek(start);
        Ok(keys)
    }

    /// Gives a visitor that takes any value the plainest form of an item.
    pub(super) fn visit_item<V: Visitor<'de>>(
        mut self,
        item: Item<'de>,
        visitor: V,
    ) -> Result<V::Value> {
        match item {
            // A buffer has nothing for a simple value, and must not fail for a member that is not read.
            Item::Null | Item::Simple => visitor.visit_unit(),
            Item::Bool(value) => visitor.visit_bool(value),
            Item::Number(number) => number.visit_any(visitor),
            Item::Time(time) => time.number().visit_any(visitor),
            Item::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Item::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Item::Bytes(bytes, tag) => match special::text(tag, &bytes) {
                Some(text) => visitor.visit_string(text),
                None => sequence::visit_numbers(&bytes, visitor),
            },
            Item::Numbers(numbers) => numbers.visit(visitor),
            Item::Array(count) => self.visit_array(count, visitor),
            Item::Map(count) => {
                let keys = self.keys(count)?;
                self.visit_map(count, keys, visitor)
            }
            Item::Ext(kind, data) => {
                visitor.visit_newtype_struct(Ext { kind, data, bytes: false, given: 0 })
            }
        }
    }
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_integer(visitor)
        }
    )*};
}

impl<'de, S: Source<'de>> Deserializer<'de> for De<'_, S> {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if written::keeps_form::<V>() {
            return written::visit(self.0, visitor);
        }
        match self.0.next()? {
            // The value types of applications have a variant for bytes. serde's buffers refuse bytes for a `Vec<u8>` later.
            Item::Bytes(bytes, tag)
                if !written::is_buffer::<V>() && special::text(tag, &bytes).is_none() =>
            {
                match bytes {
                    Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
                    Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
                }
            }
            item => self.visit_item(item, visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_wide(visitor, |visitor, bytes| visitor.visit_i128(i128::from_be_bytes(bytes)))
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_wide(visitor, |visitor, bytes| visitor.visit_u128(u128::from_be_bytes(bytes)))
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let float = match self.0.float()? {
            Some(float) => float,
            None => self.number(&visitor)?.as_f64(),
        };
        visitor.visit_f64(narrow(float)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.0.float()? {
            Some(float) => visitor.visit_f64(float),
            None => {
                let float = self.number(&visitor)?.as_f64();
                visitor.visit_f64(float)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.next()? {
            Item::Bool(value) => visitor.visit_bool(value),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.0.text()? {
            return visitor.visit_borrowed_str(text);
        }
        let text = match self.0.next()? {
            Item::Text(Cow::Borrowed(text)) => return visitor.visit_borrowed_str(text),
            Item::Text(Cow::Owned(text)) => Some(text),
            Item::Time(time) => time.text(),
            Item::Bytes(bytes, tag @ Some(_)) => special::text(tag, &bytes),
            item => return Err(item.unexpected(&visitor)),
        };
        match text {
            Some(text) => visitor.visit_string(text),
            None => Err(ItemError::invalid_type(Unexpected::Other("tagged value"), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.next()? {
            Item::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Item::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Item::Bytes(bytes, _) => visitor.visit_bytes(&bytes),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let bytes = match self.0.next()? {
            Item::Bytes(bytes, _) => bytes,
            Item::Array(count) => return self.visit_array(count, visitor),
            Item::Numbers(numbers) => match numbers.bytes() {
                Ok(bytes) => bytes,
                Err(numbers) => return numbers.visit(visitor),
            },
            item => return Err(item.unexpected(&visitor)),
        };
        match bytes {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.next()? {
            Item::Array(count) => self.visit_array(count, visitor),
            Item::Bytes(bytes, _) => sequence::visit_bytes(&bytes, visitor),
            Item::Numbers(numbers) => numbers.visit(visitor),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.next()? {
            Item::Map(count) => self.visit_map(count, Keys::Plain, visitor),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0.next()? {
            Item::Map(count) => self.visit_map(count, Keys::Plain, visitor),
            Item::Array(count) => self.visit_array(count, visitor),
            Item::Time(time) if fields == SYSTEM_TIME => {
                let (seconds, nanos) = time
                    .parts()
                    .ok_or_else(|| ItemError::invalid_value(Unexpected::Other("time"), &visitor))?;
                let members = SYSTEM_TIME.into_iter().zip([seconds, nanos.into()]);
                visitor.visit_map(MapDeserializer::new(members))
            }
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.0.null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Also from an empty container: clients write a call without parameters so, and some writers of MessagePack a struct
    /// without fields.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.next()? {
            Item::Null | Item::Array(Some(0)) | Item::Map(Some(0)) => visitor.visit_unit(),
            Item::Array(None) | Item::Map(None) if self.0.ends()? => visitor.visit_unit(),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == EXT
            && let Some((kind, data)) = self.0.ext()?
        {
            return visitor.visit_newtype_struct(Ext { kind, data, bytes: true, given: 0 });
        }
        visitor.visit_newtype_struct(self)
    }

    /// A variant without data is its name. Any other is a map from its name to its data.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == "@@TAG@@" {
            let tag = self.0.tag(true)?;
            return written::visit_tagged(self.0, tag, visitor);
        }
        match self.0.next()? {
            Item::Text(Cow::Borrowed(text)) => {
                visitor.visit_enum(BorrowedStrDeserializer::new(text))
            }
            Item::Text(Cow::Owned(text)) => visitor.visit_enum(StringDeserializer::new(text)),
            Item::Map(count) => self.visit_items(count, Keys::Plain, |items| {
                items.one(|source| visitor.visit_enum(Variant(source)))
            }),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        READABLE
    }
}
