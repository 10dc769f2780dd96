//! The payload of a close frame (RFC 6455 §5.5.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::close_code::CloseCode;
use super::error::ProtocolError;
use super::utf8_bytes::Utf8Bytes;

/// The payload of a close frame: a code and a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code.
    pub code: CloseCode,
    /// A text for logs or programs; may be empty. At most 123 bytes are sent, cut at a character boundary.
    pub reason: Utf8Bytes,
}

impl CloseFrame {
    /// The longest reason that fits behind the code, in bytes (RFC 6455 §5.5).
    pub const MAX_REASON: usize = 123;

    /// Creates a close frame.
    #[must_use]
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Parses the payload of a close frame. An empty one is `None`; report it as [`CloseCode::NO_STATUS`].
    ///
    /// # Errors
    ///
    /// [`ProtocolError::CloseTooShort`], [`ProtocolError::InvalidCloseCode`] (both closed with
    /// 1002) or [`ProtocolError::InvalidCloseReason`] (1007).
    pub fn parse(payload: &Bytes) -> Result<Option<Self>, ProtocolError> {
        match **payload {
            [] => Ok(None),
            [_] => Err(ProtocolError::CloseTooShort),
            [high, low, ..] => {
                let code = CloseCode(u16::from_be_bytes([high, low]));
                if !code.is_sendable() {
                    return Err(ProtocolError::InvalidCloseCode(code.0));
                }
                let reason = Utf8Bytes::try_from(payload.slice(2..))
                    .map_err(|_| ProtocolError::InvalidCloseReason)?;
                Ok(Some(Self { code, reason }))
            }
        }
    }

    /// The payload to send: empty for a code that must not be sent, such as [`CloseCode::NO_STATUS`].
    #[must_use]
    pub fn to_payload(&self) -> Bytes {
        if !self.code.is_sendable() {
            return Bytes::new();
        }
        let reason = self.reason.as_str();
        let mut end = reason.len().min(Self::MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = &reason[..end];
        let mut payload = BytesMut::with_capacity(2 + reason.len());
        payload.put_u16(self.code.0);
        payload.put_slice(reason.as_bytes());
        payload.freeze()
    }
}

impl From<CloseCode> for CloseFrame {
    fn from(code: CloseCode) -> Self {
        Self::new(code, "")
    }
}

impl From<ProtocolError> for CloseFrame {
    /// What the peer that violated the protocol is told.
    fn from(error: ProtocolError) -> Self {
        Self::new(error.close_code(), error.close_reason().into_owned())
    }
}
