//! [`Value`]: what messages about resume say, before a format encodes it.

use crate::Text;

/// The largest integer that a [`Value`] holds.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A value in the payload of a message about resume. It is small and flat: a map has a few members, whose values are
/// integers, texts, or a list of integers.
///
/// [`Format::encode_value`](crate::Format::encode_value) writes it as the format writes such values of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer from 0 to 2^53 - 1, the largest that every JavaScript peer reads exactly. A peer may write it as a float.
    Integer(u64),
    /// A text.
    Text(Text),
    /// A list of values.
    List(Vec<Self>),
    /// A map from names to values.
    Map(Vec<(Text, Self)>),
    /// Any other value, such as a negative number. It is only read, and no message has one.
    Other,
}

impl Value {
    /// The names of all members that the session reads. A format may skip others, so that a hostile map takes no memory.
    pub const NAMES: [&'static str; 10] = [
        "session", "token", "seen", "window", "outcome", "reason", "lost", "after", "spread", "in",
    ];

    /// The most elements of a list that the session reads, plus one. A format may skip others.
    pub const ELEMENTS: usize = 3;

    /// The value of an integer; [`Other`](Self::Other) when it is out of range.
    pub fn from_integer(integer: u64) -> Self {
        if integer <= MAX_INTEGER { Self::Integer(integer) } else { Self::Other }
    }

    /// The value of a number that a peer wrote as a float; [`Other`](Self::Other) when it is no integer in the range.
    pub fn from_float(float: f64) -> Self {
        let integer = float.fract() == 0.0 && (0.0..=MAX_INTEGER as f64).contains(&float);
        if integer { Self::Integer(float as u64) } else { Self::Other }
    }

    /// A number that this side counts or measures. It is far below the limit.
    pub(crate) fn clamped(integer: u64) -> Self {
        Self::Integer(integer.min(MAX_INTEGER))
    }

    pub(crate) fn map<const N: usize>(members: [(&'static str, Self); N]) -> Self {
        let members = members.into_iter();
        Self::Map(members.map(|(name, value)| (Text::from_static(name), value)).collect())
    }

    /// The member of this name; of several the last.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        members.iter().rev().find(|(it, _)| it == name).map(|(_, value)| value)
    }

    pub(crate) fn as_integer(&self) -> Option<u64> {
        match *self {
            Self::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_that_every_peer_reads_exactly_are_integers() {
        for (number, integer) in [
            (0.0, Some(0)),
            (1e3, Some(1000)),
            (9_007_199_254_740_991.0, Some(MAX_INTEGER)),
            (9_007_199_254_740_992.0, None),
            (-1.0, None),
            (0.5, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(Value::from_float(number).as_integer(), integer, "{number}");
        }
        assert_eq!(Value::from_integer(MAX_INTEGER), Value::Integer(MAX_INTEGER));
        assert_eq!(Value::from_integer(MAX_INTEGER + 1), Value::Other);
        assert_eq!(Value::Text("1".into()).as_integer(), None);
    }
}
