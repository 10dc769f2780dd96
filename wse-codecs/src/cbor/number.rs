//! Numbers of any width, integer or float, read as any type that they fit in.

use serde::de::{self, Error as _, Unexpected, Visitor};

use super::error::ItemError;
use super::reader::{Piece, Reader, float, unexpected};
use super::scan::major;

type Result<T> = std::result::Result<T, ItemError>;

/// A number as it is encoded.
pub(super) enum Number {
    Positive(u128),
    /// Stands for -1 minus this (RFC 8949 §3.1).
    Negative(u128),
    Float(f64),
}

impl<'de> Reader<'de> {
    /// Reads a number.
    pub(super) fn number(&mut self, expected: &dyn de::Expected) -> Result<Number> {
        let (head, tag) = self.head()?;
        match (head.major, tag) {
            (major::UNSIGNED, _) => Ok(Number::Positive(head.argument.into())),
            (major::NEGATIVE, _) => Ok(Number::Negative(head.argument.into())),
            (major::SIMPLE, _) => match float(head) {
                Some(float) => Ok(Number::Float(float)),
                None => Err(unexpected(head, expected)),
            },
            // RFC 8949 §3.4.3: integers of any length.
            (major::BYTES, Some(2 | 3)) => {
                let bytes = match self.piece(head)? {
                    Piece::Borrowed(bytes) => bytes.to_vec(),
                    Piece::Joined(bytes) => bytes,
                };
                let mut value = 0_u128;
                for byte in bytes {
                    value = value
                        .checked_mul(256)
                        .ok_or_else(|| ItemError::custom("an integer of more than 128 bits"))?
                        | u128::from(byte);
                }
                Ok(if tag == Some(2) { Number::Positive(value) } else { Number::Negative(value) })
            }
            _ => Err(unexpected(head, expected)),
        }
    }

    /// Reads an integer, or a float without a fraction.
    #[inline]
    pub(super) fn visit_integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        // Fast path: an integer of 64 bits without a tag.
        let head = self.peek()?;
        match (head.major, i64::try_from(head.argument)) {
            (major::UNSIGNED, _) => {
                self.at = head.end;
                visitor.visit_u64(head.argument)
            }
            (major::NEGATIVE, Ok(value)) => {
                self.at = head.end;
                visitor.visit_i64(!value)
            }
            _ => self.visit_any_integer(visitor),
        }
    }

    fn visit_any_integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.number(&visitor)? {
            Number::Float(float) if float.fract() == 0.0 && float.abs() <= 2_f64.powi(64) => {
                // The conversion is exact: it is a whole number below 127 bits.
                visit_whole(float as i128, visitor)
            }
            Number::Float(float) => {
                Err(ItemError::invalid_type(Unexpected::Float(float), &visitor))
            }
            Number::Positive(value) => match i128::try_from(value) {
                Ok(value) => visit_whole(value, visitor),
                Err(_) => visitor.visit_u128(value),
            },
            Number::Negative(value) => match i128::try_from(value) {
                Ok(value) => visit_whole(!value, visitor),
                Err(_) => Err(ItemError::custom("an integer of more than 128 bits")),
            },
        }
    }
}

/// Gives the visitor the narrowest type that holds the integer. Visitors of serde check the range.
fn visit_whole<'de, V: Visitor<'de>>(value: i128, visitor: V) -> Result<V::Value> {
    if let Ok(value) = u64::try_from(value) {
        visitor.visit_u64(value)
    } else if let Ok(value) = i64::try_from(value) {
        visitor.visit_i64(value)
    } else {
        visitor.visit_i128(value)
    }
}
