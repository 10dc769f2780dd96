//! [`Reader`]: CBOR items for serde.
//!
//! Not ciborium's reader, because of what JavaScript sends: it has one type of number, and its CBOR
//! packages write a whole one as an integer whatever the field is, and one beyond 32 bits, such as a
//! time in milliseconds, as a float. Here either is read as whatever type the number fits in.
//! Texts and byte strings are lent from the payload where they lie in one piece.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{self, Deserializer, Error as _, Unexpected, Visitor};

use super::access::{Items, Tagged, Variant};
use super::error::ItemError;
use super::number::{Number, float};
use super::scan::{self, ItemHead, NULL, UNDEFINED, major};
use crate::MAX_DEPTH;

type Result<T> = std::result::Result<T, ItemError>;

/// Reads the item at `at`.
pub(super) struct Reader<'de> {
    pub(super) bytes: &'de [u8],
    pub(super) at: usize,
    pub(super) depth: u32,
}

/// A string, in one piece or joined from its chunks.
pub(super) enum Piece<'de> {
    Lent(&'de [u8]),
    Joined(Vec<u8>),
}

impl<'de> Reader<'de> {
    /// Of a payload; the envelope around it is one level.
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, depth: 1 }
    }

    /// The head of the next item, left in place.
    #[inline]
    pub(super) fn peek(&self) -> Result<ItemHead> {
        Ok(ItemHead::read(self.bytes, self.at)?)
    }

    /// Passes over the head of the next item and all tags before it, and gives the innermost tag.
    #[inline]
    pub(super) fn head(&mut self) -> Result<(ItemHead, Option<u64>)> {
        let mut tag = None;
        loop {
            let head = self.peek()?;
            self.at = head.end;
            if head.major != major::TAG {
                return Ok((head, tag));
            }
            tag = Some(head.argument);
        }
    }

    pub(super) fn piece(&mut self, head: ItemHead) -> Result<Piece<'de>> {
        if head.length().is_some() {
            let content = head.content(self.bytes)?;
            self.at = content.end;
            return Ok(Piece::Lent(self.bytes.get(content).unwrap_or_default()));
        }
        let mut joined = Vec::new();
        let mut utf8 = Ok("");
        self.at = scan::chunks(self.bytes, head, |chunk| {
            let chunk = self.bytes.get(chunk).unwrap_or_default();
            if head.major == major::TEXT && utf8.is_ok() {
                // RFC 8949 §3.2.3: each chunk is UTF-8 by itself.
                utf8 = std::str::from_utf8(chunk);
            }
            joined.extend_from_slice(chunk);
        })?;
        utf8?;
        Ok(Piece::Joined(joined))
    }

    fn visit_text<V: Visitor<'de>>(&mut self, head: ItemHead, visitor: V) -> Result<V::Value> {
        match self.piece(head)? {
            Piece::Lent(bytes) => visitor.visit_borrowed_str(std::str::from_utf8(bytes)?),
            Piece::Joined(bytes) => visitor.visit_string(
                String::from_utf8(bytes).map_err(|error| ItemError::from(error.utf8_error()))?,
            ),
        }
    }

    fn visit_bytes<V: Visitor<'de>>(&mut self, head: ItemHead, visitor: V) -> Result<V::Value> {
        match self.piece(head)? {
            Piece::Lent(bytes) => visitor.visit_borrowed_bytes(bytes),
            Piece::Joined(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    /// Reads the items of the array or map whose head was passed.
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

    /// Reads the tagged item at hand in the way `ciborium::value::Value` and `ciborium::tag` want.
    fn visit_tagged<V: Visitor<'de>>(&mut self, tag: Option<u64>, visitor: V) -> Result<V::Value> {
        self.nested(|reader| visitor.visit_enum(Tagged::new(reader, tag)))
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(scan::TOO_DEEP.into());
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }
}

#[cold]
pub(super) fn unexpected(head: ItemHead, expected: &dyn de::Expected) -> ItemError {
    let found = match head.major {
        major::UNSIGNED => Unexpected::Unsigned(head.argument),
        major::NEGATIVE => Unexpected::Other("negative integer"),
        major::BYTES => Unexpected::Other("byte string"),
        major::TEXT => Unexpected::Other("string"),
        major::ARRAY => Unexpected::Seq,
        major::MAP => Unexpected::Map,
        major::TAG => Unexpected::Other("tag"),
        _ => match (float(head), head.info) {
            (Some(float), _) => Unexpected::Float(float),
            (None, 20 | 21) => Unexpected::Bool(head.info == 21),
            (None, 22 | 23) => Unexpected::Other("null"),
            _ => Unexpected::Other("simple value"),
        },
    };
    ItemError::invalid_type(found, expected)
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
            // A `Vec<u8>` that a peer sends as the byte string it is.
            head if head.major == major::BYTES => {
                let bytes = match self.piece(head)? {
                    Piece::Lent(bytes) => bytes.to_vec(),
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

    /// A variant without data is its name; any other is a map of its name to its data.
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
                Piece::Lent(bytes) => {
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
