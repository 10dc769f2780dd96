//! What the opening handshake agrees upon beyond the subprotocol, on its way to the frames.

use std::sync::Arc;

use http::{Request, Response};

use super::{
    codec::Codec,
    compression::{self, Wanted},
    extension::{AgreedExtensions, Extension},
};
use crate::handshake::{ClientRequest, Rejection, ResponseError, Upgrade};

/// Compression and the extensions of the user's own: always together, so that none is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    compression: compression::Agreed,
    extensions: AgreedExtensions,
}

impl Agreed {
    /// The server's side: agrees to what it can of a request, which the response then says.
    pub(crate) fn by_server<B>(
        upgrade: &mut Upgrade,
        request: &Request<B>,
        wanted: Wanted,
        extensions: &[Arc<dyn Extension>],
    ) -> Result<Self, Rejection> {
        // Compression first: it has its place next to the application.
        let compression = compression::agree(upgrade, request, wanted)?;
        let extensions = upgrade.extend(extensions, request)?;
        Ok(Self { compression, extensions })
    }

    /// The client's side: what a response to `request` says.
    pub(crate) fn by_client(
        request: &ClientRequest,
        response: &Response<()>,
    ) -> Result<Self, ResponseError> {
        let compression = compression::agreed(request, response)?;
        Ok(Self { compression, extensions: request.extended(response)? })
    }

    /// Has the frames written and read as agreed upon.
    pub(crate) fn apply(self, codec: &mut Codec) {
        compression::apply(codec, self.compression);
        codec.set_extensions(self.extensions);
    }
}
