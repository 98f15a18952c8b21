//! The outgoing HTTP client. It uses rustls with ring and its own root certificates, so that a static executable needs
//! no system files. It follows no redirects, and reads bodies up to a limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy, Response};
use url::{Host, Url};

use crate::clock::Time;

/// How long it may take to open one connection, including TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn tls() -> rustls::ClientConfig {
    static CONFIG: OnceLock<rustls::ClientConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring supports the default protocol versions")
                .with_root_certificates(roots)
                .with_no_client_auth()
        })
        .clone()
}

/// Which addresses a client may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedTargets {
    /// Any address, because the owner configured it. It may have no TLS, and may be in a private network, where a model
    /// may run.
    Any,
    /// Public addresses over https only. Neither a name nor an IP address may lead to this machine or a private
    /// network.
    PublicHttps,
}

/// Builds a client. A call ends after `timeout` in all, and after `idle` without a byte.
pub fn client(timeout: Duration, idle: Duration, targets: AllowedTargets) -> Client {
    let builder = Client::builder().no_proxy();
    let builder = match targets {
        AllowedTargets::Any => builder,
        AllowedTargets::PublicHttps => restrict_to_public(builder).https_only(true),
    };
    builder
        .tls_backend_preconfigured(tls())
        .user_agent(concat!("mynah/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(idle)
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(50))
        .build()
        .expect("a client with fixed settings can be built")
}

/// The host of a proxy that does not exist. The resolver refuses calls to it.
const BLOCKED_PROXY_HOST: &str = "refused.invalid";

/// Keeps a client from connecting to this machine and to private networks. The check runs at each connection, so also
/// after a redirect. Names resolve only to public addresses. IP addresses in URLs never reach the resolver, but the
/// client looks up a proxy for every connection, and private IP addresses get a proxy that does not exist.
fn restrict_to_public(builder: ClientBuilder) -> ClientBuilder {
    let refused = Url::parse(&format!("http://{BLOCKED_PROXY_HOST}")).expect("the URL is valid");
    let numbers = Proxy::custom(move |url| is_private_ip_host(url).then(|| refused.clone()));
    builder.dns_resolver(Arc::new(PublicResolver)).proxy(numbers)
}

/// Whether the host is an IP address that is not public. `Url` parses IP addresses in all their forms: `2130706433`,
/// `0x7f.1`.
fn is_private_ip_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(_)) | None => false,
    }
}

/// Resolves names only to public addresses. It runs at each connection, so it does not help an attacker to change the
/// address of a name between a check and the call.
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if name.as_str() == BLOCKED_PROXY_HOST {
                return Err(
                    "the address is of this machine or a private network, and the owner did not configure it".into()
                );
            }
            let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = all.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                let why = format!("{} has no public address, and the owner did not configure it", name.as_str());
                return Err(why.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is public: not of this machine, a private network or a cloud's metadata service, and not reserved
/// (IANA, special-purpose address registries).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            let protocols = (a, b, c) == (192, 0, 0) || (a == 198 && b & 0xfe == 18);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || shared
                || protocols
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            // 6to4 and NAT64 addresses contain an IPv4 address.
            let inner = match v6.segments() {
                [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                    Some(Ipv4Addr::new(a, b, c, d))
                }
                _ => None,
            };
            let documentation = v6.segments()[..2] == [0x2001, 0xdb8];
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || documentation)
                && inner.is_none_or(|inner| is_public(inner.into()))
        }
    }
}

/// Returns an address that reaches a socket listening on `address`: the loopback if the socket listens on all
/// addresses.
pub fn loopback_if_unspecified(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than allowed.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection broke or timed out.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
}

/// Reads the body, if it has at most `limit` bytes.
pub async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Parses the time in a `Date` header, which is cut to seconds.
pub fn parse_date(text: &str) -> Option<Time> {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    // RFC 9110 writes `GMT` for the zone, which RFC 2822 knows as an obsolete name.
    PARSER.parse_timestamp(text.trim()).ok().map(|time| Time(time.as_millisecond()))
}

/// Describes the error of a call and its causes, without the URL, which may hold a secret.
pub fn describe_error(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_what_no_private_network_is() {
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.1",
            "203.0.113.5",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "64:ff9b::169.254.169.254",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[tokio::test]
    async fn the_world_is_called_by_https_alone_and_not_where_a_name_leads_home() {
        let client = client(Duration::from_secs(5), Duration::from_secs(5), AllowedTargets::PublicHttps);
        let plain = client.get("http://example.org/").send().await.unwrap_err();
        assert!(plain.is_builder(), "{plain:?}");
        let home = describe_error(client.get("https://localhost:9/").send().await.unwrap_err());
        assert!(home.contains("localhost has no public address"), "{home}");
    }

    #[tokio::test]
    async fn nobody_is_followed_elsewhere() {
        let server = wiremock::MockServer::start().await;
        let elsewhere = wiremock::ResponseTemplate::new(302).insert_header("location", "/elsewhere");
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(elsewhere).mount(&server).await;
        let client = client(Duration::from_secs(5), Duration::from_secs(5), AllowedTargets::Any);
        let answer = client.get(server.uri()).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), server.received_requests().await.unwrap().len()), (302, 1));
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(parse_date("Thu, 24 Aug 2023 05:01:45 GMT"), Some(Time(1_692_853_305_000)));
        assert_eq!(parse_date("yesterday"), None);
    }

    const PRIVATE_ADDRESS_ERROR: &str = "the address is of this machine or a private network";

    #[tokio::test]
    async fn the_world_is_not_called_by_a_number_that_leads_home() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = client(Duration::from_secs(5), Duration::from_secs(5), AllowedTargets::PublicHttps);
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "10.1.2.3",
            "169.254.169.254",
            "100.64.0.1",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::127.0.0.1]",
        ] {
            let error = describe_error(client.get(format!("https://{host}:{port}/")).send().await.unwrap_err());
            assert!(error.contains(PRIVATE_ADDRESS_ERROR), "{host}: {error}");
        }
        let nobody = listener.accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "no connection was opened");
        for public in ["https://8.8.8.8/", "https://[2606:4700::1111]/", "https://[::ffff:8.8.8.8]/"] {
            assert!(!is_private_ip_host(&Url::parse(public).unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn nor_where_a_redirect_leads_home() {
        let server = wiremock::MockServer::start().await;
        let home = wiremock::ResponseTemplate::new(302).insert_header("location", format!("{}/home", server.uri()));
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(home).mount(&server).await;
        // Without https, and with a name that counts as public.
        let builder = restrict_to_public(Client::builder().no_proxy()).tls_backend_preconfigured(tls());
        let client = builder.resolve("world.test", *server.address()).redirect(Policy::limited(3)).build().unwrap();
        let error = describe_error(
            client.get(format!("http://world.test:{}/", server.address().port())).send().await.unwrap_err(),
        );
        assert!(error.contains(PRIVATE_ADDRESS_ERROR), "{error}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "only the request that was redirected");
    }
}
