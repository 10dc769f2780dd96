//! Who the client is, when proxies stand between it and us.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::{
    forwarded::{Hop, customary, is_there, standard},
    net::ProxyNet,
};

/// The proxies whose word is taken for where a request comes from: `Forwarded` (RFC 7239), and
/// `X-Forwarded-For`, `-Host` and `-Proto`. By default there are none, and these fields are ignored.
///
/// Anybody can send such fields, and proxies pass on what they get: so their addresses are read from
/// the last one on, up to the first that is not a listed proxy. That is the client. What stands before
/// it is the client's own word, and is not looked at.
///
/// List only what your own proxies connect from. Whoever else connects from there can pretend to be
/// anybody.
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

/// Which header fields the proxies write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeaders {
    /// Either kind. When there are both, and they name different clients, neither is believed: one of
    /// them is a client's, which the proxy passed on. Say which kind your proxies write, and clients
    /// cannot hide like that. The default.
    #[default]
    Either,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`.
    XForwarded,
}

/// Where a request comes from, as far as it is known. A server behind [`TrustedProxies`] keeps it among
/// the extensions of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The client; its port is 0 when the proxy does not tell it. The address of a proxy when that one
    /// says nothing about its client, hides it, or says it in a malformed way.
    pub addr: Option<SocketAddr>,
    /// The host, and port if there is one, that the client asked for, if a trusted proxy says so.
    pub host: Option<String>,
    /// The scheme that the client used, in lower case, if a trusted proxy says so.
    pub proto: Option<String>,
}

impl TrustedProxies {
    /// The proxies in these nets.
    pub fn new(nets: impl IntoIterator<Item = ProxyNet>) -> Self {
        Self { nets: nets.into_iter().collect(), headers: ProxyHeaders::default() }
    }

    /// Sets which header fields are believed. Default: [`ProxyHeaders::Either`].
    #[must_use]
    pub fn headers(mut self, headers: ProxyHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// Whether this is a proxy's address.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(addr))
    }

    /// Where a request comes from that arrived from `peer`. Without a peer's address nothing is believed.
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

    /// From proxy to proxy, to the first address that is not one's.
    fn walk(&self, mut found: Forwarded, hops: impl Iterator<Item = Hop>) -> Forwarded {
        for Hop { addr, host, proto } in hops {
            // The farther a trusted proxy is, the better it knows what the client asked for.
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
