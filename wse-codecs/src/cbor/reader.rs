//! [`Reader`]: a position in encoded CBOR items, and the basic steps of reading them.

use serde::de::{self, Error as _, Unexpected};

use super::error::ItemError;
use super::scan::{self, ItemHead, major};
use crate::depth::MAX_DEPTH;

type Result<T> = std::result::Result<T, ItemError>;

/// Reads the item at the offset `at`, inside of `depth` others.
pub(super) struct Reader<'de> {
    pub(super) bytes: &'de [u8],
    pub(super) at: usize,
    pub(super) depth: u32,
}

/// The content of a string: borrowed if it lies in one piece, joined from its chunks otherwise.
pub(super) enum Piece<'de> {
    Borrowed(&'de [u8]),
    Joined(Vec<u8>),
}

impl<'de> Reader<'de> {
    /// A reader of a payload. The envelope around it counts as one level of nesting.
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, depth: 1 }
    }

    /// Returns the head of the next item without moving on.
    #[inline]
    pub(super) fn peek(&self) -> Result<ItemHead> {
        Ok(ItemHead::read(self.bytes, self.at)?)
    }

    /// Moves past the head of the next item and all tags before it. Returns the head and the innermost tag.
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

    /// Reads the content of the string whose head was read.
    pub(super) fn piece(&mut self, head: ItemHead) -> Result<Piece<'de>> {
        if head.length().is_some() {
            let content = head.content(self.bytes)?;
            self.at = content.end;
            return Ok(Piece::Borrowed(self.bytes.get(content).unwrap_or_default()));
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

    /// Runs `read` one level deeper.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(scan::TOO_DEEP.into());
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }
}

/// The error for an item of another type.
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

/// A float of 16 bits (RFC 8949 appendix D).
fn half(bits: u16) -> f64 {
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
