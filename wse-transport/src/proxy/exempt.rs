//! [`Exempt`]: the list in `NO_PROXY`.

use std::net::IpAddr;

use url::Host;

/// Servers to connect to directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exempt(Vec<Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    servers: Servers,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Servers {
    All,
    /// Addresses that agree in this many bits.
    Net(IpAddr, u32),
    /// A name and all names below it.
    Domain(String),
}

impl Exempt {
    pub(super) fn parse(list: &str) -> Self {
        let items = list.split(|it: char| it == ',' || it.is_whitespace());
        Self(items.filter(|it| !it.is_empty()).filter_map(Item::parse).collect())
    }

    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|item| item.port.is_none_or(|it| it == port) && item.servers.have(host))
    }
}

impl Item {
    fn parse(text: &str) -> Option<Self> {
        if let Some(servers) = Servers::parse(text) {
            return Some(Self { servers, port: None });
        }
        let (servers, port) = text.rsplit_once(':')?;
        Some(Self { servers: Servers::parse(servers)?, port: Some(port.parse().ok()?) })
    }
}

impl Servers {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (bare(address).parse().ok()?, bits.parse().ok()?);
            return (bits <= width(address)).then_some(Self::Net(address, bits));
        }
        if let Ok(address) = bare(text).parse::<IpAddr>() {
            let address = address.to_canonical();
            return Some(Self::Net(address, width(address)));
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        let name = name.strip_prefix('.').unwrap_or(name);
        match Host::parse(name).ok()? {
            Host::Domain(name) => Some(Self::Domain(rooted(&name).to_owned())),
            // An address in an old notation, such as one number.
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    fn have(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
        match (self, address) {
            (Self::All, _) => true,
            (Self::Net(net, bits), Ok(address)) => within(*net, *bits, address),
            (Self::Domain(name), Err(_)) => {
                let host = rooted(host).to_ascii_lowercase();
                // Only at the border of a label: evil-example.com is not below example.com.
                host.strip_suffix(name.as_str())
                    .is_some_and(|it| it.is_empty() || it.ends_with('.'))
            }
            _ => false,
        }
    }
}

/// An address without its brackets.
fn bare(text: &str) -> &str {
    text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text)
}

/// A name without the dot of the root at its end.
fn rooted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn within(net: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => {
            (net.to_bits() ^ address.to_bits()).leading_zeros() >= bits
        }
        (IpAddr::V6(net), IpAddr::V6(address)) => {
            (net.to_bits() ^ address.to_bits()).leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_matched_on_the_borders_of_labels_and_networks() {
        let cases = [
            ("", "", "a.com 127.0.0.1 ::1 localhost"),
            ("*", "a.com 127.0.0.1 ::1", ""),
            ("a.com", "a.com A.com b.a.com c.b.a.com a.com.", "xa.com a.com.b com a.co ba.comm"),
            (".a.com", "a.com b.a.com", "xa.com com"),
            ("*.a.com", "a.com b.a.com", "xa.com com"),
            ("A.Com.", "a.com b.a.com", "xa.com"),
            ("b.com,,  a.com\tc.com", "a.com b.com c.com", "d.com"),
            ("bücher.example", "xn--bcher-kva.example", "bucher.example"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2 1.127.0.0.1.com ::1"),
            ("::1", "::1 0:0:0:0:0:0:0:1", "::2 127.0.0.1"),
            ("[::1]", "::1", "::2"),
            (
                "10.0.0.0/8",
                "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3",
                "11.0.0.0 9.255.255.255 a.com",
            ),
            ("10.1.2.3/8", "10.255.255.255", "11.0.0.0"),
            ("192.168.1.128/25", "192.168.1.128 192.168.1.255", "192.168.1.127 192.168.2.128"),
            ("0.0.0.0/0", "1.2.3.4", "::1 a.com"),
            ("1.2.3.4/32", "1.2.3.4", "1.2.3.5"),
            ("fd00::/8", "fd12::1", "fe80::1 253.0.0.1"),
            ("::/0", "::1", "1.2.3.4"),
            // Ignored.
            (
                "10.0.0.0/33 ::/129 1.2.3.4/ /8 a/8 a:b a:99999 [::1 . :80 10",
                "",
                "10.0.0.1 a ::1 0.0.0.10",
            ),
        ];
        for (list, exempt, others) in cases {
            let list = Exempt::parse(list);
            for host in exempt.split_whitespace() {
                assert!(list.has(host, 80), "{host} in {list:?}");
            }
            for host in others.split_whitespace() {
                assert!(!list.has(host, 80), "{host} in {list:?}");
            }
        }
    }

    #[test]
    fn a_port_limits_an_item_to_itself() {
        for (item, host) in [
            ("a.com:8080", "b.a.com"),
            ("1.2.3.4:8080", "1.2.3.4"),
            ("[::1]:8080", "::1"),
            ("10.0.0.0/8:8080", "10.1.1.1"),
            ("*:8080", "any"),
        ] {
            let list = Exempt::parse(item);
            assert!(list.has(host, 8080), "{item}");
            assert!(!list.has(host, 80), "{item}");
        }
    }
}
