//! What must not be shown: credentials in header fields and URLs.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// The parts of names that tell that a field has credentials.
const SECRET: [&str; 11] = [
    "auth",
    "cookie",
    "credential",
    "csrf",
    "jwt",
    "key",
    "passw",
    "secret",
    "session",
    "signature",
    "token",
];

/// Whether a header field may have credentials, by its name: `Authorization`, `Proxy-Authorization`, `Cookie`, `Set-Cookie`,
/// and every name with `auth`, `cookie`, `credential`, `csrf`, `jwt`, `key`, `passw`, `secret`, `session`, `signature` or
/// `token` in it, such as `X-Api-Key`. The fields of the WebSocket handshake have none.
///
/// Clients send such fields only to the origin that they were set for, unless asked otherwise, and their values are not
/// shown by `Debug`.
#[must_use]
pub fn is_credential(name: &HeaderName) -> bool {
    // The names are in lower case.
    let name = name.as_str();
    !name.starts_with("sec-websocket-") && SECRET.iter().any(|part| name.contains(part))
}

/// Marks the values of fields that may have credentials as [sensitive](HeaderValue::set_sensitive), so that `Debug` does not
/// show them.
pub fn conceal_credentials(headers: &mut HeaderMap) {
    for (name, value) in headers {
        if is_credential(name) {
            value.set_sensitive(true);
        }
    }
}

/// The value, marked if its field may have credentials.
pub(crate) fn concealed(name: &HeaderName, mut value: HeaderValue) -> HeaderValue {
    if is_credential(name) {
        value.set_sensitive(true);
    }
    value
}

/// A URL to be shown: without its login, and without its query, which may have a token.
///
/// ```
/// use wse_transport::handshake::public_url;
/// assert_eq!(public_url("wss://me:secret@example.com/chat?token=abc"), "wss://example.com/chat?...");
/// ```
#[must_use]
pub fn public_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (base, hidden) = url.split_at(end);
    let more = if hidden.is_empty() { "" } else { "?..." };
    // In what is no URL, a password may have any character.
    let login_ends = match Url::parse(url) {
        Ok(_) => {
            let start = base.find("://").map_or(0, |at| at + 3);
            let authority_ends = base[start..].find('/').map_or(base.len(), |at| start + at);
            base[..authority_ends].rfind('@')
        }
        Err(_) => base.rfind('@'),
    };
    match (login_ends, base.find("://")) {
        (Some(at), Some(scheme)) => format!("{}{}{more}", &base[..scheme + 3], &base[at + 1..]),
        (Some(at), None) => format!("{}{more}", &base[at + 1..]),
        (None, _) => format!("{base}{more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_login_and_query() {
        let cases = [
            ("ws://a.example", "ws://a.example"),
            ("ws://a.example:81/@me/x", "ws://a.example:81/@me/x"),
            ("ws://me:hunter2@a.example/x", "ws://a.example/x"),
            ("ws://hunter2@a.example", "ws://a.example"),
            ("ws://me:hun@ter2@a.example/@x", "ws://a.example/@x"),
            ("ws://me:hun/ter2@a.example/x", "ws://a.example/x"),
            ("ws://[::1]:81/x?token=hunter2", "ws://[::1]:81/x?..."),
            ("ws://a.example?hunter2#x", "ws://a.example?..."),
            ("ws://a.example/#hunter2", "ws://a.example/?..."),
            ("tcp://me:hunter2@a.example:1", "tcp://a.example:1"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("me:hunter2@a.example", "a.example"),
            ("hunter2@", ""),
            ("", ""),
        ];
        for (url, shown) in cases {
            assert_eq!(public_url(url), shown, "{url}");
        }
    }

    #[test]
    fn credentials_are_known_by_the_names_of_their_fields() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "cookie2",
            "set-cookie",
            "x-api-key",
            "x-auth-token",
            "x-csrf-token",
            "x-session-id",
            "apikey",
            "x-amz-security-token",
        ] {
            assert!(is_credential(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["host", "origin", "user-agent", "x-other", "sec-websocket-key", "accept"] {
            assert!(!is_credential(&HeaderName::from_static(name)), "{name}");
        }
    }
}
