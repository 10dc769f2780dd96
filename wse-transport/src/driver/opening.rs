//! The state of the opening handshake.

use super::drafts::Challenge;
use crate::handshake::ClientRequest;
use crate::head::{HeadScanner, ResponseReader};

/// The state of the opening handshake.
#[derive(Debug)]
pub(super) enum Opening {
    /// A server reads the request.
    Request(HeadScanner),
    /// A server has the request; the caller decides on the answer.
    Asked,
    /// A server of hixie-76 has sent the head of its response, and reads the input for the rest.
    Challenged(Challenge),
    /// A client is not started.
    Idle { request: Box<ClientRequest> },
    /// A client reads the response.
    Response { request: Box<ClientRequest>, key: [u8; 16], reader: ResponseReader },
    /// The handshake is done.
    Open,
    /// The handshake has failed. With a rejection, the connection lingers until the peer has read it.
    Over { lingers: bool },
}

impl Opening {
    pub(super) fn request() -> Self {
        Self::Request(HeadScanner::default())
    }

    pub(super) fn idle(request: ClientRequest) -> Self {
        Self::Idle { request: Box::new(request) }
    }
}
