//! The settings of a driver.

use crate::{
    handshake::{HeadLimits, OriginPolicy},
    ws::Config,
};

/// How a [`Driver`](super::Driver) behaves.
///
/// ```
/// use wse_transport::ws::{Driver, DriverOptions};
///
/// let driver = Driver::server(DriverOptions::default().protocols(["chat", "superchat"]));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DriverOptions {
    /// Limits, timeouts and compression of the connection. Default: [`Config::default`].
    pub config: Config,
    /// Bounds on the head of the request or response. Default: [`HeadLimits::default`].
    pub head_limits: HeadLimits,
    /// Subprotocols, best first. A client offers them; a server selects the first that was offered, or
    /// none. Default: none.
    pub protocols: Vec<String>,
    /// Which web pages a server lets in. Default: those of its own host.
    pub origins: OriginPolicy,
    /// Whether a server also speaks the drafts that came before RFC 6455: hixie-75, hixie-76 (hybi-00),
    /// hybi-7 and hybi-8. Default: no; requests of drafts are refused.
    ///
    /// For clients of around 2010 that cannot be replaced. The hixie drafts do not mask what a client
    /// sends, and the handshake of hixie-75 proves nothing, so that a page can make a browser say what it
    /// likes to proxies in between (RFC 6455 §10.3): keep to TLS or to a network of your own.
    #[cfg(feature = "drafts")]
    pub allow_drafts: bool,
    /// Whether the transport is TLS, for the URL with scheme `wss` that the hixie drafts' clients compare
    /// with their own. Default: no.
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
