//! [`Reader`]: MessagePack as a [`Source`] of items.

use std::borrow::Cow;

use super::scan::{self, Kind, ObjectHead, first};
use crate::depth::MAX_DEPTH;
use crate::items::{Integer, Item, ItemError, Number, Source, Time};

type Result<T> = std::result::Result<T, ItemError>;

/// The type of timestamps.
const TIMESTAMP: i8 = -1;

/// Reads the object at the offset `at`, inside of `depth` others.
pub(super) struct Reader<'de> {
    bytes: &'de [u8],
    pub(super) at: usize,
    depth: u32,
    ahead: usize,
}

impl<'de> Reader<'de> {
    /// A reader of a payload. The envelope around it counts as one level of nesting.
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, depth: 1, ahead: 2 * bytes.len() }
    }

    #[inline]
    fn peek(&self) -> Result<ObjectHead> {
        Ok(ObjectHead::read(self.bytes, self.at)?)
    }

    /// Moves past the content of an object with this head.
    fn content(&mut self, head: ObjectHead, length: u32) -> Result<&'de [u8]> {
        let content = head.content(self.bytes, length)?;
        self.at = content.end;
        Ok(self.bytes.get(content).unwrap_or_default())
    }

    /// The number of objects of a container whose head was read.
    fn count(&mut self, head: ObjectHead, count: u32, size: u64) -> Result<Option<u64>> {
        self.at = head.end;
        scan::announced(self.bytes, head.end, size * u64::from(count))?;
        Ok(Some(count.into()))
    }

    /// Reads an ext. The type is the last byte of its head.
    fn read_ext(&mut self, head: ObjectHead, length: u32) -> Result<(i8, &'de [u8])> {
        let kind = self.bytes.get(head.end - 1).copied().unwrap_or_default() as i8;
        Ok((kind, self.content(head, length)?))
    }
}

impl<'de> Source<'de> for Reader<'de> {
    const WIDE_IN_BYTES: bool = true;

    #[inline]
    fn next(&mut self) -> Result<Item<'de>> {
        let head = self.peek()?;
        Ok(match head.kind {
            Kind::Plain => {
                let first = self.bytes.get(self.at).copied().unwrap_or_default();
                match scan::float(self.bytes, self.at) {
                    Some(float) => {
                        self.at = head.end;
                        Item::Number(Number::Float(float))
                    }
                    None => {
                        self.at = head.end;
                        if first == first::NIL { Item::Null } else { Item::Bool(first & 1 == 1) }
                    }
                }
            }
            Kind::Uint(value) => {
                self.at = head.end;
                Item::Number(Number::Positive(value.into()))
            }
            Kind::Int(value) => {
                self.at = head.end;
                Item::Number(value.into())
            }
            Kind::Str(length) => {
                let content = self.content(head, length)?;
                Item::Text(Cow::Borrowed(std::str::from_utf8(content)?))
            }
            Kind::Bin(length) => Item::Bytes(Cow::Borrowed(self.content(head, length)?), None),
            Kind::Array(count) => Item::Array(self.count(head, count, 1)?),
            Kind::Map(count) => Item::Map(self.count(head, count, 2)?),
            Kind::Ext(length) => {
                let start = self.at;
                let (kind, data) = self.read_ext(head, length)?;
                match timestamp(kind, data) {
                    Some(time) => Item::Time(time),
                    None if scan::is_undefined(self.since(start)) => Item::Null,
                    None => Item::Ext(kind, data),
                }
            }
        })
    }

    #[inline]
    fn integer(&mut self) -> Result<Option<Integer>> {
        let head = self.peek()?;
        let integer = match head.kind {
            Kind::Uint(value) => Integer::Unsigned(value),
            Kind::Int(value) => Integer::Signed(value),
            _ => return Ok(None),
        };
        self.at = head.end;
        Ok(Some(integer))
    }

    #[inline]
    fn float(&mut self) -> Result<Option<f64>> {
        let float = scan::float(self.bytes, self.at);
        if float.is_some() {
            self.at = self.peek()?.end;
        }
        Ok(float)
    }

    #[inline]
    fn text(&mut self) -> Result<Option<&'de str>> {
        let head = self.peek()?;
        let Kind::Str(length) = head.kind else { return Ok(None) };
        let content = self.content(head, length)?;
        Ok(Some(std::str::from_utf8(content)?))
    }

    #[inline]
    fn null(&mut self) -> bool {
        let length = match self.bytes.get(self.at) {
            Some(&first::NIL) => 1,
            Some(&first::FIXEXT_1)
                if scan::is_undefined(self.bytes.get(self.at..self.at + 3).unwrap_or_default()) =>
            {
                3
            }
            _ => return false,
        };
        self.at += length;
        true
    }

    fn skip(&mut self) -> Result<()> {
        self.at = scan::object(self.bytes, self.at, self.depth)?;
        Ok(())
    }

    /// Every length is declared.
    fn ends(&mut self) -> Result<bool> {
        Ok(true)
    }

    #[inline]
    fn is_text(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(0xa0..=0xbf | first::STR_8..=first::STR_32))
    }

    fn since(&self, start: usize) -> &'de [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    fn position(&self) -> usize {
        self.at
    }

    fn seek(&mut self, position: usize) {
        self.at = position;
    }

    fn ahead(&mut self) -> &mut usize {
        &mut self.ahead
    }

    #[inline]
    fn enter(&mut self) -> Result<()> {
        if self.depth >= MAX_DEPTH {
            return Err(scan::TOO_DEEP.into());
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn ext(&mut self) -> Result<Option<(i8, &'de [u8])>> {
        let head = self.peek()?;
        match head.kind {
            Kind::Ext(length) => self.read_ext(head, length).map(Some),
            _ => Ok(None),
        }
    }
}

/// A timestamp in one of its three lengths: seconds, nanoseconds and seconds in one word, nanoseconds before seconds.
fn timestamp(kind: i8, data: &[u8]) -> Option<Time> {
    if kind != TIMESTAMP {
        return None;
    }
    let (seconds, nanos) = match data.len() {
        4 => (u32::from_be_bytes(data.try_into().ok()?).into(), 0),
        8 => {
            let word = u64::from_be_bytes(data.try_into().ok()?);
            ((word & 0x3_ffff_ffff) as i64, (word >> 34) as u32)
        }
        12 => {
            let (nanos, seconds) = data.split_at(4);
            let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
            (i64::from_be_bytes(seconds.try_into().ok()?), nanos)
        }
        _ => return None,
    };
    // The specification: nanoseconds are below 10^9.
    (nanos < 1_000_000_000).then_some(Time::Nanos(seconds, nanos))
}
