//! Explains why an `Origin` is refused.

use std::fmt::Write;

use http::{Request, StatusCode};

use super::rejection::Rejection;

/// The most characters of a field that are repeated.
const SHOWN: usize = 200;

/// What an `Origin` did not fit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mismatch<'a> {
    /// The field is repeated, or has characters other than visible ASCII.
    Malformed,
    /// It is not in the list of allowed origins.
    NotListed { origin: &'a str },
    /// It is another host than the one that the request is for.
    OtherHost {
        origin: &'a str,
        /// The host of the request; `None` if it has none.
        host: Option<&'a str>,
        /// Whether a trusted proxy says that this is the host.
        forwarded: bool,
    },
}

/// Logs the refusal at `debug`, and returns it. Its body says which fields met, and what to do: a browser shows it in its network tools,
/// while the page only sees that the connection failed.
pub(super) fn refuse<B>(request: &Request<B>, mismatch: Mismatch<'_>) -> Rejection {
    let body = match mismatch {
        Mismatch::Malformed => {
            tracing::debug!("request refused: its Origin is repeated or malformed");
            "Origin is repeated, or has characters other than visible ASCII.".to_owned()
        }
        Mismatch::NotListed { origin } => {
            let origin = shown(origin);
            tracing::debug!(%origin, "request refused: its Origin is not in the list");
            format!("Origin is {origin}, which is not in this server's list of origins.")
        }
        Mismatch::OtherHost { origin, host, forwarded } => {
            let (origin, host) = (shown(origin), host.map_or("missing".to_owned(), shown));
            tracing::debug!(%origin, %host, forwarded, "request refused: its Origin is another host");
            let field = if forwarded { "the host that the proxy forwards" } else { "Host" };
            let advice = if forwarded {
                ""
            } else {
                "\nIf a proxy replaces Host, let it keep it (nginx: proxy_set_header Host $http_host; Apache: \
                 ProxyPreserveHost On), or let it send X-Forwarded-Host, and trust it in the server."
            };
            format!(
                "Origin is {origin}, and {field} is {host}. They must name the same host and port, or \
                 the server must allow the origin.{advice}"
            )
        }
    };
    Rejection::new(StatusCode::FORBIDDEN, format!("origin not allowed\n{body}\n"))
        .over(request.version())
}

/// A field as it may be shown: cut, and without control characters.
fn shown(field: &str) -> String {
    let mut shown = String::new();
    for (n, char) in field.chars().enumerate() {
        if n == SHOWN {
            shown.push('…');
            break;
        }
        // The characters of a URL need no escapes.
        let _ = write!(shown, "{}", char.escape_debug());
    }
    shown
}
