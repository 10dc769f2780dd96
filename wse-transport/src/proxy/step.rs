//! [`Step`].

use std::fmt;

use bytes::Bytes;

/// The next step of a [`Connect`](super::Connect) or a [`Socks5`](super::Socks5).
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes to the proxy. They may contain the login.
    Send(Bytes),
    /// Receive more bytes.
    Receive,
    /// The tunnel is open: all further bytes come from the server.
    Open,
}

impl fmt::Debug for Step {
    /// Omits the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::Receive => f.write_str("Receive"),
            Self::Open => f.write_str("Open"),
        }
    }
}
