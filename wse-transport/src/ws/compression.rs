//! The way of compression from the settings through the opening handshake to the WebSocket.

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Codec, Config, Deflate, DeflateAgreement, WebSocket};
use crate::handshake::{ClientRequest, Rejection, ResponseError, Upgrade};

/// What the settings say.
pub(crate) type Wanted = Option<Deflate>;

/// What both sides agreed upon.
pub(crate) type Agreed = Option<(Deflate, DeflateAgreement)>;

pub(crate) const fn wanted(config: &Config) -> Wanted {
    config.deflate
}

/// The server's side of the handshake.
pub(crate) fn agree<B>(
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
pub(crate) fn agreed(
    request: &ClientRequest,
    response: &Response<()>,
) -> Result<Agreed, ResponseError> {
    request.agreed(response)
}

pub(crate) fn apply<T>(socket: &mut WebSocket<T>, agreed: Agreed)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if let Some((deflate, agreed)) = agreed {
        socket.set_deflate(deflate, agreed);
    }
}

pub(crate) fn apply_to(codec: &mut Codec, agreed: Agreed) {
    if let Some((deflate, agreed)) = agreed {
        codec.set_deflate(deflate, agreed);
    }
}
