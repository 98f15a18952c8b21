//! The public address: Twilio can call it.

use url::{Host, Url};

use super::finding::Finding;
use crate::config::{Config, TwilioConfig};
use crate::http;

const NAME: &str = "public URL";

/// Checks what can be seen of the address without calling it.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let Some(url) = &config.server.public_url else {
        return vec![Finding::failed(
            NAME,
            "not set, so mynah cannot check signatures, and refuses every webhook",
            "set MYNAH_PUBLIC_URL to the address under which Twilio reaches mynah, such as https://bot.example.org",
        )];
    };
    let numbers = config.every_number();
    let calls_twilio = numbers.iter().filter_map(|number| number.twilio.as_ref()).any(is_twilio_itself);
    let mut findings = Vec::new();
    if let Some(finding) = check_host(url, calls_twilio) {
        findings.push(finding);
    } else {
        let webhook = format!("{}/webhooks/twilio", url.as_str().trim_end_matches('/'));
        findings.push(Finding::ok(NAME, format!("Twilio's webhook address is {webhook}")));
    }
    if url.scheme() == "http" && calls_twilio {
        findings.push(Finding::warning(
            NAME,
            format!("{url} is not encrypted: everybody on the way can read the messages"),
            "put a proxy with a certificate in front of mynah, and set MYNAH_PUBLIC_URL to its https address",
        ));
    }
    findings
}

/// Returns what is wrong with the host, if anything.
fn check_host(url: &Url, calls_twilio: bool) -> Option<Finding> {
    let unreachable = match url.host()? {
        Host::Domain(host) => {
            host == "localhost" || [".localhost", ".local", ".internal"].iter().any(|end| host.ends_with(end))
        }
        Host::Ipv4(address) => !http::is_public(address.into()),
        Host::Ipv6(address) => !http::is_public(address.into()),
    };
    if unreachable && calls_twilio {
        return Some(Finding::failed(
            NAME,
            format!("{url} is an address inside your own network, which Twilio cannot reach"),
            "set MYNAH_PUBLIC_URL to a host name that the internet knows, and let it lead to mynah's proxy",
        ));
    }
    url.host_str().filter(|host| host.contains('_')).map(|host| {
        Finding::warning(
            NAME,
            format!("the host name {host} has an underscore, so Twilio does not report to it whether messages arrive"),
            "use a host name without an underscore",
        )
    })
}

/// Whether the account is at Twilio itself, not at a server that stands in for it.
fn is_twilio_itself(twilio: &TwilioConfig) -> bool {
    let own = twilio.api_base_url.as_ref().and_then(Url::host_str);
    own.is_none_or(|host| host == "twilio.com" || host.ends_with(".twilio.com"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::diagnosis::Outcome;

    fn outcomes(url: &str, api: &str) -> Vec<(Outcome, String)> {
        let env = [
            ("MYNAH_PUBLIC_URL", url),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
            ("TWILIO_AUTH_TOKEN", "12345"),
            ("TWILIO_WHATSAPP_FROM", "+14155550001"),
            ("TWILIO_API_BASE_URL", api),
        ];
        let env = env.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let config = Config::load(Sources { env, ..Sources::default() }).unwrap();
        check(&config).into_iter().map(|finding| (finding.outcome, finding.found)).collect()
    }

    #[test]
    fn addresses_that_twilio_cannot_call_are_named() {
        let own = "https://api.dublin.ie1.twilio.com";
        for (url, outcome, word) in [
            ("https://bot.example.org/", Outcome::Ok, "https://bot.example.org/webhooks/twilio"),
            ("https://10.0.0.7", Outcome::Failed, "own network"),
            ("https://localhost:8443", Outcome::Failed, "own network"),
            ("https://[::1]", Outcome::Failed, "own network"),
            ("https://my_bot.example.org", Outcome::Warning, "underscore"),
            ("", Outcome::Failed, "not set"),
        ] {
            let found = outcomes(url, own);
            assert!(found.len() == 1 && found[0].0 == outcome && found[0].1.contains(word), "{url}: {found:?}");
        }
        let plain = outcomes("http://bot.example.org", "");
        assert!(
            plain.len() == 2 && plain[1].0 == Outcome::Warning && plain[1].1.contains("not encrypted"),
            "{plain:?}"
        );
    }

    #[test]
    fn a_server_that_stands_in_for_twilio_may_be_in_the_same_network() {
        let found = outcomes("http://127.0.0.1:8080", "http://127.0.0.1:4010");
        assert_eq!(found.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>(), [Outcome::Ok]);
    }
}
