//! [`Key`]: the keys of maps.
//!
//! JSON has texts as keys only. Peers that share their code with JSON write numbers as texts, and peers in Python write a
//! dictionary with numbers as it is. So a number is read from a text, and a text from a number.

use std::borrow::Cow;

use serde::de::{Deserializer, Error as _, Unexpected, Visitor};

use super::error::ItemError;
use super::number::{Number, narrow};
use super::source::{De, EXT, Item, Keys, READABLE, Source};
use super::{special, written};

type Result<T> = std::result::Result<T, ItemError>;

/// The next item, as a key.
pub(super) struct Key<'a, S> {
    pub(super) source: &'a mut S,
    pub(super) keys: Keys,
}

impl<'de, S: Source<'de>> Key<'_, S> {
    /// Reads a text, or the text of a number, a boolean, null, or a value that is read as a text elsewhere. Returns any other
    /// item.
    #[cold]
    fn text(&mut self) -> Result<std::result::Result<Cow<'de, str>, Item<'de>>> {
        let item = self.source.next()?;
        let text = match &item {
            Item::Number(number) => Some(number.text()),
            Item::Time(time) => time.text(),
            Item::Bytes(bytes, tag) => special::text(*tag, bytes),
            Item::Bool(value) => Some(value.to_string()),
            Item::Null => Some("null".to_owned()),
            _ => None,
        };
        Ok(match (text, item) {
            (Some(text), _) => Ok(text.into()),
            (None, Item::Text(text)) => Ok(text),
            (None, item) => Err(item),
        })
    }

    /// Reads the name of a field. Any item is one: that of no field, if it has no text.
    fn visit_name<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let start = self.source.position();
        match self.text()? {
            Ok(text) => visit_text(text, visitor),
            Err(Item::Bytes(bytes, None)) if std::str::from_utf8(&bytes).is_ok() => {
                visitor.visit_bytes(&bytes)
            }
            Err(_) => {
                self.source.seek(start);
                self.source.skip()?;
                visitor.visit_string(String::from_utf8_lossy(self.source.since(start)).into_owned())
            }
        }
    }

    /// Gives a buffer a key of a map without texts. A number is signed: later, serde takes an unsigned one for the index of a
    /// field, if the map is read as a struct.
    fn visit_plain<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let number = match self.source.next()? {
            Item::Number(number) => number,
            Item::Time(time) => time.number(),
            item => return De(self.source).visit_item(item, visitor),
        };
        match number.as_i64() {
            Some(value) => visitor.visit_i64(value),
            None => number.visit_any(visitor),
        }
    }

    /// Reads a number from a text.
    fn number(&mut self, expected: &dyn serde::de::Expected) -> Result<Number> {
        match self.source.next()? {
            Item::Text(text) => parse(&text)
                .ok_or_else(|| ItemError::invalid_value(Unexpected::Str(&text), expected)),
            item => Err(item.unexpected(expected)),
        }
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// Reads a number in the grammar of JSON.
fn parse(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let integer = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let canonical = integer == 1 || integer > 1 && !unsigned.starts_with('0');
    if !canonical
        || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
    {
        return None;
    }
    if integer == unsigned.len()
        && let Ok(value) = unsigned.parse::<u128>()
    {
        return Some(match text.len() - integer {
            0 => Number::Positive(value),
            // -0 is 0.
            _ => value.checked_sub(1).map_or(Number::Positive(0), Number::Negative),
        });
    }
    let float = text.parse().ok().filter(|float: &f64| float.is_finite())?;
    (!unsigned.contains(".e") && !unsigned.contains(".E") && !unsigned.ends_with('.'))
        .then_some(Number::Float(float))
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            match self.source.is_text() {
                true => self.number(&visitor)?.visit_integer(visitor),
                false => De(self.source).$name(visitor),
            }
        }
    )*};
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*))*) => {$(
        fn $name<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value> {
            De(self.source).$name($($arg,)* visitor)
        }
    )*};
}

impl<'de, S: Source<'de>> Deserializer<'de> for Key<'_, S> {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.keys {
            Keys::Texts => self.visit_name(visitor),
            Keys::Written => written::visit(self.source, visitor),
            Keys::Plain if written::is_buffer::<V>() => self.visit_plain(visitor),
            Keys::Plain => De(self.source).deserialize_any(visitor),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.source.text()? {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.visit_name(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.source.text()? {
            return visitor.visit_borrowed_str(text);
        }
        match self.text()? {
            Ok(text) => visit_text(text, visitor),
            Err(item) => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.source.is_text() {
            true => {
                let float = self.number(&visitor)?.as_f64();
                visitor.visit_f64(narrow(float)?)
            }
            false => De(self.source).deserialize_f32(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.source.is_text() {
            true => {
                let float = self.number(&visitor)?.as_f64();
                visitor.visit_f64(float)
            }
            false => De(self.source).deserialize_f64(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.source.next()? {
            Item::Bool(value) => visitor.visit_bool(value),
            Item::Text(text) if text == "true" => visitor.visit_bool(true),
            Item::Text(text) if text == "false" => visitor.visit_bool(false),
            item => Err(item.unexpected(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.source.null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == EXT {
            return De(self.source).deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    forward! {
        deserialize_bytes() deserialize_byte_buf() deserialize_seq() deserialize_map()
        deserialize_unit() deserialize_ignored_any()
        deserialize_unit_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn is_human_readable(&self) -> bool {
        READABLE
    }
}
