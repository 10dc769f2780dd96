//! The settings of a connection.

use std::time::Duration;

use super::{flood::ControlRate, limits::Limits};

/// How a [`WebSocket`](super::WebSocket) behaves.
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
    /// Bounds on what is received. Default: [`Limits::default`].
    pub limits: Limits,
    /// Bound on received pings and pongs; `None` for no bound. Default: 60 at once, 20 a second.
    pub control_rate: Option<ControlRate>,
    /// How long the closing handshake may take, from its beginning to the end of TCP; then the
    /// stream ends. Default: 10 s.
    pub close_timeout: Duration,
    /// How long [`accept`](super::accept) and [`connect`](super::connect) may take, TCP and HTTP
    /// together. Default: 10 s.
    pub handshake_timeout: Duration,
    /// With this many bytes waiting to be written, sending waits for the transport. Default:
    /// 64 KiB. Raise it for fewer, larger writes.
    pub write_buffer: usize,
    /// Compression to offer in [`connect`](super::connect) and to agree to in
    /// [`accept`](super::accept); for a WebSocket whose handshake was done elsewhere, see
    /// [`WebSocket::set_deflate`](super::WebSocket::set_deflate). Default: none.
    #[cfg(feature = "deflate")]
    pub deflate: Option<super::Deflate>,
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

    /// Sets [`deflate`](Self::deflate); `None` turns it off.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(mut self, deflate: Option<super::Deflate>) -> Self {
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
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}
