//! Finds the client's address, also behind a proxy.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::config::Network;

/// The address at the other end of the connection. The accept loop puts it into each request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the client's address. `X-Forwarded-For` counts only as far as trusted proxies wrote it. Each proxy appends
/// the address that called it, so the last address that is not a trusted proxy's is the client's. Everything before it
/// is only what the client claims. Signatures never depend on this address.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for item in values.iter().flat_map(|value| value.split(',')).rev() {
        let Some(address) = parse_address(item.trim()) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// Returns the address of the client that sent this request; `None` if its connection is not known.
pub(super) fn client_of(head: &Parts, trusted: &[Network]) -> Option<IpAddr> {
    let Peer(peer) = *head.extensions.get::<Peer>()?;
    Some(client_address(peer, &head.headers, trusted))
}

/// Returns the key by which a client's requests are counted. For IPv6 this is the /64 network: a client has 2^64
/// addresses in it, and could send each request from another one.
pub(super) fn rate_limit_key(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// Parses an address. Some proxies append the port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let unbracketed = text.strip_prefix('[').and_then(|inner| inner.split(']').next()).unwrap_or(text);
    let address = unbracketed.parse().ok().or_else(|| unbracketed.rsplit_once(':')?.0.parse().ok())?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8", "::1"].map(|network| Network::parse(network).unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted() {
        for (peer, forwarded, address) in [
            ("203.0.113.5", &[][..], "203.0.113.5"),
            ("203.0.113.5", &["198.51.100.1"], "203.0.113.5"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // The addresses that the client claims come before those that the proxies saw.
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("127.0.0.1", &["unknown, 10.0.0.7"], "10.0.0.7"),
            ("127.0.0.1", &["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        ] {
            assert_eq!(client(peer, forwarded), address, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_network() {
        for (client, by) in [
            ("198.51.100.1", "198.51.100.1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
            ("2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:db8:0:7::/64"),
            ("2001:db8:0:8::1", "2001:db8:0:8::/64"),
        ] {
            assert_eq!(rate_limit_key(client.parse().unwrap()), by, "{client}");
        }
    }
}
