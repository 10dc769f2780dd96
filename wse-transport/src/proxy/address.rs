//! [`Proxy`].

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::{Host, Url};

use super::error::ProxyConfigError;
use super::socks::Login;
use crate::head::{basic_auth, is_reserved, percent_decode};
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Https,
    Socks5,
    Socks5h,
}

/// One proxy, with the login for it.
///
/// | scheme | default port | protocol | resolves the server's name |
/// | --- | --- | --- | --- |
/// | `http` | 80 | CONNECT of HTTP/1.1 | the proxy |
/// | `https` | 443 | the same over TLS (feature `tls`) | the proxy |
/// | `socks5` | 1080 | SOCKS 5 | the client, which uses the first address |
/// | `socks5h` | 1080 | SOCKS 5 | the proxy |
///
/// ```
/// use wse_transport::proxy::Proxy;
///
/// let proxy = Proxy::new("http://me:secret@proxy.example:3128")?.header("User-Agent", "chat/1")?;
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<(), wse_transport::proxy::ProxyConfigError>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<Login>,
    pub(crate) headers: HeaderMap,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<ClientTls>,
}

impl Proxy {
    /// Parses the URL of a proxy; without a scheme it is an `http` proxy. A user name and password are percent-decoded,
    /// and become a `Proxy-Authorization` field (RFC 7617) or the login of SOCKS (RFC 1929).
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError`].
    pub fn new(url: &str) -> Result<Self, ProxyConfigError> {
        let url = match url.contains("://") {
            true => Url::parse(url),
            false => Url::parse(&format!("http://{url}")),
        }
        .map_err(ProxyConfigError::Url)?;
        let (kind, default_port) = match url.scheme() {
            "http" => (Kind::Http, 80),
            "https" if cfg!(feature = "tls") => (Kind::Https, 443),
            "https" => return Err(ProxyConfigError::NoTls),
            "socks5" => (Kind::Socks5, 1080),
            "socks5h" => (Kind::Socks5h, 1080),
            other => return Err(ProxyConfigError::Scheme(other.to_owned())),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyConfigError::Path);
        }
        // The URL standard does not know SOCKS, and leaves the host as it is.
        let host = match url.host().ok_or(ProxyConfigError::NoHost)? {
            Host::Domain(name) => Host::parse(name).map_err(ProxyConfigError::Url)?,
            Host::Ipv4(address) => Host::Ipv4(address),
            Host::Ipv6(address) => Host::Ipv6(address),
        };
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let mut proxy = Self {
            kind,
            host,
            port: url.port().unwrap_or(default_port),
            login: None,
            headers: HeaderMap::new(),
            #[cfg(feature = "tls")]
            tls: None,
        };
        if proxy.is_http() {
            proxy.headers.extend(basic_auth(&url).map(|it| (header::PROXY_AUTHORIZATION, it)));
        } else if !url.username().is_empty() || url.password().is_some() {
            let password = percent_decode(url.password().unwrap_or_default());
            proxy.login = Some(Login::new(percent_decode(url.username()), password)?);
        }
        Ok(proxy)
    }

    /// Sends a header field with CONNECT, such as `User-Agent`, or `Proxy-Authorization` in place of the login in the
    /// URL. It replaces a field of the same name.
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError`] for a field that belongs to the request itself, such as `Host`, for a name or value with
    /// characters that are not allowed, and for a SOCKS proxy.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ProxyConfigError> {
        let malformed = || ProxyConfigError::MalformedHeader(name.to_owned());
        let parsed = HeaderName::try_from(name).map_err(|_| malformed())?;
        if !self.is_http() {
            return Err(ProxyConfigError::NotHttp);
        }
        if is_reserved(&parsed) {
            return Err(ProxyConfigError::ReservedHeader(parsed));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| malformed())?;
        value.set_sensitive(true);
        self.headers.insert(parsed, value);
        Ok(self)
    }

    /// Sets the TLS settings for an `https` proxy; those for the server behind it are separate. Default: trust the
    /// certificate authorities of the system. Feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The host to connect to: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn is_http(&self) -> bool {
        matches!(self.kind, Kind::Http | Kind::Https)
    }
}

impl fmt::Display for Proxy {
    /// Omits the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
            Kind::Socks5h => "socks5h",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Proxy {
    /// Omits the login and the values of header fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &self.to_string())
            .field("login", &self.login.is_some())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
