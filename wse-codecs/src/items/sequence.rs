//! Byte strings that are read as sequences: bytes for `Vec<u8>`, and typed arrays (RFC 8746).

use std::borrow::Cow;

use serde::de::value::SeqDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use wse_proto::CodecError;

use super::error::ItemError;
use super::number::{Number, narrow};

type Result<T> = std::result::Result<T, ItemError>;

/// Gives a visitor the bytes of a byte string as numbers, whatever type it has for them. For buffers, which do not know yet
/// which type will be read from them.
pub(super) fn visit_numbers<'de, V: Visitor<'de>>(bytes: &[u8], visitor: V) -> Result<V::Value> {
    all(SeqDeserializer::<_, ItemError>::new(bytes.iter().copied()), visitor)
}

/// Gives a visitor the bytes of a byte string, if its elements are bytes.
pub(super) fn visit_bytes<'de, V: Visitor<'de>>(bytes: &[u8], visitor: V) -> Result<V::Value> {
    all(SeqDeserializer::<_, ItemError>::new(bytes.iter().map(|byte| Byte(*byte))), visitor)
}

/// Lets a visitor read a sequence, which must not have more elements than it reads.
fn all<'de, I, T, V>(mut items: SeqDeserializer<I, ItemError>, visitor: V) -> Result<V::Value>
where
    I: Iterator<Item = T>,
    T: IntoDeserializer<'de, ItemError>,
    V: Visitor<'de>,
{
    let value = visitor.visit_seq(&mut items)?;
    items.end()?;
    Ok(value)
}

/// A byte, which is read as a `u8` only. Which numbers the bytes of a byte string stand for is not known.
#[derive(Clone, Copy)]
struct Byte(u8);

impl<'de> IntoDeserializer<'de, ItemError> for Byte {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Byte {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        Err(ItemError::invalid_type(Unexpected::Other("a byte of a byte string"), &visitor))
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u8(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u16 u32 u64 u128 bool f32 f64 char str string bytes byte_buf seq map
        struct tuple tuple_struct identifier option unit unit_struct enum
    }
}

/// A typed array: a byte string that holds numbers of one type.
pub(crate) struct Numbers<'de> {
    bytes: Cow<'de, [u8]>,
    kind: NumberKind,
}

#[derive(Clone, Copy)]
struct NumberKind {
    float: bool,
    signed: bool,
    little: bool,
    /// In bytes.
    width: usize,
}

impl<'de> Numbers<'de> {
    /// The typed array with this tag, or the bytes if the tag is of no typed array.
    ///
    /// # Errors
    ///
    /// Malformed when the bytes end inside of a number.
    pub(crate) fn new(
        tag: Option<u64>,
        bytes: Cow<'de, [u8]>,
    ) -> Result<std::result::Result<Self, Cow<'de, [u8]>>> {
        // RFC 8746 §2.1: 0b010, float, signed, little-endian, two bits of length. 76 is reserved, 68 is clamped.
        let Some(tag) = tag.filter(|tag| (64..88).contains(tag) && *tag != 76) else {
            return Ok(Err(bytes));
        };
        let float = tag & 16 != 0;
        let width = usize::from(1_u8 << (tag & 3)) << u8::from(float);
        if !bytes.len().is_multiple_of(width) {
            let error = CodecError::malformed("the typed array", "ends inside of a number");
            return Err(error.into());
        }
        let kind = NumberKind { float, signed: tag & 8 != 0, little: tag & 4 != 0, width };
        Ok(Ok(Self { bytes, kind }))
    }

    pub(super) fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let kind = self.kind;
        let numbers = self.bytes.chunks_exact(kind.width).map(|bytes| kind.number(bytes));
        all(SeqDeserializer::<_, ItemError>::new(numbers), visitor)
    }

    /// The bytes, if the numbers are bytes.
    pub(super) fn bytes(self) -> std::result::Result<Cow<'de, [u8]>, Self> {
        match self.kind {
            NumberKind { float: false, signed: false, width: 1, .. } => Ok(self.bytes),
            _ => Err(self),
        }
    }
}

impl NumberKind {
    fn number(self, bytes: &[u8]) -> Number {
        let mut value = 0_u128;
        let push = |value: &mut u128, byte: &u8| *value = *value << 8 | u128::from(*byte);
        if self.little {
            bytes.iter().rev().for_each(|byte| push(&mut value, byte));
        } else {
            bytes.iter().for_each(|byte| push(&mut value, byte));
        }
        match (self.float, self.width) {
            (true, 2) => Number::Float(half(value as u16)),
            (true, 4) => Number::Float(f32::from_bits(value as u32).into()),
            (true, 8) => Number::Float(f64::from_bits(value as u64)),
            (true, _) => Number::Float(quadruple(value)),
            (false, width) if self.signed => {
                // Moves the sign to the top and back.
                let shift = 64 - 8 * width as u32;
                ((((value as u64) << shift) as i64) >> shift).into()
            }
            (false, _) => Number::Positive(value),
        }
    }
}

/// A number inside a typed array. It is read as any type that it fits in, like any other.
impl<'de> IntoDeserializer<'de, ItemError> for Number {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_integer(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Number {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_any(visitor)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(narrow(self.as_f64())?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(self.as_f64())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf seq map struct tuple tuple_struct identifier
        ignored_any unit unit_struct enum
    }
}

/// A value of a type that the application defines, as the types of rmp-serde and rmpv expect it: type and data.
pub(super) struct Ext<'de> {
    pub(super) kind: i8,
    pub(super) data: &'de [u8],
    /// Whether the data is given as bytes. Otherwise, it is given as numbers, for buffers.
    pub(super) bytes: bool,
    /// How many of type and data were returned.
    pub(super) given: u8,
}

impl<'de> Deserializer<'de> for Ext<'de> {
    type Error = ItemError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 bool f32 f64 char str string bytes byte_buf seq map
        struct tuple tuple_struct identifier ignored_any option unit unit_struct newtype_struct enum
    }
}

impl<'de> SeqAccess<'de> for Ext<'de> {
    type Error = ItemError;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>>
    where
        T: serde::de::DeserializeSeed<'de>,
    {
        self.given += 1;
        match self.given {
            1 => seed.deserialize(self.kind.into_deserializer()).map(Some),
            2 if self.bytes => seed
                .deserialize(serde::de::value::BorrowedBytesDeserializer::new(self.data))
                .map(Some),
            2 => seed.deserialize(SeqDeserializer::new(self.data.iter().copied())).map(Some),
            _ => Ok(None),
        }
    }
}

/// A float of 16 bits (RFC 8949 appendix D).
pub(crate) fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let value = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -value } else { value }
}

/// A float of 128 bits, rounded.
fn quadruple(bits: u128) -> f64 {
    let exponent = (bits >> 112 & 0x7fff) as i32;
    let fraction = bits & ((1 << 112) - 1);
    let value = match exponent {
        // Below the smallest `f64`.
        0 => 0.0,
        0x7fff if fraction == 0 => f64::INFINITY,
        0x7fff => f64::NAN,
        // In two steps, because a power alone may be below the smallest `f64`.
        _ => {
            let significand = (1 << 112 | fraction) as f64 * 2_f64.powi(-112);
            let exponent = exponent - 16_383;
            significand * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2)
        }
    };
    if bits >> 127 == 1 { -value } else { value }
}
