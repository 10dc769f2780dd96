//! [`Stamp`]: the correlation id of a message, and [`IntForm`]: how a peer wrote an integer.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::Text;

/// The correlation id that matches a reply to its call. It is opaque: the caller gets back what it chose.
///
/// Stamps are equal if they are the same text or the same integer, whatever its form.
#[derive(Clone, Debug, Eq)]
pub enum Stamp {
    /// A text. The sessions of this crate use texts.
    Text(Text),
    /// An integer, as peers of some protocols use them.
    Int(i64),
    /// An integer that the peer wrote in another form, such as a float. Protocols write it back in this form, because some
    /// peers do not find a call again by the same number in another form.
    Whole(i64, IntForm),
}

impl Stamp {
    /// The integer that a float is. `None` when it has a fraction or is beyond 64 bits.
    pub fn from_float(float: f64, form: IntForm) -> Option<Self> {
        // 2^63 is the lowest float that is too large. The conversion is exact.
        let range = -(2_f64.powi(63))..2_f64.powi(63);
        let whole = float.fract() == 0.0 && range.contains(&float);
        whole.then_some(Self::Whole(float as i64, form))
    }

    /// The integer that this stamp is, in whatever form.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Text(_) => None,
            Self::Int(int) | Self::Whole(int, _) => Some(*int),
        }
    }

    /// The stamp as text; an integer in decimal.
    pub fn to_text(&self) -> Text {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(int) | Self::Whole(int, _) => Text::from(int.to_string()),
        }
    }

    /// The serial number, if this stamp is one in the form that [`Stamp::from`] writes.
    pub(crate) fn serial(&self) -> Option<u64> {
        match self {
            Self::Text(text) => {
                let canonical = text.starts_with(|c| matches!(c, '1'..='9'))
                    && text.bytes().all(|b| b.is_ascii_digit());
                canonical.then(|| text.parse().ok()).flatten()
            }
            Self::Int(_) | Self::Whole(..) => None,
        }
    }
}

impl PartialEq for Stamp {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => self.as_int().is_some() && self.as_int() == other.as_int(),
        }
    }
}

impl Hash for Stamp {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As derived: the kind first.
        match self {
            Self::Text(text) => {
                state.write_isize(0);
                text.hash(state);
            }
            Self::Int(int) | Self::Whole(int, _) => {
                state.write_isize(1);
                int.hash(state);
            }
        }
    }
}

impl From<u64> for Stamp {
    /// The decimal text of a serial number.
    fn from(serial: u64) -> Self {
        let mut buf = [0; 20];
        let mut at = buf.len();
        let mut rest = serial;
        loop {
            at -= 1;
            buf[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self::Text(Text::from(std::str::from_utf8(&buf[at..]).unwrap_or_default()))
    }
}

impl From<&str> for Stamp {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Stamp {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Int(int) | Self::Whole(int, _) => int.fmt(f),
        }
    }
}

/// The form of an integer that is not written as an integer of 64 bits.
///
/// JavaScript has one type of number. Its packages write a number beyond 32 bits as a float, and read an integer of 64 bits
/// as a `BigInt`, which is not equal to that number.
///
/// It takes a whole word, so that the compiler copies a [`Stamp`] as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum IntForm {
    /// A float of 16 bits.
    Half,
    /// A float of 32 bits.
    Single,
    /// A float of 64 bits. In a text: digits, a point and a zero.
    Double,
    /// An integer of any length, as CBOR has them.
    Bignum,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_stamp_is_as_large_as_a_text() {
        assert_eq!(size_of::<Option<Stamp>>(), size_of::<Text>());
    }

    #[test]
    fn an_integer_is_the_same_stamp_in_any_form() {
        let hash = |stamp: &Stamp| {
            let mut state = std::hash::DefaultHasher::new();
            stamp.hash(&mut state);
            state.finish()
        };
        let five = Stamp::from_float(5.0, IntForm::Single).unwrap();
        for same in [Stamp::Int(5), Stamp::Whole(5, IntForm::Bignum)] {
            assert_eq!((&five, hash(&five)), (&same, hash(&same)));
        }
        for other in [Stamp::Int(6), Stamp::Whole(6, IntForm::Single), Stamp::from("5")] {
            assert_ne!(five, other);
        }
        assert_eq!((five.to_string(), five.to_text()), ("5".to_owned(), "5".into()));
        for float in [1.5, 2_f64.powi(63), -(2_f64.powi(63)) * 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Stamp::from_float(float, IntForm::Double), None, "{float}");
        }
    }

    #[test]
    fn serial_stamps_come_back_and_others_are_not_serials() {
        for serial in [1, 9, 10, 4711, u64::MAX] {
            assert_eq!(Stamp::from(serial).serial(), Some(serial));
        }
        for other in ["", "0", "01", "+1", "1 ", "18446744073709551616", "x"] {
            assert_eq!(Stamp::from(other).serial(), None, "{other:?}");
        }
        assert_eq!(Stamp::Int(1).serial(), None);
    }
}
