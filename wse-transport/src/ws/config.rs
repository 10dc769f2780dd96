//! [`Config`].

use std::time::Duration;

use super::control_rate::ControlRate;
use super::limits::Limits;
use crate::deflate::Deflate;

/// Settings of a [`WebSocket`](super::WebSocket).
///
/// ```
/// use std::time::Duration;
/// use wse_transport::ws::{Config, Limits};
///
/// let config = Config::default()
///     .limits(Limits::default().max_message(64 * 1024))
///     .close_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Limits on what is received. Default: [`Limits::default`].
    pub limits: Limits,
    /// The limit on received pings and pongs; `None` for no limit. Default: 60 at once, 20 per second.
    pub control_rate: Option<ControlRate>,
    /// The deadline of the closing handshake, including the end of TCP; then the stream ends. Default: 10 s.
    pub close_timeout: Duration,
    /// The deadline of [`accept`](crate::accept), [`connect`](crate::connect) and their variants, including TCP and TLS.
    /// Default: 10 s.
    pub handshake_timeout: Duration,
    /// With more bytes than this queued for writing, sending waits for the transport. Default: 64 KiB. Raise it for fewer
    /// and larger writes.
    pub write_buffer: usize,
    /// Compression to offer in [`connect`](crate::connect) and to agree to in [`accept`](crate::accept); feature `deflate`.
    /// It has no effect on a WebSocket whose handshake was done elsewhere: see
    /// [`WebSocket::set_negotiated`](super::WebSocket::set_negotiated). Default: none.
    pub deflate: Option<Deflate>,
}

impl Config {
    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`control_rate`](Self::control_rate); `None` turns it off.
    #[must_use]
    pub const fn control_rate(mut self, rate: Option<ControlRate>) -> Self {
        self.control_rate = rate;
        self
    }

    /// Sets [`close_timeout`](Self::close_timeout).
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets [`handshake_timeout`](Self::handshake_timeout).
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets [`write_buffer`](Self::write_buffer), in bytes.
    #[must_use]
    pub const fn write_buffer(mut self, bytes: usize) -> Self {
        self.write_buffer = bytes;
        self
    }

    /// Sets [`deflate`](Self::deflate); `None` turns it off. Feature `deflate`.
    #[must_use]
    pub const fn deflate(mut self, deflate: Option<Deflate>) -> Self {
        self.deflate = deflate;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            control_rate: Some(ControlRate::default()),
            close_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            write_buffer: 64 * 1024,
            deflate: None,
        }
    }
}
