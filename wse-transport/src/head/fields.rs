//! Strict parsing of header fields (RFC 9110 §5.6).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
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

/// The longest host that is looked at, in bytes. A name has at most 253 (RFC 1035 §2.3.4). The bound matters because
/// decoding an international name may take time quadratic in its length.
pub(crate) const MAX_HOST: usize = 1024;

/// The host and port that a request is for; `None` if they are missing or malformed. That of an absolute target, and
/// `:authority` of HTTP/2, replace `Host` (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
pub(crate) fn host<B>(request: &Request<B>) -> Option<&str> {
    let asked = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(request.headers(), header::HOST).ok().flatten(),
    };
    asked.filter(|it| is_host(it))
}

/// Whether a text is `uri-host [ ":" port ]` (RFC 9110 §7.2), without user information.
fn is_host(text: &str) -> bool {
    text.len() <= MAX_HOST
        && !text.contains('@')
        && text.parse::<Authority>().is_ok_and(|it| !it.host().is_empty())
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
