//! [`Dial`]: the way to a server, before the first word is said to it.

use std::time::Duration;

use crate::proxy::Proxies;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// How a client gets to its server, for [`connect_dial`](super::connect_dial).
///
/// ```
/// use std::time::Duration;
/// use wse_transport::proxy::Proxies;
/// use wse_transport::ws::Dial;
///
/// # fn example() -> Result<(), wse_transport::proxy::ProxyConfigError> {
/// let dial = Dial::default().proxy(Proxies::from_env()?).timeout(Duration::from_secs(3)).redirects(2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dial {
    /// Which proxy leads to which server. Default: all connections are direct; the environment is not read.
    pub proxies: Proxies,
    /// How long a TCP connection may take, with the look-up of the name; and then, with a proxy, how long TLS
    /// with it and its consent may take. All of it counts as time of the handshake, too. Default: 5 s, half of
    /// the handshake's, so that a dead address is told from a slow server.
    pub timeout: Duration,
    /// How many redirects to follow: 301, 302, 303, 307 and 308. Default: none, they are refusals.
    ///
    /// `http` and `https` in a location stand for `ws` and `wss`. From `wss` to `ws` is an error. To another
    /// scheme, host or port, the fields `Authorization`, `Cookie` and `Proxy-Authorization` do not go along, nor
    /// a login in the URL; all other header fields do. A login in a location is ignored.
    pub redirects: u8,
    /// Whom to trust, and who the client is, when the URL is a `wss://` one. Default: trust what the system
    /// trusts, or what Mozilla trusts where the system names nobody.
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
