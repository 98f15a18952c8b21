//! Networks in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::schema::problem::Rejected;

/// A network, such as `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Both loopback networks.
const LOOPBACK: [Network; 2] = [
    Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), bits: 8 },
    Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 },
];

impl Network {
    /// Parses `10.0.0.0/8`, `fd00::/8`, `192.0.2.7` or `::1`.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => (address, Some(bits)),
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok()).filter(|bits| *bits <= most)?;
        Some(Network { address, bits })
    }

    /// Whether the network contains the address. An IPv4 address from an IPv6 socket (`::ffff:10.0.0.1`) counts as
    /// IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Parses comma-separated networks. `loopback` stands for both loopback networks; `none` alone is an empty list.
pub(in crate::config) fn parse_networks(text: &str) -> Result<Vec<Network>, Rejected> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let mut networks = Vec::new();
    for item in text.split(',').map(str::trim) {
        match item {
            "loopback" => networks.extend(LOOPBACK),
            _ => networks.push(Network::parse(item).ok_or_else(Rejected::default)?),
        }
    }
    Ok(networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_lies_in_the_network_of_its_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("10.1.2.3/8", "10.255.1.2", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.128/25", "192.0.2.129", "192.0.2.127"),
            ("fd00::/8", "fdff::1", "fe80::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(ip(inside)), "{network} {inside}");
            assert!(!parsed.contains(ip(outside)), "{network} {outside}");
        }
    }

    #[test]
    fn a_value_that_is_not_a_network_is_refused() {
        for bad in
            ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "host", "1.2.3.4/8/8"]
        {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_list_may_be_loopback_or_nobody() {
        let loopback = parse_networks("loopback").unwrap();
        assert!(loopback.iter().any(|network| network.contains(ip("127.9.9.9"))));
        assert!(loopback.iter().any(|network| network.contains(ip("::1"))));
        assert!(!loopback.iter().any(|network| network.contains(ip("10.0.0.1"))));
        assert_eq!(parse_networks("none").unwrap(), []);
        assert_eq!(parse_networks("10.0.0.0/8, 192.0.2.7,loopback").unwrap().len(), 4);
        for bad in ["", "10.0.0.0/8,", "none,10.0.0.1", "10.0.0.0/8 10.0.0.1"] {
            assert!(parse_networks(bad).is_err(), "{bad}");
        }
    }
}
