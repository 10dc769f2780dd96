//! [`ItemError`]: the error type for serde, which becomes a [`CodecError`].

use std::fmt;
use std::str::Utf8Error;

use serde::de;
use wse_proto::CodecError;

#[derive(Debug)]
pub(crate) enum ItemError {
    /// The bytes are not well-formed.
    Item(CodecError),
    /// The item is not of the expected type; the message of serde.
    Value(String),
}

impl From<ItemError> for CodecError {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::Item(error) => error,
            ItemError::Value(why) => {
                Self::value("the payload", "not of the expected type").with_source(why)
            }
        }
    }
}

impl From<CodecError> for ItemError {
    fn from(error: CodecError) -> Self {
        Self::Item(error)
    }
}

impl From<Utf8Error> for ItemError {
    fn from(error: Utf8Error) -> Self {
        Self::Item(
            CodecError::malformed("the payload", "a text that is not UTF-8").with_source(error),
        )
    }
}

impl de::Error for ItemError {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Value(why.to_string())
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(error) => error.fmt(f),
            Self::Value(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ItemError {}
