//! [`Time`]: a point in time, read as a number of seconds, a text, or a time of the standard library.

use std::fmt::Write;

use super::number::Number;

/// A point in time, relative to 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    /// Seconds (RFC 8949 §3.4.2).
    Seconds(Number),
    /// Seconds, and nanoseconds after these.
    Nanos(i64, u32),
}

const NANOS: f64 = 1e9;

impl Time {
    /// The seconds. A time with nanoseconds is a float.
    pub(super) fn number(self) -> Number {
        match self {
            Self::Seconds(number) => number,
            Self::Nanos(seconds, 0) => seconds.into(),
            Self::Nanos(seconds, nanos) => Number::Float(seconds as f64 + f64::from(nanos) / NANOS),
        }
    }

    /// Whether there are nanoseconds, which no integer holds, and maybe no float either.
    pub(super) fn has_nanos(self) -> bool {
        matches!(self, Self::Nanos(_, nanos) if nanos != 0)
    }

    /// The seconds, and the nanoseconds after these. `None` when it is out of range.
    pub(super) fn parts(self) -> Option<(i64, u32)> {
        match self {
            Self::Nanos(seconds, nanos) => (nanos < 1_000_000_000).then_some((seconds, nanos)),
            Self::Seconds(Number::Float(float)) => {
                let seconds = float.floor();
                let nanos = ((float - seconds) * NANOS).round() as u32;
                let whole = Number::Float(seconds).as_i64()?;
                if nanos < 1_000_000_000 {
                    Some((whole, nanos))
                } else {
                    Some((whole.checked_add(1)?, 0))
                }
            }
            Self::Seconds(number) => Some((number.as_i64()?, 0)),
        }
    }

    /// The time in the form of RFC 3339, in UTC, as `Date.prototype.toJSON` of JavaScript writes it. `None` when its year does
    /// not have four digits.
    pub(super) fn text(self) -> Option<String> {
        let (seconds, nanos) = self.parts()?;
        let (year, month, day) = date(seconds.div_euclid(86_400))?;
        let second = seconds.rem_euclid(86_400);
        let mut text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        // This cannot fail: the text grows.
        let _ = match nanos {
            0 => Ok(()),
            _ if nanos % 1_000_000 == 0 => write!(text, ".{:03}", nanos / 1_000_000),
            _ if nanos % 1_000 == 0 => write!(text, ".{:06}", nanos / 1_000),
            _ => write!(text, ".{nanos:09}"),
        };
        text.push('Z');
        Some(text)
    }
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar. `None` when the year does not have four digits.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    // From 0000-01-01 to 9999-12-31.
    if !(-719_528..=2_932_896).contains(&days) {
        return None;
    }
    // Years begin in March, so that the leap day is the last one. Day 0 is 0000-03-01, or 400 years earlier.
    let days = days + 719_468 + 146_097;
    let era = days / 146_097;
    let day = days % 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // The months from March on have 153 days in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    Some((year + 400 * (era - 1) + next, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_text_of_rfc_3339() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_363_896_240, 500_000_000, "2013-03-21T20:04:00.500Z"),
            (951_782_400, 1_000, "2000-02-29T00:00:00.000001Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Time::Nanos(seconds, nanos).text().as_deref(), Some(text));
        }
        for (seconds, nanos) in [
            (-62_167_219_201, 0),
            (253_402_300_800, 0),
            (i64::MAX, 0),
            (i64::MIN, 0),
            (0, u32::MAX),
        ] {
            assert_eq!(Time::Nanos(seconds, nanos).text(), None);
        }
    }

    #[test]
    fn fractions_become_nanoseconds() {
        for (seconds, parts) in [
            (1.5, Some((1, 500_000_000))),
            (-0.25, Some((-1, 750_000_000))),
            (0.999_999_999_9, Some((1, 0))),
            (1e300, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(Time::Seconds(Number::Float(seconds)).parts(), parts, "{seconds}");
        }
    }
}
