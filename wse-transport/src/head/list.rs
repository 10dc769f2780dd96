//! The list grammar of header fields (RFC 9110 §5.6.1): one reader for all fields.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, header};

use super::fields::is_token;

/// The most subprotocols, and the most extensions, that a request may offer. Clients offer a handful. A bound keeps the
/// work and the memory for one request proportional to its length, whatever it offers.
pub(crate) const MAX_OFFERS: usize = 64;

/// The elements of one value, in order: split at commas outside of quoted strings, without the whitespace around them.
/// Empty elements are skipped (RFC 9110 §5.6.1.2). Looks at each byte once.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (element, behind) = rest.split_at(element_len(rest));
            rest = behind.get(1..).unwrap_or_default();
            let element = element.trim_matches([' ', '\t']);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

/// The length of the first element, up to its comma or the end. A string that does not end is part of the element.
fn element_len(list: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    list.bytes()
        .position(|byte| {
            let ends = byte == b',' && !quoted;
            quoted ^= byte == b'"' && !escaped;
            escaped = quoted && byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(list.len())
}

/// Whether a list contains an item, ignoring case. The field may be repeated.
pub(crate) fn list_has(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(elements)
        .any(|it| it.eq_ignore_ascii_case(item))
}

/// Why the offered subprotocols cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfferError {
    /// One is not a token, or is repeated.
    Malformed,
    /// There are more than [`MAX_OFFERS`].
    TooMany,
}

/// The subprotocols of a request, in order, at most [`MAX_OFFERS`].
pub(crate) fn subprotocols(headers: &HeaderMap) -> Result<Vec<String>, OfferError> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for name in elements(value.to_str().map_err(|_| OfferError::Malformed)?) {
            if found.len() == MAX_OFFERS {
                return Err(OfferError::TooMany);
            }
            // RFC 6455 §4.1: the elements MUST all be unique.
            if !is_token(name) || !seen.insert(name) {
                return Err(OfferError::Malformed);
            }
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_are_skipped_and_quoted_commas_do_not_split() {
        let cases: [(&str, &[&str]); 12] = [
            ("", &[]),
            (" ", &[]),
            (",", &[]),
            (" , ,\t, ", &[]),
            ("chat", &["chat"]),
            ("chat,", &["chat"]),
            (",chat", &["chat"]),
            ("chat,, superchat", &["chat", "superchat"]),
            ("chat ,\tsuperchat , ", &["chat", "superchat"]),
            (r#"a;b="c, d", e"#, &[r#"a;b="c, d""#, "e"]),
            (r#"a;b="c\", d\\", e"#, &[r#"a;b="c\", d\\""#, "e"]),
            (r#"a;b="c, d"#, &[r#"a;b="c, d"#]),
        ];
        for (value, expected) in cases {
            assert_eq!(elements(value).collect::<Vec<_>>(), expected, "{value:?}");
        }
    }
}
