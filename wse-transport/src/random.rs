//! Random numbers of the protocol.

/// A masking key, which must be unpredictable (RFC 6455 §5.3).
pub(crate) fn mask() -> [u8; 4] {
    rand::random()
}

/// The nonce of a `Sec-WebSocket-Key`, new for each connection (RFC 6455 §4.1).
pub(crate) fn key() -> [u8; 16] {
    rand::random()
}
