//! The encoding of frames: that of RFC 6455, or of a draft.

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::drafts::Hixie;
use crate::frame::{Error, Frame, Role};
use crate::negotiated::Negotiated;
use crate::ws::Codec;

// Without drafts the second variant is empty.
#[cfg_attr(not(feature = "drafts"), allow(clippy::large_enum_variant))]
#[derive(Debug)]
pub(super) enum Framing {
    Rfc(Codec),
    Hixie(Hixie),
}

impl Framing {
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Error> {
        match self {
            Self::Rfc(codec) => codec.decode(input),
            Self::Hixie(hixie) => Ok(hixie.decode(input)?),
        }
    }

    pub(super) fn encode(&mut self, frame: Frame, output: &mut BytesMut) {
        match self {
            // Fails only when an extension has made a control frame too long.
            Self::Rfc(codec) => {
                if codec.encode(frame.clone(), output).is_err() {
                    let _ = codec.encode(frame.curtailed(), output);
                }
            }
            Self::Hixie(hixie) => hixie.encode(&frame, output),
        }
    }

    pub(super) fn role(&self) -> Role {
        match self {
            Self::Rfc(codec) => codec.role(),
            Self::Hixie(_) => Role::Server,
        }
    }

    pub(super) const fn has_closing_handshake(&self) -> bool {
        match self {
            Self::Rfc(_) => true,
            Self::Hixie(hixie) => hixie.has_closing_handshake(),
        }
    }

    /// Applies compression and extensions; the hixie drafts have neither.
    pub(super) fn set_negotiated(&mut self, negotiated: Negotiated) {
        if let Self::Rfc(codec) = self {
            codec.set_negotiated(negotiated);
        }
    }

    pub(super) fn compress(&mut self, enabled: bool) {
        if let Self::Rfc(codec) = self {
            codec.compress(enabled);
        }
    }
}
