//! The way of compression from the settings through the opening handshake to the codec; see
//! [`Agreed`](super::agreed::Agreed) for all of it.

use http::{Request, Response};

use super::{Codec, Config, Deflate, DeflateAgreement};
use crate::handshake::{ClientRequest, Rejection, ResponseError, Upgrade};

/// What the settings say.
pub(crate) type Wanted = Option<Deflate>;

/// What both sides agreed upon.
pub(super) type Agreed = Option<(Deflate, DeflateAgreement)>;

pub(crate) const fn wanted(config: &Config) -> Wanted {
    config.deflate
}

/// The server's side of the handshake.
pub(super) fn agree<B>(
    upgrade: &mut Upgrade,
    request: &Request<B>,
    wanted: Wanted,
) -> Result<Agreed, Rejection> {
    let Some(deflate) = wanted else {
        return Ok(None);
    };
    Ok(upgrade.deflate(&deflate, request)?.map(|agreed| (deflate, agreed)))
}

/// The first half of the client's side; a request that offers something already keeps to it.
pub(crate) fn offer(request: ClientRequest, wanted: Wanted) -> ClientRequest {
    if wanted.is_some() { request.deflate(wanted) } else { request }
}

/// The second half of the client's side.
pub(super) fn agreed(
    request: &ClientRequest,
    response: &Response<()>,
) -> Result<Agreed, ResponseError> {
    request.agreed(response)
}

pub(super) fn apply(codec: &mut Codec, agreed: Agreed) {
    if let Some((deflate, agreed)) = agreed {
        codec.set_deflate(deflate, agreed);
    }
}
