//! Reading header fields strictly (RFC 9110 §5.6).

use http::{HeaderMap, HeaderName, header};

/// A `token` of RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The value of a field that must not be repeated: none, one, or `Err` for more or for one that is
/// not visible ASCII.
pub(crate) fn single(headers: &HeaderMap, name: impl Into<HeaderName>) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name.into()).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Whether a comma-separated list, over all its repetitions, has an item, whatever its case.
pub(super) fn list_has(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case(item))
}

/// The subprotocols of a list, in order; `Err` for what is not a token, and for a repetition.
pub(super) fn subprotocols(headers: &HeaderMap) -> Result<Vec<String>, ()> {
    let mut found: Vec<String> = Vec::new();
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for name in value.to_str().map_err(|_| ())?.split(',').map(str::trim) {
            // RFC 6455 §4.1: the elements MUST all be unique.
            if !is_token(name) || found.iter().any(|it| it == name) {
                return Err(());
            }
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// Whether a field belongs to the handshake itself, and must not come from the caller.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_ACCEPT,
        header::SEC_WEBSOCKET_VERSION,
        header::SEC_WEBSOCKET_PROTOCOL,
        header::SEC_WEBSOCKET_EXTENSIONS,
    ]
    .contains(name)
}
