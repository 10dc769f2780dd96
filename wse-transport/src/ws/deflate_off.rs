//! Stands in for `deflate.rs` when the feature `deflate` is off: there is no value of it.

use bytes::Bytes;

use super::error::ProtocolError;

#[derive(Debug)]
pub(super) enum PerMessage {}

#[derive(Debug, Default)]
pub(super) struct Shared {}

impl PerMessage {
    pub(super) fn compress(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        match *self {}
    }

    pub(super) fn compress_shared(&mut self, _: &[u8], _: &Shared) -> Option<Bytes> {
        match *self {}
    }

    pub(super) fn inflate(&mut self, _: &[u8], _: bool, _: usize) -> Result<&[u8], ProtocolError> {
        match *self {}
    }

    pub(super) const fn inflated(&self) -> usize {
        match *self {}
    }

    pub(super) fn take(&mut self) -> Bytes {
        match *self {}
    }
}
