//! Close codes and the payload of a close frame (RFC 6455 §5.5.1, §7.4).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{error::ProtocolError, text::Text};

/// Why a connection ended (RFC 6455 §7.4): any number, so that codes nobody has named survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose was fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// A server goes down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The peer sent a kind of data that is not understood.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never sent: the peer's close frame had no code.
    pub const NO_STATUS: Self = Self(1005);
    /// Never sent: the connection ended without a close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// Data inconsistent with its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A policy was violated and no other code says more.
    pub const POLICY: Self = Self(1008);
    /// A message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// The server did not agree upon an extension the client needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// The server met an unexpected condition.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts; come back soon (IANA registry).
    pub const RESTART: Self = Self(1012);
    /// The server is overloaded; come back later (IANA registry).
    pub const TRY_AGAIN: Self = Self(1013);
    /// A gateway got an invalid answer from upstream (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Whether the code may appear in a close frame: 1000–1003, 1007–1014 and 3000–4999.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        // RFC 6455 §7.4.1: 1005, 1006 and 1015 MUST NOT be set in a Close control frame.
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a close frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why.
    pub code: CloseCode,
    /// Why, for a log or a program; may be empty. Sent up to 123 bytes, cut between characters.
    pub reason: Text,
}

impl CloseFrame {
    /// The most bytes of reason that fit behind the code (RFC 6455 §5.5).
    pub const MAX_REASON: usize = 123;

    /// A close frame with a code and a reason.
    pub fn new(code: CloseCode, reason: impl Into<Text>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Reads a close payload; an empty one is `None`, which is reported as
    /// [`CloseCode::NO_STATUS`].
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
                let reason = Text::try_from(payload.slice(2..))
                    .map_err(|_| ProtocolError::InvalidCloseReason)?;
                Ok(Some(Self { code, reason }))
            }
        }
    }

    /// The payload to send: empty for a code that may not be sent, such as
    /// [`CloseCode::NO_STATUS`].
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
