//! Links in what a model wrote, by the owner's policy.

use std::borrow::Cow;

use linkify::{LinkFinder, LinkKind};
use url::Url;

/// Which links a contact may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkPolicy {
    /// Any.
    Allow,
    /// Those to these hosts and to what is below them, in lower case. Empty: none.
    Only(Vec<String>),
}

/// Replaces each link that the policy does not allow by `instead`. Everything that WhatsApp would make a link counts:
/// addresses with a scheme, and bare names such as `example.org/offer`. E-mail addresses stay.
#[must_use]
pub fn links<'a>(text: &'a str, policy: &LinkPolicy, instead: &str) -> Cow<'a, str> {
    let LinkPolicy::Only(hosts) = policy else { return Cow::Borrowed(text) };
    let mut finder = LinkFinder::new();
    finder.url_must_have_scheme(false);
    let mut kept = String::new();
    let mut from = 0;
    for link in finder.links(text) {
        if *link.kind() == LinkKind::Url && !allowed(link.as_str(), hosts) {
            kept.push_str(&text[from..link.start()]);
            kept.push_str(instead);
            from = link.end();
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[from..]);
    Cow::Owned(kept)
}

fn allowed(link: &str, hosts: &[String]) -> bool {
    let url = if link.contains("://") { Url::parse(link) } else { Url::parse(&format!("https://{link}")) };
    let Ok(url) = url else { return false };
    // What stands before an @ looks like the host and is not.
    let disguised = !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    !disguised
        && matches!(url.scheme(), "http" | "https")
        && hosts.iter().any(|own| host == own || host.strip_suffix(own.as_str()).is_some_and(|sub| sub.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> String {
        let policy = LinkPolicy::Only(vec!["bakery.example".to_owned()]);
        links(text, &policy, "[link removed]").into_owned()
    }

    #[test]
    fn links_to_ones_own_hosts_stay() {
        for text in [
            "See https://bakery.example/menu?x=1, or www.bakery.example.",
            "bakery.example/menu",
            "Write to hello@elsewhere.example",
            "3.5 kg at 10.30, e.g. today.",
        ] {
            assert_eq!(only(text), text);
        }
    }

    #[test]
    fn foreign_links_are_replaced_however_they_are_written() {
        for (text, clear) in [
            ("Pay at https://evil.example/pay.", "Pay at [link removed]."),
            ("(http://evil.example)", "([link removed])"),
            ("evil.example/x and bakery.example", "[link removed] and bakery.example"),
            ("https://bakery.example@evil.example/", "[link removed]"),
            ("https://bakery.example.evil.example/", "[link removed]"),
            ("https://notbakery.example/", "[link removed]"),
            ("ftp://bakery.example/", "[link removed]"),
            ("HTTPS://EVIL.EXAMPLE", "[link removed]"),
        ] {
            assert_eq!(only(text), clear, "{text}");
        }
    }

    #[test]
    fn a_policy_that_allows_all_reads_nothing() {
        assert!(matches!(links("https://evil.example", &LinkPolicy::Allow, ""), Cow::Borrowed(_)));
        assert_eq!(links("a https://b.example c", &LinkPolicy::Only(Vec::new()), "-"), "a - c");
    }
}
