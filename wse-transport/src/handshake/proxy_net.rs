//! [`ProxyNet`] and its parser.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};

/// The address of a proxy, or a network in CIDR notation (RFC 4632) such as `10.0.0.0/8`.
///
/// IPv4 and IPv6 networks are distinct, but an IPv4-mapped IPv6 address counts as its IPv4 address: a dual-stack
/// socket reports IPv4 peers so.
///
/// ```
/// use std::net::Ipv4Addr;
/// use wse_transport::handshake::ProxyNet;
///
/// let net: ProxyNet = "10.0.0.0/8".parse()?;
/// assert!(net.contains([10, 1, 2, 3].into()));
/// assert!(!ProxyNet::from(Ipv4Addr::LOCALHOST).contains([127, 0, 0, 2].into()));
/// # Ok::<_, wse_transport::handshake::ParseNetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyNet(IpNet);

impl ProxyNet {
    /// Whether the network contains an address.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.0.contains(&addr.to_canonical())
    }
}

impl From<IpAddr> for ProxyNet {
    fn from(addr: IpAddr) -> Self {
        Self(addr.to_canonical().into())
    }
}

impl From<Ipv4Addr> for ProxyNet {
    fn from(addr: Ipv4Addr) -> Self {
        IpAddr::V4(addr).into()
    }
}

impl From<Ipv6Addr> for ProxyNet {
    fn from(addr: Ipv6Addr) -> Self {
        IpAddr::V6(addr).into()
    }
}

impl FromStr for ProxyNet {
    type Err = ParseNetError;

    fn from_str(text: &str) -> Result<Self, ParseNetError> {
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(addr.into());
        }
        let net: IpNet = text.parse().map_err(|_| ParseNetError(text.to_owned()))?;
        // An IPv4-mapped network would never contain an IPv4 address, which is canonical here.
        if let (IpAddr::V4(addr), IpNet::V6(mapped)) = (net.addr().to_canonical(), net)
            && let Some(Ok(net)) =
                mapped.prefix_len().checked_sub(96).map(|len| Ipv4Net::new(addr, len))
        {
            return Ok(Self(net.into()));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for ProxyNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is neither an address nor a network. The caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetError(String);

impl fmt::Display for ParseNetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "caller gave {:?}, which is neither an ip address nor a network such as 10.0.0.0/8",
            self.0
        )
    }
}

impl std::error::Error for ParseNetError {}
