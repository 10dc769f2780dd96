//! [`Deserializer`] for a [`Reader`]: CBOR items for serde.
//!
//! ciborium's deserializer is not used because of what JavaScript sends. JavaScript has one type of number, and its
//! CBOR packages write a whole number as an integer, whatever the type of the field is, and a number beyond 32 bits, such
//! as a time in milliseconds, as a float. This deserializer reads either as any type that the number fits in. Texts and
//! byte strings are borrowed from the payload if they lie in one piece.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{Deserializer, Visitor};

use super::access::{Items, Tagged, Variant};
use super::error::ItemError;
use super::number::Number;
use super::reader::{Piece, Reader, float, unexpected};
use super::scan::{self, ItemHead, NULL, UNDEFINED, major};

type Result<T> = std::result::Result<T, ItemError>;

impl<'de> Reader<'de> {
    fn visit_text<V: Visitor<'de>>(&mut self, head: ItemHead, visitor: V) -> Result<V::Value> {
        match self.piece(head)? {
            Piece::Borrowed(bytes) => visitor.visit_borrowed_str(std::str::from_utf8(bytes)?),
            Piece::Joined(bytes) => visitor.visit_string(
                String::from_utf8(bytes).map_err(|error| ItemError::from(error.utf8_error()))?,
            ),
        }
    }

    fn visit_bytes<V: Visitor<'de>>(&mut self, head: ItemHead, visitor: V) -> Result<V::Value> {
        match self.piece(head)? {
            Piece::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Piece::Joined(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    /// Reads the items of the array or map whose head was read.
    fn visit_items<T>(
        &mut self,
        head: ItemHead,
        size: u64,
        visit: impl FnOnce(&mut Items<'_, 'de>) -> Result<T>,
    ) -> Result<T> {
        self.nested(|reader| {
            let count = match head.length() {
                Some(count) => {
                    scan::announced(reader.bytes, reader.at, count, size)?;
                    Some(count)
                }
                None => None,
            };
            let mut items = Items { reader, left: count };
            let value = visit(&mut items)?;
            items.finish()?;
            Ok(value)
        })
    }

    fn visit_array<V: Visitor<'de>>(&mut self, head: ItemHead, visitor: V) -> Result<V::Value> {
        self.visit_items(head, 1, |items| visitor.visit_seq(items))
    }

    fn visit_map<V: Visitor<'de>>(&mut self, head: ItemHead, visitor: V) -> Result<V::Value> {
        self.visit_items(head, 2, |items| visitor.visit_map(items))
    }

    /// Reads a tagged item for `ciborium::value::Value` and the types of `ciborium::tag`.
    fn visit_tagged<V: Visitor<'de>>(&mut self, tag: Option<u64>, visitor: V) -> Result<V::Value> {
        self.nested(|reader| visitor.visit_enum(Tagged::new(reader, tag)))
    }
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_integer(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.peek()?;
        match head.major {
            major::UNSIGNED | major::NEGATIVE => return self.visit_integer(visitor),
            major::TAG if matches!(head.argument, 2 | 3) => {
                let inner = ItemHead::read(self.bytes, head.end)?;
                if inner.major == major::BYTES && inner.argument <= 16 {
                    return self.visit_integer(visitor);
                }
            }
            _ => {}
        }
        self.at = head.end;
        match head.major {
            major::TAG => self.visit_tagged(Some(head.argument), visitor),
            major::BYTES => self.visit_bytes(head, visitor),
            major::TEXT => self.visit_text(head, visitor),
            major::ARRAY => self.visit_array(head, visitor),
            major::MAP => self.visit_map(head, visitor),
            _ => match (float(head), head.info) {
                (Some(float), _) => visitor.visit_f64(float),
                (None, 20 | 21) => visitor.visit_bool(head.info == 21),
                (None, 22 | 23) => visitor.visit_unit(),
                _ => Err(unexpected(head, &visitor)),
            },
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.peek()?;
        if let (major::SIMPLE, Some(value)) = (head.major, float(head)) {
            self.at = head.end;
            return visitor.visit_f64(value);
        }
        match self.number(&visitor)? {
            Number::Float(float) => visitor.visit_f64(float),
            Number::Positive(value) => visitor.visit_f64(value as f64),
            Number::Negative(value) => visitor.visit_f64(-1.0 - value as f64),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.head()?.0 {
            ItemHead { major: major::SIMPLE, info: info @ (20 | 21), .. } => {
                visitor.visit_bool(info == 21)
            }
            head => Err(unexpected(head, &visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.head()?.0 {
            head if head.major == major::TEXT => self.visit_text(head, visitor),
            head => Err(unexpected(head, &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.head()?.0 {
            head if head.major == major::TEXT => self.visit_text(head, visitor),
            head if head.major == major::BYTES => self.visit_bytes(head, visitor),
            head => Err(unexpected(head, &visitor)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.head()?.0 {
            head if head.major == major::BYTES => self.visit_bytes(head, visitor),
            head if head.major == major::ARRAY => self.visit_array(head, visitor),
            head => Err(unexpected(head, &visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.head()?.0 {
            head if head.major == major::ARRAY => self.visit_array(head, visitor),
            // Peers send a `Vec<u8>` as a byte string.
            head if head.major == major::BYTES => {
                let bytes = match self.piece(head)? {
                    Piece::Borrowed(bytes) => bytes.to_vec(),
                    Piece::Joined(bytes) => bytes,
                };
                let mut items = SeqDeserializer::<_, ItemError>::new(bytes.into_iter());
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            head => Err(unexpected(head, &visitor)),
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
        match self.head()?.0 {
            head if head.major == major::MAP => self.visit_map(head, visitor),
            head => Err(unexpected(head, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if matches!(self.bytes.get(self.at), Some(&(NULL | UNDEFINED))) {
            self.at += 1;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.head()?.0 {
            ItemHead { major: major::SIMPLE, info: 22 | 23, .. } => visitor.visit_unit(),
            head => Err(unexpected(head, &visitor)),
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
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
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
            let head = self.peek()?;
            let tag = (head.major == major::TAG).then_some(head.argument);
            self.at = if tag.is_some() { head.end } else { self.at };
            return self.visit_tagged(tag, visitor);
        }
        match self.head()?.0 {
            head if head.major == major::TEXT => match self.piece(head)? {
                Piece::Borrowed(bytes) => {
                    visitor.visit_enum(BorrowedStrDeserializer::new(std::str::from_utf8(bytes)?))
                }
                Piece::Joined(bytes) => {
                    let text = String::from_utf8(bytes).map_err(|error| error.utf8_error())?;
                    visitor.visit_enum(StringDeserializer::new(text))
                }
            },
            head if head.major == major::MAP => self.visit_items(head, 2, |items| {
                items.one(|reader| visitor.visit_enum(Variant(reader)))
            }),
            head => Err(unexpected(head, &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.at = scan::item(self.bytes, self.at, self.depth)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
