//! `/metrics`, for Prometheus.
//!
//! Metrics contain nothing about a contact, but they tell how busy a business is and what it pays. So they are served
//! to whoever has the token. If no token is set, they are served to this machine and to the networks of trusted
//! proxies.
//!
//! A proxy on this machine forwards strangers, and its connections look like those of a local Prometheus. So a request
//! that a proxy seems to have forwarded is never served without a token, whatever client it names: a stranger may claim
//! any. The signs are a header that proxies add, the public host name, and HTTP/1.0, which nginx before
//! 1.30 speaks by default to the server behind it, also if it adds no header at all. `diagnosis/metrics` finds proxies that
//! show no sign.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED, HOST, VIA, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use url::{Host, Url};

use super::client_address::Peer;
use crate::app::App;
use crate::config::ServerConfig;
use crate::metrics::CONTENT_TYPE as METRICS_CONTENT_TYPE;

/// Headers by which proxies name the client, beside `Forwarded`, `Via` and everything that begins with `X-Forwarded`.
const CLIENT_HEADERS: [&str; 7] = [
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "true-client-ip",
];

/// Serves the metrics.
pub(super) async fn serve_metrics(State(app): State<Arc<App>>, request: Request) -> Response {
    match &app.config.metrics.token {
        Some(token) if !bears_token(request.headers(), token) => {
            let text = "the metrics need the bearer token that MYNAH_METRICS_TOKEN holds\n";
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer realm=\"mynah metrics\"")], text).into_response()
        }
        None if !is_direct_and_near(&request, &app.config.server) => {
            let text = "without MYNAH_METRICS_TOKEN, the metrics are served only to this machine and to the networks \
                        in MYNAH_TRUSTED_PROXIES, and never through a proxy\n";
            (StatusCode::FORBIDDEN, text).into_response()
        }
        Some(_) | None => ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], app.metrics_text().await).into_response(),
    }
}

fn bears_token(headers: &HeaderMap, token: &SecretString) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    given.is_some_and(|(scheme, given)| {
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(given.trim().as_bytes().ct_eq(token.expose_secret().as_bytes()))
    })
}

/// Returns whether the request comes from this machine or a trusted network, and no proxy seems to have forwarded it.
fn is_direct_and_near(request: &Request, config: &ServerConfig) -> bool {
    let is_near = |peer: IpAddr| {
        let peer = peer.to_canonical();
        peer.is_loopback() || config.trusted_proxies.iter().any(|network| network.contains(peer))
    };
    request.extensions().get::<Peer>().is_some_and(|Peer(peer)| is_near(*peer))
        && request.version() != Version::HTTP_10
        && !names_client(request.headers())
        && !config.public_url.as_ref().is_some_and(|public| is_for_host(request, public))
}

fn names_client(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        name == FORWARDED
            || name == VIA
            || name.as_str().starts_with("x-forwarded")
            || CLIENT_HEADERS.contains(&name.as_str())
    })
}

/// Returns whether the request names the host of the public URL. Public URLs that name an address or this machine do
/// not count: without a host name there is no certificate, and no proxy.
fn is_for_host(request: &Request, public: &Url) -> bool {
    let Some(Host::Domain(public)) = public.host().filter(|host| *host != Host::Domain("localhost")) else {
        return false;
    };
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = header.or_else(|| request.uri().host()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.trim_end_matches('.').eq_ignore_ascii_case(public.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::config::Network;

    fn config(public_url: &str) -> ServerConfig {
        ServerConfig {
            listen: "127.0.0.1:8080".parse().unwrap(),
            public_url: Some(public_url.parse().unwrap()),
            trusted_proxies: vec![Network::parse("10.1.0.0/16").unwrap()],
        }
    }

    fn request(peer: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::get("/metrics").header(HOST, "127.0.0.1:8080");
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("host") {
                request.headers_mut().unwrap().remove(HOST);
            }
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        request
    }

    #[test]
    fn without_a_token_only_this_machine_and_trusted_networks_are_near() {
        let config = config("https://bot.example.org/mynah");
        for (peer, near) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("192.168.1.7", false),
            ("203.0.113.5", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_direct_and_near(&request(peer, &[]), &config), near, "{peer}");
        }
        assert!(!is_direct_and_near(&Request::new(Body::empty()), &config), "of an unknown peer");
    }

    #[test]
    fn a_request_that_a_proxy_forwarded_is_not_near_whatever_it_claims() {
        let config = config("https://bot.example.org/mynah");
        for header in [
            ("x-forwarded-for", "203.0.113.5"),
            ("x-forwarded-for", "127.0.0.1"),
            ("X-Forwarded-For", ""),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "127.0.0.1"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=127.0.0.1"),
            ("via", "1.1 varnish"),
            ("x-real-ip", "127.0.0.1"),
            ("cf-connecting-ip", "127.0.0.1"),
            ("host", "bot.example.org"),
            ("host", "BOT.example.org:443"),
            ("host", "bot.example.org."),
        ] {
            for peer in ["127.0.0.1", "10.1.2.3"] {
                assert!(!is_direct_and_near(&request(peer, &[header]), &config), "{peer} {header:?}");
            }
        }
        for header in
            [("accept-encoding", "gzip"), ("host", "localhost:8080"), ("host", "[::1]:8080"), ("host", "mynah")]
        {
            assert!(is_direct_and_near(&request("127.0.0.1", &[header]), &config), "{header:?}");
        }
        // As nginx speaks to the server behind it.
        let mut old = request("127.0.0.1", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(!is_direct_and_near(&old, &config));
    }

    #[test]
    fn a_public_url_without_a_name_hides_nothing() {
        for (url, host) in [("http://127.0.0.1:8080", "127.0.0.1:8080"), ("http://localhost:8080", "localhost:8080")] {
            assert!(is_direct_and_near(&request("127.0.0.1", &[("host", host)]), &config(url)), "{url}");
        }
    }

    #[test]
    fn only_the_whole_token_counts() {
        let token = SecretString::from("correct-horse-battery");
        for (header, right) in [
            ("Bearer correct-horse-battery", true),
            ("bearer correct-horse-battery", true),
            ("Bearer  correct-horse-battery", true),
            ("Bearer correct-horse-batterx", false),
            ("Bearer correct-horse", false),
            ("Bearer correct-horse-battery-staple", false),
            ("Bearer ", false),
            ("Basic correct-horse-battery", false),
            ("correct-horse-battery", false),
        ] {
            let request = request("127.0.0.1", &[("authorization", header)]);
            assert_eq!(bears_token(request.headers(), &token), right, "{header}");
        }
        assert!(!bears_token(&HeaderMap::new(), &token));
    }
}
