//! [`Close`]: how a connection ends.

use std::fmt;

use crate::CloseReason;

/// How a connection ends or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code (RFC 6455 §7.4); 1005 when the peer sent none, 1006 when there was no closing handshake.
    pub code: u16,
    /// The reason.
    pub reason: CloseReason,
}

impl Close {
    /// The connection ended without a close frame.
    pub const VANISHED: Self = Self { code: 1006, reason: CloseReason::None };

    /// Nothing was received for longer than the heartbeat allows.
    pub const DEAD: Self = Self { code: 1006, reason: CloseReason::HeartbeatTimeout };

    /// A close with this code and reason.
    pub fn new(code: u16, reason: impl Into<CloseReason>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// A normal close, code 1000.
    pub const fn normal(reason: CloseReason) -> Self {
        Self { code: 1000, reason }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            CloseReason::None => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason}", self.code),
        }
    }
}
