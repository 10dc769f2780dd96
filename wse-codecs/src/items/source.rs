//! [`Source`]: the bytes of a format, as [`Item`]s.

use std::borrow::Cow;

use super::error::ItemError;
use super::number::Number;
use super::sequence::Numbers;
use super::time::Time;

type Result<T> = std::result::Result<T, ItemError>;

/// An item, past the tags before it. Of a container it is the head only.
pub(crate) enum Item<'de> {
    Null,
    Bool(bool),
    Number(Number),
    /// A time that the format marks as one.
    Time(Time),
    Text(Cow<'de, str>),
    /// A byte string, and its innermost tag.
    Bytes(Cow<'de, [u8]>, Option<u64>),
    /// A byte string that holds numbers of one type.
    Numbers(Numbers<'de>),
    /// The number of elements; `None` when the length is indefinite.
    Array(Option<u64>),
    /// The number of entries; `None` when the length is indefinite.
    Map(Option<u64>),
    /// A value of a type that the application defines.
    Ext(i8, &'de [u8]),
    /// A simple value of CBOR without a meaning.
    Simple,
}

/// An integer of 64 bits.
#[derive(Clone, Copy)]
pub(crate) enum Integer {
    Unsigned(u64),
    Signed(i64),
}

/// A position in encoded items.
pub(crate) trait Source<'de>: Sized {
    /// Reads the next item and moves past it; past its head, if it is a container.
    fn next(&mut self) -> Result<Item<'de>>;

    /// Reads the next item if it is an untagged integer of 64 bits. Otherwise, it does not move.
    fn integer(&mut self) -> Result<Option<Integer>>;

    /// Reads the next item if it is an untagged float. Otherwise, it does not move.
    fn float(&mut self) -> Result<Option<f64>>;

    /// Reads the next item if it is an untagged text in one piece. Otherwise, it does not move.
    fn text(&mut self) -> Result<Option<&'de str>>;

    /// Moves past the next item if it is null or undefined.
    fn null(&mut self) -> bool;

    /// Moves past the next item.
    fn skip(&mut self) -> Result<()>;

    /// Whether a container of indefinite length ends here. If so, it moves past the end.
    fn ends(&mut self) -> Result<bool>;

    /// Whether the next item is a text.
    fn is_text(&self) -> bool;

    /// The encoded form of the items from `start` to here.
    fn since(&self, start: usize) -> &'de [u8];

    /// The offset of the next item.
    fn position(&self) -> usize;

    /// Moves to an offset that [`position`](Self::position) returned.
    fn seek(&mut self, position: usize);

    /// The number of bytes that may still be read ahead. This bounds the total cost of reading ahead.
    fn ahead(&mut self) -> &mut usize;

    /// Enters a container.
    ///
    /// # Errors
    ///
    /// Limit when it is nested too deep.
    fn enter(&mut self) -> Result<()>;

    /// Leaves a container.
    fn leave(&mut self);

    /// Reads the next tag of an item, for a type that has tags. Otherwise, it does not move. The tag of an integer of at most
    /// 128 bits is only read if `of_numbers`.
    fn tag(&mut self, of_numbers: bool) -> Result<Option<u64>> {
        let _ = of_numbers;
        Ok(None)
    }

    /// Reads the next item if it is of a type that the application defines. Otherwise, it does not move.
    fn ext(&mut self) -> Result<Option<(i8, &'de [u8])>> {
        Ok(None)
    }

    /// Whether a byte string of 16 bytes is read as an integer of 128 bits. MessagePack has no such integers.
    const WIDE_IN_BYTES: bool = false;
}

/// The next item of a source. de.rs reads it.
pub(crate) struct De<'a, S>(pub(crate) &'a mut S);

/// The name of the struct by which rmp-serde and its users know a value of an application's type.
pub(super) const EXT: &str = "_ExtStruct";

/// How the keys of a map are read by a type that reads any value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// As they are.
    Plain,
    /// As texts, because the map has texts as keys: it stands for a struct.
    Texts,
    /// In the form in which they are written.
    Written,
}

/// Whether types with a form for people and one for machines, such as UUIDs, are written in the former.
pub(super) const READABLE: bool = true;
