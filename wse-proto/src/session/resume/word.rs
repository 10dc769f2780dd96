//! [`Word`]: a name or a token, stored in little memory.

/// A name or a token. Those of this crate have 22 characters and are stored in place, in 24 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::session) struct Word(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    /// ASCII.
    Usual([u8; 22]),
    Other(Box<str>),
}

impl Word {
    pub(in crate::session) fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Usual(ascii) => std::str::from_utf8(ascii).unwrap_or_default(),
            Repr::Other(text) => text,
        }
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(match <[u8; 22]>::try_from(text.as_bytes()) {
            Ok(ascii) if text.is_ascii() => Repr::Usual(ascii),
            _ => Repr::Other(text.into()),
        })
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_kept_and_none_takes_more_than_24_bytes() {
        assert!(size_of::<Option<Word>>() <= 24);
        for text in [
            "",
            "s",
            "AAECAwQFBgcICQoLDA0ODw",
            "\u{fc}AECAwQFBgcICQoLDA0OD",
            "x".repeat(99).as_str(),
        ] {
            assert_eq!(Word::from(text).as_str(), text);
        }
    }
}
