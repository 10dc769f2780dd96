//! [`Reader`]: CBOR as a [`Source`] of items.

use std::borrow::Cow;

use wse_proto::CodecError;

use super::scan::{self, ItemHead, NULL, UNDEFINED, major};
use crate::depth::MAX_DEPTH;
use crate::items::{Integer, Item, ItemError, Number, Numbers, Source, Time, half};

type Result<T> = std::result::Result<T, ItemError>;

/// Tags with a meaning for the reader (RFC 8949 §3.4).
pub(super) mod tag {
    /// Seconds since 1970.
    pub(crate) const EPOCH: u64 = 1;
    pub(crate) const BIGNUM: u64 = 2;
    pub(crate) const NEGATIVE_BIGNUM: u64 = 3;
    /// It only says that the item is CBOR (§3.4.6).
    pub(crate) const SELF_DESCRIBED: u64 = 55_799;
}

/// Reads the item at the offset `at`, inside of `depth` others.
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

    /// Returns the head of the next item without moving on.
    #[inline]
    fn peek(&self) -> Result<ItemHead> {
        Ok(ItemHead::read(self.bytes, self.at)?)
    }

    /// Moves past the head of the next item and all tags before it. Returns the head and the innermost tag.
    #[inline]
    fn head(&mut self) -> Result<(ItemHead, Option<u64>)> {
        let mut innermost = None;
        loop {
            let head = self.peek()?;
            self.at = head.end;
            if head.major != major::TAG {
                return Ok((head, innermost));
            }
            if head.argument != tag::SELF_DESCRIBED {
                innermost = Some(head.argument);
            }
        }
    }

    /// Reads the content of the string whose head was read.
    #[inline]
    fn content(&mut self, head: ItemHead) -> Result<Cow<'de, [u8]>> {
        if head.length().is_some() {
            let content = head.content(self.bytes)?;
            self.at = content.end;
            return Ok(Cow::Borrowed(self.bytes.get(content).unwrap_or_default()));
        }
        self.joined(head).map(Cow::Owned)
    }

    /// Reads the chunks of the string whose head was read.
    fn joined(&mut self, head: ItemHead) -> Result<Vec<u8>> {
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
        Ok(joined)
    }

    fn string(&mut self, head: ItemHead, tag: Option<u64>) -> Result<Item<'de>> {
        let content = self.content(head)?;
        if head.major == major::TEXT {
            return Ok(Item::Text(match content {
                Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes)?),
                Cow::Owned(bytes) => Cow::Owned(
                    String::from_utf8(bytes)
                        .map_err(|error| ItemError::from(error.utf8_error()))?,
                ),
            }));
        }
        Ok(match tag {
            Some(tag @ (tag::BIGNUM | tag::NEGATIVE_BIGNUM)) => {
                Item::Number(bignum(tag == tag::NEGATIVE_BIGNUM, &content))
            }
            _ => match Numbers::new(tag, content)? {
                Ok(numbers) => Item::Numbers(numbers),
                Err(bytes) => Item::Bytes(bytes, tag),
            },
        })
    }

    /// The number of items of a container whose head was read.
    fn count(&self, head: ItemHead, size: u64) -> Result<Option<u64>> {
        if let Some(count) = head.length() {
            scan::announced(self.bytes, self.at, count, size)?;
        }
        Ok(head.length())
    }
}

impl<'de> Source<'de> for Reader<'de> {
    #[inline]
    fn next(&mut self) -> Result<Item<'de>> {
        let (head, tag) = self.head()?;
        let number = |number| match tag {
            Some(tag::EPOCH) => Item::Time(Time::Seconds(number)),
            _ => Item::Number(number),
        };
        Ok(match head.major {
            major::UNSIGNED => number(Number::Positive(head.argument.into())),
            major::NEGATIVE => number(Number::Negative(head.argument.into())),
            major::BYTES | major::TEXT => return self.string(head, tag),
            major::ARRAY => Item::Array(self.count(head, 1)?),
            major::MAP => Item::Map(self.count(head, 2)?),
            _ => match (float(head), head.info) {
                (Some(float), _) => number(Number::Float(float)),
                (None, 20 | 21) => Item::Bool(head.info == 21),
                (None, 22 | 23) => Item::Null,
                (None, 31) => {
                    let error = CodecError::malformed("the CBOR item", "an unexpected break");
                    return Err(error.into());
                }
                _ => Item::Simple,
            },
        })
    }

    #[inline]
    fn integer(&mut self) -> Result<Option<Integer>> {
        let head = self.peek()?;
        let integer = match (head.major, i64::try_from(head.argument)) {
            (major::UNSIGNED, _) => Integer::Unsigned(head.argument),
            (major::NEGATIVE, Ok(value)) => Integer::Signed(!value),
            _ => return Ok(None),
        };
        self.at = head.end;
        Ok(Some(integer))
    }

    #[inline]
    fn float(&mut self) -> Result<Option<f64>> {
        let head = self.peek()?;
        let float = if head.major == major::SIMPLE { float(head) } else { None };
        if float.is_some() {
            self.at = head.end;
        }
        Ok(float)
    }

    #[inline]
    fn text(&mut self) -> Result<Option<&'de str>> {
        let head = self.peek()?;
        if head.major != major::TEXT || head.length().is_none() {
            return Ok(None);
        }
        let content = head.content(self.bytes)?;
        self.at = content.end;
        Ok(Some(std::str::from_utf8(self.bytes.get(content).unwrap_or_default())?))
    }

    #[inline]
    fn null(&mut self) -> bool {
        let Some(first) = self.bytes.get(self.at) else { return false };
        let null =
            if first >> 5 == major::TAG { scan::past_tags(self.bytes, self.at) } else { self.at };
        let is_null = matches!(self.bytes.get(null), Some(&(NULL | UNDEFINED)));
        if is_null {
            self.at = null + 1;
        }
        is_null
    }

    fn skip(&mut self) -> Result<()> {
        self.at = scan::item(self.bytes, self.at, self.depth)?;
        Ok(())
    }

    fn ends(&mut self) -> Result<bool> {
        let ends = scan::is_break(self.bytes, self.at)?;
        self.at += usize::from(ends);
        Ok(ends)
    }

    #[inline]
    fn is_text(&self) -> bool {
        let first = |at: usize| self.bytes.get(at).map(|first| first >> 5);
        match first(self.at) {
            Some(major::TAG) => first(scan::past_tags(self.bytes, self.at)) == Some(major::TEXT),
            first => first == Some(major::TEXT),
        }
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

    fn tag(&mut self, of_numbers: bool) -> Result<Option<u64>> {
        let head = self.peek()?;
        if head.major != major::TAG {
            return Ok(None);
        }
        if !of_numbers && matches!(head.argument, tag::BIGNUM | tag::NEGATIVE_BIGNUM) {
            let inner = ItemHead::read(self.bytes, head.end)?;
            if inner.major == major::BYTES && inner.argument <= 16 {
                return Ok(None);
            }
        }
        self.at = head.end;
        Ok(Some(head.argument))
    }
}

/// An integer of any length (RFC 8949 §3.4.3). One of more than 128 bits becomes a float.
pub(super) fn bignum(negative: bool, bytes: &[u8]) -> Number {
    let mut value = 0_u128;
    for (index, byte) in bytes.iter().enumerate() {
        match value.checked_mul(256) {
            Some(shifted) => value = shifted | u128::from(*byte),
            None => {
                let rest = bytes.get(index..).unwrap_or_default();
                let float =
                    rest.iter().fold(value as f64, |float, byte| float * 256.0 + f64::from(*byte));
                return Number::Float(if negative { -1.0 - float } else { float });
            }
        }
    }
    if negative { Number::Negative(value) } else { Number::Positive(value) }
}

/// The value of a float; `None` when the head is not of a float.
#[inline]
pub(super) fn float(head: ItemHead) -> Option<f64> {
    match head.info {
        25 => Some(half(head.argument as u16)),
        26 => Some(f32::from_bits(head.argument as u32).into()),
        27 => Some(f64::from_bits(head.argument)),
        _ => None,
    }
}
