//! [`Proxies`]: the selection of a proxy for a server.

use super::address::Proxy;
use super::error::ProxyConfigError;
use super::exempt::Exempt;

/// Selects a proxy for a server. By default, connections are direct.
///
/// ```
/// use wse_transport::proxy::{Proxies, Proxy};
///
/// let proxies = Proxies::from(Proxy::new("http://proxy.example:3128")?).except("localhost, .lan, 10.0.0.0/8");
/// assert!(proxies.choose(true, "example.com", 443).is_some());
/// assert!(proxies.choose(true, "printer.lan", 443).is_none());
/// # Ok::<(), wse_transport::proxy::ProxyConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    ws: Option<Proxy>,
    wss: Option<Proxy>,
    exempt: Exempt,
}

impl Proxies {
    /// Reads the environment of the process:
    ///
    /// | for | the first of these variables that is set and not empty |
    /// | --- | --- |
    /// | `wss` | `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` |
    /// | `ws` | `http_proxy`, `all_proxy`, `ALL_PROXY` |
    /// | [`except`](Self::except) | `no_proxy`, `NO_PROXY` |
    ///
    /// `HTTP_PROXY` is never read, and `http_proxy` not if `REQUEST_METHOD` is set: in a CGI program, the client could
    /// set it with the header field `Proxy` (CVE-2016-5385).
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError::Variable`] for an invalid proxy.
    pub fn from_env() -> Result<Self, ProxyConfigError> {
        Self::from_variables(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// As [`from_env`](Self::from_env), but `lookup` returns the variables.
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError::Variable`] for an invalid proxy.
    pub fn from_variables(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProxyConfigError> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = lookup(name)?.trim().to_owned();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let proxy = |names: &[&'static str]| match first(names) {
            Some((name, url)) => match Proxy::new(&url) {
                Ok(proxy) => Ok(Some(proxy)),
                Err(error) => Err(ProxyConfigError::Variable(name.to_owned(), Box::new(error))),
            },
            None => Ok(None),
        };
        let ws: &[_] = match lookup("REQUEST_METHOD") {
            None => &["http_proxy", "all_proxy", "ALL_PROXY"],
            Some(_) => &["all_proxy", "ALL_PROXY"],
        };
        let chosen = Self {
            ws: proxy(ws)?,
            wss: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            exempt: Exempt::default(),
        };
        Ok(match first(&["no_proxy", "NO_PROXY"]) {
            Some((_, list)) => chosen.except(&list),
            None => chosen,
        })
    }

    /// Connects directly to these servers. The items are separated by commas or spaces; an earlier list is replaced.
    ///
    /// | item | servers |
    /// | --- | --- |
    /// | `*` | all |
    /// | `example.com`, `.example.com`, `*.example.com` | this name and all names below it |
    /// | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | this address, if the URL contains it |
    /// | `10.0.0.0/8`, `fd00::/8` | these addresses, if the URL contains them; names are not resolved |
    /// | `example.com:8080`, `[::1]:8080` | the same, on this port only |
    ///
    /// Other items are ignored.
    #[must_use]
    pub fn except(mut self, servers: &str) -> Self {
        self.exempt = Exempt::parse(servers);
        self
    }

    /// The proxy for a server, given whether the URL is `wss`, the host (a name, or an address without brackets) and the
    /// port. `None` to connect directly.
    #[must_use]
    pub fn choose(&self, secure: bool, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if secure { &self.wss } else { &self.ws };
        proxy.as_ref().filter(|_| !self.exempt.has(host, port))
    }
}

/// Uses this proxy for all servers.
impl From<Proxy> for Proxies {
    fn from(proxy: Proxy) -> Self {
        Self { ws: Some(proxy.clone()), wss: Some(proxy), exempt: Exempt::default() }
    }
}
