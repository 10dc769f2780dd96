//! [`Dial`].

use std::time::Duration;

use crate::proxy::Proxies;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// How a client reaches its server: proxies, redirects, TLS, and the deadline of a TCP connection. For
/// [`connect_dial`](crate::connect_dial).
///
/// ```
/// use std::time::Duration;
/// use wse_transport::dial::Dial;
/// use wse_transport::proxy::Proxies;
///
/// # fn example() -> Result<(), wse_transport::proxy::ProxyConfigError> {
/// let dial = Dial::default().proxy(Proxies::from_env()?).timeout(Duration::from_secs(3)).redirects(2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dial {
    /// The proxies. Default: connections are direct, and the environment is not read.
    pub proxies: Proxies,
    /// The deadline for a TCP connection, including the look-up of the name; and again, with a proxy, for the TLS
    /// handshake with it and its answer. [`Config::handshake_timeout`](crate::ws::Config::handshake_timeout) includes
    /// both. Default: 5 s, half of that, so that an unreachable address can be distinguished from a slow server.
    pub timeout: Duration,
    /// The most redirects to follow (301, 302, 303, 307 and 308). Default: none; a redirect is a refusal.
    ///
    /// `http` and `https` in a location stand for `ws` and `wss`. A redirect from `wss` to `ws` is an error. A redirect
    /// to another scheme, host or port drops the fields that may have
    /// [credentials](crate::handshake::is_credential), such as `Authorization`, `Cookie` and `X-Api-Key`, and the login in
    /// the URL; other header fields are kept. A login in a location is ignored.
    pub redirects: u8,
    /// The TLS settings for `wss` URLs. Default: trust the certificate authorities of the system, or those of Mozilla
    /// if the system has none. Feature `tls`.
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
}

impl Dial {
    /// Sets [`proxies`](Self::proxies): one [`Proxy`](crate::proxy::Proxy) for all servers, or [`Proxies`].
    #[must_use]
    pub fn proxy(mut self, proxies: impl Into<Proxies>) -> Self {
        self.proxies = proxies.into();
        self
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`redirects`](Self::redirects).
    #[must_use]
    pub const fn redirects(mut self, most: u8) -> Self {
        self.redirects = most;
        self
    }

    /// Sets [`tls`](Self::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }
}

impl Default for Dial {
    fn default() -> Self {
        Self {
            proxies: Proxies::default(),
            timeout: Duration::from_secs(5),
            redirects: 0,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}
