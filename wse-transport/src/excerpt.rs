//! [`excerpt`]: how a text of the peer is shown in errors.

/// The most characters of an excerpt.
const MAX: usize = 200;

/// The start of a text that a peer wrote. Characters that change how a line or a terminal reads are escaped: control
/// characters, line and paragraph separators, and marks that turn the direction of writing.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    for c in rest.by_ref().take(MAX) {
        let escaped = c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match escaped {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_changes_no_terminal() {
        let table = [
            ("plain \"text\", é, 家", "plain \"text\", é, 家"),
            ("a\r\n\u{1b}[2J\u{202e}\u{9b}", r"a\r\n\u{1b}[2J\u{202e}\u{9b}"),
        ];
        for (text, expected) in table {
            assert_eq!(excerpt(text), expected);
        }
        assert_eq!(excerpt(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(excerpt(&"é".repeat(201)), "é".repeat(200) + "…");
    }
}
