//! How a browser reaches the admin page, which decides what its cookies look like.

use axum::http::header::HOST;
use axum::http::request::Parts;

use crate::config::ServerConfig;
use crate::web::client_address::Peer;

/// How a browser reaches the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// By https, which ends at a proxy in front.
    Https,
    /// By plain http on this machine, or through a tunnel to it.
    Loopback,
    /// By plain http over a network, where everybody on the way reads passwords.
    Plain,
}

impl Transport {
    pub(super) fn of(head: &Parts, config: &ServerConfig) -> Transport {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let peer = head.extensions.get::<Peer>().map(|Peer(peer)| peer.to_canonical());
        let trusted = peer.is_none_or(|peer| config.trusted_proxies.iter().any(|network| network.contains(peer)));
        if trusted {
            if let Some(protocol) = head.headers.get("x-forwarded-proto") {
                return if protocol == "https" { Transport::Https } else { Transport::Plain };
            }
            // A proxy that does not name the protocol is trusted to be the one of the public URL.
            if config.public_url.as_ref().is_some_and(|url| url.scheme() == "https" && is_host(url, host)) {
                return Transport::Https;
            }
        }
        let name = host
            .rsplit_once(':')
            .map_or(host, |(name, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host });
        match name {
            "localhost" | "127.0.0.1" | "[::1]" if peer.is_none_or(|peer| peer.is_loopback()) => Transport::Loopback,
            _ => Transport::Plain,
        }
    }

    /// The name of the session's cookie. A browser accepts the prefix only with `Secure`, for this host and every path.
    pub(super) fn cookie_name(self) -> &'static str {
        match self {
            Transport::Https => "__Host-mynah",
            Transport::Loopback | Transport::Plain => "mynah",
        }
    }

    pub(super) fn cookie_attributes(self) -> &'static str {
        match self {
            Transport::Https => "; Path=/; HttpOnly; SameSite=Lax; Secure",
            Transport::Loopback | Transport::Plain => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

fn is_host(url: &url::Url, host: &str) -> bool {
    let authority = match (url.host_str(), url.port()) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => return false,
    };
    authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn passwords_are_taken_by_https_and_on_this_machine_only() {
        let config = |public_url: &str| ServerConfig {
            listen: "127.0.0.1:8080".parse().unwrap(),
            public_url: Some(public_url.parse().unwrap()),
            trusted_proxies: ["127.0.0.0/8", "::1"].map(|text| crate::config::Network::parse(text).unwrap()).to_vec(),
        };
        let (local, remote) = ("127.0.0.1", "203.0.113.7");
        for (peer, headers, expected) in [
            (local, &[("host", "bot.example.org"), ("x-forwarded-proto", "https")][..], Transport::Https),
            (local, &[("host", "bot.example.org"), ("x-forwarded-proto", "http")], Transport::Plain),
            (local, &[("host", "bot.example.org")], Transport::Https),
            (local, &[("host", "localhost:8080")], Transport::Loopback),
            (local, &[("host", "[::1]:8080")], Transport::Loopback),
            (local, &[("host", "127.0.0.1")], Transport::Loopback),
            (remote, &[("host", "192.0.2.1:8080")], Transport::Plain),
            // Anybody can claim this.
            (remote, &[("host", "bot.example.org"), ("x-forwarded-proto", "https")], Transport::Plain),
            (remote, &[("host", "localhost")], Transport::Plain),
        ] {
            let mut request = axum::http::Request::get("/admin");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (mut head, ()) = request.body(()).unwrap().into_parts();
            head.extensions.insert(Peer(peer.parse::<IpAddr>().unwrap()));
            assert_eq!(Transport::of(&head, &config("https://bot.example.org")), expected, "{peer} {headers:?}");
        }
    }
}
