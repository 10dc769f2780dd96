//! Strict parsing of header fields (RFC 9110 §5.6).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version, header};
use url::Url;

/// Padding is required; stray bits in the last character are tolerated.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Whether a text is a `token` (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The value of a field that must not be repeated; `Err` if it is, or is not visible ASCII.
pub(crate) fn single(headers: &HeaderMap, name: impl Into<HeaderName>) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name.into()).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// The host and port of the request: `Host`, or `:authority` (RFC 9113 §8.3.1).
pub(crate) fn host<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().filter(|_| request.version() >= Version::HTTP_2);
    match authority {
        Some(authority) => Some(authority.as_str()),
        None => single(request.headers(), header::HOST).ok().flatten(),
    }
}

/// Whether a comma-separated list contains an item, ignoring case. The field may be repeated.
pub(crate) fn list_has(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case(item))
}

/// The subprotocols of a request, in order; `Err` for one that is not a token, or is repeated.
pub(crate) fn subprotocols(headers: &HeaderMap) -> Result<Vec<String>, ()> {
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

/// Whether a field belongs to the handshake itself, so that the caller must not set it.
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

/// The user name and password of a URL as a field value (RFC 7617 §2).
pub(crate) fn basic_auth(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut secret = percent_decode(url.username());
    secret.push(b':');
    secret.extend(percent_decode(url.password().unwrap_or_default()));
    // Base64 is always a valid field value.
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(secret))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Decodes percent-escapes (RFC 3986 §2.1); other characters are kept.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escape = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex(*high).zip(hex(*low)).map(|it| (it, after)),
            _ => None,
        };
        if let Some(((high, low), after)) = escape {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(*first);
        }
    }
    out
}
