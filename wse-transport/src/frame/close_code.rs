//! Why a connection ended (RFC 6455 §7.4).

use std::fmt;

/// The code of a close frame (RFC 6455 §7.4). Any number is representable, so that codes of applications and of
/// later standards are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The connection has fulfilled its purpose.
    pub const NORMAL: Self = Self(1000);
    /// A server shuts down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer violated RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The peer sent a kind of data that this side does not accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never sent: the peer's close frame had no code.
    pub const NO_STATUS: Self = Self(1005);
    /// Never sent: the connection ended without a close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// Data that does not match its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer violated a policy, and no other code fits.
    pub const POLICY: Self = Self(1008);
    /// A message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// The server did not agree to an extension that the client requires.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// The server met an unexpected condition.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts; reconnect soon (IANA registry).
    pub const RESTART: Self = Self(1012);
    /// The server is overloaded; reconnect later (IANA registry).
    pub const TRY_AGAIN: Self = Self(1013);
    /// A gateway got an invalid response from upstream (IANA registry).
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
