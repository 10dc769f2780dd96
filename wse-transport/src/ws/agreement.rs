//! What compression is asked for, and what both sides agreed upon (RFC 7692).

use super::codec::Role;

/// Compression of messages (permessage-deflate, RFC 7692), off unless asked for.
///
/// By default a message of 1 KiB or more is compressed by itself, and no memory is kept between
/// messages; a broadcast, or a [`PreparedMessage`](super::PreparedMessage), is compressed once for all that do
/// so alike. With [`takeover`](Self::takeover) small messages that resemble each other compress
/// far better, at 370 KiB for each connection's sending side and 46 KiB for its receiving side. The
/// smallest window saves a third of the former.
///
/// The length of what is compressed tells something about its content: who can make you send text
/// of his choice beside a secret, and sees how long the frames are, can guess the secret step by
/// step (CRIME, BREACH). Do not mix them in one message, nor on one connection with
/// [`takeover`](Self::takeover), or send such messages uncompressed
/// ([`WebSocket::compress`](super::WebSocket::compress)).
///
/// Limits hold for what a message inflates to, and are checked while it does.
///
/// ```
/// use wse_transport::ws::{Config, Deflate};
///
/// let config = Config::default().deflate(Some(Deflate::default().takeover(true).window_bits(12)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// How hard to try, from 1 (fast) to 9 (small). Default: 3, which saves nearly as much as 6,
    /// zlib's own default, in about half the time.
    pub level: u8,
    /// Payloads of fewer bytes are sent as they are. Default: 1,024.
    pub threshold: usize,
    /// The base-2 logarithm of the window that we compress with, at most: 9 to 15. Default: 15.
    pub window_bits: u8,
    /// The same for the peer. A server declines the offer of a client that cannot be told so.
    /// Default: 15.
    pub peer_window_bits: u8,
    /// Whether we may compress a message with the help of those before it, and keep memory for
    /// that. Default: no.
    pub takeover: bool,
    /// Whether the peer may. Default: no.
    pub peer_takeover: bool,
}

impl Deflate {
    /// Sets [`level`](Self::level), rounded to what there is.
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

    /// Sets [`window_bits`](Self::window_bits), rounded to what there is.
    #[must_use]
    pub fn window_bits(mut self, bits: u8) -> Self {
        self.window_bits = bits.clamp(9, 15);
        self
    }

    /// Sets [`peer_window_bits`](Self::peer_window_bits), rounded to what there is.
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

    /// The same with numbers that zlib knows: the fields are public.
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

/// What both sides agreed upon (RFC 7692 §7.1). The default is what a bare `permessage-deflate`
/// means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreement {
    /// Whether the server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// Whether the client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// The server's largest window: 8 to 15.
    pub server_max_window_bits: u8,
    /// The client's largest window: 8 to 15.
    pub client_max_window_bits: u8,
}

impl DeflateAgreement {
    /// Window and context takeover of what `role` sends.
    pub(super) const fn sending(&self, role: Role) -> (u8, bool) {
        match role {
            Role::Server => (self.server_max_window_bits, !self.server_no_context_takeover),
            Role::Client => (self.client_max_window_bits, !self.client_no_context_takeover),
        }
    }
}

impl Default for DeflateAgreement {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}
