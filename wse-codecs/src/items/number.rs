//! [`Number`]: numbers of any width, integer or float, read as any type that they fit in.

use serde::de::{Error as _, Unexpected, Visitor};

use super::error::ItemError;

type Result<T> = std::result::Result<T, ItemError>;

/// A number as it is encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Positive(u128),
    /// Stands for -1 minus this (RFC 8949 §3.1).
    Negative(u128),
    Float(f64),
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        match u64::try_from(int) {
            Ok(int) => Self::Positive(int.into()),
            Err(_) => Self::Negative(!int as u128),
        }
    }
}

impl Number {
    /// A float that is a whole number of at most 128 bits becomes that integer.
    fn whole(self) -> Self {
        match self {
            // The conversions are exact: these are whole numbers.
            Self::Float(float) if float.fract() == 0.0 && float.abs() < 2_f64.powi(128) => {
                if float >= 0.0 {
                    Self::Positive(float as u128)
                } else {
                    Self::Negative(-float as u128 - 1)
                }
            }
            other => other,
        }
    }

    /// The integer of 64 bits that it is, if it is one.
    pub(crate) fn as_i64(self) -> Option<i64> {
        match self.whole() {
            Self::Positive(value) => value.try_into().ok(),
            Self::Negative(value) => i64::try_from(value).ok().map(|value| !value),
            Self::Float(_) => None,
        }
    }

    /// The number in decimal.
    pub(super) fn text(self) -> String {
        match self.whole() {
            Self::Positive(value) => value.to_string(),
            Self::Negative(value) => match value.checked_add(1) {
                Some(value) => format!("-{value}"),
                None => format!("{:?}", self.as_f64()),
            },
            Self::Float(float) => format!("{float:?}"),
        }
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Float(float) => float,
            Self::Positive(value) => value as f64,
            Self::Negative(value) => -value.checked_add(1).map_or(2_f64.powi(128), |it| it as f64),
        }
    }

    /// For an integer type. The visitors of serde check its range.
    pub(super) fn visit_integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.whole() {
            Self::Float(float) => Err(ItemError::invalid_type(Unexpected::Float(float), &visitor)),
            Self::Positive(value) => match (u64::try_from(value), i128::try_from(value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i128(value),
                _ => visitor.visit_u128(value),
            },
            Self::Negative(value) => match (i64::try_from(value), i128::try_from(value)) {
                (Ok(value), _) => visitor.visit_i64(!value),
                (_, Ok(value)) => visitor.visit_i128(!value),
                _ => Err(ItemError::custom("an integer of more than 128 bits")),
            },
        }
    }

    /// For a type that reads any value. The buffers of serde and `serde_json::Value` have integers of 64 bits only, and their
    /// readers take integers for floats, but not the other way round.
    pub(super) fn visit_any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.whole() {
            Self::Float(float) => visitor.visit_f64(float),
            Self::Positive(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_f64(self.as_f64()),
            },
            Self::Negative(value) => match i64::try_from(value) {
                Ok(value) => visitor.visit_i64(!value),
                Err(_) => visitor.visit_f64(self.as_f64()),
            },
        }
    }

    /// For a type that keeps the difference between integers and floats.
    pub(super) fn visit_written<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Float(float) => visitor.visit_f64(float),
            other => other.visit_integer(visitor),
        }
    }
}

/// The float as an `f32`.
///
/// # Errors
///
/// Value when it is finite, but beyond the range of `f32`: it would become infinity.
#[inline]
pub(super) fn narrow(float: f64) -> Result<f64> {
    if float.is_finite() && (float as f32).is_infinite() {
        return Err(ItemError::custom(format_args!("{float} is beyond the range of f32")));
    }
    Ok(float)
}
