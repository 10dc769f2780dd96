//! Redirects of the opening handshake (RFC 6455 §4.1, RFC 9110 §15.4).

use http::{Response, StatusCode, header};
use url::Url;

use super::client_request::ClientRequest;
use super::redirect_error::RedirectError;

/// Whether a response is a redirect that a client can follow.
pub(crate) fn is_redirect<B>(response: &Response<B>) -> bool {
    matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

impl ClientRequest {
    /// The same request, redirected by a response. To another origin it goes without credentials.
    pub(crate) fn redirected<B>(&self, response: &Response<B>) -> Result<Self, RedirectError> {
        let mut locations = response.headers().get_all(header::LOCATION).into_iter();
        let location = match (locations.next(), locations.next()) {
            (Some(location), None) => location.to_str().map_err(|_| RedirectError::NoLocation)?,
            _ => return Err(RedirectError::NoLocation),
        };
        let mut url =
            self.url().and_then(|it| it.join(location)).map_err(RedirectError::Location)?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(RedirectError::Scheme(other.to_owned())),
        };
        // None of these fails for a URL with a host, which all of these schemes have. A server must not choose the
        // client's login (RFC 9110 §4.2.4), and a fragment is not sent (§10.2.2).
        let _ = (url.set_scheme(scheme), url.set_username(""), url.set_password(None));
        url.set_fragment(None);
        let fresh = Self::new(url.as_str()).map_err(RedirectError::Request)?;
        if self.is_secure() && !fresh.is_secure() {
            return Err(RedirectError::Downgrade);
        }
        Ok(self.moved(fresh))
    }

    /// The URL of this request, without a login.
    fn url(&self) -> Result<Url, url::ParseError> {
        let scheme = if self.is_secure() { "wss" } else { "ws" };
        let host = self.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Url::parse(&format!("{scheme}://{host}:{}{}", self.port(), self.target()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(from: &str, location: &str) -> Result<ClientRequest, RedirectError> {
        let mut request = ClientRequest::new(from).unwrap().subprotocol("a").unwrap();
        for name in ["Authorization", "Cookie", "Proxy-Authorization", "X-Other"] {
            request = request.header(name, "it").unwrap();
        }
        request.redirected(&Response::builder().header("location", location).body(()).unwrap())
    }

    #[test]
    fn locations_are_resolved_and_credentials_stay_at_home() {
        // Where it goes, and whether with credentials.
        let cases = [
            ("ws://a.com/x/y?q", "/z", "ws://a.com:80/z", true),
            ("ws://a.com/x/y?q", "z?r#fragment", "ws://a.com:80/x/z?r", true),
            ("ws://a.com/x/y?q", "?r", "ws://a.com:80/x/y?r", true),
            ("ws://a.com/x", "http://a.com:80/z", "ws://a.com:80/z", true),
            ("ws://a.com/x", "ws://A.com/z", "ws://a.com:80/z", true),
            ("ws://me:secret@a.com/x", "/z", "ws://a.com:80/z", true),
            ("ws://[::1]:8080/x", "z", "ws://[::1]:8080/z", true),
            ("wss://a.com:8443/x", "//a.com:8443/z", "wss://a.com:8443/z", true),
            ("ws://a.com/x", "//b.com/z", "ws://b.com:80/z", false),
            ("ws://a.com/x", "https://a.com/x", "wss://a.com:443/x", false),
            ("ws://a.com/x", "wss://a.com:80/x", "wss://a.com:80/x", false),
            ("ws://a.com/x", "http://a.com:81/", "ws://a.com:81/", false),
            ("ws://a.com/x", "http://b.a.com/", "ws://b.a.com:80/", false),
            ("ws://me:secret@a.com/x", "http://you:known@b.com/", "ws://b.com:80/", false),
        ];
        for (from, location, to, trusted) in cases {
            let request = redirected(from, location).unwrap();
            assert_eq!(request.url().unwrap(), Url::parse(to).unwrap(), "{from} to {location}");
            let headers = request.build([0; 16]).into_parts().0.headers;
            for name in ["authorization", "cookie", "proxy-authorization"] {
                assert_eq!(headers.contains_key(name), trusted, "{name}, {from} to {location}");
            }
            assert_eq!(headers["x-other"], "it");
            assert_eq!(headers["sec-websocket-protocol"], "a");
            let fresh = ClientRequest::new(to).unwrap().build([0; 16]).into_parts().0.headers;
            assert_eq!(headers["host"], fresh["host"]);
            assert_eq!(headers.get_all("host").iter().count(), 1);
        }
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        let failed = |from, location| redirected(from, location).unwrap_err();
        assert_eq!(failed("wss://a.com/", "ws://a.com/"), RedirectError::Downgrade);
        assert_eq!(failed("wss://a.com/", "http://b.com/"), RedirectError::Downgrade);
        assert_eq!(failed("ws://a.com/", "ftp://a.com/"), RedirectError::Scheme("ftp".into()));
        assert_eq!(failed("ws://a.com/", "data:,a"), RedirectError::Scheme("data".into()));
        assert!(matches!(failed("ws://a.com/", "http://[::1"), RedirectError::Location(_)));
        let request = ClientRequest::new("ws://a.com/").unwrap();
        let none = Response::new(());
        let two = Response::builder().header("location", "/a").header("location", "/b");
        for response in [none, two.body(()).unwrap()] {
            let error = request.redirected(&response).unwrap_err();
            assert_eq!(error, RedirectError::NoLocation);
        }
    }
}
