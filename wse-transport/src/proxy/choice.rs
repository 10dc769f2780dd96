//! [`Proxies`]: which proxy for which server.

use super::address::Proxy;
use super::error::ProxyConfigError;
use super::exempt::Exempt;

/// Which proxy leads to which server. By default none is used.
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
    /// What the environment of the process says:
    ///
    /// | for | the first of these that is there and not empty |
    /// | --- | --- |
    /// | `wss` | `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` |
    /// | `ws` | `http_proxy`, `all_proxy`, `ALL_PROXY` |
    /// | [`except`](Self::except) | `no_proxy`, `NO_PROXY` |
    ///
    /// `HTTP_PROXY` is never read, nor `http_proxy` where `REQUEST_METHOD` is set: in a CGI program its
    /// client could write it, as the header field `Proxy` (CVE-2016-5385).
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError::Variable`] for a proxy that cannot be used.
    pub fn from_env() -> Result<Self, ProxyConfigError> {
        Self::from_variables(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// [`from_env`](Self::from_env), but the variables come from `lookup`.
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError::Variable`] for a proxy that cannot be used.
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

    /// Connects directly to these servers, separated by commas or spaces, instead of those of an earlier list:
    ///
    /// | item | servers |
    /// | --- | --- |
    /// | `*` | all |
    /// | `example.com`, `.example.com`, `*.example.com` | this name and those that end in `.example.com` |
    /// | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | this address, when the URL has it |
    /// | `10.0.0.0/8`, `fd00::/8` | these addresses, when the URL has them; no name is looked up |
    /// | `example.com:8080`, `[::1]:8080` | the same on this port alone |
    ///
    /// What is none of these is ignored.
    #[must_use]
    pub fn except(mut self, servers: &str) -> Self {
        self.exempt = Exempt::parse(servers);
        self
    }

    /// The proxy for a server: whether its URL is a `wss` one, its host (a name, or an address without
    /// brackets) and its port. `None` to connect directly.
    #[must_use]
    pub fn choose(&self, secure: bool, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if secure { &self.wss } else { &self.ws };
        proxy.as_ref().filter(|_| !self.exempt.has(host, port))
    }
}

/// This one for all servers.
impl From<Proxy> for Proxies {
    fn from(proxy: Proxy) -> Self {
        Self { ws: Some(proxy.clone()), wss: Some(proxy), exempt: Exempt::default() }
    }
}
