//! [`Deflate`]: the settings for compression.

/// Settings for compression of messages (permessage-deflate, RFC 7692). Feature `deflate`; off by default.
///
/// By default, each message of 1 KiB or more is compressed on its own, and no memory is kept between messages.
/// A broadcast, or a [`PreparedMessage`](crate::ws::PreparedMessage), is compressed once for all connections with
/// equal settings. With [`takeover`](Self::takeover), small messages that resemble each other compress far
/// better, but each connection keeps 370 KiB for sending and 46 KiB for receiving. The smallest window saves a
/// third of the former.
///
/// # Security
///
/// The length of a compressed message reveals something about its content. An attacker who can make you send text
/// of his choice next to a secret, and who sees the lengths of frames, can guess the secret step by step (CRIME,
/// BREACH). Do not put both into one message, nor on one connection with [`takeover`](Self::takeover); or send
/// such messages uncompressed ([`WebSocket::compress`](crate::ws::WebSocket::compress)).
///
/// [`Limits`](crate::ws::Limits) hold for the inflated size, and are checked during inflation.
///
/// ```
/// use wse_transport::ws::{Config, Deflate};
///
/// let config = Config::default().deflate(Some(Deflate::default().takeover(true).window_bits(12)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// The effort, from 1 (fast) to 9 (small). Default: 3, which saves nearly as much as 6, the default of zlib, in
    /// about half the time.
    pub level: u8,
    /// Payloads shorter than this are sent uncompressed, in bytes. Default: 1,024.
    pub threshold: usize,
    /// The base-2 logarithm of the largest window for sending: 9 to 15. Default: 15.
    pub window_bits: u8,
    /// The base-2 logarithm of the largest window for the peer: 9 to 15. A server declines the offer of a client that
    /// does not support this parameter. Default: 15.
    pub peer_window_bits: u8,
    /// Whether a sent message may refer to earlier ones, which keeps memory between messages. Default: no.
    pub takeover: bool,
    /// Whether a received message may refer to earlier ones, which keeps memory between messages. Default: no.
    pub peer_takeover: bool,
}

impl Deflate {
    /// Sets [`level`](Self::level), clamped to 1 to 9.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// Sets [`threshold`](Self::threshold), in bytes.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets [`window_bits`](Self::window_bits), clamped to 9 to 15.
    #[must_use]
    pub fn window_bits(mut self, bits: u8) -> Self {
        self.window_bits = bits.clamp(9, 15);
        self
    }

    /// Sets [`peer_window_bits`](Self::peer_window_bits), clamped to 9 to 15.
    #[must_use]
    pub fn peer_window_bits(mut self, bits: u8) -> Self {
        self.peer_window_bits = bits.clamp(9, 15);
        self
    }

    /// Sets [`takeover`](Self::takeover).
    #[must_use]
    pub const fn takeover(mut self, allowed: bool) -> Self {
        self.takeover = allowed;
        self
    }

    /// Sets [`peer_takeover`](Self::peer_takeover).
    #[must_use]
    pub const fn peer_takeover(mut self, allowed: bool) -> Self {
        self.peer_takeover = allowed;
        self
    }

    /// Clamps the fields, which are public, to what zlib supports.
    pub(crate) fn in_bounds(self) -> Self {
        self.level(self.level).window_bits(self.window_bits).peer_window_bits(self.peer_window_bits)
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            level: 3,
            threshold: 1024,
            window_bits: 15,
            peer_window_bits: 15,
            takeover: false,
            peer_takeover: false,
        }
    }
}
