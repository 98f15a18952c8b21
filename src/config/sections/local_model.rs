//! Defaults that depend on where a model runs: on the owner's own machine, or at a hosted provider.

use std::net::IpAddr;

use url::{Host, Url};

use super::provider::ProviderConfig;

/// The most calls at once, to a hosted provider and to the owner's own machine.
const HOSTED_CONCURRENCY: usize = 64;
const LOCAL_CONCURRENCY: usize = 2;

/// The smallest context window of today's hosted models, and Ollama's default (ollama docs, "context length").
const HOSTED_CONTEXT_TOKENS: usize = 32_768;
const LOCAL_CONTEXT_TOKENS: usize = 4_096;

/// Returns the most calls at once if the owner sets no number.
pub(in crate::config) fn default_concurrency(provider: &ProviderConfig) -> usize {
    if is_local_provider(provider) { LOCAL_CONCURRENCY } else { HOSTED_CONCURRENCY }
}

/// Returns the size of the context window, in tokens, if the owner sets none.
pub(in crate::config) fn default_context_tokens(provider: &ProviderConfig) -> usize {
    if is_local_provider(provider) { LOCAL_CONTEXT_TOKENS } else { HOSTED_CONTEXT_TOKENS }
}

fn is_local_provider(provider: &ProviderConfig) -> bool {
    match provider {
        ProviderConfig::OpenAi { base_url, .. } | ProviderConfig::Anthropic { base_url, .. } => {
            is_local_address(base_url)
        }
        ProviderConfig::Offline { .. } => false,
    }
}

/// Whether the address belongs to this machine or to a private network, where one machine serves the model.
pub fn is_local_address(url: &Url) -> bool {
    let address = match url.host() {
        None => return false,
        // A name without a dot is that of this machine or of a container on it.
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            return !name.contains('.')
                || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end));
        }
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
    };
    match address {
        IpAddr::V4(v4) => {
            // Overlay networks use 100.64.0.0/10 (RFC 6598).
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    const OPENAI: (&str, &str) = ("OPENAI_API_KEY", "sk-1");
    const OLLAMA: (&str, &str) = ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/");

    #[test]
    fn a_model_on_a_private_address_gets_two_calls_at_once() {
        for (host, calls) in [
            ("127.0.0.1", 2),
            ("localhost:11434", 2),
            ("192.168.1.20:8000", 2),
            ("10.1.2.3", 2),
            ("172.16.0.1", 2),
            ("100.64.0.1", 2),
            ("169.254.1.1", 2),
            ("[::1]:8080", 2),
            ("[fd00::1]", 2),
            ("[::ffff:10.0.0.1]", 2),
            ("ollama:11434", 2),
            ("box.local", 2),
            ("172.32.0.1", 64),
            ("100.128.0.1", 64),
            ("203.0.113.5", 64),
            ("[2001:db8::1]", 64),
            ("api.groq.com", 64),
            ("local.example", 64),
        ] {
            let url = format!("http://{host}/v1");
            assert_eq!(load(&[("OPENAI_BASE_URL", &url)]).unwrap().ai.unwrap().concurrency, calls, "{host}");
        }
        assert_eq!(load(&[OPENAI]).unwrap().ai.unwrap().concurrency, 64);
        assert_eq!(load(&[OLLAMA, ("MYNAH_AI_CONCURRENCY", "9")]).unwrap().ai.unwrap().concurrency, 9);
    }
}
