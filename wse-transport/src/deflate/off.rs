//! Replaces the rest of this module when the feature `deflate` is off. The types have no values: callers need no
//! `cfg`, and the compiler removes their code.

use bytes::Bytes;

use crate::extension::{AnswerError, Element};
use crate::frame::{ProtocolError, Role};

/// Settings for compression of messages (permessage-deflate, RFC 7692).
///
/// Without the feature `deflate` there is no value of this type: turn the feature on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deflate {}

/// What both sides agreed on (RFC 7692 §7.1).
///
/// Without the feature `deflate` there is no value of this type: turn the feature on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeflateAgreement {}

pub(crate) const NAME: &str = "permessage-deflate";

pub(crate) fn offer(deflate: &Deflate) -> String {
    match *deflate {}
}

pub(crate) fn answer(deflate: &Deflate, _: &[Element<'_>]) -> Option<(String, DeflateAgreement)> {
    match *deflate {}
}

pub(crate) fn agreed(deflate: &Deflate, _: &Element<'_>) -> Result<DeflateAgreement, AnswerError> {
    match *deflate {}
}

#[derive(Debug)]
pub(crate) enum PerMessage {}

#[derive(Debug, Default)]
pub(crate) struct Shared {}

impl PerMessage {
    pub(crate) fn boxed(_: Role, deflate: Deflate, _: DeflateAgreement, _: bool) -> Box<Self> {
        match deflate {}
    }

    pub(crate) fn set_enabled(&mut self, _: bool) {
        match *self {}
    }

    pub(crate) fn compress(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn compress_shared(&mut self, _: &[u8], _: &Shared) -> Option<Bytes> {
        match *self {}
    }

    pub(crate) fn inflate(&mut self, _: &[u8], _: bool, _: usize) -> Result<&[u8], ProtocolError> {
        match *self {}
    }

    pub(crate) const fn inflated(&self) -> usize {
        match *self {}
    }

    pub(crate) fn take(&mut self) -> Bytes {
        match *self {}
    }
}
