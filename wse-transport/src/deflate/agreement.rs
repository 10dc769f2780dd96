//! What both sides agreed on (RFC 7692 §7.1).

use crate::frame::Role;

/// What both sides agreed on (RFC 7692 §7.1). The default is the meaning of `permessage-deflate` without
/// parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreement {
    /// Whether the server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// Whether the client compresses each message on its own.
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the server's largest window: 8 to 15.
    pub server_max_window_bits: u8,
    /// The base-2 logarithm of the client's largest window: 8 to 15.
    pub client_max_window_bits: u8,
}

impl DeflateAgreement {
    /// The window bits of `role` when it sends, and whether its context is taken over.
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
