//! Challenge-response authentication with a shared secret: HMAC-SHA-256 (RFC 2104) over a nonce and
//! the identity.
//!
//! The server sends the challenge with
//! [`Unauthenticated::challenge_hmac`](crate::Unauthenticated::challenge_hmac). The client answers
//! with [`hmac_answer`] in its solver. Both travel as lower-case hexadecimal text, so that any
//! language can implement them:
//!
//! ```text
//! quest  = hex(32 random bytes)
//! answer = hex(HMAC-SHA-256(key = secret, message = quest ":" identity))
//! ```

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::random;

/// Returns the answer to the challenge `quest`.
///
/// ```
/// use wse::auth::hmac_answer;
/// let answer = hmac_answer(b"secret", "ann", "00ff");
/// assert_eq!(answer.len(), 64);
/// assert_ne!(answer, hmac_answer(b"secret", "bob", "00ff"));
/// ```
#[must_use]
pub fn hmac_answer(secret: &[u8], identity: &str, quest: &str) -> String {
    hex(&mac(secret, identity, quest).finalize().into_bytes())
}

/// Returns whether `answer` is right. Compares in constant time.
pub(crate) fn hmac_verify(secret: &[u8], identity: &str, quest: &str, answer: &str) -> bool {
    unhex(answer).is_some_and(|answer| mac(secret, identity, quest).verify_slice(&answer).is_ok())
}

/// Returns a new random challenge.
pub(crate) fn hmac_quest() -> String {
    hex(&random::bytes::<32>())
}

fn mac(secret: &[u8], identity: &str, quest: &str) -> Hmac<Sha256> {
    // HMAC takes keys of any length (RFC 2104 §2); other MACs need the `Result`.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    for part in [quest, ":", identity] {
        mac.update(part.as_bytes());
    }
    mac
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_answer_is_accepted() {
        let quest = hmac_quest();
        assert_ne!(quest, hmac_quest());
        let answer = hmac_answer(b"secret", "ann", &quest);
        assert!(hmac_verify(b"secret", "ann", &quest, &answer));
        assert!(!hmac_verify(b"other", "ann", &quest, &answer));
        assert!(!hmac_verify(b"secret", "bob", &quest, &answer));
        assert!(!hmac_verify(b"secret", "ann", &hmac_quest(), &answer));
        for broken in ["", "0", "zz", &answer[1..], &answer[2..]] {
            assert!(!hmac_verify(b"secret", "ann", &quest, broken));
        }
    }

    #[test]
    fn agrees_with_other_implementations() {
        // python3: hmac.new(b"key", b"00ff:ann", "sha256").hexdigest()
        assert_eq!(
            hmac_answer(b"key", "ann", "00ff"),
            "be9b55bae628e18a6e85131d643dae5992cc9586c25c3cbb76a915ab2351c8f2"
        );
    }
}
