//! [`TrustedProxies`]: the address of a client behind proxies.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::forwarded::{Hop, customary, is_there, standard};
use super::proxy_net::ProxyNet;

/// The proxies that a server trusts to tell where a request comes from, with `Forwarded` (RFC 7239) or
/// `X-Forwarded-For`, `-Host` and `-Proto`. By default there are none, and these fields are ignored.
///
/// Anybody can send such fields, and proxies pass on what they receive. Therefore the addresses are read from the last
/// one on, up to the first that is not a trusted proxy: that is the client. Items before it come from the client, and
/// are ignored.
///
/// List only addresses that your own proxies connect from. Any other program that connects from there can pretend to
/// be any client.
///
/// ```
/// use http::HeaderMap;
/// use wse_transport::handshake::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8".parse()?]);
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.1".parse()?);
/// let forwarded = proxies.forwarded(Some("10.0.0.2:4711".parse()?), &headers);
/// assert_eq!(forwarded.addr, Some("192.0.2.7:0".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    nets: Vec<ProxyNet>,
    headers: ProxyHeaders,
}

/// The header fields that the proxies write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeaders {
    /// Either kind. If both are present and name different clients, neither is believed: a proxy has passed on one of
    /// them, which comes from a client. Set the kind that your proxies write, so that clients cannot hide their address
    /// like this. The default.
    #[default]
    Either,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`.
    XForwarded,
}

/// Where a request comes from, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The address of the client; the port is 0 if the proxy does not tell it. The address of a proxy if that proxy does
    /// not tell the client, hides it, or writes it in a malformed way.
    pub addr: Option<SocketAddr>,
    /// The host, and the port if there is one, that the client asked for, according to a trusted proxy.
    pub host: Option<String>,
    /// The scheme that the client used, in lower case, according to a trusted proxy.
    pub proto: Option<String>,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks.
    #[must_use]
    pub fn new(nets: impl IntoIterator<Item = ProxyNet>) -> Self {
        Self { nets: nets.into_iter().collect(), headers: ProxyHeaders::default() }
    }

    /// Sets which header fields the proxies write. Default: [`ProxyHeaders::Either`].
    #[must_use]
    pub fn headers(mut self, headers: ProxyHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// Whether an address is that of a trusted proxy.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(addr))
    }

    /// Where a request comes from, given the address of its peer. Without that, the header fields are ignored.
    #[must_use]
    pub fn forwarded(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Forwarded {
        let direct = Forwarded { addr: peer, ..Forwarded::default() };
        if !peer.is_some_and(|peer| self.contains(peer.ip())) {
            return direct;
        }
        match (self.headers, is_there(headers)) {
            (ProxyHeaders::Either, (true, true)) => {
                let one = self.walk(direct.clone(), standard(headers));
                let other = self.walk(direct.clone(), customary(headers));
                let ip = |it: &Forwarded| it.addr.map(|addr| addr.ip());
                let host = one.host.is_none() || other.host.is_none() || one.host == other.host;
                if ip(&one) == ip(&other) && host {
                    let Forwarded { addr, host, proto } = one;
                    Forwarded { addr, host: host.or(other.host), proto: proto.or(other.proto) }
                } else {
                    direct
                }
            }
            (ProxyHeaders::Either, (true, _)) | (ProxyHeaders::Forwarded, _) => {
                self.walk(direct, standard(headers))
            }
            (ProxyHeaders::Either, _) | (ProxyHeaders::XForwarded, _) => {
                self.walk(direct, customary(headers))
            }
        }
    }

    /// Follows the proxies up to the first address that is not a trusted proxy.
    fn walk(&self, mut found: Forwarded, hops: impl Iterator<Item = Hop>) -> Forwarded {
        for Hop { addr, host, proto } in hops {
            // The proxy that is nearest to the client knows best what the client asked for.
            found.host = host.or(found.host);
            found.proto = proto.or(found.proto);
            match addr {
                Some(addr) => found.addr = Some(addr),
                None => break,
            }
            if !addr.is_some_and(|addr| self.contains(addr.ip())) {
                break;
            }
        }
        found
    }
}

impl<N: Into<ProxyNet>, const LEN: usize> From<[N; LEN]> for TrustedProxies {
    fn from(nets: [N; LEN]) -> Self {
        Self::new(nets.map(Into::into))
    }
}

impl From<Vec<ProxyNet>> for TrustedProxies {
    fn from(nets: Vec<ProxyNet>) -> Self {
        Self::new(nets)
    }
}
