//! [`IdentityFrom`]: where the identity comes from when the protocol has no greeting.

use http::{HeaderName, Request, header};

/// A place in the HTTP request that carries the identity of a client whose protocol has no
/// greeting. See [`ServerBuilder::identity_from`](crate::ServerBuilder::identity_from).
///
/// ```
/// use wse::IdentityFrom;
/// let from = [IdentityFrom::bearer(), IdentityFrom::cookie("session"), IdentityFrom::query("token")];
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFrom(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Bearer,
    Header(HeaderName),
    Cookie(String),
    Query(String),
    Subprotocol(String),
}

impl IdentityFrom {
    /// The token of `Authorization: Bearer …` (RFC 6750 §2.1).
    #[must_use]
    pub const fn bearer() -> Self {
        Self(Place::Bearer)
    }

    /// The value of this header field.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self(Place::Header(name))
    }

    /// The unchanged value of this cookie (RFC 6265 §4.2). Browsers send cookies whatever page
    /// connects: keep the origin policy.
    #[must_use]
    pub fn cookie(name: impl Into<String>) -> Self {
        Self(Place::Cookie(name.into()))
    }

    /// The decoded value of this parameter of the URL's query. Logs of proxies and servers record
    /// it: use it only for tokens that expire soon.
    #[must_use]
    pub fn query(name: impl Into<String>) -> Self {
        Self(Place::Query(name.into()))
    }

    /// The rest of an offered subprotocol after this prefix, such as `token.` in `token.abc`. For
    /// browsers, which cannot set header fields. The browser must offer the real subprotocol too,
    /// since it rejects a response that selects none of its offers (RFC 6455 §4.1).
    #[must_use]
    pub fn subprotocol(prefix: impl Into<String>) -> Self {
        Self(Place::Subprotocol(prefix.into()))
    }

    /// Returns the identity in this request. `None` when there is none.
    #[must_use]
    pub fn find(&self, request: &Request<()>) -> Option<String> {
        let fields = |name: &HeaderName| {
            request.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok())
        };
        let list = |name, separator: char| {
            fields(name).flat_map(move |value| value.split(separator)).map(str::trim)
        };
        match &self.0 {
            Place::Bearer => fields(&header::AUTHORIZATION).find_map(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
            }),
            Place::Header(name) => fields(name).next().map(str::to_owned),
            Place::Cookie(name) => list(&header::COOKIE, ';').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key == name).then(|| value.to_owned())
            }),
            Place::Query(name) => {
                let query = request.uri().query()?;
                let mut pairs = url::form_urlencoded::parse(query.as_bytes());
                pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
            }
            Place::Subprotocol(prefix) => list(&header::SEC_WEBSOCKET_PROTOCOL, ',')
                .find_map(|token| token.strip_prefix(prefix.as_str()).map(str::to_owned)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_found_where_it_is_looked_for() {
        let request = Request::builder()
            .uri("/chat?other=1&token=a%20b")
            .header("authorization", "bearer  abc")
            .header("x-user", "ann")
            .header("cookie", "theme=dark; session=s=1")
            .header("sec-websocket-protocol", "chat, token.xyz")
            .body(())
            .unwrap();
        let table = [
            (IdentityFrom::bearer(), Some("abc")),
            (IdentityFrom::header(HeaderName::from_static("x-user")), Some("ann")),
            (IdentityFrom::cookie("session"), Some("s=1")),
            (IdentityFrom::query("token"), Some("a b")),
            (IdentityFrom::subprotocol("token."), Some("xyz")),
            (IdentityFrom::header(HeaderName::from_static("x-other")), None),
            (IdentityFrom::cookie("sess"), None),
            (IdentityFrom::query("tok"), None),
            (IdentityFrom::subprotocol("key."), None),
        ];
        for (from, expected) in table {
            assert_eq!(from.find(&request).as_deref(), expected, "{from:?}");
        }
    }
}
