//! [`ProxyNet`]: an address, or a net of addresses.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};

/// The address of a proxy, or a net in CIDR notation (RFC 4632) such as `10.0.0.0/8`.
///
/// IPv4 and IPv6 are apart from each other, but an IPv4-mapped IPv6 address is its IPv4 address: that
/// is how a socket for both shows it.
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
    /// Whether an address is of this net.
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
        // A mapped net of IPv4, which an IPv4 address would never be found in.
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

/// A text that is neither an address nor a net. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetError(String);

impl fmt::Display for ParseNetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "caller gave {:?}, which is no ip address, nor a net such as 10.0.0.0/8", self.0)
    }
}

impl std::error::Error for ParseNetError {}
