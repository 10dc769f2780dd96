//! The only place where the endpoints draw random numbers.

/// Returns a number from 0 to 1, for jitter.
pub(crate) fn unit() -> f64 {
    rand::random()
}

/// Returns unpredictable bytes, for nonces.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::Rng::fill(&mut rand::rng(), &mut bytes[..]);
    bytes
}
