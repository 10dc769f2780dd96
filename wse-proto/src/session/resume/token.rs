//! [`Token`].

use std::fmt;

use super::word::Word;
use crate::Text;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The secret with which a session is resumed: 22 characters of base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Word);

impl Token {
    /// The token of these random bytes. They must come from a cryptographically secure source.
    pub fn new(random: [u8; 16]) -> Self {
        let mut text = String::with_capacity(22);
        for group in random.chunks(3) {
            let bits = group
                .iter()
                .enumerate()
                .fold(0_u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
            for digit in 0..=group.len() {
                let digit = bits >> (18 - 6 * digit) & 63;
                text.push(char::from(ALPHABET[digit as usize]));
            }
        }
        Self(text.as_str().into())
    }

    /// The text on the wire.
    pub(in crate::session) fn text(&self) -> Text {
        self.0.as_str().into()
    }

    /// A token that a server has given.
    pub(in crate::session) fn given(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether this is the token. It takes the same time for every text of the same length.
    pub(in crate::session) fn matches(&self, text: &str) -> bool {
        let (own, other) = (self.0.as_str().as_bytes(), text.as_bytes());
        let differences = own.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == other.len() && std::hint::black_box(differences) == 0
    }
}

/// Does not show the token, which is secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d26_a_token_has_22_characters_of_base64url() {
        assert_eq!(Token::new([0; 16]).text(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Token::new([0xff; 16]).text(), "_____________________w");
        let counted = std::array::from_fn(|index| index as u8);
        assert_eq!(Token::new(counted).text(), "AAECAwQFBgcICQoLDA0ODw");
    }

    #[test]
    fn only_the_same_text_matches() {
        let token = Token::new([7; 16]);
        let text = token.text().to_string();
        assert!(token.matches(&text));
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] ^= 1;
            assert!(!token.matches(std::str::from_utf8(&other).unwrap()));
            assert!(!token.matches(&text[..at]));
        }
        assert!(!token.matches(&format!("{text}A")));
        assert!(!format!("{token:?}").contains(&text));
    }
}
