//! Stands in for `compression.rs` when the feature `deflate` is off: nothing is wanted nor agreed.

use std::convert::Infallible;

use http::{Request, Response};

use super::{Codec, Config};
use crate::handshake::{ClientRequest, Rejection, ResponseError, Upgrade};

pub(crate) type Wanted = Option<Infallible>;

pub(super) type Agreed = Option<Infallible>;

pub(crate) const fn wanted(_: &Config) -> Wanted {
    None
}

pub(super) fn agree<B>(_: &mut Upgrade, _: &Request<B>, _: Wanted) -> Result<Agreed, Rejection> {
    Ok(None)
}

pub(crate) fn offer(request: ClientRequest, _: Wanted) -> ClientRequest {
    request
}

pub(super) fn agreed(_: &ClientRequest, _: &Response<()>) -> Result<Agreed, ResponseError> {
    Ok(None)
}

pub(super) fn apply(_: &mut Codec, _: Agreed) {}
