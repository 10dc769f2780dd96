//! [`IdentityFrom`]: where the identity comes from when the protocol has no greeting.

use http::{HeaderName, HeaderValue, Request, header};

/// A place in the HTTP request that carries the identity of a client whose protocol has no
/// greeting. See [`ServerBuilder::identity_from`](crate::ServerBuilder::identity_from).
///
/// A place that occurs more than once in a request, or whose value is empty, gives no identity. A proxy and a server may
/// not agree on which of two values counts.
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

    /// Returns the identity in this request. `None` when there is none, when it is empty, and when there
    /// are several.
    #[must_use]
    pub fn find(&self, request: &Request<()>) -> Option<String> {
        match self.look(request) {
            Found::One(value) => Some(value),
            Found::Nothing | Found::Unclear => None,
        }
    }

    /// Looks for the identity in this request.
    pub(super) fn look(&self, request: &Request<()>) -> Found {
        let fields = |name: &HeaderName| request.headers().get_all(name).into_iter();
        // A field that is not text has a value all the same.
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        match &self.0 {
            Place::Bearer => {
                // One field with one set of credentials (RFC 9110 §11.6.2), of whatever scheme.
                let mut all = fields(&header::AUTHORIZATION).map(text);
                match (all.next(), all.next()) {
                    (Some(value), None) => Found::of(bearer(&value)),
                    (Some(first), Some(second)) => {
                        let others = [first, second].into_iter().chain(all);
                        match others.flat_map(|value| bearer(&value)).next() {
                            Some(_) => Found::Unclear,
                            None => Found::Nothing,
                        }
                    }
                    (None, _) => Found::Nothing,
                }
            }
            Place::Header(name) => Found::of(fields(name).map(text)),
            Place::Cookie(name) => {
                let pairs = fields(&header::COOKIE).map(text);
                Found::of(pairs.flat_map(|value| {
                    let pairs = value.split(';').map(|pair| pair.trim_matches([' ', '\t']));
                    let pairs = pairs.filter_map(|pair| pair.split_once('='));
                    let values = pairs.filter(|(key, _)| key.trim_end() == name);
                    values.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
                }))
            }
            Place::Query(name) => {
                let query = request.uri().query().unwrap_or_default();
                let pairs = url::form_urlencoded::parse(query.as_bytes());
                let values = pairs.filter(|(key, _)| key == name);
                Found::of(values.map(|(_, value)| value.into_owned()))
            }
            Place::Subprotocol(prefix) => {
                let lists = fields(&header::SEC_WEBSOCKET_PROTOCOL).map(text);
                Found::of(lists.flat_map(|value| {
                    let tokens = value.split(',').map(str::trim);
                    let rests = tokens.filter_map(|token| token.strip_prefix(prefix.as_str()));
                    rests.map(str::to_owned).collect::<Vec<_>>()
                }))
            }
        }
    }
}

/// Returns the identity in the first of these places that occurs in the request. `None` when it is empty or occurs more
/// than once there: a later place does not count then.
pub(super) fn find_first(places: &[IdentityFrom], request: &Request<()>) -> Option<String> {
    let mut found = places.iter().map(|place| place.look(request));
    match found.find(|found| !matches!(found, Found::Nothing))? {
        Found::One(value) => Some(value),
        _ => None,
    }
}

/// What a place has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    One(String),
    /// An empty value, or several.
    Unclear,
}

impl Found {
    fn of(values: impl IntoIterator<Item = String>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) if !value.is_empty() => Self::One(value),
            _ => Self::Unclear,
        }
    }
}

/// The token of these credentials, if they are of the scheme `Bearer`.
fn bearer(credentials: &str) -> Option<String> {
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
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

    #[test]
    fn repeated_and_empty_sources_are_no_identity() {
        use IdentityFrom as From;
        let user = || From::header(HeaderName::from_static("x-user"));
        let [auth, user_field, cookies] = ["authorization", "x-user", "cookie"];
        let offers = "sec-websocket-protocol";
        type Fields<'a> = &'a [(&'a str, &'a [u8])];
        let table: &[(IdentityFrom, &str, Fields<'_>)] = &[
            (user(), "/", &[(user_field, b"ann"), (user_field, b"admin")]),
            (user(), "/", &[(user_field, b"ann"), (user_field, b"ann")]),
            (user(), "/", &[(user_field, b"ann"), (user_field, b"")]),
            (user(), "/", &[(user_field, b"ann"), (user_field, b"\xff")]),
            (user(), "/", &[(user_field, b"")]),
            (user(), "/", &[(user_field, b"\xff")]),
            (From::bearer(), "/", &[(auth, b"Bearer a"), (auth, b"Bearer b")]),
            (From::bearer(), "/", &[(auth, b"Basic eA=="), (auth, b"Bearer b")]),
            (From::bearer(), "/", &[(auth, b"Bearer b"), (auth, b"\xff")]),
            (From::bearer(), "/", &[(auth, b"Bearer ")]),
            (From::bearer(), "/", &[(auth, b"Bearer")]),
            (From::cookie("id"), "/", &[(cookies, b"id=a; id=b")]),
            (From::cookie("id"), "/", &[(cookies, b"id=a"), (cookies, b"x=1;\tid =b")]),
            (From::cookie("id"), "/", &[(cookies, b"id=")]),
            (From::cookie("id"), "/", &[(cookies, b"x=1; id=; y=2")]),
            (From::query("id"), "/?id=a&id=b", &[]),
            (From::query("id"), "/?id=a&%69d=b", &[]),
            (From::query("id"), "/?id=", &[]),
            (From::query("id"), "/?id", &[]),
            (From::subprotocol("t."), "/", &[(offers, b"t.a, t.b")]),
            (From::subprotocol("t."), "/", &[(offers, b"t.a"), (offers, b"chat,t.b")]),
            (From::subprotocol("t."), "/", &[(offers, b"chat, t.")]),
        ];
        for (place, uri, fields) in table {
            let mut request = Request::builder().uri(*uri);
            for (name, value) in *fields {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            assert_eq!(place.find(&request), None, "{place:?} {uri} {fields:?}");
            // Nor is another place asked then, which an attacker may have added.
            let mut request = request;
            request.headers_mut().insert("x-other", HeaderValue::from_static("eve"));
            let other = From::header(HeaderName::from_static("x-other"));
            assert_eq!(find_first(&[place.clone(), other], &request), None, "{place:?} {fields:?}");
        }
        let request = Request::builder().header("x-other", "eve").body(()).unwrap();
        let other = From::header(HeaderName::from_static("x-other"));
        assert_eq!(find_first(&[user(), other], &request).as_deref(), Some("eve"));
    }
}
