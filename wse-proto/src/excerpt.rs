//! [`excerpt`]: how a text of the peer is shown.

use std::fmt::{self, Write};

/// The most bytes of an [`Excerpt`].
const MAX: usize = 1024;
/// A longer text is shown by so many bytes of its start and of its end.
const START: usize = 640;
const END: usize = 320;

/// Shows a text for logs, errors and events, where it may be anything that a peer wrote.
///
/// Characters that change how a line or a terminal reads are escaped: control characters, line and paragraph separators,
/// and marks that turn the direction of writing. A text that would take more than 1,024 bytes is shown by its start, its
/// length and its end. Showing an excerpt again changes nothing.
///
/// ```
/// use wse_proto::excerpt;
/// assert_eq!(excerpt("bye\u{1b}[31m\n").to_string(), r"bye\u{1b}[31m\n");
/// assert!(excerpt(&"a".repeat(900_000)).to_string().len() <= 1024);
/// ```
pub fn excerpt(text: &str) -> Excerpt<'_> {
    Excerpt(text)
}

/// A text as [`excerpt`] shows it, by its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0;
        let all = fitting(text.chars(), MAX);
        if all == text.len() {
            return if text.chars().all(is_plain) { f.pad(text) } else { put(text, f) };
        }
        let start = fitting(text.chars(), START);
        let end = fitting(text.chars().rev(), END);
        put(&text[..start], f)?;
        write!(f, " […{} bytes…] ", text.len() - start - end)?;
        put(&text[text.len() - end..], f)
    }
}

/// Returns how many bytes of the text, in this order, can be shown in at most `most` bytes.
fn fitting(chars: impl Iterator<Item = char>, most: usize) -> usize {
    let (mut read, mut shown) = (0, 0);
    for c in chars {
        let len = if is_plain(c) { c.len_utf8() } else { c.escape_default().len() };
        if shown + len > most {
            break;
        }
        read += c.len_utf8();
        shown += len;
    }
    read
}

fn put(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        match is_plain(c) {
            true => f.write_char(c)?,
            false => write!(f, "{}", c.escape_default())?,
        }
    }
    Ok(())
}

/// Whether a character is shown as it is.
fn is_plain(c: char) -> bool {
    !(c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        excerpt(text).to_string()
    }

    #[test]
    fn what_changes_a_line_or_a_terminal_is_escaped() {
        let table = [
            (
                "plain, \"quoted\", C:\\new, é, 家, 👩\u{200d}🚀",
                "plain, \"quoted\", C:\\new, é, 家, 👩\u{200d}🚀",
            ),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[2J\u{7}\0", r"\u{1b}[2J\u{7}\u{0}"),
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
            ("\u{2028}\u{2029}\u{202e}gnp\u{2066}", r"\u{2028}\u{2029}\u{202e}gnp\u{2066}"),
            ("\u{feff}\u{200f}", r"\u{feff}\u{200f}"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn long_texts_keep_their_start_and_their_end() {
        let text = format!("unknown variant `{}`, expected `red`", "A".repeat(900_000));
        let shown = shown(&text);
        assert!(shown.starts_with("unknown variant `AAAA"), "{shown}");
        assert!(shown.ends_with("AAAA`, expected `red`"), "{shown}");
        assert!(shown.contains(" […"), "{shown}");
        assert!(shown.len() <= MAX, "{}", shown.len());
    }

    #[test]
    fn every_excerpt_is_short_and_shown_again_unchanged() {
        for unit in ["a", "\n", "\u{1b}", "\u{2028}", "é", "家", "👩", "a\u{1b}家"] {
            for len in [0, 1, MAX / 10, MAX / 4, MAX - 1, MAX, MAX + 1, 5 * MAX] {
                let once = shown(&unit.repeat(len));
                assert!(once.len() <= MAX, "{unit:?} {len}");
                assert!(!once.contains(|c| !is_plain(c)), "{unit:?} {len}");
                assert_eq!(shown(&once), once, "{unit:?} {len}");
            }
        }
    }
}
