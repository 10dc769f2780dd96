//! [`DriverOptions`].

use crate::handshake::OriginPolicy;
use crate::head::HeadLimits;
use crate::ws::Config;

/// Settings of a [`Driver`](super::Driver).
///
/// ```
/// use wse_transport::driver::{Driver, DriverOptions};
///
/// let driver = Driver::server(DriverOptions::default().protocols(["chat", "superchat"]));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DriverOptions {
    /// Limits, timeouts and compression of the connection. Default: [`Config::default`].
    pub config: Config,
    /// Limits on the head of the request or response. Default: [`HeadLimits::default`].
    pub head_limits: HeadLimits,
    /// Subprotocols, best first. A client offers them; a server selects the first one that was offered, or none. Default:
    /// none.
    pub protocols: Vec<String>,
    /// The web pages that a server accepts. Default: those of its own host.
    pub origins: OriginPolicy,
    /// Whether a server also speaks the drafts before RFC 6455: hixie-75, hixie-76 (hybi-00), hybi-7 and hybi-8. Default: no;
    /// requests of drafts are rejected. Feature `drafts`.
    ///
    /// It is for clients of around 2010 that cannot be replaced. The hixie drafts do not mask what a client sends, and the
    /// handshake of hixie-75 proves nothing: a web page can make a browser send any bytes to proxies in between (RFC 6455
    /// §10.3). Use TLS, or a private network.
    #[cfg(feature = "drafts")]
    pub allow_drafts: bool,
    /// Whether the transport is TLS: clients of the hixie drafts compare the URL in the response, with the scheme `wss`, to
    /// their own. Default: no. Feature `drafts`.
    #[cfg(feature = "drafts")]
    pub secure: bool,
}

impl DriverOptions {
    /// Sets [`config`](Self::config).
    #[must_use]
    pub const fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets [`head_limits`](Self::head_limits).
    #[must_use]
    pub const fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Sets [`protocols`](Self::protocols).
    #[must_use]
    pub fn protocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`origins`](Self::origins).
    #[must_use]
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// Sets [`allow_drafts`](Self::allow_drafts).
    #[cfg(feature = "drafts")]
    #[must_use]
    pub const fn allow_drafts(mut self, allowed: bool) -> Self {
        self.allow_drafts = allowed;
        self
    }

    /// Sets [`secure`](Self::secure).
    #[cfg(feature = "drafts")]
    #[must_use]
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }
}
