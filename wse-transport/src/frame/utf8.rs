//! Checks UTF-8 while it arrives (RFC 6455 §8.1).

use std::fmt;

/// Bytes that are not UTF-8, or that end within a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text is not valid utf-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Checks text that arrives in pieces, which may be cut within a character.
///
/// It fails at the first byte that no continuation can make valid: it rejects `F4 90`, `ED A0` and `E0 80` at
/// their second byte, without waiting for the rest of the sequence.
///
/// ```
/// use wse_transport::ws::Utf8Validator;
///
/// let mut check = Utf8Validator::default();
/// assert!(check.feed(b"na\xC3").is_ok());
/// assert!(check.finish().is_err()); // the second byte of "ï" is missing
/// assert!(check.feed(b"\xAFve").is_ok());
/// assert!(check.finish().is_ok());
/// assert!(check.feed(b"\xED\xA0").is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Validator {
    /// The first bytes of an incomplete character: at most 3.
    pending: [u8; 4],
    len: usize,
}

impl Utf8Validator {
    /// Checks the next piece.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] at the first impossible byte. Do not use the validator after it.
    pub fn feed(&mut self, mut chunk: &[u8]) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((&byte, rest)) = chunk.split_first() else {
                return Ok(());
            };
            self.pending[self.len] = byte;
            self.len += 1;
            chunk = rest;
            match std::str::from_utf8(&self.pending[..self.len]) {
                Ok(_) => self.len = 0,
                // `error_len` is `None` only for a sequence that more bytes may complete.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        // simdutf8 does not tell where it fails: an incomplete character at the end is checked separately.
        let (whole, tail) = chunk.split_at(chunk.len() - begun(chunk));
        if !is_utf8(whole)
            || std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_some())
        {
            return Err(InvalidUtf8);
        }
        self.len = tail.len();
        self.pending[..tail.len()].copy_from_slice(tail);
        Ok(())
    }

    /// Checks that the text does not end within a character. More pieces may follow.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] when the last character is incomplete.
    pub const fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}

/// Whether the bytes are UTF-8.
#[inline(always)]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    // simdutf8 checks fewer than 64 bytes one by one. Most short texts are ASCII, which is seen a word at a time.
    (bytes.len() < 64 && bytes.is_ascii()) || simdutf8::basic::from_utf8(bytes).is_ok()
}

/// The number of bytes at the end that begin an incomplete character: 0 to 3.
fn begun(chunk: &[u8]) -> usize {
    let lead = |back: usize| chunk.len().checked_sub(back).and_then(|at| chunk.get(at)).copied();
    // The first byte of a character tells its length.
    match (lead(1), lead(2), lead(3)) {
        (Some(0xC0..), _, _) => 1,
        (_, Some(0xE0..), _) => 2,
        (_, _, Some(0xF0..)) => 3,
        _ => 0,
    }
}
