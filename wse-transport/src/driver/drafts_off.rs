//! Replaces `drafts/` when the feature `drafts` is off: only RFC 6455 is spoken. The types have no values, so that the
//! compiler removes their code.

use bytes::BytesMut;
use http::{HeaderMap, Request, Response};

use super::options::DriverOptions;
use crate::frame::{Frame, ProtocolError};
use crate::handshake::Rejection;

#[derive(Clone, Copy, Debug)]
pub(super) enum Draft {}

#[derive(Debug)]
pub(super) enum Hixie {}

#[derive(Debug)]
pub(super) enum Challenge {}

pub(super) struct Answer {
    pub(super) head: BytesMut,
    pub(super) response: Response<()>,
    pub(super) protocol: Option<String>,
    pub(super) hixie: Hixie,
    pub(super) challenge: Option<Challenge>,
}

pub(super) const fn allowed(_: &DriverOptions) -> bool {
    false
}

pub(super) const fn add_versions(rejection: Rejection, _: &DriverOptions) -> Rejection {
    rejection
}

impl Draft {
    pub(super) const fn of(_: &Request<()>, _: &DriverOptions) -> Option<Self> {
        None
    }

    pub(super) const fn name(self) -> &'static str {
        match self {}
    }

    pub(super) const fn is_text_only(self) -> bool {
        match self {}
    }

    pub(super) fn translate(self, _: &Request<()>) -> Request<()> {
        match self {}
    }

    pub(super) fn answer(
        self,
        _: &Request<()>,
        _: &DriverOptions,
        _: &HeaderMap,
    ) -> Result<Answer, Rejection> {
        match self {}
    }
}

impl Challenge {
    pub(super) const BODY: usize = 8;

    pub(super) fn answer(&self, _: &[u8; Self::BODY]) -> [u8; 16] {
        match *self {}
    }
}

impl Hixie {
    pub(super) fn decode(&mut self, _: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        match *self {}
    }

    pub(super) fn encode(&self, _: &Frame, _: &mut BytesMut) {
        match *self {}
    }

    pub(super) const fn has_closing_handshake(&self) -> bool {
        match *self {}
    }
}
